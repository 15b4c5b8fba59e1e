# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The suite's list (suite.py) as actions of ROS 2 launch; what the launch files share.

The only module that needs launch and launch_ros, which a ROS installation brings and PyPI does not.

What happens when a program ends by itself: the arm, the executor and the emulated arm are required, their end
is the end of the launch. A camera or the policy that was killed (out of memory, a crash in a driver) is
started again, and the executor holds the arm meanwhile as it does for any missing chunk. One that says no by
exit code 1 (unknown camera, bad checkpoint) would say it again, so that too ends the launch, after its one
message.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext
from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessIO
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

from smolvla_ros.nodes.fast_dds import fast_dds_settings
from smolvla_ros.suite import NodeSpec, has_policy
from smolvla_ros.suite_options import BOOLEANS, PACKAGE, SuiteOptions

RESPAWN_DELAY_S = 2.0
REFUSED = 1  # exit code of a node that could not be configured (nodes/running.py)
NO_POLICY = (
    "no policy is started, so the arm will not move by itself: give checkpoint:=<LeRobot folder or hub id>. "
    "One to try with, untrained: ros2 run smolvla_ros demo_checkpoint <folder>"
)


def declare(*names: str) -> list[DeclareLaunchArgument]:
    """Launch arguments for these fields of SuiteOptions, described there; without names for all of them."""
    options = [entry for entry in fields(SuiteOptions) if not names or entry.name in names]
    return [
        DeclareLaunchArgument(
            entry.name,
            default_value=str(entry.default).lower()
            if isinstance(entry.default, bool)
            else str(entry.default),
            description=entry.metadata["description"],
            choices=list(BOOLEANS if isinstance(entry.default, bool) else entry.metadata["choices"]) or None,
        )
        for entry in options
    ]


def run(*lists: Callable[[SuiteOptions], Iterable[NodeSpec]]) -> list[Action]:
    """Actions that start what the given functions of suite.py list for the launch arguments."""

    def start(context: LaunchContext) -> list[Action]:
        options = SuiteOptions.from_text(context.launch_configurations)
        return _start([spec for nodes in lists for spec in nodes(options)])

    return [*_set_environment(), OpaqueFunction(function=start)]


def explain_missing_policy() -> Action:
    """One line when nothing says which policy to run."""

    def explain(context: LaunchContext) -> list[Action]:
        options = SuiteOptions.from_text(context.launch_configurations)
        return [] if has_policy(options) else [LogInfo(msg=NO_POLICY)]

    return OpaqueFunction(function=explain)


def _set_environment() -> list[Action]:
    """Fast DDS settings also for the programs of other packages, unless its user has settings of their own."""
    return [SetEnvironmentVariable(name, value) for name, value in fast_dds_settings(os.environ).items()]


def _start(specs: list[NodeSpec]) -> list[Action]:
    """Actions for programs; one that comes `after` another starts with that one's first line of output."""
    actions: dict[str, Action] = {}
    ordered: list[Action] = []
    for spec in specs:
        if not _is_installed(spec.package):
            ordered.append(
                LogInfo(
                    msg=f"{spec.name} is not started: package '{spec.package}' is not installed "
                    f"(apt: ros-jazzy-{spec.package.replace('_', '-')}); the rest works without it"
                )
            )
            continue
        actions[spec.name] = _node(spec) if spec.is_ros else _program(spec)
        first = actions.get(spec.after)
        ordered.append(_after(first, actions[spec.name]) if first else actions[spec.name])
    # Handlers first: a program must not speak before somebody listens.
    return sorted(ordered, key=lambda action: not isinstance(action, RegisterEventHandler))


def _node(spec: NodeSpec) -> Action:
    parameters: list[Any] = [ParameterFile(str(file)) for file in spec.parameter_files]
    if spec.parameters:
        parameters.append({name: _value(value) for name, value in spec.parameters.items()})
    return Node(
        package=spec.package,
        executable=spec.executable,
        name=spec.name,
        namespace=spec.namespace,
        parameters=parameters,
        remappings=list(spec.remaps),
        arguments=list(spec.arguments),
        ros_arguments=["--log-level", spec.log_level] if spec.log_level else [],
        output="screen",
        respawn=spec.respawn,
        respawn_delay=RESPAWN_DELAY_S,
        on_exit=_when_it_ends(spec),
    )


def _program(spec: NodeSpec) -> Action:
    """A program that is no ROS node."""
    executable = os.path.join(get_package_prefix(spec.package), "lib", spec.package, spec.executable)
    return ExecuteProcess(
        cmd=[executable, *spec.arguments], name=spec.name, output="screen", on_exit=_when_it_ends(spec)
    )


def _value(value: Any) -> Any:
    """Text stays text: launch_ros would read `1` or `true` in it as YAML."""
    return ParameterValue(value, value_type=str) if isinstance(value, str) else value


def _after(first: Action, then: Action) -> Action:
    waiting = [then]

    def start(_event: Any) -> Action | None:
        return waiting.pop() if waiting else None

    return RegisterEventHandler(OnProcessIO(target_action=first, on_stdout=start))


def _when_it_ends(spec: NodeSpec) -> Callable[[Any, LaunchContext], list[Action]]:
    def handle(event: Any, context: LaunchContext) -> list[Action]:
        if context.is_shutdown or spec.optional:
            return []
        if spec.respawn and event.returncode != REFUSED:
            return [
                LogInfo(msg=f"{spec.label} has ended (exit code {event.returncode}) and is started again")
            ]
        # Upon an exception launch ends everything, with exit code 1; a Shutdown action would give 0.
        raise RuntimeError(f"{spec.label} has ended (exit code {event.returncode}), see its messages above")

    return handle


def _is_installed(package: str) -> bool:
    if package == PACKAGE:
        return True
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        return False
    return True
