# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recorder keeps every message of an episode as it was sent, and says when it did not."""

from __future__ import annotations

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
from std_srvs.srv import Trigger

from smolvla_ros.dataset.bag import Bag
from smolvla_ros.dataset.episode_recovery import unfinished_episodes
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import compressed_image_msg, joint_command_msg, joint_state_msg
from smolvla_ros.nodes.recorder_node import NO_COMMANDS
from smolvla_ros.observation import Frame
from smolvla_ros.robot import Joints, RobotSpec
from smolvla_ros.units import load_calibration

ROBOT_FILE = "config/so100.yaml"
CALIBRATION = "config/emulated_calibration.json"
TASK = "pick up the red cube"
IMAGE = "top/image_raw/compressed"
LISTENED = (IMAGE, "joint_states", "action_chunk")
PERIOD_S = 0.02


class Studio:
    """A recorder node and what it records: one camera, the joints, a chunk now and then."""

    def __init__(self, observer: Any, start: Callable[..., Any], output: Path, **parameters: Any) -> None:
        self.observer = observer
        self.output = output
        self.spec = RobotSpec.load(ROBOT_FILE)
        self.program = start(
            "nodes.recorder_node", robot=ROBOT_FILE, output=output, min_free_mb=1.0, **parameters
        )
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
        return self.observer.call(Trigger, f"recorder/{verb}", Trigger.Request())

    def play(self, count: int) -> None:
        """Publish so many sets of messages, stamped as evenly as sources do that no busy computer holds up."""
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
def studio(observer: Any, start: Callable[..., Any], tmp_path: Path) -> Callable[..., Studio]:
    def make(**parameters: Any) -> Studio:
        studio = Studio(observer, start, tmp_path / "episodes", **parameters)
        studio.connect()
        return studio

    return make


def recorded(folder: Path) -> dict[str, list[bytes]]:
    with Bag(folder) as bag:
        found: dict[str, list[bytes]] = {topic: [] for topic in bag.topics}
        for message in bag.messages(bag.topics):
            found[message.topic].append(message.raw)
    return found


def same(received: list[bytes], sent: list[Any]) -> bool:
    """Equal in every field; the bytes between fields are filled anew by whoever serializes."""
    return len(received) == len(sent) and all(
        deserialize_message(raw, type(message)) == message
        for raw, message in zip(received, sent, strict=True)
    )


def test_messages_that_arrived_before_an_episode_are_not_in_it(
    studio: Callable[..., Studio],
) -> None:
    studio_ = studio(task=TASK)
    joints = Joints(studio_.observer.now_ns(), np.zeros(6), np.zeros(6), np.zeros(6))
    for _ in range(100):
        studio_._send("joint_states", joint_state_msg(studio_.spec.joint_names, joints))
    assert studio_.call("start").success
    studio_.observer.spin(0.5)
    assert studio_.call("stop").success
    assert "/joint_states" not in recorded(studio_.output / "episode_000000")


def test_every_message_of_an_episode_is_recorded_and_none_before_it(studio: Callable[..., Studio]) -> None:
    studio_ = studio(task=TASK)
    studio_.play(5)  # before the episode
    studio_.observer.spin(0.2)
    studio_.sent.clear()
    answer = studio_.call("start")
    assert answer.success and TASK in answer.message and "nobody publishes" in answer.message
    studio_.play(50)
    studio_.observer.spin(0.2)
    answer = studio_.call("success")
    assert answer.success and f"nothing lost; {NO_COMMANDS}" in answer.message, answer.message
    folder = studio_.output / "episode_000000"
    found = recorded(folder)
    for topic, messages in studio_.sent.items():
        assert same(found[topic], messages), topic
    with Bag(folder) as bag:
        assert bag.custom_data == {"task": TASK, "robot": "so100", "outcome": "success"}
        [task] = bag.messages(["/task"])
        assert task.decode().data == TASK
        chunks = [message.decode() for message in bag.messages(["/action_chunk"])]
    assert [chunk.chunk_id for chunk in chunks] == [0, 10, 20, 30, 40] and chunks[0].task == "würfel"


def test_successful_episodes_become_a_lerobot_dataset(studio: Callable[..., Studio], tmp_path: Path) -> None:
    studio_ = studio(task=TASK, topics=[IMAGE, "joint_states", "joint_commands"])
    for verb in ("failure", "success"):
        assert studio_.call("start").success
        studio_.sent.clear()
        studio_.play(60)
        answer = studio_.call(verb)
        assert answer.success and NO_COMMANDS not in answer.message
    program = [sys.executable, "-m", "smolvla_ros.tools.bag_to_lerobot"]
    options = {"output": tmp_path / "data", "calibration": CALIBRATION, "fps": 30, "outcome": "success"}
    arguments = [f"--{name}={value}" for name, value in options.items()]
    subprocess.run([*program, str(studio_.output), *arguments], check=True)
    dataset = LeRobotDataset.load(tmp_path / "data")
    assert len(dataset.episodes) == 1 and dataset.tasks == (TASK,)
    units = studio_.spec.units(load_calibration(CALIBRATION))
    rad = np.array([np.asarray(joints.position) for joints in studio_.sent["/joint_states"]])
    sent = np.stack([unit.rad_to_lerobot(rad[:, i]) for i, unit in enumerate(units)], axis=1)
    frames = dataset.frames(0)
    assert len(frames.state) >= 30
    rows = [sent.astype(np.float32).tolist().index(row) for row in frames.state.tolist()]
    assert (np.diff(rows) > 0).all()
    assert sum(1 for _ in dataset.images(0, "camera1")) == len(rows)


