# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the programs that show the executor take from executor/state."""

from __future__ import annotations

from typing import Any

import pytest
from smolvla_ros.msg import ExecutorState

from smolvla_ros.nodes import topics
from smolvla_ros.nodes.executor_client import ExecutorClient


@pytest.mark.parametrize("wrong", [{"state": 77}, {"joint_names": ["a"]}, {"rejected_counts": [1]}])
def test_a_state_that_no_executor_publishes_is_left_out(observer: Any, wrong: dict[str, Any]) -> None:
    executor = ExecutorClient(observer.node)
    states = observer.publisher(topics.EXECUTOR_STATE)
    observer.until(states.get_subscription_count, "the client to listen")
    states.publish(ExecutorState(**{"state": ExecutorState.ARMED, **wrong}))
    observer.until(lambda: executor.note, "the message")
    assert executor.state is None and "left out" in executor.note
    states.publish(ExecutorState(state=ExecutorState.HOLDING))
    observer.until(lambda: executor.state, "the next one")
    assert executor.state.state == ExecutorState.HOLDING
