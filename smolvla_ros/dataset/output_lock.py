# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Locks of output folders: one recorder, which may then recover unfinished episodes of earlier ones; one program that
makes a dataset."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from smolvla_ros.dataset.errors import DatasetError, RecordingError

# The file stays in the folder; only its lock counts, which the kernel releases when the process ends.
LOCK_FILE = ".recorder.lock"


class OutputLock:
    """Locks `folder` until it is released or this process ends."""

    def __init__(self, folder: Path) -> None:
        """Raises RecordingError if another recorder has locked the folder, OSError if it cannot be locked."""
        self._file = (folder / LOCK_FILE).open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read()
            self._file.close()
            raise RecordingError(
                f"output '{folder}' is in use by another recorder (process {holder}); stop that one, or give another "
                "output"
            ) from None
        except OSError:
            self._file.close()
            raise
        with suppress(
            OSError
        ):  # a full disk: the lock counts, without the process that the message would name
            os.ftruncate(self._file.fileno(), 0)
            os.write(self._file.fileno(), str(os.getpid()).encode())

    def release(self) -> None:
        self._file.close()


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Lock a folder, which is created and, if it stays empty, removed; raises DatasetError while it is locked."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, folder)
        try:
            yield
        finally:
            with suppress(OSError):
                folder.rmdir()
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DatasetError(
            f"'{folder}' is being written by another program; wait until it has ended, or give another folder"
        ) from None
