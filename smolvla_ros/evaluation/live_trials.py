# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trials through the real nodes in real time: DDS, servo bus, compressed images, whatever the policy takes to infer.

The arm begins each trial where the last one left it. What happened is what the simulated world says of it.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from smolvla_ros.arrays import FloatArray
from smolvla_ros.evaluation.conditions import Conditions
from smolvla_ros.evaluation.results import TrialResult, roughness
from smolvla_ros.evaluation.trial import LAYOUT_SEEDS
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.client_node import ClientNode
from smolvla_ros.nodes.executor_client import arm_after_fault
from smolvla_ros.nodes.service_caller import ServiceCaller
from smolvla_ros.settings import SettingError
from smolvla_ros.share import PACKAGE
from smolvla_ros.simulation.tasks.instruction import random_task
from smolvla_ros.suite.options import FEW_IMAGES_HZ, SuiteOptions
from smolvla_ros.suite.processes import Processes
from smolvla_ros.suite.programs import suite_nodes
from smolvla_ros.suite.ros_domain import reserve_domain_id

START_S, SERVICE_S, TASK_S = 120.0, 10.0, 5.0
CHECK_S = 0.5  # from one look at the programs to the next
SERVICES = {
    "simulated_world": {"reset": Trigger},
    "executor": {"arm": SetBool, "reset": Trigger},
    "recorder": dict.fromkeys(("start", "success", "failure"), Trigger),
}
STEPPED_ONLY = ("instruction", "appearance", "distractors", "moved_after_s", "latency_s")


class LiveTrialError(RuntimeError):
    """The suite does not start or does not answer; the message says what."""


def run_live_trials(
    suite: SuiteOptions, conditions: Conditions, seeds: Sequence[int], policy_parameters: Mapping[str, Any]
) -> Iterator[TrialResult]:
    """One result after the other, for successive seeds. With `suite.record` each trial is an episode.

    policy_parameters: of the policy node.

    Raises LiveTrialError, ProcessError, and SettingError for conditions that only the stepped world has.
    """
    for name in STEPPED_ONLY:
        if getattr(conditions, name) != getattr(Conditions(), name):
            raise SettingError(
                f"--{name.replace('_', '-')} is a condition of the stepped world; leave it out"
            )
    os.environ.setdefault("ROS_DOMAIN_ID", str(reserve_domain_id()))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes = Processes(folder)
        stack.callback(processes.stop)
        client = stack.enter_context(ClientNode("evaluate"))
        suite = replace(
            suite,
            sim=True,
            camera_rate_hz=FEW_IMAGES_HZ,
            port=str(folder / "arm"),
            params_file=str(_write_parameters(folder, conditions, policy_parameters)),
            seed=LAYOUT_SEEDS + seeds[0] - 1,  # each reset takes the next
        )
        for spec in suite_nodes(suite):
            if spec.package == PACKAGE:
                processes.start(spec)
        live = _LiveSuite(client, suite.record, processes.check)
        for seed in seeds:
            processes.check()
            yield live.trial(seed, conditions)


def _write_parameters(folder: Path, conditions: Conditions, policy_parameters: Mapping[str, Any]) -> Path:
    """A parameter file for the nodes, from the conditions."""
    executor = {name: getattr(conditions, name) for name in ("trigger", "threshold", "fusion")}
    nodes = {
        "simulated_world": {"layout": conditions.task},
        "executor": executor,
        "policy": dict(policy_parameters),
    }
    path = folder / "conditions.yaml"
    values = {node: {"ros__parameters": parameters} for node, parameters in nodes.items()}
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


