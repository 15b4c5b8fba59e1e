# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The programs of the suite (programs.py) as actions of ROS 2 launch; used by all launch files.

The only module that needs launch and launch_ros, which are part of a ROS installation but not on PyPI. node_spec.py,
supervisor.py and options.py, which need neither, decide on arguments, restarts and unknown launch arguments.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext
from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessIO
from launch.events.process import ShutdownProcess
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

from smolvla_ros.nodes.fast_dds import fast_dds_settings
from smolvla_ros.share import CHECKPOINT, PACKAGE
from smolvla_ros.suite.fleet import fleet_options
from smolvla_ros.suite.network import who_can_reach
from smolvla_ros.suite.node_spec import NodeSpec, node_arguments
from smolvla_ros.suite.options import SuiteOptions, argument_warnings, launch_arguments
from smolvla_ros.suite.parameter_files import unknown_parameters
from smolvla_ros.suite.programs import has_policy
from smolvla_ros.suite.supervisor import RESTART_DELAY_S, Reaction, Supervisor, exit_message

NO_POLICY = (
    "no policy is started, so the arm will not move by itself: give checkpoint:=<LeRobot folder or hub id>, "
    f"or with sim:=true checkpoint:={CHECKPOINT}"
)


def declare(*names: str) -> list[Action]:
    """Declare the launch arguments of these fields of SuiteOptions; without names, of all fields."""
    arguments = launch_arguments(names)

    def check(context: LaunchContext) -> list[Action]:
        file = Path(context.get_locals_as_dict().get("current_launch_file_path", "")).name
        if not any(Path(word).name == file for word in sys.argv):  # another launch file includes this one
            return []
        return _log(argument_warnings(context.argv, [a["name"] for a in arguments], file))

    return [*(DeclareLaunchArgument(**argument) for argument in arguments), OpaqueFunction(function=check)]


def run(nodes: Callable[[SuiteOptions], Iterable[NodeSpec]]) -> list[Action]:
    """Actions that start the programs that a function of programs.py returns for the launch arguments."""

    def start(context: LaunchContext) -> list[Action]:
        options = SuiteOptions.from_text(context.launch_configurations)
        return [*_set_network(options.network), *_start(options, list(nodes(options)))]

    return [OpaqueFunction(function=start)]


def run_fleet(nodes: Callable[[SuiteOptions], Iterable[NodeSpec]]) -> list[Action]:
    """As `run`, for each robot of the file `robots`; one that cannot go on ends alone."""

    def start(context: LaunchContext) -> list[Action]:
        shared = context.launch_configurations
        robots = fleet_options(shared.get("robots", ""), shared)
        started = [_start(options, list(nodes(options)), options.namespace) for options in robots]
        return [*_set_network(shared.get("network", "")), *chain.from_iterable(started)]

    return [OpaqueFunction(function=start)]


def _start(options: SuiteOptions, specs: list[NodeSpec], robot: str = "") -> list[Action]:
    """Start programs, after a warning about parameters that none of them has; `robot`: see `_Programs`."""
    return [*_log(unknown_parameters(options.params_file, specs)), *_Programs(robot).start(specs)]


def explain_missing_policy() -> Action:
    """Log a line if no policy is chosen."""

    def explain(context: LaunchContext) -> list[Action]:
        options = SuiteOptions.from_text(context.launch_configurations)
        return _log([] if has_policy(options) else [NO_POLICY])

    return OpaqueFunction(function=explain)


def _log(lines: Iterable[str]) -> list[Action]:
    return [LogInfo(msg=line) for line in lines]


def _set_network(network: str) -> list[Action]:
    """Fast DDS settings for all programs, those of other packages included, and a line about who can reach them."""
    settings = fast_dds_settings(os.environ, network or "local")
    set_variables = [SetEnvironmentVariable(name, value) for name, value in settings.items()]
    return [*set_variables, *_log([who_can_reach({**os.environ, **settings}, network)])]


