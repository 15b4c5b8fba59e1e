# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The answers of an annotation that is under way, a line each: with it a run continues, and people correct answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from smolvla_ros.curation.task_annotation import Annotation, Case
from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.staging import write_atomically


def write_answers(path: Path, annotations: Sequence[Annotation]) -> None:
    """Write the file anew; raises OSError."""
    lines = [
        json.dumps(
            {"case": each.case.key, "old": each.case.old, "new": each.new, "answers": each.answers},
            ensure_ascii=False,
        )
        for each in annotations
    ]
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())


def read_answers(path: Path, cases: Sequence[Case]) -> list[Annotation]:
    """What the file says about these cases; nothing if it does not exist. Raises DatasetError, OSError."""
    found = {}
    by_key = {case.key: case for case in cases}
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            case = by_key.get(entry["case"])
            if case and entry["old"] == case.old:
                found[case.key] = Annotation(case, str(entry["new"]).strip(), tuple(entry["answers"]))
        except (ValueError, LookupError, TypeError) as error:
            raise DatasetError(f"'{path}', line {number}: {error}; correct or remove the line") from error
    return list(found.values())
