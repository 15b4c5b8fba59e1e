# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clocks of the recorder and of the publishers that differ: corrected where they can be, else refused or reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolvla_ros.dataset.alignment import AlignmentSettings, align_streams
from smolvla_ros.dataset.bag import Bag, BagWriter
from smolvla_ros.dataset.bag_mapping import BagMapping, JointSource, JointTopic
from smolvla_ros.dataset.bag_topics import BagTopics
from smolvla_ros.dataset.checks import check_episodes
from smolvla_ros.dataset.clocks import ClockComparison
from smolvla_ros.dataset.errors import EpisodeError
from smolvla_ros.dataset.inspection import read_episodes
from smolvla_ros.dataset.mapped_bag import MappedBag
from smolvla_ros.finding import Finding
from smolvla_ros.observation import NANOSECONDS

from ..sample_bags import ROBOT, START_NS, Entry, header, record

SECOND = 10**9


def with_two_tasks(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
    """The task changes after 1 s."""
    return [*entries, ("/active_task", bag.message("std_msgs/msg/String", data="Open it"), START_NS + SECOND)]


def moved(change: Callable[[str, int], int], stamps: bool = False) -> Callable[..., list[Entry]]:
    """An edit that replaces times of arrival t, or else the header stamps, by change(topic, t)."""

    def edit(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
        result = []
        for topic, message, at in with_two_tasks(bag, entries):
            if stamps and hasattr(message, "header"):
                stamp = message.header.stamp
                stamp_ns = stamp.sec * NANOSECONDS + stamp.nanosec
                message.header = header(bag, change(topic, stamp_ns))
            result.append((topic, message, at if stamps else change(topic, at)))
        return result

    return edit


def aligned(path: Path, clock: Any = "header") -> Any:
    with Bag(path) as bag:
        return align_streams(bag, ROBOT, BagTopics.find(bag, ROBOT), AlignmentSettings(30, clock))


def clock_findings(path: Path) -> list[Finding]:
    [episode] = read_episodes(path, ROBOT, [])
    return [finding for finding in check_episodes([episode], ROBOT) if finding.check == "clocks"]


@pytest.mark.parametrize("recorder_s", [-2, 2])
def test_a_recorder_clock_that_differs_changes_neither_rows_nor_tasks(
    recorder_s: int, tmp_path: Path
) -> None:
    expected = aligned(record(tmp_path / "right", seconds=2.0, edit=with_two_tasks))
    path = record(tmp_path / "bag", seconds=2.0, edit=moved(lambda _, at: at + recorder_s * SECOND))
    found = aligned(path)
    assert len(found.tasks) == 61 and found.tasks == expected.tasks
    assert np.array_equal(found.state_rad, expected.state_rad)
    side = "ahead of" if recorder_s > 0 else "behind"
    message = f"the recorder's clock is 2.00 s {side} the header stamps"
    assert expected.clock_warning == "" and found.clock_warning == message
    [finding] = clock_findings(path)
    assert finding.severity == "warning" and finding.message == message


def test_simulated_time_at_real_pace_is_converted(tmp_path: Path) -> None:
    path = record(tmp_path / "bag", seconds=2.0, edit=moved(lambda _, t: t - START_NS + SECOND, stamps=True))
    assert aligned(path).tasks == ["Pick up the red cube"] * 30 + ["Open it"] * 31


def test_simulated_time_at_another_pace_names_the_remedy(tmp_path: Path) -> None:
    slow = moved(lambda _, t: (t - START_NS) // 2 + SECOND, stamps=True)
    path = record(tmp_path / "bag", seconds=4.0, edit=slow)
    with pytest.raises(EpisodeError, match="drift 2.00 s apart.*simulated time.*--time receive"):
        aligned(path)
    assert len(aligned(path, "receive").tasks) == 121
    findings = clock_findings(path)
    assert {finding.severity for finding in findings} == {"error", "warning"}
    assert any("--time receive" in finding.remedy for finding in findings)


def test_streams_of_clocks_that_differ_are_refused(tmp_path: Path) -> None:
    def behind(topic: str, stamp_ns: int) -> int:
        return stamp_ns - (SECOND if topic.startswith("/top/") else 0)

    path = record(tmp_path / "bag", seconds=2.0, edit=moved(behind, stamps=True))
    words = "stamps of /top/image_raw/compressed and /.* are 1.00 s apart"
    with pytest.raises(EpisodeError, match=f"{words}.*--time receive"):
        aligned(path)
    assert len(aligned(path, "receive").tasks) == 61
    [finding] = clock_findings(path)
    assert finding.severity == "error" and "/top/image_raw/compressed" in finding.message


def test_a_smaller_difference_is_a_warning(tmp_path: Path) -> None:
    def behind(topic: str, stamp_ns: int) -> int:
        return stamp_ns - (SECOND * 3 // 10 if topic.startswith("/top/") else 0)

    path = record(tmp_path / "bag", seconds=2.0, edit=moved(behind, stamps=True))
    assert "are 0.30 s apart" in aligned(path).clock_warning
    [finding] = clock_findings(path)
    assert finding.severity == "warning"


def test_an_array_without_header_is_put_on_the_clock_of_the_stamps(tmp_path: Path) -> None:
    def as_array(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
        layout = bag.message("std_msgs/msg/MultiArrayLayout", dim=[], data_offset=0)
        return [
            (topic, bag.message("std_msgs/msg/Float64MultiArray", layout=layout, data=message.position), at)
            if topic == "/joint_commands"
            else (topic, message, at)
            for topic, message, at in entries
        ]

    def behind(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
        return [(topic, message, at - 2 * SECOND) for topic, message, at in as_array(bag, entries)]

    commands = JointTopic("joint_commands", tuple(JointSource(index) for index in range(6)))
    mapping = BagMapping(action=commands)
    found = []
    for name, edit in (("right", as_array), ("behind", behind)):
        path = record(tmp_path / name, seconds=2.0, edit=edit)
        with MappedBag(path, ROBOT, mapping) as bag:
            found.append(align_streams(bag, ROBOT, bag.sources(), AlignmentSettings(30)))
        [episode] = read_episodes(path, ROBOT, [], mapping)
        assert episode.action is not None and abs(episode.action.times_s[0]) < 0.01
    assert np.array_equal(found[0].action_rad, found[1].action_rad) and len(found[0].tasks) == 61


def test_topics_without_messages_are_left_out() -> None:
    times = np.array([1, 2], np.int64)
    comparison = ClockComparison.of({"/a": (times, times + 7), "/b": (times[:0], times[:0])})
    assert comparison.lags_ns == {"/a": 7} and comparison.offset_ns == 7
    assert ClockComparison.of({}).offset_ns == 0
