# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one way a node becomes a process: initialise, start, spin, and end politely on SIGINT or SIGTERM.

rclpy's own signal handling closes the context first, after which a node can neither publish its last state nor answer.
Here a signal only ends the spinning; the node is then deactivated and cleaned up (the arm lets go, files close)
while everything still works.
"""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Callable
from typing import Any

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterUninitializedException,
)
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions

from smolvla_ros.nodes.fast_dds import set_fast_dds
from smolvla_ros.nodes.suite_node import SuiteNode
from smolvla_ros.stop_signals import recorded_stop_signals

PARAMETER_ERRORS = (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterUninitializedException,
)


def run_node(make_node: Callable[[], SuiteNode[Any]], arguments: list[str] | None = None) -> int:
    """Run a node until it is asked to end; returns the exit code of its process."""
    set_fast_dds()
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    with recorded_stop_signals() as stopping:
        try:
            return _make_and_run(make_node, stopping)
        except Exception:
            # a defect of ours; reported here, so that its traceback does not keep the node alive
            traceback.print_exc()
            return 1
        finally:
            _end_middleware()
            rclpy.try_shutdown()


def _make_and_run(make_node: Callable[[], SuiteNode[Any]], stopping: list[int]) -> int:
    """The node's whole life; nothing outside this function refers to the node."""
    try:
        node = make_node()
    except PARAMETER_ERRORS as error:
        print(f"a parameter does not fit: {error}", file=sys.stderr)
        return 1
    return _run_started(node, stopping)


def _end_middleware() -> None:
    """Free the node, and with it the DDS participant and its threads, while the process is still whole.

    `destroy_node` is not enough for a lifecycle node: its state machine keeps the participant until Python frees the
    node, which refers to itself through its callbacks. Left to the end of the process, the participant's threads go on
    receiving while the libraries under them are taken down: corrupted memory, a crash, or an end that never comes.
    """
    gc.unfreeze()
    gc.collect()


def _run_started(node: SuiteNode[Any], stopping: list[int]) -> int:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if not _autostart(node):
            return 1
        gc.collect()
        gc.freeze()  # what was loaded stays; searching it for garbage again would stop the node for 30 ms at times
        while not stopping:
            node.spin_step(executor)
        return 0
    finally:
        if node.lifecycle_state in ("unconfigured", "inactive", "active"):
            node.trigger_shutdown()
        executor.shutdown()
        node.destroy_node()


def _autostart(node: SuiteNode[Any]) -> bool:
    """Configure and activate unless `autostart` is false; True when the node is where it should be."""
    description = "configure and activate at start; false leaves the node to a lifecycle manager"
    if not node.declare_parameter("autostart", True, ParameterDescriptor(description=description)).value:
        return True
    return all(
        transition() == TransitionCallbackReturn.SUCCESS
        for transition in (node.trigger_configure, node.trigger_activate)
    )
