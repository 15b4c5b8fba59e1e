# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run tells: a line of JSON for each logged update, a progress bar, TensorBoard if it is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

LOG = "log.jsonl"


class TrainingLog:
    """Writes the log of a run; a continued run replaces lines after the update that it continues from."""

    def __init__(self, folder: Path, done: int, steps: int) -> None:
        self._path = folder / LOG
        kept = [line for line in read_log(folder) if line["step"] <= done]
        self._path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        self._file = self._path.open("a", encoding="utf-8")
        # disable=None: no bar where stderr is not a terminal
        self._bar = tqdm(desc="train", total=steps, initial=done, unit="step", disable=None)
        self._board = _tensorboard(folder)

    def add(self, step: int, **values: float) -> None:
        """Log the values after an update."""
        line = {"step": step, **values}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def show(self, step: int, text: str) -> None:
        """Show the update in the progress bar, with `text`."""
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(step - self._bar.n)

    def close(self) -> None:
        self._bar.close()
        self._file.close()
        if self._board is not None:
            self._board.close()


def read_log(folder: Path) -> list[dict[str, float]]:
    """The complete lines of the log; none if there is no log. The last one may have been cut off."""
    if not (folder / LOG).is_file():
        return []
    lines = []
    for text in (folder / LOG).read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))
