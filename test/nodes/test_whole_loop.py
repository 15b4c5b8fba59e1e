# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole suite as separate processes: the arm executes a task, and all processes stop on Ctrl-C."""

from __future__ import annotations

import signal
from typing import Any

import numpy as np
import smolvla_ros.msg as msg
from std_msgs.msg import String

from smolvla_ros.nodes import topics

from ..package_files import CALIBRATION_FILE, CHECKPOINT
from .conftest import EVERY_ONE, is_complete

TASK = "pick up the red cube"


def test_the_arm_executes_a_task_by_fused_chunks(observer: Any, start: Any, emulated_arm: Any) -> None:
    states, chunks = observer.collect(topics.EXECUTOR_STATE), observer.collect(topics.ACTION_CHUNK)
    commands = observer.collect(topics.JOINT_COMMANDS, qos=EVERY_ONE)
    measured = observer.collect(topics.JOINT_STATES)
    active_task = observer.collect(topics.ACTIVE_TASK)
    programs = [
        start("nodes.arm_node", port=emulated_arm[0]),
        start(
            "nodes.policy_node",
            checkpoint=CHECKPOINT,
            max_pose_sigma=0.0,  # the arm does not stand where those of the training data did
            calibration=CALIBRATION_FILE,
            threads=1,
            niceness=0,  # with a higher niceness the policy gets too little CPU time on a busy computer
        ),
        start("nodes.executor_node", mode="armed"),
    ]
    for camera in ("top", "wrist"):
        programs.append(
            start(
                "nodes.camera_node",
                "--ros-args", "-r", f"__ns:=/{camera}", "-r", "joint_states:=/joint_states",
                camera=camera, source="rendered",
            )
        )  # fmt: skip

    task = observer.publisher(topics.TASK)
    observer.until(lambda: task.get_subscription_count() and measured and states, "the suite", 60.0)
    task.publish(String(data=TASK))
    observer.until(lambda: len(chunks) >= 3 and states[-1].chunks_accepted >= 3, "three chunks", 60.0)
    observer.until(lambda: len(commands) > 60, "two seconds of commands")

    assert active_task[-1].data == TASK
    assert {chunk.task for chunk in chunks} == {TASK}
    observer.until(
        lambda: states[-1].state == msg.ExecutorState.ARMED, "to be armed, not starved, at the end"
    )
    commanded = np.array([command.position for command in commands])
    assert np.abs(np.diff(commanded, axis=0)).max() <= 0.15 + 1e-9
    assert np.ptp(commanded, axis=0).max() > 0.05
    whole = [state.position for state in filter(is_complete, measured)]
    moved = np.ptp(np.array(whole), axis=0)
    assert moved.max() > 0.05

    for program in programs:
        assert program.stop(signal.SIGINT) == 0, program.output
        assert "Traceback" not in program.output
