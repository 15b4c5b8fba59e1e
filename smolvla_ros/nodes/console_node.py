# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The operator's console: a web page that shows the suite, gives tasks, arms, moves, stops, records and evaluates.

The rules of who may do what are in `console/`; this node connects its server to topics and services. Joints, chunks,
servos and images are subscribed to only while a page is open. The server runs in a thread of its own: what a page does
is put into a queue and done in the thread of the node, which the queue wakes. Messages of the robot are taken together
every few hundredths of a second: for rclpy, waiting for a message costs more than the message.
"""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from rcl_interfaces.msg import Log
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.executors import Executor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from std_msgs.msg import String
from std_srvs.srv import Trigger

from smolvla_ros.console import messages
from smolvla_ros.console.recording_counts import RecordingCounts
from smolvla_ros.console.robot_facts import RobotFacts, number
from smolvla_ros.console.server import ConsoleServer
from smolvla_ros.console.suggestions import suggestions
from smolvla_ros.console.trial_facts import trial_facts
from smolvla_ros.evaluation.protocol import load_protocol
from smolvla_ros.evaluation.protocol_run import ProtocolRun, TrialError
from smolvla_ros.evaluation.results import ResultsLog
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.node_configs import ConsoleConfig
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.executor_client import ExecutorClient
from smolvla_ros.nodes.messages import joint_command_msg
from smolvla_ros.nodes.run_node import run_node
from smolvla_ros.nodes.server_thread import ServerThread
from smolvla_ros.nodes.service_caller import ServiceCaller
from smolvla_ros.nodes.suite_node import OK, Health, SuiteNode, load_robot
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.wire import WireError, joints_from_msg

MOTION_PERIOD_S, HEALTH_PERIOD_S = 0.1, 1.0
REPEAT_BEGIN_S, BEGIN_S = 0.3, 5.0  # a trial's task is sent again, and given up
TAKE_PERIOD_S = {True: 0.03, False: 0.1}  # from one taking of messages to the next, by whether a page is open
MANY = QoSProfile(depth=100)  # what many nodes send in such a time
ROSOUT = topics.Topic("/rosout", Log, topics.RELIABLE, MANY)
DIAGNOSTICS = replace(topics.DIAGNOSTICS, subscribe=MANY)
JOINT_COMMANDS = replace(topics.JOINT_COMMANDS, subscribe=topics.SENSOR)  # not the newest alone
CHOICES = {
    name: ExecutorConfig.__dataclass_fields__[name].metadata["choices"] for name in ("fusion", "trigger")
}
TUNE = "set_parameters_atomically"


class ConsoleNode(SuiteNode[ConsoleConfig]):
    """Publishes `task` and `operator_targets`, calls the services of executor and recorder, runs a protocol.

    The `Backend` of its server.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("console", ConsoleConfig, **options)
        self._inbox: SimpleQueue[messages.Action | bool] = SimpleQueue()  # bool: whether a page is open
        self._has_mail = threading.Event()
        self._suite = ExecutorClient(self)
        self._tuning = ServiceCaller(self, "executor", {TUNE: SetParametersAtomically})
        self._recorder = ServiceCaller(self, "recorder", dict.fromkeys(messages.RECORDER_VERBS, Trigger))
        self._recorder_note = ""
        self._counts = RecordingCounts()
        self._run: ProtocolRun | None = None
        self._trial_note = ""
        self._begin_asked_s: float | None = None  # when a person asked for a trial that has not begun yet
        self._begin_sent_s = 0.0
        self._thread: ServerThread | None = None
        self._while_watched: list[Any] = []  # functions that destroy subscriptions and timers

    def configure(self) -> None:
        self._robot = load_robot(self.config.robot)
        self._suggestions = suggestions(self.config.suggestions, self.config.suggestions_dataset)
        self._facts = RobotFacts(self._robot.joint_names, self.now_ns())
        self._run = self._begin_asked_s = None
        if self.config.protocol:
            log = ResultsLog(Path(self.config.trials_log).expanduser())
            self._run = ProtocolRun(load_protocol(Path(self.config.protocol).expanduser()), log)
        self._task = self.add_publisher(topics.TASK)
        self._targets = self.add_publisher(topics.OPERATOR_TARGETS)
        self.add_subscription(topics.CONTROL_AUTHORITY, self._facts.add_authority)
        self.add_subscription(topics.ACTIVE_TASK, self._facts.add_task)
        self.add_subscription(DIAGNOSTICS, self._facts.add_diagnostics)
        self.add_subscription(ROSOUT, self._facts.add_log)

    def activate(self) -> None:
        self._server = ConsoleServer(self.config, self)
        self._thread = ServerThread(self._server)
        for who, link in zip(("operators", "viewers"), self._server.links(), strict=False):
            print(f"console for {who}: {link}", flush=True)  # not in the log: it may contain a token

    def deactivate(self) -> None:
        if self._thread is not None:
            self._thread.close()
            self._thread = None
        self._watch(False)

    def diagnose(self) -> Health:
        return Health(
            OK, f"serving on port {self._server.port}", {"in control": self._server.in_control or "nobody"}
        )

    def spin_step(self, executor: Executor) -> None:
        period_s = TAKE_PERIOD_S[bool(self._while_watched)]
        self._has_mail.wait(period_s)
        self._has_mail.clear()
        self._empty_inbox()
        self.run_ready_callbacks(executor, time.monotonic() + period_s)
        self._suite.repeat_stop()
        if self._run is not None and self._begin_asked_s is not None:
            self._begin(self._run, self._begin_asked_s)
        if self._run is not None and self._run.update(self._now_s(), self._suite.state):
            self._give_task("")
            self._show_trials()

    # The back end of the server; called in its thread.

    def page_facts(self) -> dict[str, Any]:
        return {
            "robot": self._robot.name,
            "cameras": [camera.name for camera in self._robot.cameras],
            "joints": self._robot.joint_names,
            "limits": [(joint.lower_rad, joint.upper_rad) for joint in self._robot.joints],
            "choices": CHOICES,
            "suggestions": self._suggestions,
        }

    def watch(self, is_watched: bool) -> None:
        self._inbox.put(is_watched)
        self._has_mail.set()

    def execute(self, action: messages.Action) -> None:
        self._inbox.put(action)
        self._has_mail.set()

    # In the thread of the node.

    def _empty_inbox(self) -> None:
        while True:
            try:
                mail = self._inbox.get_nowait()
            except Empty:
                return
            if isinstance(mail, bool):
                self._watch(mail)
            else:
                self._carry_out(mail)

    def _carry_out(self, action: messages.Action) -> None:
        if isinstance(action, messages.Stop):
            self._suite.stop()
        elif isinstance(action, messages.Arm):
            self._suite.arm(action.on)
        elif isinstance(action, messages.Shadow):
            self._suite.shadow(action.on)
        elif isinstance(action, messages.Reset):
            self._suite.reset()
        elif isinstance(action, messages.TakeOver):
            self._suite.take_over(action.on)
        elif isinstance(action, messages.MoveTo):
            self._move_to(action.positions)
        elif isinstance(action, messages.SetTask):
            self._give_task(action.task)
        elif isinstance(action, messages.Tune):
            self._tune(vars(action))
        elif isinstance(action, messages.Record):
            self._record(action.verb)
        elif self._run is not None:
            self._take_step(self._run, action)

    def _give_task(self, task: str) -> None:
        self._task.publish(String(data=task))

    def _move_to(self, positions: list[float]) -> None:
        """Send the executor a target, which limits step, speed and acceleration; the page repeats it."""
        names = self._robot.joint_names
        if len(positions) != len(names):
            self._suite.note = f"move: {len(positions)} positions for {len(names)} joints"
            return
        operator = self.get_fully_qualified_name()
        self._targets.publish(joint_command_msg(names, self.now_ns(), np.array(positions), operator))

    def _tune(self, values: Mapping[str, Any]) -> None:
        """Set parameters of the executor."""
        changed = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]

        def on_response(response: SetParametersAtomically.Response) -> None:
            self._suite.note = f"tune: {response.result.reason or 'done'}"

        is_sent = self._tuning.call(TUNE, on_response, parameters=changed)
        self._suite.note = "tune: sent" if is_sent else "tune: there is no executor"

    def _record(self, verb: str) -> None:
        def on_response(response: Trigger.Response) -> None:
            self._recorder_note = str(response.message)
            if response.success:
                self._counts.add(verb, self._suite.state.task if self._suite.state else "")

        is_sent = self._recorder.call(verb, on_response)
        self._recorder_note = f"{verb}: sent" if is_sent else f"{verb}: there is no recorder"

    def _take_step(self, run: ProtocolRun, step: messages.TrialStep) -> None:
        """Do what the person says about the trial."""
        with self._shown_trials():
            if isinstance(step, messages.BeginTrial):
                if self._suite.state is not None:
                    run.next_task(self._suite.state)
                self._begin_asked_s, self._begin_sent_s = self._now_s(), -math.inf
            elif isinstance(step, messages.EndTrial):
                run.end(self._now_s(), self._suite.state)
                self._give_task("")
            elif isinstance(step, messages.JudgeTrial):
                run.judge(step.success, step.stages, step.failures)
            else:
                run.undo()

    def _begin(self, run: ProtocolRun, asked_s: float) -> None:
        """Begin the trial when the executor's state tells that it has the trial's trigger and task.

        They are sent again until then: before discovery is complete no state arrives, and messages are lost.
        """
        now_s, state = self._now_s(), self._suite.state
        if state is None and now_s - asked_s < BEGIN_S:
            return
        try:
            task = run.next_task(state)
            if now_s - asked_s > BEGIN_S:
                raise TrialError(f"the executor has not taken the task within {BEGIN_S:.0f} s; see its log")
        except TrialError as error:
            self._begin_asked_s, self._trial_note = None, str(error)
            self._give_task("")
            self._show_trials()
            return
        assert state is not None  # or there would be no next task
        if (state.trigger, state.task) == (task.trigger, task.task):
            self._begin_asked_s = None
            run.begin(now_s, state)
            self._show_trials()
        elif now_s - self._begin_sent_s > REPEAT_BEGIN_S:
            self._begin_sent_s = now_s
            self._tune({"trigger": task.trigger})
            self._give_task(task.task)

    @contextmanager
    def _shown_trials(self) -> Iterator[None]:
        """Show what has become of the run, or why not."""
        self._trial_note = ""
        try:
            yield
        except (TrialError, OSError) as error:
            self._trial_note = str(error)
        self._show_trials()

    def _now_s(self) -> float:
        return self.now_ns() / NANOSECONDS

    def _watch(self, is_watched: bool) -> None:
        """Subscribe to what only a page needs and show it periodically, or cease to."""
        while self._while_watched:
            self._while_watched.pop()()
        if not is_watched or self._thread is None:
            return
        facts = self._facts
        for topic, callback in (
            (topics.JOINT_STATES, facts.add_joint_states),
            (JOINT_COMMANDS, self._add_command),
            (topics.ACTION_CHUNK, facts.add_chunk),
            (topics.EXECUTOR_PLAN, facts.add_plan),
            (topics.SERVO_STATES, facts.add_servo_states),
            (topics.TASK_PROGRESS, facts.add_task_progress),
        ):
            self._subscribe_while_watched(topic, topic.name, callback)
        for index, camera in enumerate(self._robot.cameras):
            name = f"{camera.name}/{topics.IMAGE_COMPRESSED.name}"
            self._subscribe_while_watched(topics.IMAGE_COMPRESSED, name, partial(self._show_image, index))
        for period_s, show in ((MOTION_PERIOD_S, self._show_motion), (HEALTH_PERIOD_S, self._show_health)):
            timer = self.create_timer(period_s, show)
            self._while_watched.append(partial(self.destroy_timer, timer))
        self._show_health()

    def _subscribe_while_watched(self, topic: topics.Topic, name: str, callback: Any) -> None:
        subscription = self.create_subscription(topic.type, name, callback, topic.subscribe)
        self._while_watched.append(partial(self.destroy_subscription, subscription))

    def _add_command(self, message: Any) -> None:
        self._facts.add_command(message)
        if self._run is not None:
            with suppress(WireError):
                self._run.add_command(joints_from_msg(message, self._robot.joint_names).positions_rad)

    def _show_image(self, index: int, message: Any) -> None:
        self._post(self._server.show_frame, index, bytes(message.data))

    def _show_motion(self) -> None:
        self._show(
            {
                **self._facts.motion(self.now_ns(), self._suite.state),
                "silent_s": number(self._suite.silent_s),
                "stop_is_unconfirmed": self._suite.stop_is_unconfirmed,
                "note": self._suite.note,
                "recorder_note": self._recorder_note,
                "trial_s": self._run.elapsed_s(self._now_s()) if self._run is not None else None,
            }
        )

    def _show_health(self) -> None:
        self._show({**self._facts.health(), "counts": self._counts.counts})
        self._show_trials()

    def _show_trials(self) -> None:
        if self._run is not None:
            self._show(trial_facts(self._run, self._trial_note))

    def _show(self, values: dict[str, Any]) -> None:
        self._post(self._server.show, values["kind"], json.dumps(values, allow_nan=False))

    def _post(self, method: Any, *arguments: Any) -> None:
        if self._thread is not None:
            self._thread.post(method, *arguments)


def main() -> int:
    return run_node(ConsoleNode)


if __name__ == "__main__":
    sys.exit(main())
