# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Print the report of a check; coloured in a terminal, plain text elsewhere."""

from __future__ import annotations

import shutil
import textwrap

from rich.console import Console
from rich.text import Text

from smolvla_ros.finding import Report

MAX_WIDTH = 120
DEFAULT_WIDTH = 110  # where the output is not a terminal
INDENT = " " * 8  # as wide as the longest severity and a space
COLOURS = {"error": "red", "warning": "yellow"}


def report_console() -> Console:
    return Console(
        highlight=False,
        emoji=False,
        width=min(shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns, MAX_WIDTH),
    )


def print_report(console: Console, report: Report) -> None:
    """Print the facts as a table, then the findings with sentences wrapped to the width of the console."""
    label_width = max(map(len, report.facts), default=0) + 2
    for subject, lines in report.facts.items():
        for label, line in zip((subject, *[""] * len(lines)), lines):
            console.print(Text.assemble((label.ljust(label_width), "bold"), line), soft_wrap=True)
    for finding in report.findings:
        where = f": {finding.where}" if finding.where else ""
        severity = (f"{finding.severity:<{len(INDENT)}}", COLOURS[finding.severity])
        console.print(Text.assemble("\n", severity, (finding.check, "bold"), where), soft_wrap=True)
        for line in f"{finding.message}.\n{finding.remedy}".splitlines():
            for part in _wrap(line, console.width - len(INDENT)):
                console.print(Text(INDENT + part), soft_wrap=True)
    console.print()


def _wrap(line: str, width: int) -> list[str]:
    """Wrap a sentence; an indented line is to be copied and is not wrapped."""
    if line.startswith(" "):
        return [line]
    return textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)
