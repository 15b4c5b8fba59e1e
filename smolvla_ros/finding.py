# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The result of a check: what is wrong, how severe it is, and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
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
    where: str = ""  # in which streams or joints, or merged ones: episodes; empty when the message says it
    episode: str = ""  # the name of the only one in which it was found
    time_s: float | None = None  # since the episode began; None: it is not of one moment

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}" if self.remedy else self.message


@dataclass(frozen=True)
class Report:
    """The result of all checks: lines of text by subject, and the findings."""

    facts: Mapping[str, tuple[str, ...]]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "error")
