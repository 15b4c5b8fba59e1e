# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The list of the programs of the suite: their names, namespaces, parameters and remappings.

The launch files make launch_ros nodes of it (launching.py), the demo plain processes (processes.py). Nothing is started
here, and neither ROS nor launch is needed.

The arm, the executor, the policy, its cameras and the simulated world are `needed`: the suite stops without them. The
recorder, the console, robot_state_publisher, RViz and other cameras are not.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from smolvla_ros.node_configs import NODE_CONFIGS
from smolvla_ros.policy.policy_config import WITHOUT_CHECKPOINT
from smolvla_ros.robot import RobotSpec, RobotSpecError
from smolvla_ros.share import share_folder
from smolvla_ros.suite.checkpoint_parameters import parameter_file
from smolvla_ros.suite.node_spec import NodeSpec
from smolvla_ros.suite.options import (
    CameraOption,
    SuiteError,
    SuiteOptions,
    parse_cameras,
)
from smolvla_ros.suite.parameter_files import given_parameters

SIMULATED_CAMERAS = 2  # how many of the robot file's cameras are rendered when none is named
ARM: dict[str, Any] = {
    "holds_arm": True,
    "stop_timeout_s": 30.0,
}  # moving to the rest pose takes time


def robot_nodes(options: SuiteOptions) -> tuple[NodeSpec, ...]:
    """The arm, its cameras, robot_state_publisher and, with `rviz`, RViz; with `sim` the world before them."""
    robot = load_robot(options)
    arm = _arm(options)
    policy_cameras = _names(options.policy_cameras)
    cameras = tuple(
        _camera(options, camera, needed=not policy_cameras or camera.name in policy_cameras)
        for camera in selected_cameras(options, robot)
    )
    rviz = (_rviz(options),) if options.rviz else ()
    return (*simulation_programs(options), arm, *cameras, _robot_state_publisher(options, robot), *rviz)


def teleop_nodes(options: SuiteOptions) -> tuple[NodeSpec, ...]:
    """The robot and what leads it."""
    robot = tuple(
        replace(spec, needed=False) if spec.executable == "camera_node" else spec
        for spec in robot_nodes(options)  # teleoperation uses no images
    )
    return (*robot, *leader_nodes(options))


def leader_nodes(options: SuiteOptions) -> tuple[NodeSpec, ...]:
    """A leader arm in the namespace `leader`, and the teleop node.

    With `sim` and without `leader_port` there is no leader arm: who publishes `leader/joint_states` leads.
    """
    leader = (_leader_arm(options),) if options.leader_port or not options.sim else ()
    calibrations = {
        "calibration": _calibration(options),
        "leader_calibration": _calibration(_leader(options)),
    }
    return (*leader, _node(options, "teleop", calibrations))


def policy_nodes(options: SuiteOptions) -> tuple[NodeSpec, ...]:
    """The executor and, if one is chosen, the policy."""
    executor = _node(options, "executor", files=_run_files(options))
    return (*policy_alone(options), executor) if has_policy(options) else (executor,)


def policy_alone(options: SuiteOptions) -> tuple[NodeSpec, ...]:
    """The policy, for a computer without arm, cameras and executor."""
    robot = load_robot(options)
    names = _names(options.policy_cameras) or tuple(
        camera.name for camera in selected_cameras(options, robot)
    )
    for name in names:
        _check_camera(robot, name, "policy_cameras")
    parameters = {"calibration": _calibration(options), "cameras": list(names)}
    return (_node(options, "policy", parameters, files=_checkpoint_files(options), restarts=True),)


def recorder_nodes(options: SuiteOptions) -> tuple[NodeSpec, ...]:
    """The recorder."""
    return (_node(options, "recorder", needed=False, restarts=True),)


def suite_nodes(options: SuiteOptions) -> tuple[NodeSpec, ...]:
    """All programs, in the order of their start; the recorder only with `record`, teleoperation with `leader_port`."""
    recorder = recorder_nodes(options) if options.record else ()
    # a policy goes on without its leader arm, which comes back
    leader = (
        (replace(spec, needed=False, restarts=True) for spec in leader_nodes(options))
        if options.leader_port
        else ()
    )
    return (*robot_nodes(options), *policy_nodes(options), *leader, *recorder, *console_nodes(options))