def test_episodes_are_marked_discarded_and_recorded_again(studio: Callable[..., Studio]) -> None:
    studio_ = studio()
    refused = studio_.call("start")
    assert not refused.success and "there is no task" in refused.message
    said = studio_.observer.publisher(topics.TASK)
    studio_.observer.until(said.get_subscription_count, "the recorder to hear the task")
    said.publish(String(data=TASK))
    studio_.observer.until(lambda: studio_.call("start").success, "the episode to begin")
    assert "is being recorded" in studio_.call("start").message
    studio_.play(5)
    assert studio_.call("stop").success
    assert f"episode_000000 is marked as success; {NO_COMMANDS}" in studio_.call("success").message
    assert "episode_000000 is marked as failure" in studio_.call("failure").message
    assert studio_.call("start").success
    studio_.play(5)
    assert "episode_000001 is discarded; recording episode_000001" in studio_.call("rerecord").message
    assert "episode_000001 is discarded" in studio_.call("discard").message
    assert [path.name for path in studio_.output.glob("episode*")] == ["episode_000000"]
    with Bag(studio_.output / "episode_000000") as bag:
        assert bag.custom_data["outcome"] == "failure" and bag.custom_data["task"] == TASK


def test_the_active_task_and_its_changes_are_in_every_episode(studio: Callable[..., Studio]) -> None:
    studio_ = studio()
    accepted = studio_.observer.publisher(topics.ACTIVE_TASK)
    accepted.publish(String(data=TASK))  # long before the episode
    studio_.observer.until(lambda: accepted.get_subscription_count() == 2, "the recorder to hear the task")
    studio_.observer.until(lambda: studio_.call("start").success, "the episode to begin")
    studio_.play(5)
    accepted.publish(String(data="wipe the table"))
    studio_.play(5)
    assert studio_.call("stop").success
    with Bag(studio_.output / "episode_000000") as bag:
        for topic, tasks in (("/task", [TASK]), ("/active_task", [TASK, "wipe the table"])):
            said = [message.decode().data for message in bag.messages([topic])]
            assert list(dict.fromkeys(said)) == tasks  # the latched one may come once more


def test_a_gap_is_reported_at_the_end_of_its_episode(studio: Callable[..., Studio]) -> None:
    studio_ = studio(task=TASK, topics=["joint_states"])
    for parts in ((60,), (30, 30)):
        studio_.call("start")
        for count in parts:
            studio_.play(count)
            studio_.observer.spin(0.5)
        message = studio_.call("stop").message
        assert ("nothing lost" in message) == (len(parts) == 1), message
    assert "/joint_states: 60 at" in message and "1 gaps" in message


def test_after_a_kill_the_next_recorder_recovers_the_last_episode_and_finished_ones_are_complete(
    studio: Callable[..., Studio], start: Callable[..., Any]
) -> None:
    studio_ = studio(task=TASK, flush_s=0.1)
    studio_.call("start")
    studio_.play(10)
    studio_.call("stop")
    studio_.call("start")
    studio_.play(30)
    studio_.observer.spin(0.4)
    studio_.program.kill()
    [cut_off] = unfinished_episodes(studio_.output)
    start("nodes.recorder_node", robot=ROBOT_FILE, output=studio_.output)
    studio_.observer.until(lambda: not unfinished_episodes(studio_.output), "the recovery")
    assert cut_off.name == "episode_000001"
    assert same(recorded(cut_off)["/joint_states"], studio_.sent["/joint_states"][10:])
    first = recorded(studio_.output / "episode_000000")
    assert same(first["/joint_states"], studio_.sent["/joint_states"][:10])


def test_a_second_recorder_is_refused_and_the_episode_of_the_first_is_complete(
    studio: Callable[..., Studio], start: Callable[..., Any], tmp_path: Path
) -> None:
    foreign = tmp_path / "episodes" / "episode_000000" / "episode_000000.mcap"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("no recording of ours")
    studio_ = studio(task=TASK, topics=["joint_states"], flush_s=0.05)
    assert "is not an MCAP file; move it out" in studio_.program.output
    assert "recording episode_000001" in studio_.call("start").message
    studio_.play(10)
    second = start("nodes.recorder_node", robot=ROBOT_FILE, output=studio_.output)
    assert second.wait() != 0
    assert f"in use by another recorder (process {studio_.program.pid})" in second.output
    studio_.play(10)
    assert studio_.call("stop").success
    assert same(recorded(studio_.output / "episode_000001")["/joint_states"], studio_.sent["/joint_states"])
    assert foreign.read_text() == "no recording of ours"


def test_an_episode_is_closed_when_the_node_is_stopped(studio: Callable[..., Studio]) -> None:
    studio_ = studio(task=TASK, topics=["joint_states"])
    studio_.call("start")
    studio_.play(10)
    studio_.observer.spin(0.2)
    assert studio_.program.stop() == 0
    assert unfinished_episodes(studio_.output) == []
    assert set(recorded(studio_.output / "episode_000000")) == {"/task", "/joint_states"}


def test_no_episode_starts_on_a_full_disk(observer: Any, start: Callable[..., Any], tmp_path: Path) -> None:
    start("nodes.recorder_node", robot=ROBOT_FILE, output=tmp_path, task=TASK, min_free_mb=1e9)
    answer = observer.call(Trigger, "recorder/start", Trigger.Request())
    assert not answer.success and "min_free_mb=1000000000; free some" in answer.message
    assert list(tmp_path.glob("episode*")) == []
