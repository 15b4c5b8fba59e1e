# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes are counted as the recorder keeps them."""

from __future__ import annotations

import pytest

from smolvla_ros.console.recording_counts import RecordingCounts


@pytest.mark.parametrize(
    ("verbs", "expected"),
    [
        ("start success start failure", {"success": 1, "failure": 1}),
        ("start stop", {"unmarked": 1}),
        ("start stop success", {"success": 1}),
        ("start success failure", {"failure": 1}),
        ("start discard", {}),
        ("start success discard", {}),
        ("start success start discard", {"success": 1}),
        ("start rerecord success", {"success": 1}),
        ("start stop rerecord failure", {"failure": 1}),
        ("success discard", {}),
    ],
)
def test_each_kept_episode_is_counted_once(verbs: str, expected: dict[str, int]) -> None:
    counts = RecordingCounts()
    for verb in verbs.split():
        counts.add(verb, "wave")
    assert {outcome: count for outcome, count in counts.counts["wave"].items() if count} == expected


def test_an_episode_counts_for_the_task_at_its_start() -> None:
    counts = RecordingCounts()
    counts.add("start", "wave")
    counts.add("success", "another")
    assert {task: dict(count) for task, count in counts.counts.items()} == {"wave": {"success": 1}}
