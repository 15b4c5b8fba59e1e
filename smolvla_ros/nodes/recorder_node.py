# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Records episodes: one MCAP rosbag each, of the topics of the suite or of listed ones, as serialized messages.

`recorder/start` starts an episode; `stop`, `success` and `failure` end it (or mark the last one, if none is recorded),
`discard` deletes the current or the last one, `rerecord` deletes it and starts again. After a `start` that was refused
there is no last one, so that nobody marks or deletes another episode than they mean. An episode needs a task: the
parameter `task`, or the newest message on `task` or `active_task`. It is the first message of every bag, on `task` and,
if that has a publisher, on `active_task`, so that each episode is complete; so is the newest on `control_authority`.

The node subscribes before episodes start, with the quality of service that the publishers offer, so that no discovery
is needed then. It subscribes to `task` only where no executor publishes `active_task` (task_listener.py).
Episodes that a crash has cut off are recovered when the node is configured. The output folder is locked: a second
recorder with the same `output` fails to configure.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.serialization import serialize_message
from std_msgs.msg import String
from std_srvs.srv import Trigger

from smolvla_ros.dataset.episode_recovery import EPISODE, recover_episode, unfinished_episodes
from smolvla_ros.dataset.episode_writer import EpisodeWriter, StreamType, add_custom_data
from smolvla_ros.dataset.errors import RecordingError
from smolvla_ros.dataset.output_lock import OutputLock
from smolvla_ros.dataset.stream_counter import STAMP_END, StreamReport
from smolvla_ros.node_configs import RecorderConfig
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.episode_recorder import EpisodeRecorder
from smolvla_ros.nodes.raw_subscriptions import RawSubscriptions
from smolvla_ros.nodes.run_node import run_node
from smolvla_ros.nodes.suite_node import ERROR, OK, WARN, Health, SuiteNode, load_robot
from smolvla_ros.nodes.task_listener import TaskListener
from smolvla_ros.robot import RobotSpec

UPDATE_PERIOD_S = 0.5  # how soon a new publisher is listened to
LOG_PERIOD_S = 2.0
MEGABYTE = 1_000_000
OF_CAMERAS = (topics.IMAGE_RAW, topics.IMAGE_COMPRESSED, topics.CAMERA_INFO)
TEXT_STREAM = StreamType("std_msgs/msg/String", stamped=False)
NO_COMMANDS = (
    "no joint command was recorded, and bag_to_lerobot refuses such an episode unless --action names a topic"
)


