# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recorder writes every message of an episode as it was sent, and reports what is missing."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="node tests need ROS 2")

import smolvla_ros.msg as msg
from rclpy.serialization import deserialize_message
from std_msgs.msg import String

from smolvla_ros.dataset.bag import Bag
from smolvla_ros.dataset.episode_recovery import unfinished_episodes
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import compressed_image_msg, joint_command_msg, joint_state_msg
from smolvla_ros.nodes.recorder_node import NO_COMMANDS
from smolvla_ros.observation import Frame
from smolvla_ros.robot import Joints

from ..package_files import CALIBRATION, CALIBRATION_FILE, ROBOT

TASK = "pick up the red cube"
IMAGE = "top/image_raw/compressed"
LISTENED = (IMAGE, "joint_states", "action_chunk")
PERIOD_S = 0.02


class RecorderBench:
    """A recorder node, and publishers of a camera, joint states and chunks."""

    def __init__(self, observer: Any, start: Callable[..., Any], output: Path, **parameters: Any) -> None:
        self.observer = observer
        self.output = output
        self.spec = ROBOT
        self.program = start("nodes.recorder_node", output=output, **{"min_free_mb": 1.0, **parameters})
        self._listened = [f"/{name}" for name in parameters.get("topics", LISTENED)]
        self.sent: dict[str, list[Any]] = {}
        self._ends = {
            f"/{name}": observer.publisher(topic, name)
            for topic, name in (
                (topics.IMAGE_COMPRESSED, IMAGE),
                (topics.JOINT_STATES, "joint_states"),
                (topics.ACTION_CHUNK, "action_chunk"),
                (topics.JOINT_COMMANDS, "joint_commands"),
            )
        }

    def connect(self) -> None:
        ends = [end for name, end in self._ends.items() if name in self._listened]
        self.observer.until(
            lambda: all(end.get_subscription_count() for end in ends), "the recorder to listen"
        )

    def call(self, verb: str) -> Any:
        return self.observer.trigger(f"recorder/{verb}")

    def publish(self, count: int) -> None:
        """Publish this many sets of messages, with evenly spaced stamps."""
        rng = np.random.default_rng(0)
        start_ns = self.observer.now_ns()
        for index in range(count):
            stamp_ns = start_ns + int(index * PERIOD_S * 1e9)
            picture = Frame("top", stamp_ns, rng.integers(0, 255, (48, 64, 3), np.uint8))
            joints = Joints(stamp_ns, np.full(6, index / 100), np.zeros(6), np.zeros(6))
            self._send(IMAGE, compressed_image_msg(picture, "top_camera_optical_frame", 90))
            self._send("joint_states", joint_state_msg(self.spec.joint_names, joints))
            if "/joint_commands" in self._listened:
                self._send("joint_commands", joint_command_msg(self.spec.joint_names, stamp_ns, np.zeros(6)))
            if index % 10 == 0:
                self._send(
                    "action_chunk", msg.ActionChunk(chunk_id=index, task="würfel", positions=[0.5] * 12)
                )
            self.observer.spin(PERIOD_S)

    def _send(self, name: str, message: Any) -> None:
        self.sent.setdefault(f"/{name}", []).append(message)
        self._ends[f"/{name}"].publish(message)


@pytest.fixture
def make_bench(observer: Any, start: Callable[..., Any], tmp_path: Path) -> Callable[..., RecorderBench]:
    def make(**parameters: Any) -> RecorderBench:
        bench = RecorderBench(observer, start, tmp_path / "episodes", **parameters)
        bench.connect()
        return bench

    return make


def recorded(folder: Path) -> dict[str, list[bytes]]:
    with Bag(folder) as bag:
        found: dict[str, list[bytes]] = {topic: [] for topic in bag.topics}
        for message in bag.messages(bag.topics):
            found[message.topic].append(message.raw)
    return found


def are_equal(received: list[bytes], sent: list[Any]) -> bool:
    """Whether all fields are equal; the padding between fields differs between serializers."""
    return len(received) == len(sent) and all(
        deserialize_message(raw, type(message)) == message
        for raw, message in zip(received, sent, strict=True)
    )


def test_messages_that_arrived_before_an_episode_are_not_in_it(
    make_bench: Callable[..., RecorderBench],
) -> None:
    bench = make_bench(task=TASK)
    joints = Joints(bench.observer.now_ns(), np.zeros(6), np.zeros(6), np.zeros(6))
    for _ in range(100):
        bench._send("joint_states", joint_state_msg(bench.spec.joint_names, joints))
    assert bench.call("start").success
    bench.observer.spin(0.5)
    assert bench.call("stop").success
    assert "/joint_states" not in recorded(bench.output / "episode_000000")


