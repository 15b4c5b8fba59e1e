# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The base class of all nodes: a lifecycle, parameters from a dataclass, health on /diagnostics.

A node overrides `configure`, `activate`, `deactivate`, `cleanup` and `diagnose`. An error raised there is logged and
makes the transition fail; rclpy alone would ignore it.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any, Generic, TypeVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.duration import Duration
from rclpy.executors import Executor, TimeoutException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from smolvla_ros.nodes import parameters, topics
from smolvla_ros.robot import RobotSpec, RobotSpecError

ConfigT = TypeVar("ConfigT")
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
DIAGNOSTICS_PERIOD_S = 1.0  # the convention of REP-107
WAKE_PERIOD_S = 0.2  # a stop signal is handled within this time
MIN_SPIN_S = 0.002  # shorter waits are slept, because a spin can take longer
ERROR_LOG_PERIOD_S = 2.0
WAIT_LOG_PERIOD_S = 10.0
LAST_MESSAGES_S = 0.2  # longest wait at shutdown until subscribers have the last messages


class NotReadyError(RuntimeError):
    """Raised by `configure`: something outside the node is not there yet, which the message names with the remedy."""


@dataclass(frozen=True)
class Health:
    """One line on /diagnostics: level (OK, WARN, ERROR), message and named values."""

    level: bytes
    message: str
    values: dict[str, str] = field(default_factory=dict)


def load_robot(robot_file: str) -> RobotSpec:
    """The robot of a node's parameter `robot`; raises RobotSpecError."""
    if not robot_file:
        raise RobotSpecError("parameter `robot` is empty; give the robot file, such as config/so100.yaml")
    return RobotSpec.load(robot_file)


def next_deadline_s(deadline_s: float, period_s: float) -> float:
    """The first future deadline of the grid `deadline_s` + n * `period_s` (monotonic); missed ones are skipped."""
    return deadline_s + period_s * (1 + max(0, int((time.monotonic() - deadline_s) / period_s)))


