# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Edits that are chosen on the page, as words of the command line of edit_dataset, and the run of that command."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OPTIONS = ("--drop", "--keep", "--trim", "--split", "--task", "--outcome")  # of edit_dataset, on the page
FOLDER_NAME = re.compile(r"\w[\w .-]*")
MAX_WORDS = 100_000
PROGRESS = re.compile(r"([\w ]+):.*?(\d+)/(\d+) \[")  # a line of tqdm
END_S = 5.0  # for the command, once it is interrupted


class EditRequestError(ValueError):
    """A request of the page is not valid; the message says why."""


@dataclass(frozen=True)
class EditableData:
    """Datasets that can be edited, as they were named."""

    inputs: tuple[Path, ...]
    numbers: Mapping[str, int]  # name of an episode -> its number, counted over all inputs

    @property
    def folder(self) -> Path:
        """Where new datasets appear: beside the first one."""
        return self.inputs[0].parent


@dataclass(frozen=True)
class EditRequest:
    """The name of the new dataset's folder, and the options of edit_dataset with their values."""

    output: str
    words: tuple[str, ...]

    @classmethod
    def parse(cls, text: str | bytes) -> EditRequest:
        """Read {"output": name, "words": ["--drop", "3,7-9", ...]}; raises EditRequestError."""
        try:
            found = json.loads(text)
            output, words = found["output"], found["words"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise EditRequestError("expected an object of output and words") from error
        if not isinstance(output, str) or not FOLDER_NAME.fullmatch(output):
            raise EditRequestError(
                f"'{output}' cannot be the name of a folder here; use letters, digits, '_', '-', '.' and spaces"
            )
        if not isinstance(words, list) or not 0 < len(words) <= MAX_WORDS or words[0] not in OPTIONS:
            raise EditRequestError("expected options and their values")
        for word in words:
            # values begin with the numbers of episodes, so none of them is an option
            if not isinstance(word, str) or not (word in OPTIONS or word[:1].isdigit()) or "\0" in word:
                raise EditRequestError(f"'{word}' is not an option of the page, nor a value of one")
        return cls(output, tuple(words))


@dataclass
class Editor:
    """Runs edit_dataset for pages, as a process of its own for each new dataset."""

    data: EditableData
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, request: EditRequest) -> Iterator[dict[str, Any]]:
        """Write a new dataset; yields {"done", "of", "phase"} as it goes on, then {"ok", "text"}. Raises OSError."""
        output = self.data.folder / request.output
        words = [*map(str, self.data.inputs), "--output", str(output), *request.words]
        command = [sys.executable, "-m", "smolvla_ros.tools.edit_dataset", *words]  # as the page shows it
        reading, writing = os.openpty()  # the command shows its progress where it writes to a terminal
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,  # Ctrl-C comes by close() only
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self.running.append(process)
        said: list[str] = []
        for line in _lines(reading):
            if progress := PROGRESS.match(line):
                yield {"phase": progress[1], "done": int(progress[2]), "of": int(progress[3])}
            else:
                said.append(line)
        ok = process.wait() == 0
        self.running.remove(process)
        yield {"ok": ok, "text": "\n".join(said) or f"edit_dataset has ended with code {process.returncode}"}

    def close(self) -> None:
        """End the commands that are running; they leave nothing behind."""
        for process in list(self.running):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _lines(terminal: int) -> Iterator[str]:
    """What is written to a terminal, until it is closed; a line ends where the next one begins or replaces it."""
    rest = b""
    with os.fdopen(terminal, "rb", buffering=0) as file, suppress(OSError):  # EIO: no process has it open
        while data := file.read(1 << 14):
            *lines, rest = re.split(rb"[\r\n]+", rest + data)
            yield from (text for line in lines if (text := line.decode(errors="replace").strip()))
    if rest.strip():
        yield rest.decode(errors="replace").strip()
