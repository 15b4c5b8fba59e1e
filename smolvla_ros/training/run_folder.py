# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of a training run: checkpoints in LeRobot's layout, each complete or absent, whatever ends the program.

    <run>/checkpoints/<step>/pretrained_model, training_state        last -> <step>

A checkpoint is written to a folder with another name, synchronised to the disk, and renamed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from smolvla_ros.training.errors import TrainingError

CHECKPOINTS, LAST, UNFINISHED = "checkpoints", "last", ".unfinished"
PRETRAINED, STATE = "pretrained_model", "training_state"
DIGITS = 6  # at least, as in LeRobot


class RunFolder:
    """Saves and finds checkpoints; `keep`: how many stay, 0 for all. Raises TrainingError if the disk is full."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self._keep = keep

    def save(self, step: int, write: Callable[[Path], None]) -> Path:
        """Save what `write` writes into the folder that it is given, and remove the oldest checkpoints."""
        checkpoints = self.folder / CHECKPOINTS
        unfinished, final = checkpoints / UNFINISHED, checkpoints / f"{step:0{DIGITS}d}"
        if final.exists():  # the same step of the same run is the same checkpoint
            return final
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            write(unfinished)
            _synchronize(unfinished)
            unfinished.rename(final)
            self._link(final)
            _synchronize_folder(checkpoints)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            found = self.last()
            intact = f"; the previous checkpoint {found.name} is intact" if found else ""
            reason = getattr(error, "strerror", None) or error
            raise TrainingError(
                f"checkpoint {step} cannot be written to '{checkpoints}': {reason}{intact}. Free some space and "
                "continue with --resume"
            ) from error
        for old in self._complete()[: -self._keep] if self._keep else ():
            old.rename(unfinished)  # so that no checkpoint is ever half removed
            shutil.rmtree(unfinished)
        return final

    def last(self) -> Path | None:
        """The newest checkpoint, or None; repairs the link to it if the program ended before it was set."""
        complete = self._complete()
        if not complete:
            return None
        link = self.folder / CHECKPOINTS / LAST
        if not link.is_symlink() or os.readlink(link) != complete[-1].name:
            self._link(complete[-1])
        return complete[-1]

    def _complete(self) -> list[Path]:
        found = (self.folder / CHECKPOINTS).glob("[0-9]*")
        return sorted((path for path in found if path.name.isdecimal()), key=lambda path: int(path.name))

    def _link(self, checkpoint: Path) -> None:
        new = checkpoint.parent / f"{UNFINISHED}_link"
        new.unlink(missing_ok=True)
        new.symlink_to(checkpoint.name)
        new.replace(checkpoint.parent / LAST)


def _synchronize(folder: Path) -> None:
    """Wait until all files are on the disk; otherwise a crash could leave a complete name with empty files."""
    for path in folder.rglob("*"):
        if path.is_dir():
            _synchronize_folder(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())
    _synchronize_folder(folder)


def _synchronize_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