class _LiveSuite:
    """The running suite, as somebody who gives it tasks sees it."""

    def __init__(self, client: ClientNode, records: bool, check: Callable[[], object]) -> None:
        """check: raises ProcessError when one of the programs has ended."""
        self._client, self._records, self._check = client, records, check
        self._services = {
            prefix: ServiceCaller(client.node, prefix, types) for prefix, types in SERVICES.items()
        }
        self._progress: list[Any] = []
        self._states: list[Any] = []
        self._commands: list[FloatArray] = []
        client.subscribe(topics.TASK_PROGRESS, self._progress.append)
        client.subscribe(topics.EXECUTOR_STATE, self._states.append)
        client.subscribe(
            topics.JOINT_COMMANDS, lambda command: self._commands.append(np.array(command.position))
        )
        self._task = client.publisher(topics.TASK)
        if not self._wait(self._is_up, START_S):
            raise LiveTrialError(f"the suite has not started after {START_S:.0f} s")
        if not self._wait(lambda: client.node.count_subscribers(topics.CHUNK_REQUEST.name), START_S):
            raise LiveTrialError(f"the policy node has not started after {START_S:.0f} s")
        client.spin(1.0)

    def _is_up(self) -> bool:
        return bool(self._progress and self._states and self._task.get_subscription_count())

    def _wait(self, condition: Callable[[], Any], timeout_s: float) -> bool:
        """Spin until the condition is true; returns whether it is. Raises ProcessError when a program has ended."""
        deadline_s = time.monotonic() + timeout_s
        while not self._client.spin_until(condition, CHECK_S):
            self._check()
            if time.monotonic() > deadline_s:
                return False
        return True

    def trial(self, seed: int, conditions: Conditions) -> TrialResult:
        """Put the objects of a seed on the table, say what is to be done, and wait until it is done or time is over."""
        self._call("simulated_world", "reset")
        _, task = random_task(conditions.task, LAYOUT_SEEDS + seed, conditions.wordings)
        instruction = task.instruction
        self._say(instruction)
        if self._records:
            self._call("recorder", "start")
        first = self._states[-1]
        del self._commands[:]
        self._wait(lambda: self._progress[-1].success or self._has_fault(), conditions.duration_s)
        progress, last = self._progress[-1], self._states[-1]
        if self._records:
            self._call("recorder", "success" if progress.success else "failure")
        commands = list(self._commands)
        self._say("")
        self._go_on_after_fault()
        del self._progress[:-1], self._states[:-1]
        return TrialResult(
            seed=seed,
            instruction=instruction,
            said=instruction,
            success=bool(progress.success),
            score=progress.score,
            time_s=progress.success_time if progress.success else None,
            wrong_object=progress.wrong_object or None,
            dropped=progress.dropped,
            stuck=progress.stuck,
            hit_table=progress.hit_table,
            reached={},
            chunks=last.chunks_accepted - first.chunks_accepted,
            starved_periods=last.starved_periods - first.starved_periods,
            periods=len(commands),
            roughness=roughness(commands),
            conditions={**asdict(conditions), "live": True},
            fault=last.reason if last.state == last.FAULT else "",
        )

    def _has_fault(self) -> bool:
        return bool(self._states[-1].state == self._states[-1].FAULT)

    def _say(self, text: str) -> None:
        """Give the executor a task, as a person would."""
        self._task.publish(String(data=text))
        if not self._client.spin_until(lambda: self._progress[-1].task == text, TASK_S):
            raise LiveTrialError(f"the executor does not take the task '{text}'")

    def _go_on_after_fault(self) -> None:
        """Raises LiveTrialError if the executor, which may have a fault, cannot be armed again."""
        if not self._has_fault():
            return
        if reason := arm_after_fault(self._services["executor"], self._wait, SERVICE_S):
            raise LiveTrialError(f"the executor is not armed after a fault: {reason}")

    def _call(self, prefix: str, name: str) -> None:
        """Call a service; raises LiveTrialError when it fails or does not answer."""
        is_done, message = self._services[prefix].ask(name, self._wait, SERVICE_S)
        if not is_done:
            raise LiveTrialError(f"{prefix}/{name}: {message}")