def test_every_message_of_an_episode_is_recorded_and_none_before_it(
    make_bench: Callable[..., RecorderBench],
) -> None:
    bench = make_bench(task=TASK)
    bench.publish(5)  # before the episode
    bench.observer.spin(0.2)
    bench.sent.clear()
    answer = bench.call("start")
    assert answer.success and TASK in answer.message and "nobody publishes" in answer.message
    bench.publish(50)
    bench.observer.spin(0.2)
    answer = bench.call("success")
    assert answer.success and f"nothing lost; {NO_COMMANDS}" in answer.message, answer.message
    folder = bench.output / "episode_000000"
    found = recorded(folder)
    for topic, messages in bench.sent.items():
        assert are_equal(found[topic], messages), topic
    with Bag(folder) as bag:
        assert bag.custom_data == {"task": TASK, "robot": "so100", "outcome": "success"}
        [task] = bag.messages(["/task"])
        assert task.decode().data == TASK
        chunks = [message.decode() for message in bag.messages(["/action_chunk"])]
    assert [chunk.chunk_id for chunk in chunks] == [0, 10, 20, 30, 40] and chunks[0].task == "würfel"


def test_successful_episodes_become_a_lerobot_dataset(
    make_bench: Callable[..., RecorderBench], tmp_path: Path
) -> None:
    bench = make_bench(task=TASK, topics=[IMAGE, "joint_states", "joint_commands"])
    for verb in ("failure", "success"):
        assert bench.call("start").success
        bench.sent.clear()
        bench.publish(60)
        answer = bench.call(verb)
        assert answer.success and NO_COMMANDS not in answer.message
    program = [sys.executable, "-m", "smolvla_ros.tools.bag_to_lerobot"]
    options = {"output": tmp_path / "data", "calibration": CALIBRATION_FILE, "fps": 30, "outcome": "success"}
    arguments = [f"--{name}={value}" for name, value in options.items()]
    subprocess.run([*program, str(bench.output), *arguments], check=True)
    dataset = LeRobotDataset.load(tmp_path / "data")
    assert len(dataset.episodes) == 1 and dataset.tasks == (TASK,)
    units = bench.spec.units(CALIBRATION)
    rad = np.array([np.asarray(joints.position) for joints in bench.sent["/joint_states"]])
    sent = np.stack([unit.rad_to_lerobot(rad[:, i]) for i, unit in enumerate(units)], axis=1)
    frames = dataset.frames(0)
    assert len(frames.state) >= 30
    rows = [sent.astype(np.float32).tolist().index(row) for row in frames.state.tolist()]
    assert (np.diff(rows) > 0).all()
    assert sum(1 for _ in dataset.images(0, "camera1")) == len(rows)


def test_episodes_are_marked_discarded_and_recorded_again(make_bench: Callable[..., RecorderBench]) -> None:
    bench = make_bench()
    refused = bench.call("start")
    assert not refused.success and "there is no task" in refused.message
    said = bench.observer.publisher(topics.TASK)
    bench.observer.until(said.get_subscription_count, "the recorder to hear the task")
    said.publish(String(data=TASK))
    bench.observer.until(lambda: bench.call("start").success, "the episode to begin")
    assert "is being recorded" in bench.call("start").message
    bench.publish(5)
    assert bench.call("stop").success
    assert f"episode_000000 is marked as success; {NO_COMMANDS}" in bench.call("success").message
    assert "episode_000000 is marked as failure" in bench.call("failure").message
    assert bench.call("start").success
    bench.publish(5)
    assert "episode_000001 is discarded; recording episode_000001" in bench.call("rerecord").message
    assert "episode_000001 is discarded" in bench.call("discard").message
    assert [path.name for path in bench.output.glob("episode*")] == ["episode_000000"]
    with Bag(bench.output / "episode_000000") as bag:
        assert bag.custom_data["outcome"] == "failure" and bag.custom_data["task"] == TASK


def test_the_active_task_and_its_changes_are_in_every_episode(
    make_bench: Callable[..., RecorderBench],
) -> None:
    bench = make_bench()
    accepted = bench.observer.publisher(topics.ACTIVE_TASK)
    accepted.publish(String(data=TASK))  # long before the episode
    bench.observer.until(lambda: accepted.get_subscription_count() == 2, "the recorder to hear the task")
    bench.observer.until(lambda: bench.call("start").success, "the episode to begin")
    bench.publish(5)
    accepted.publish(String(data="wipe the table"))
    bench.publish(5)
    assert bench.call("stop").success
    with Bag(bench.output / "episode_000000") as bag:
        for topic, tasks in (("/task", [TASK]), ("/active_task", [TASK, "wipe the table"])):
            said = [message.decode().data for message in bag.messages([topic])]
            assert list(dict.fromkeys(said)) == tasks  # the latched one may come once more


