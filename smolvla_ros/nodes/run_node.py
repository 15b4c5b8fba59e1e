# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The main program of every node: initialise rclpy, configure and activate the node, spin it, and shut it down.

rclpy's own signal handlers close the context first, after which a node can publish no last state. Here a signal only
ends the loop; the node is then deactivated and cleaned up while its publishers still work.
"""

from __future__ import annotations

import gc
import sys
import time
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

from smolvla_ros.nodes.exit_timer import exit_after
from smolvla_ros.nodes.fast_dds import set_fast_dds
from smolvla_ros.nodes.suite_node import SuiteNode
from smolvla_ros.stop_signals import recorded_stop_signals

FREE_S = 4  # within this time a node that has ended is freed
RETRY_S = 1.0  # until a node that was not ready is configured again
PARAMETER_ERRORS = (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterUninitializedException,
)


def run_node(make_node: Callable[[], SuiteNode[Any]], arguments: list[str] | None = None) -> int:
    """Run a node until a stop signal; returns the exit code of the process."""
    set_fast_dds()
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    with recorded_stop_signals() as stopping:
        code = 1
        try:
            code = _make_and_run(make_node, stopping)
        except Exception:
            # a bug; printed here, because the traceback refers to the node and would keep it alive
            traceback.print_exc()
        finally:
            with exit_after(FREE_S, code):
                _free_node()
                rclpy.try_shutdown()
    return code


def _make_and_run(make_node: Callable[[], SuiteNode[Any]], stopping: list[int]) -> int:
    """Create, run and destroy the node; nothing outside this function refers to it."""
    try:
        node = make_node()
    except PARAMETER_ERRORS as error:
        print(f"a parameter has the wrong type: {error}", file=sys.stderr)
        return 1
    return _run_started(node, stopping)


def _free_node() -> None:
    """Free the node, and with it the DDS participant and its threads, before the process ends.

    `destroy_node` does not suffice for a lifecycle node: its state machine keeps the participant until Python frees the
    node, which refers to itself through its callbacks. Otherwise the threads of the participant receive messages while
    the libraries they use are unloaded: corrupted memory, a crash, or a process that does not end.
    """
    gc.unfreeze()
    gc.collect()


def _run_started(node: SuiteNode[Any], stopping: list[int]) -> int:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if not _autostart(node, executor, stopping):
            return 0 if stopping else 1
        gc.collect()
        gc.freeze()  # excludes all loaded objects from later collections, which would take 30 ms
        while not stopping:
            node.spin_step(executor)
        return 0
    finally:
        if node.lifecycle_state in ("unconfigured", "inactive", "active"):
            node.trigger_shutdown()
        executor.shutdown()
        node.destroy_node()


def _autostart(node: SuiteNode[Any], executor: SingleThreadedExecutor, stopping: list[int]) -> bool:
    """Configure and activate the node unless `autostart` is false; returns False if that fails.

    While it is not ready, it is spun, so that its parameters can be set and /diagnostics say what it waits for.
    """
    description = "configure and activate at the start; false: a lifecycle manager does it"
    if not node.declare_parameter("autostart", True, ParameterDescriptor(description=description)).value:
        return True
    while node.trigger_configure() != TransitionCallbackReturn.SUCCESS:
        if not node.waits_for:
            return False
        node.spin_until_deadline(executor, time.monotonic() + RETRY_S)
        if stopping:
            return False
    return bool(node.trigger_activate() == TransitionCallbackReturn.SUCCESS)