def console_nodes(options: SuiteOptions) -> tuple[NodeSpec, ...]:
    """The operator's console, by default only with `sim` and with a protocol."""
    if options.console == "false" or not (options.console or options.sim or options.protocol):
        return ()
    changed = {"protocol": str(_existing("protocol", options.protocol))} if options.protocol else {}
    files = _run_files(options)
    return (_node(options, "console", changed, files=files, needed=False, restarts=True),)


def simulation_programs(options: SuiteOptions) -> tuple[NodeSpec, ...]:
    """The world with its servo bus with `sim`, else nothing."""
    if not options.sim:
        return ()
    parameters = {"port": emulated_port(options), "calibration": _calibration(options), **_looks(options)}
    return (_node(options, "simulated_world", parameters),)


def _looks(options: SuiteOptions) -> dict[str, float]:
    """The parameters of the simulated world and its cameras that change how they look, where they are given."""
    return {name: value for name in ("seed", "appearance") if (value := getattr(options, name))}


def _run_files(options: SuiteOptions) -> tuple[str | Path, ...]:
    """The files of node parameters of the simulation and of the checkpoint."""
    return (*(("simulation.yaml",) if options.sim else ()), *_checkpoint_files(options))


def _checkpoint_files(options: SuiteOptions) -> tuple[Path, ...]:
    """The file of node parameters that the checkpoint brings along, if it has one."""
    file = parameter_file(options.checkpoint)
    return (file,) if file else ()


def has_policy(options: SuiteOptions) -> bool:
    """Whether the options, or their params_file, say which policy to run; raises SuiteError."""
    in_file = given_parameters(options.params_file, f"{options.absolute_namespace.rstrip('/')}/policy")
    policy = options.policy or in_file.get("policy")
    named = (options.checkpoint, options.server, in_file.get("checkpoint"), in_file.get("server"))
    return any(named) or policy in WITHOUT_CHECKPOINT


def load_robot(options: SuiteOptions) -> RobotSpec:
    """The robot file of the options; raises SuiteError."""
    try:
        return RobotSpec.load(options.robot_file)
    except RobotSpecError as error:
        raise SuiteError(f"robot: {error}") from error


def selected_cameras(options: SuiteOptions, robot: RobotSpec) -> tuple[CameraOption, ...]:
    """The cameras of the options; with `sim` and without any, the first two, rendered. Raises SuiteError."""
    if not options.cameras and options.sim:
        return tuple(CameraOption(camera.name, "rendered") for camera in robot.cameras[:SIMULATED_CAMERAS])
    cameras = parse_cameras(options.cameras)
    for camera in cameras:
        _check_camera(robot, camera.name, "cameras")
    return cameras


def emulated_port(options: SuiteOptions) -> str:
    """The link to the port of the simulated arm: `port`, or a path that contains ROS domain and namespace."""
    if options.port:
        return options.port
    folder = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    parts = ["so100", os.environ.get("ROS_DOMAIN_ID") or "0", *filter(None, options.namespace.split("/"))]
    return str(Path(folder) / "_".join(parts))


def _node(
    options: SuiteOptions,
    name: str,
    changed: Mapping[str, Any] = MappingProxyType({}),
    *,
    namespace: str = "",
    files: tuple[str | Path, ...] = (),
    **rest: Any,
) -> NodeSpec:
    """A node of this package.

    Its parameters: the options for it, `changed` in place of some of them, without empty values. Its parameter files:
    config/NAME.yaml, `files` (names in config/, or paths), and the params_file.
    """
    config = share_folder() / "config"
    parameters = {**options.parameters_of(NODE_CONFIGS[name]), **changed}
    given = {key: value for key, value in parameters.items() if value not in ("", [])}
    if options.use_sim_time:
        given["use_sim_time"] = True
    own_file = () if not options.params_file else (_existing("params_file", options.params_file),)
    return NodeSpec(
        executable=f"{name}_node",
        name=name,
        namespace=namespace or options.absolute_namespace,
        parameters={"robot": str(options.robot_file), **given},
        parameter_files=(config / f"{name}.yaml", *(config / file for file in files), *own_file),
        log_level=options.log_level,
        **rest,
    )