def test_a_gap_is_reported_at_the_end_of_its_episode(make_bench: Callable[..., RecorderBench]) -> None:
    bench = make_bench(task=TASK, topics=["joint_states"])
    for parts in ((60,), (30, 30)):
        bench.call("start")
        for count in parts:
            bench.publish(count)
            bench.observer.spin(0.5)
        message = bench.call("stop").message
        assert ("nothing lost" in message) == (len(parts) == 1), message
    assert "/joint_states: 60 at" in message and "1 gaps" in message


def test_after_a_kill_the_next_recorder_recovers_the_last_episode_and_finished_ones_are_complete(
    make_bench: Callable[..., RecorderBench], start: Callable[..., Any]
) -> None:
    bench = make_bench(task=TASK, flush_s=0.1)
    bench.call("start")
    bench.publish(10)
    bench.call("stop")
    bench.call("start")
    bench.publish(30)
    bench.observer.spin(0.4)
    bench.program.kill()
    [cut_off] = unfinished_episodes(bench.output)
    start("nodes.recorder_node", output=bench.output)
    bench.observer.until(lambda: not unfinished_episodes(bench.output), "the recovery")
    assert cut_off.name == "episode_000001"
    assert are_equal(recorded(cut_off)["/joint_states"], bench.sent["/joint_states"][10:])
    first = recorded(bench.output / "episode_000000")
    assert are_equal(first["/joint_states"], bench.sent["/joint_states"][:10])


def test_a_second_recorder_is_refused_and_the_episode_of_the_first_is_complete(
    make_bench: Callable[..., RecorderBench], start: Callable[..., Any], tmp_path: Path
) -> None:
    foreign = tmp_path / "episodes" / "episode_000000" / "episode_000000.mcap"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("no recording of ours")
    bench = make_bench(task=TASK, topics=["joint_states"], flush_s=0.05)
    assert "is not an MCAP file; move it out" in bench.program.output
    assert "recording episode_000001" in bench.call("start").message
    bench.publish(10)
    second = start("nodes.recorder_node", output=bench.output)
    assert second.wait() != 0
    assert f"in use by another recorder (process {bench.program.pid})" in second.output
    bench.publish(10)
    assert bench.call("stop").success
    assert are_equal(recorded(bench.output / "episode_000001")["/joint_states"], bench.sent["/joint_states"])
    assert foreign.read_text() == "no recording of ours"


def test_an_episode_is_closed_when_the_node_is_stopped(make_bench: Callable[..., RecorderBench]) -> None:
    bench = make_bench(task=TASK, topics=["joint_states"])
    bench.call("start")
    bench.publish(10)
    bench.observer.spin(0.2)
    assert bench.program.stop() == 0
    assert unfinished_episodes(bench.output) == []
    assert set(recorded(bench.output / "episode_000000")) == {"/task", "/joint_states"}


def test_after_a_refused_start_the_previous_episode_is_neither_marked_nor_deleted(
    make_bench: Callable[..., RecorderBench],
) -> None:
    bench = make_bench(task=TASK, topics=["joint_states"])
    bench.call("start")
    bench.publish(5)
    assert bench.call("failure").success
    assert bench.observer.set_parameters("recorder", task="").successful
    assert "there is no task" in bench.call("start").message
    for verb in ("success", "discard"):
        answer = bench.call(verb)
        assert not answer.success and "the last start was refused" in answer.message
    with Bag(bench.output / "episode_000000") as bag:
        assert bag.custom_data["outcome"] == "failure"


def test_marking_an_episode_says_that_the_disk_ended_it(
    make_bench: Callable[..., RecorderBench], tmp_path: Path
) -> None:
    free_mb = shutil.disk_usage(tmp_path).free / 1e6
    bench = make_bench(task=TASK, topics=["joint_states"], flush_s=0.05, min_free_mb=free_mb - 100)
    assert bench.call("start").success
    bench.publish(5)
    with (tmp_path / "filling").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 300_000_000)
    bench.program.wait_for("recording ends: the disk is nearly full")
    answer = bench.call("success")
    assert answer.success and "it ended early: the disk is nearly full" in answer.message


def test_an_episode_that_the_disk_broke_off_cannot_be_marked(
    make_bench: Callable[..., RecorderBench],
) -> None:
    bench = make_bench(task=TASK, topics=["joint_states"], flush_s=0.05)
    assert bench.call("start").success
    resource.prlimit(bench.program.pid, resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    bench.publish(10)
    for _ in range(2):
        answer = bench.call("success")
        assert not answer.success and "is recovered at the next start" in answer.message


def test_no_episode_starts_on_a_full_disk(observer: Any, start: Callable[..., Any], tmp_path: Path) -> None:
    start("nodes.recorder_node", output=tmp_path, task=TASK, min_free_mb=1e9)
    answer = observer.trigger("recorder/start")
    assert not answer.success and "min_free_mb=1000000000; free some" in answer.message
    assert list(tmp_path.glob("episode*")) == []
