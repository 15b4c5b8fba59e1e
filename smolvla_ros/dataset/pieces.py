# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pieces of an attempt in which policy and person took turns, each to be an episode of its own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from smolvla_ros.authority import Authority

Control = Literal["all", "corrections", "policy"]
WANTED = {"corrections": Authority.OPERATOR, "policy": Authority.POLICY}


def control_pieces(authority: Sequence[str], control: Control) -> list[tuple[int, int]]:
    """First row and end of each piece: the whole attempt, or each turn of the person or of the policy."""
    if control == "all":
        return [(0, len(authority))]
    changes = [k for k in range(1, len(authority)) if authority[k] != authority[k - 1]]
    turns = pairwise([0, *changes, len(authority)])
    return [(begin, end) for begin, end in turns if authority[begin] == WANTED[control].value]
