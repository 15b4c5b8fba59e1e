# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that writes an episode: a slow, full or broken disk loses messages, which is reported."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from smolvla_ros.dataset.bag import Bag
from smolvla_ros.dataset.episode_recovery import recover_episode, unfinished_episodes
from smolvla_ros.dataset.episode_writer import EpisodeWriter, MessageTypes, StreamType
from smolvla_ros.dataset.errors import RecordingError
from smolvla_ros.nodes.episode_recorder import EpisodeRecorder

STRING = StreamType("std_msgs/msg/String", stamped=False)
TYPES = MessageTypes(lambda name: "")


def text(words: str) -> bytes:
    data = words.encode() + b"\0"
    return b"\0\1\0\0" + len(data).to_bytes(4, "little") + data


def start(folder: Path, writer: type[EpisodeWriter] = EpisodeWriter, **limits: float) -> EpisodeRecorder:
    values = {"flush_s": 0.02, "min_free_bytes": 0, "max_queue_bytes": 10**9, **limits}
    return EpisodeRecorder(writer(folder, TYPES), "Pick up the cube", **values)  # type: ignore[arg-type]


def wait_for_failure(recording: EpisodeRecorder) -> None:
    deadline_s = time.monotonic() + 5.0
    while not recording.failure and time.monotonic() < deadline_s:
        time.sleep(0.01)


def test_all_messages_are_written_in_their_order(tmp_path: Path) -> None:
    recording = start(tmp_path / "episode_000000")
    for index in range(2000):
        recording.add("/said", STRING, index + 1, text(str(index)))
    [report] = recording.finish({"outcome": "success"})
    assert report.messages == 2000 and report.is_complete
    with Bag(tmp_path / "episode_000000") as bag:
        assert [m.decode().data for m in bag.messages(["/said"])] == [str(i) for i in range(2000)]
        assert bag.custom_data == {"task": "Pick up the cube", "outcome": "success"}


class Slow(EpisodeWriter):
    def write(self, topic: str, receive_ns: int, data: bytes) -> None:
        time.sleep(0.05)
        super().write(topic, receive_ns, data)


def test_messages_that_a_slow_disk_cannot_accept_are_counted(tmp_path: Path) -> None:
    recording = start(tmp_path / "episode_000000", Slow, max_queue_bytes=5000)
    for index in range(20):
        recording.add("/said", STRING, index + 1, text("x" * 980))
    [report] = recording.finish({})
    assert 5 <= report.messages < 20 and report.messages + report.dropped == 20
    assert "dropped, the disk is too slow" in str(report)


def test_an_episode_is_closed_before_the_disk_is_full(tmp_path: Path) -> None:
    recording = start(tmp_path / "episode_000000", min_free_bytes=10**18)
    recording.add("/said", STRING, 1, text("first"))
    wait_for_failure(recording)
    recording.add("/said", STRING, 2, text("too late"))
    [report] = recording.finish({})
    assert "the disk is nearly full" in recording.failure
    assert (report.messages, report.dropped) == (1, 1)
    assert "1 dropped, the disk is nearly full" in str(report) and "too slow" not in str(report)
    assert unfinished_episodes(tmp_path) == []


class Broken(EpisodeWriter):
    def flush(self) -> None:
        if self.messages >= 5:
            raise OSError(28, "No space left on device")
        super().flush()


def test_a_disk_error_is_reported_and_written_messages_are_recovered(tmp_path: Path) -> None:
    recording = start(tmp_path / "episode_000000", Broken)
    for index in range(5):
        recording.add("/said", STRING, index + 1, text(str(index)))
    wait_for_failure(recording)
    with pytest.raises(RecordingError, match="recovered at the next start: the disk is full"):
        recording.finish({})
    assert unfinished_episodes(tmp_path) == [tmp_path / "episode_000000"]
    recover_episode(tmp_path / "episode_000000")
    assert unfinished_episodes(tmp_path) == []
