# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables as lines of text."""

from __future__ import annotations

from collections.abc import Sequence


def align_columns(rows: Sequence[Sequence[str]], numbers: bool = False) -> tuple[str, ...]:
    """Rows as lines of aligned columns; `numbers`: all columns but the first are right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return tuple(
        "  ".join(
            cell.rjust(width) if numbers and index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    )