class _Programs:
    """The programs of one launch file, or of one of its robots: started, restarted, and stopped in order."""

    def __init__(self, robot: str = "") -> None:
        self._robot = robot  # its name, if there are others, which go on without it
        self._started: list[Action] = []
        self._supervisor = Supervisor()
        self._arms: dict[str, Any] = {}  # not ended yet, by label
        self._failure = ""  # why the suite stops; set while the arms are still stopping

    def start(self, specs: list[NodeSpec]) -> list[Action]:
        """Actions that start programs; one with `after` is started when that program prints its first line."""
        actions: dict[str, Action] = {}
        ordered: list[Action] = []
        for spec in specs:
            if not _is_installed(spec.package):
                ordered += _log(
                    [
                        f"{spec.name} is not started: package '{spec.package}' is not installed "
                        f"(apt: ros-jazzy-{spec.package.replace('_', '-')}); the rest works without it"
                    ]
                )
                continue
            actions[spec.name] = self._action(spec)
            first = actions.get(spec.after)
            ordered.append(_after(first, actions[spec.name]) if first else actions[spec.name])
        # Handlers first, so that they receive the first line of every program.
        return sorted(ordered, key=lambda action: not isinstance(action, RegisterEventHandler))

    def _action(self, spec: NodeSpec) -> Action:
        common: dict[str, Any] = {
            "output": "screen",
            "on_exit": self._on_exit(spec),
            "respawn": spec.restarts,
            "respawn_delay": RESTART_DELAY_S,
        }
        if spec.stop_timeout_s:
            common["sigterm_timeout"] = str(spec.stop_timeout_s)
        if spec.is_ros:
            action: Action = Node(**_with_launch_types(node_arguments(spec)), **common)
        else:
            executable = os.path.join(get_package_prefix(spec.package), "lib", spec.package, spec.executable)
            action = ExecuteProcess(cmd=[executable, *spec.arguments], name=spec.name, **common)
        self._started.append(action)
        if spec.holds_arm:
            self._arms[spec.label] = action
        return action

    def _on_exit(self, spec: NodeSpec) -> Callable[[Any, LaunchContext], list[Action]]:
        started_s = time.monotonic()

        def handle(event: Any, context: LaunchContext) -> list[Action]:
            nonlocal started_s
            self._arms.pop(spec.label, None)
            if context.is_shutdown:
                return []
            if self._failure:
                return self._stop()
            now_s = time.monotonic()
            reaction = self._supervisor.on_exit(spec, event.returncode, now_s - started_s)
            logged = _log([text := exit_message(spec, event.returncode, reaction)])
            if reaction is Reaction.RESTART:
                started_s = now_s + RESTART_DELAY_S
                return logged
            if reaction is Reaction.CONTINUE:
                return [*logged, _shut_down([event.action])]  # or launch would restart it
            self._failure = text
            return [*logged, *self._stop()]

        return handle

    def _stop(self) -> list[Action]:
        """Stop the arms and, when none runs any more, everything, with exit code 1; of a robot, its programs."""
        # one that waited for a program that has failed never started, and never ends
        arms = [arm for arm in self._arms.values() if arm.process_details is not None]
        if not arms:
            if self._robot:
                return [_shut_down(self._started)]
            # An exception makes launch stop everything with exit code 1; after a Shutdown action it would be 0.
            raise RuntimeError(f"{self._failure}; see its messages above")
        return [_shut_down(arms)]


def _shut_down(actions: list[Action]) -> Action:
    return EmitEvent(event=ShutdownProcess(process_matcher=lambda action: action in actions))


def _with_launch_types(arguments: dict[str, Any]) -> dict[str, Any]:
    """Mark text as text: launch_ros would parse `1` or `true` in a parameter as YAML."""

    def typed(value: Any) -> Any:
        return ParameterValue(value, value_type=str) if isinstance(value, str) else value

    parameters = [
        {name: typed(value) for name, value in given.items()}
        if isinstance(given, dict)
        else ParameterFile(str(given))
        for given in arguments["parameters"]
    ]
    return {**arguments, "parameters": parameters}


def _after(first: Action, then: Action) -> Action:
    waiting = [then]

    def start(_event: Any) -> Action | None:
        return waiting.pop() if waiting else None

    return RegisterEventHandler(OnProcessIO(target_action=first, on_stdout=start))


def _is_installed(package: str) -> bool:
    if package == PACKAGE:
        return True
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        return False
    return True
