# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One recorder at a time has a folder of episodes: it may recover what recorders before it left unfinished there."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from smolvla_ros.dataset.errors import RecordingError

LOCK_FILE = (
    ".recorder.lock"  # stays in the folder; only its lock counts, and the kernel drops that with the process
)


class OutputLock:
    """Keeps other recorders out of `folder` until it is released or this process ends, however that happens."""

    def __init__(self, folder: Path) -> None:
        """Raises RecordingError when another recorder has the folder, OSError when it cannot be locked."""
        self._file = (folder / LOCK_FILE).open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read()
            self._file.close()
            raise RecordingError(
                f"output '{folder}' is in use by another recorder (process {holder}); end that one, or give another "
                "output"
            ) from None
        except OSError:
            self._file.close()
            raise
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        self._file.close()
