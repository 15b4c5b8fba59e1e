# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a check has found: what is wrong, how bad it is, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. An error keeps the policy from running, a warning is said and no more."""

    severity: Severity
    name: str  # what was checked, in a word: cameras, units ...
    message: str  # names the thing, its value and what was expected
    remedy: str = ""  # lines to copy and sentences

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}" if self.remedy else self.message
