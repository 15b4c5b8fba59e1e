# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The result of a check: what is wrong, how severe it is, and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One problem of a checkpoint or dataset. An error makes it unusable, a warning is only shown."""

    severity: Severity
    check: str  # short name of the check: cameras, units ...
    message: str  # names the thing, its value and what was expected
    remedy: str = ""  # lines to copy, or sentences
    where: str = ""  # in which episodes, streams or joints; empty when the message says it

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}" if self.remedy else self.message
