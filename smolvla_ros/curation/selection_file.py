# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The list of datasets that curate writes and train takes: a path a line; what follows a separate # is for people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

SUFFIX = ".txt"
COMMENT = re.compile(r"(?:^|\s)#")  # a # inside a name belongs to it


def write_selection(path: Path, selected: Sequence[Path], left_out: dict[Path, str]) -> None:
    """Write the selected datasets, and as comments the others with the reason. Raises OSError."""
    lines = [str(each.resolve()) for each in selected]
    lines += [f"# {each.resolve()}: {' '.join(reason.split())}" for each, reason in left_out.items()]
    path.write_text(
        "\n".join(["# Datasets selected by curate; train takes this file.", *lines, ""]), encoding="utf-8"
    )


def read_selection(path: Path) -> list[Path]:
    """The selected datasets; relative paths start at the folder of the file. Raises OSError."""
    text = path.read_text(encoding="utf-8")
    lines = (COMMENT.split(line)[0].strip() for line in text.split("\n"))
    return [path.parent / line for line in lines if line]