def _arm(options: SuiteOptions) -> NodeSpec:
    if not options.sim:
        _check_given(options, port="/dev/serial/by-id/...", calibration="my_arm.json")
        return _node(options, "arm", {"calibration": _calibration(options)}, **ARM)
    parameters = {"port": emulated_port(options), "calibration": _calibration(options)}
    return _node(options, "arm", parameters, after="simulated_world", **ARM)


def _leader_arm(options: SuiteOptions) -> NodeSpec:
    _check_given(options, leader_port="/dev/serial/by-id/...", leader_calibration="my_leader.json")
    leader = _leader(options)
    parameters = {"port": leader.port, "calibration": _calibration(leader), "role": "leader"}
    namespace = f"{options.absolute_namespace.rstrip('/')}/leader"
    return _node(options, "arm", parameters, namespace=namespace, **ARM)


def _leader(options: SuiteOptions) -> SuiteOptions:
    """The options with port and calibration of the leader."""
    return replace(options, port=options.leader_port, calibration=options.leader_calibration)


def _check_given(options: SuiteOptions, **examples: str) -> None:
    """Raise SuiteError if an argument is not given, and no params_file may contain it."""
    for name, example in examples.items():
        if not getattr(options, name) and not options.params_file:
            raise SuiteError(
                f"{name} is not given; give {name}:={example} for your arm, or sim:=true, which needs none"
            )


def _camera(options: SuiteOptions, camera: CameraOption, needed: bool) -> NodeSpec:
    base = options.absolute_namespace.rstrip("/")
    source = camera.source or ("rendered" if options.sim else "")
    rendered: dict[str, Any] = {}
    if source == "rendered":
        rendered = {**_looks(options), "rate_hz": options.camera_rate_hz or ""}
    return _node(
        options,
        "camera",
        {"camera": camera.name, "source": source, "device": camera.device, **rendered},
        namespace=f"{base}/{camera.name}",
        remaps=(("joint_states", f"{base}/joint_states"), ("scene/objects", f"{base}/scene/objects")),
        needed=needed,
        restarts=True,
    )


def _robot_state_publisher(options: SuiteOptions, robot: RobotSpec) -> NodeSpec:
    parameters: dict[str, Any] = {"robot_description": robot.urdf_path.read_text(encoding="utf-8")}
    if options.use_sim_time:
        parameters["use_sim_time"] = True
    return NodeSpec(
        executable="robot_state_publisher",
        name="robot_state_publisher",
        namespace=options.absolute_namespace,
        parameters=parameters,
        package="robot_state_publisher",
        log_level=options.log_level,
        needed=False,
        restarts=True,
    )


def _rviz(options: SuiteOptions) -> NodeSpec:
    return NodeSpec(
        executable="rviz2",
        name="rviz",
        namespace=options.absolute_namespace,
        parameters={"use_sim_time": True} if options.use_sim_time else {},
        arguments=("-d", str(share_folder() / "config" / "rviz" / "so100.rviz")),
        package="rviz2",
        needed=False,
        restarts=True,
    )


def _check_camera(robot: RobotSpec, name: str, argument: str) -> None:
    try:
        robot.camera(name)
    except RobotSpecError as error:
        raise SuiteError(f"{argument}: {error}") from error


def _calibration(options: SuiteOptions) -> str:
    if options.calibration or not options.sim:
        return str(_existing("calibration", options.calibration)) if options.calibration else ""
    return str(share_folder() / "config" / "emulated_calibration.json")


def _existing(argument: str, path: str) -> Path:
    if not os.path.isfile(path):
        raise SuiteError(f"{argument}: there is no file '{path}'")
    return Path(path)


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))