class RecorderNode(SuiteNode[RecorderConfig]):
    """Records episodes on request, each into a bag folder."""

    def __init__(self, **options: Any) -> None:
        super().__init__("recorder", RecorderConfig, **options)
        self._recording: EpisodeRecorder | None = None
        self._undo_activate: list[Callable[[], Any]] = []
        self._lock: OutputLock | None = None

    def configure(self) -> None:
        robot = load_robot(self.config.robot)
        self._robot_name = robot.name
        wanted = [self.resolve_topic_name(name) for name in self._names(robot) if name != topics.TASK.name]
        self._inputs = RawSubscriptions(self, wanted, self._on_message, self._on_lost)
        self._output = Path(self.config.output).expanduser()
        self._output.mkdir(parents=True, exist_ok=True)
        self._lock = OutputLock(self._output)
        self.get_logger().info(f"episodes go to {self._output}")
        self._last: Path | None = None
        self._last_notes: list[str] = []  # what is wrong with it
        self._no_last_reason = "none was recorded"
        self._newest_task = ""
        self._authority: bytes | None = None  # the newest message on control_authority
        self._finished = 0
        for folder in unfinished_episodes(self._output):
            try:
                count = recover_episode(folder, round(self.config.min_free_mb * MEGABYTE))
            except RecordingError as error:
                self.get_logger().error(str(error))
                continue
            self.get_logger().warning(
                f"'{folder}' was not closed: {f'{count} messages recovered' if count else 'empty, it is deleted'}"
            )

    def cleanup(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _names(self, robot: RobotSpec) -> list[str]:
        """The topics to record: those of the parameter, or all of the table with images of the configured transport."""
        if self.config.topics:
            return list(dict.fromkeys(self.config.topics))
        left_out = {"compressed": topics.IMAGE_RAW, "raw": topics.IMAGE_COMPRESSED}.get(
            self.config.image_transport
        )
        table = [entry for entry in vars(topics).values() if isinstance(entry, topics.Topic)]
        of_cameras = [entry for entry in OF_CAMERAS if entry is not left_out]
        return [
            *(f"{camera.name}/{entry.name}" for camera in robot.cameras for entry in of_cameras),
            *(entry.name for entry in table if entry not in OF_CAMERAS),
        ]

    def activate(self) -> None:
        verbs: dict[str, Callable[[], str]] = {
            "start": self._start,
            "stop": self._close,
            "success": partial(self._end_as, "success"),
            "failure": partial(self._end_as, "failure"),
            "discard": self._discard,
            "rerecord": self._rerecord,
        }
        for verb, action in verbs.items():
            service = self.create_service(Trigger, f"recorder/{verb}", partial(self._answer, action))
            self._undo_activate.append(partial(self.destroy_service, service))
        self._task_listener = TaskListener(self, self._on_task)
        self._undo_activate.append(self._task_listener.close)
        timer = self.create_timer(UPDATE_PERIOD_S, self._update)
        self._undo_activate.append(partial(self.destroy_timer, timer))
        self._update()

    def deactivate(self) -> None:
        if self._recording is not None:
            self._close_and_log()
        while self._undo_activate:
            self._undo_activate.pop()()
        self._inputs.close()

    def diagnose(self) -> Health:
        values = {
            "output": str(self._output),
            "task": self._task,
            "episodes": str(self._finished),
            "free disk (GB)": f"{shutil.disk_usage(self._output).free / 1000 / MEGABYTE:.1f}",
            "silent topics": ", ".join(self._inputs.without_publisher),
        }
        recording = self._recording
        if recording is None:
            return Health(OK, "ready", values)
        values["messages"] = str(recording.messages)
        doing = f"recording {recording.folder.name}, {recording.duration_s:.1f} s"
        if recording.failure:
            return Health(ERROR, f"{doing}: {recording.failure}", values)
        if recording.lost:
            return Health(WARN, f"{doing}: {recording.lost} messages lost", values)
        return Health(OK, doing, values)

    # Messages.

    def _update(self) -> None:
        self._inputs.update()
        self._task_listener.update()
        recording = self._recording
        if recording is not None and recording.failure:
            self.get_logger().error(f"recording ends: {recording.failure}")
            self._close_and_log()

    def _on_message(self, name: str, kind: StreamType, data: bytes, info: dict[str, Any]) -> None:
        if name == self.resolve_topic_name(topics.CONTROL_AUTHORITY.name):
            self._authority = data  # recorded even if it arrived just before the episode: it still holds
        elif self._recording is not None and 0 < info["received_timestamp"] < self._recording.started_ns:
            return  # it arrived before the episode started (0: the middleware gives no time)
        self._record(name, kind, data)

    def _record(self, name: str, kind: StreamType, data: bytes) -> None:
        if kind.stamped and len(data) < STAMP_END:
            self.get_logger().warning(
                f"{name}: a message of {len(data)} bytes is too short and not recorded",
                throttle_duration_sec=LOG_PERIOD_S,
            )
        elif self._recording is not None:
            self._recording.add(name, kind, self.now_ns(), data)

    def _on_lost(self, name: str, kind: StreamType, count: int) -> None:
        if self._recording is not None:
            self._recording.add_lost(name, kind, count)

    def _on_task(self, topic: topics.Topic, message: String) -> None:
        self._newest_task = message.data or self._newest_task
        if topic is topics.TASK:  # `active_task` is recorded as all other topics are
            self._record(self.resolve_topic_name(topic.name), TEXT_STREAM, serialize_message(message))

    @property
    def _task(self) -> str:
        return self.config.task or self._newest_task

    # Services.

    def _answer(
        self, action: Callable[[], str], _request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        try:
            response.message = action()
            response.success = True
            self.get_logger().info(response.message)
        except (RecordingError, OSError) as error:
            response.message = str(error)
            self.get_logger().error(response.message)
        return response

    def _start(self) -> str:
        if self._recording is not None:
            raise RecordingError(
                f"{self._recording.folder.name} is being recorded; stop, discard or rerecord it"
            )
        self._last, self._no_last_reason = None, "the last start was refused"
        task = self._task
        if not task:
            raise RecordingError("there is no task; publish it on `task`, or set the parameter `task`")
        free_mb = shutil.disk_usage(self._output).free / MEGABYTE
        if free_mb < self.config.min_free_mb:
            raise RecordingError(
                f"'{self._output}' has {free_mb:.0f} MB free, min_free_mb={self.config.min_free_mb:.0f}; free some"
            )
        taken = [int(found[1]) for path in self._output.iterdir() if (found := EPISODE.match(path.name))]
        folder = self._output / f"episode_{max(taken, default=-1) + 1:06d}"
        self._recording = EpisodeRecorder(
            EpisodeWriter(folder, self._inputs.types),
            task,
            self.config.flush_s,
            round(self.config.min_free_mb * MEGABYTE),
            round(self.config.max_queue_mb * MEGABYTE),
        )
        silent = self._inputs.without_publisher
        task_message = serialize_message(String(data=task))
        for topic in (topics.TASK, topics.ACTIVE_TASK):
            name = self.resolve_topic_name(topic.name)
            if topic is topics.TASK or self._inputs.is_subscribed(name):
                self._recording.add(name, TEXT_STREAM, self.now_ns(), task_message)
        authority = self.resolve_topic_name(topics.CONTROL_AUTHORITY.name)
        if self._authority is not None and self.count_publishers(authority):
            self._recording.add(authority, TEXT_STREAM, self.now_ns(), self._authority)
        note = f"; nobody publishes {', '.join(silent)}" if silent else ""
        return f"recording {folder.name}: '{task}'{note}"

    def _end_as(self, outcome: str) -> str:
        if self._recording is not None:
            return self._close(outcome=outcome)
        if self._last is None:
            raise RecordingError(f"there is no episode to mark as {outcome}: {self._no_last_reason}")
        add_custom_data(self._last, {"outcome": outcome})
        return "; ".join([f"{self._last.name} is marked as {outcome}", *self._last_notes])

    def _discard(self) -> str:
        recording, self._recording = self._recording, None
        if recording is not None:
            self._no_last_reason = f"{recording.folder.name} is discarded"
            recording.discard()
            return f"{recording.folder.name} is discarded"
        if self._last is None:
            raise RecordingError(f"there is no episode to discard: {self._no_last_reason}")
        folder, self._last = self._last, None
        self._no_last_reason = f"{folder.name} is discarded"
        shutil.rmtree(folder)
        self._finished -= 1
        return f"{folder.name} is discarded"

    def _rerecord(self) -> str:
        return f"{self._discard()}; {self._start()}"

    def _close(self, **notes: str) -> str:
        """End the current episode; returns a summary."""
        recording, self._recording = self._recording, None
        if recording is None:
            raise RecordingError("nothing is being recorded")
        duration_s = recording.duration_s
        notes["robot"] = self._robot_name
        if recording.failure:
            notes["ended"] = recording.failure
        try:
            reports = recording.finish(notes)
        except RecordingError as error:
            self._no_last_reason = str(error)
            raise
        self._last, self._finished = recording.folder, self._finished + 1
        commands = self.resolve_topic_name(topics.JOINT_COMMANDS.name)
        has_commands = any(report.topic == commands and report.messages for report in reports)
        self._last_notes = [f"it ended early: {recording.failure}"] if recording.failure else []
        self._last_notes += [] if has_commands else [NO_COMMANDS]
        for report in reports:
            if report.is_complete:
                self.get_logger().info(str(report))
            else:  # not in one call: rclpy allows only one severity for each line of code
                self.get_logger().warning(str(report))
        for note in self._last_notes:
            self.get_logger().warning(f"{recording.folder.name}: {note}")
        return "; ".join([f"{recording.folder.name}: {_summary(reports, duration_s)}", *self._last_notes])

    def _close_and_log(self) -> None:
        try:
            self.get_logger().info(self._close())
        except RecordingError as error:
            self.get_logger().error(str(error))


def _summary(reports: list[StreamReport], duration_s: float) -> str:
    messages, size = sum(r.messages for r in reports), sum(r.bytes for r in reports)
    faults = [str(report) for report in reports if not report.is_complete]
    return (
        f"{duration_s:.1f} s, {messages} messages on {len(reports)} topics, {size / MEGABYTE:.1f} MB, "
        f"{'; '.join(faults) if faults else 'nothing lost'}"
    )


def main() -> int:
    return run_node(RecorderNode)


if __name__ == "__main__":
    sys.exit(main())