class SuiteNode(LifecycleNode, Generic[ConfigT]):
    """A lifecycle node whose parameters are the fields of `config_type`."""

    config: ConfigT

    def __init__(self, name: str, config_type: type[ConfigT], **node_options: Any) -> None:
        super().__init__(name, **node_options)
        self._config_type = config_type
        parameters.declare(self, config_type)
        self._live = parameters.live_names(config_type)
        self._configured = False
        self.waits_for = ""  # why it is not configured yet, while `configure` raises NotReadyError
        self._endpoints: list[Callable[[], Any]] = []  # destroy the publishers ... of `configure`
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)
        self._diagnostics = self.create_publisher(
            topics.DIAGNOSTICS.type, topics.DIAGNOSTICS.name, topics.DIAGNOSTICS.publish
        )
        self._diagnostics_timer = self.create_timer(DIAGNOSTICS_PERIOD_S, self._publish_diagnostics)

    # Methods that nodes override.

    def configure(self) -> None:
        """Create what `self.config` describes; the arm must not move yet.

        After a NotReadyError a node that starts by itself tries again; any other error ends it.
        """

    def activate(self) -> None:
        """Start working."""

    def deactivate(self) -> None:
        """Stop working; also called after an `activate` that failed."""

    def cleanup(self) -> None:
        """Release what `configure` created; also called after a `configure` that failed."""

    def prepare_parameters(self, config: ConfigT, names: set[str]) -> None:
        """Prepare for a change of the parameters `names` to `config`, or raise an error to refuse it.

        It may take long; the node handles no callbacks meanwhile, and the caller who sets the parameters waits. The
        change may still be refused elsewhere: it is in effect when `apply_parameters` is called.
        """

    def apply_parameters(self) -> None:
        """Called when `self.config` has new values of live parameters."""

    def create_subscription(
        self, msg_type: Any, topic: str, callback: Callable[..., Any], *arguments: Any, **options: Any
    ) -> Any:
        """As in rclpy. An exception of the callback is logged, and the node continues."""

        @wraps(callback)  # rclpy inspects the number of its arguments
        def guarded(*received: Any) -> None:
            try:
                callback(*received)
            except Exception:
                text = f"a message on {topic} caused an error:\n{traceback.format_exc()}"
                self.get_logger().error(text, throttle_duration_sec=ERROR_LOG_PERIOD_S)

        return super().create_subscription(msg_type, topic, guarded, *arguments, **options)

    def spin_step(self, executor: Executor) -> None:
        """One iteration of the main loop: run the next callback, or wait for it for a short time."""
        executor.spin_once(timeout_sec=WAKE_PERIOD_S)

    def spin_until_deadline(self, executor: Executor, deadline_s: float) -> None:
        """Run callbacks until `deadline_s` (monotonic), and return at that time."""
        while (left_s := deadline_s - time.monotonic()) > MIN_SPIN_S:
            executor.spin_once(timeout_sec=min(left_s - MIN_SPIN_S, WAKE_PERIOD_S))
        if left_s > 0:
            time.sleep(left_s)

    def run_ready_callbacks(self, executor: Executor, deadline_s: float) -> None:
        """Run the callbacks that are ready, without waiting for others, at most until `deadline_s` (monotonic)."""
        while time.monotonic() < deadline_s - MIN_SPIN_S:
            try:
                callback, _, _ = executor.wait_for_ready_callbacks(timeout_sec=0.0)
            except TimeoutException:
                return
            callback()
            if (error := callback.exception()) is not None:
                raise error

    def now_ns(self) -> int:
        """The node's time: the system's, or /clock with use_sim_time."""
        return int(self.get_clock().now().nanoseconds)

    def diagnose(self) -> Health:
        """The health of the node, published once a second while it is active."""
        return Health(OK, "running")

    # Methods that nodes call in `configure`; what they create is destroyed after `cleanup`.

    def add_publisher(self, topic: topics.Topic, **options: Any) -> Any:
        publisher = self.create_lifecycle_publisher(topic.type, topic.name, topic.publish, **options)
        self._endpoints.append(partial(self.destroy_lifecycle_publisher, publisher))
        return publisher

    def add_subscription(self, topic: topics.Topic, callback: Callable[[Any], None]) -> Any:
        subscription = self.create_subscription(topic.type, topic.name, callback, topic.subscribe)
        self._endpoints.append(partial(self.destroy_subscription, subscription))
        return subscription

    def add_service(self, service_type: Any, name: str, callback: Callable[[Any, Any], Any]) -> None:
        service = self.create_service(service_type, name, callback)
        self._endpoints.append(partial(self.destroy_service, service))

    # Transitions, called by rclpy.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.waits_for = ""
        if self._attempt("configure", self._read_and_configure):
            self._configured = True
            return super().on_configure(state)
        self._clean_up()
        return TransitionCallbackReturn.FAILURE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        enabled = super().on_activate(state)  # enables the publishers, which `activate` may use
        if self._attempt("activate", self.activate):
            self.get_logger().info("active")
            return enabled
        self._attempt("deactivate", self.deactivate)
        super().on_deactivate(state)
        return TransitionCallbackReturn.FAILURE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._attempt("deactivate", self.deactivate)
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._clean_up()
        self._configured = False
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        if state.label == "active":
            self._attempt("deactivate", self.deactivate)
            self._wait_for_subscribers()
        if state.label in ("active", "inactive"):
            self._clean_up()
        self._configured = False
        return super().on_shutdown(state)

    def _clean_up(self) -> None:
        self._attempt("cleanup", self.cleanup)
        while self._endpoints:
            self._endpoints.pop()()

    def _wait_for_subscribers(self) -> None:
        """Wait until the last messages have arrived: without their publisher, subscribers drop unread messages."""
        deadline_s = time.monotonic() + LAST_MESSAGES_S
        for publisher in self.publishers:
            publisher.wait_for_all_acked(Duration(seconds=max(0.0, deadline_s - time.monotonic())))

    @property
    def lifecycle_state(self) -> str:
        """unconfigured, inactive, active or finalized."""
        return str(self._state_machine.current_state[1])

    def _read_and_configure(self) -> None:
        self.config = parameters.read(self, self._config_type)
        self.configure()

    def _attempt(self, verb: str, action: Any) -> bool:
        try:
            action()
        except NotReadyError as error:
            self.waits_for = str(error)
            text = f"waiting: {error}"
            self.get_logger().warning(text, throttle_duration_sec=WAIT_LOG_PERIOD_S)
            return False
        except (ValueError, RuntimeError, OSError) as error:
            self.get_logger().error(f"cannot {verb}: {error}")
            return False
        except Exception:  # a bug, which rclpy would not log
            self.get_logger().fatal(f"cannot {verb}:\n{traceback.format_exc()}")
            return False
        return True

    def _why_inactive(self) -> str:
        return f"waiting: {self.waits_for}" if self.waits_for else self.lifecycle_state

    # Changes of parameters.

    def _check_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        if not self._configured:
            return SetParametersResult(successful=True)
        names = {parameter.name for parameter in changed} & set(self.config.__dataclass_fields__)  # type: ignore[attr-defined]
        fixed = sorted(names - self._live)
        if fixed:
            reason = f"{', '.join(fixed)} cannot change while the node is configured; deactivate and clean it up first"
            return SetParametersResult(successful=False, reason=reason)
        try:
            self.prepare_parameters(parameters.with_parameters(self.config, changed), names)
        except (ValueError, RuntimeError, OSError) as error:
            return SetParametersResult(successful=False, reason=str(error))
        except Exception as error:  # a bug; the node continues with the old parameters
            self.get_logger().fatal(f"cannot set {', '.join(sorted(names))}:\n{traceback.format_exc()}")
            return SetParametersResult(
                successful=False, reason=f"{type(error).__name__}: {error}; see the log"
            )
        return SetParametersResult(successful=True)

    def _apply_parameters(self, changed: list[Parameter]) -> None:
        if self._configured:
            self.config = parameters.with_parameters(self.config, changed)
            self.apply_parameters()

    def _publish_diagnostics(self) -> None:
        active = self.lifecycle_state == "active"
        health = self.diagnose() if active else Health(WARN, self._why_inactive())
        status = DiagnosticStatus(
            level=health.level,
            name=f"{self.get_fully_qualified_name().lstrip('/')}",
            message=health.message,
            hardware_id=self.get_fully_qualified_name(),
            values=[KeyValue(key=key, value=value) for key, value in health.values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)
