# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The executor as seen by other programs: its newest state, and calls of its services."""

from __future__ import annotations

import time

from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

import smolvla_ros.msg as msg
from smolvla_ros.execution.arming import ArmingState
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.service_caller import ServiceCaller, Wait

REPEAT_STOP_S = 0.3  # a stop without a response is sent again after this time
ARM_ATTEMPTS = 10  # after a fault: joint states may be late again
SERVICES = {"arm": SetBool, "shadow": SetBool, "take_over": SetBool, "stop": Trigger, "reset": Trigger}


class ExecutorClient:
    """Subscribes to executor/state and calls the services of the executor without waiting for their responses."""

    def __init__(self, node: Node) -> None:
        self.state: msg.ExecutorState | None = None  # the newest
        self.note = ""  # what became of the newest call
        self._received_s = time.monotonic()
        self._stop_sent_s: float | None = None  # None: no stop waits for its response
        topic = topics.EXECUTOR_STATE
        node.create_subscription(topic.type, topic.name, self._on_state, topic.subscribe)
        self._services = ServiceCaller(node, "executor", SERVICES)

    @property
    def silent_s(self) -> float:
        """Time since the newest state arrived, or since this object was made."""
        return time.monotonic() - self._received_s

    @property
    def stop_is_unconfirmed(self) -> bool:
        return self._stop_sent_s is not None

    def arm(self, on: bool) -> None:
        self._call("arm", data=on)

    def toggle_shadow(self) -> None:
        is_shadow = self.state is not None and self.state.state == msg.ExecutorState.SHADOW
        self.shadow(not is_shadow)

    def shadow(self, on: bool) -> None:
        self._call("shadow", data=on)

    def take_over(self, on: bool) -> None:
        """A person takes control from the policy, or gives it back."""
        self._call("take_over", data=on)

    def reset(self) -> None:
        self._call("reset")

    def stop(self) -> None:
        """Stop; `repeat_stop` sends it again until the executor confirms it."""
        self._stop_sent_s = -REPEAT_STOP_S
        self.repeat_stop()

    def repeat_stop(self) -> None:
        now_s = time.monotonic()
        if self._stop_sent_s is not None and now_s - self._stop_sent_s >= REPEAT_STOP_S:
            self._stop_sent_s = now_s
            self._call("stop")

    def _on_state(self, state: msg.ExecutorState) -> None:
        """Anybody may publish on the topic: what no executor says is left out."""
        if _is_whole(state):
            self.state, self._received_s = state, time.monotonic()
        else:
            self.note = "executor/state: a message that is not of an executor of this version was left out"

    def _call(self, name: str, **fields: bool) -> None:
        def on_response(response: SetBool.Response | Trigger.Response) -> None:
            self.note = f"{name}: {response.message}"
            if name == "stop" and response.success:
                self._stop_sent_s = None

        is_sent = self._services.call(name, on_response, **fields)
        self.note = f"{name}: sent" if is_sent else f"{name}: there is no service executor/{name}"


def _is_whole(state: msg.ExecutorState) -> bool:
    """Whether its state is known, and each count has a name."""
    counted = ((state.rejected_reasons, state.rejected_counts), (state.joint_names, state.clamps))
    return state.state in tuple(ArmingState) and all(len(names) == len(counts) for names, counts in counted)


def arm_after_fault(executor: ServiceCaller, wait: Wait, timeout_s: float) -> str:
    """Reset the executor and arm it, as a person does who has looked at the arm; returns why it is not armed, or "".

    executor: with the services reset and arm. timeout_s: of each call.
    """
    is_reset, reason = executor.ask("reset", wait, timeout_s)
    for _ in range(ARM_ATTEMPTS if is_reset else 0):
        is_armed, reason = executor.ask("arm", wait, timeout_s, data=True)
        if is_armed:
            return ""
    return reason
