# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The options of the suite: launch arguments and the demo's command line, parsed from text.

programs.py decides which programs follow from them. An option that is not given sets no parameter, so that the
params_file and the package's parameter files apply.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from smolvla_ros.node_configs import (
    ArmConfig,
    ConsoleConfig,
    ExecutorNodeConfig,
    RecorderConfig,
    TeleopConfig,
)
from smolvla_ros.nodes.fast_dds import RANGES
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.robot import did_you_mean
from smolvla_ros.settings import SettingError, check_settings, option_for, setting
from smolvla_ros.share import find_robot_file

BOOLEANS = ("true", "false")
FEW_IMAGES_HZ = (
    15.0  # camera_rate_hz for a computer with two cores, of which two cameras at 30 leave a policy too little
)
ARGUMENTS_OF_LAUNCH = ("emulate_tty", "sigkill_timeout", "sigterm_timeout")


class SuiteError(ValueError):
    """An invalid option; the message names the argument, its value and the remedy."""


@dataclass(frozen=True)
class CameraOption:
    """One camera to start. Where `source` and `device` are empty, the parameter files apply."""

    name: str
    source: str = ""  # usb, video, folder or rendered
    device: str = ""


@dataclass(frozen=True)
class SuiteOptions:
    """The options of a launch. Empty text means "not given": then the parameter files apply."""

    sim: bool = setting(
        False,
        "in place of hardware an arm in a simulated world, which can grasp what lies on the table, and rendered "
        "cameras; same nodes and topics",
    )
    robot: str = setting(
        "", "so100, so101, or a robot file of your own: joints, limits, cameras; empty: so100"
    )
    robots: str = setting("", "fleet.launch.py: YAML file of robots, each with options of its own, which win")
    port: str = option_for("port", ArmConfig)
    calibration: str = option_for("calibration", ArmConfig, PolicyConfig, TeleopConfig)
    leader_port: str = setting("", "teleoperation: serial port of the leader arm's servo bus")
    leader_calibration: str = option_for("leader_calibration", TeleopConfig)
    cameras: str = setting(
        "",
        "cameras to start and where each comes from, such as top=/dev/video0,wrist=/dev/video2; also a "
        "folder of images, a video file, or the word rendered; a name alone leaves that to params_file",
    )
    policy: str = option_for("policy", PolicyConfig)
    policy_cameras: str = setting(
        "", "cameras the policy looks through, such as top,wrist; empty: those started"
    )
    checkpoint: str = option_for("checkpoint", PolicyConfig)
    server: str = option_for("server", PolicyConfig)
    credentials: str = option_for("credentials", PolicyConfig)
    revision: str = option_for("revision", PolicyConfig)
    dataset: str = option_for("dataset", PolicyConfig)
    stats: str = option_for("stats", PolicyConfig)
    backbone: str = option_for("backbone", PolicyConfig)
    device: str = option_for("device", PolicyConfig, when_empty="the best there is")
    dtype: str = option_for("dtype", PolicyConfig)
    units: str = option_for("units", PolicyConfig)
    mode: str = option_for("mode", ExecutorNodeConfig, when_empty="disarmed, or armed with sim:=true")
    task: str = option_for("task", ExecutorNodeConfig, RecorderConfig)
    record: bool = setting(
        False, "start the recorder of episodes too, to be driven by record_keys or its services"
    )
    output: str = option_for("output", RecorderConfig, when_empty="./episodes")
    console: str = setting(
        "",
        "serve the operator's console, a web page; empty: true with sim:=true and with a protocol",
        choices=("", *BOOLEANS),
    )
    protocol: str = option_for("protocol", ConsoleConfig)
    trials_log: str = option_for("trials_log", ConsoleConfig)
    params_file: str = setting(
        "", "YAML file with parameters of any of the nodes; arguments given here win over it"
    )
    namespace: str = setting("", "namespace of all nodes and topics, such as left_arm")
    network: str = setting(
        "",
        "who can reach the nodes: local, this computer alone; lan, everyone on its networks, without any password; "
        "ROS_AUTOMATIC_DISCOVERY_RANGE takes precedence where it is set; empty: local",
        choices=("", *RANGES),
    )
    use_sim_time: bool = setting(False, "take time from /clock, as when a bag is played")
    camera_rate_hz: float = setting(
        0.0,
        "sim: images per second of the rendered cameras; 0: as in the robot file. Two cameras at 30 need a core",
        bounds=(0.0, 240.0),
    )
    rviz: bool = setting(False, "show the arm in RViz, where it is installed")
    seed: int = setting(0, "sim: seed of the layout, of noise and of the appearance", bounds=(0, None))
    appearance: float = setting(
        0.0,
        "sim: how much light, colours, table and cameras differ from the default, by seed",
        bounds=(0.0, 1.0),
    )
    log_level: str = setting(
        "", "log level of all nodes; empty: info", choices=("", "debug", "info", "warn", "error", "fatal")
    )

    def __post_init__(self) -> None:
        try:
            check_settings(self)
        except SettingError as error:
            raise SuiteError(str(error)) from error

    @classmethod
    def from_text(cls, arguments: Mapping[str, str]) -> SuiteOptions:
        """Options from the text of launch arguments; unknown names are ignored. Raises SuiteError."""
        values: dict[str, Any] = {}
        for entry in fields(cls):
            text = arguments.get(entry.name, "")
            if isinstance(entry.default, bool):
                values[entry.name] = _boolean(entry.name, text)
            elif isinstance(entry.default, int):
                values[entry.name] = _integer(entry.name, text)
            elif isinstance(entry.default, float):
                values[entry.name] = _number(entry.name, text)
            else:
                values[entry.name] = os.path.expanduser(text.strip())
        return cls(**values)

    def parameters_of(self, config_type: type[Any]) -> dict[str, str]:
        """The parameters of a node that are set by options, by name; empty where the option is not given."""
        return {
            entry.name: getattr(self, entry.name)
            for entry in fields(self)
            if config_type in entry.metadata.get("option_for", ())
        }

    @property
    def robot_file(self) -> Path:
        return find_robot_file(self.robot)

    @property
    def absolute_namespace(self) -> str:
        return "/" + self.namespace.strip("/")


def launch_arguments(names: Collection[str] = ()) -> list[dict[str, Any]]:
    """Keyword arguments of launch's DeclareLaunchArgument for the named options; for all options without names."""
    return [
        {
            "name": entry.name,
            "default_value": str(entry.default).lower() if entry.default is False else str(entry.default),
            "description": entry.metadata["description"],
            "choices": list(BOOLEANS if entry.default is False else entry.metadata["choices"]) or None,
        }
        for entry in fields(SuiteOptions)
        if not names or entry.name in names
    ]


def argument_warnings(words: Iterable[str], known: Collection[str], file: str) -> list[str]:
    """One line for each word `name:=value` whose name is not in `known`; launch itself ignores it silently."""
    given = [word.partition(":=")[0] for word in words if ":=" in word]
    return [
        f"{file} has no argument '{name}'; it is ignored{did_you_mean(name, known)}"
        for name in given
        if name not in known and name not in ARGUMENTS_OF_LAUNCH
    ]


def parse_cameras(text: str) -> tuple[CameraOption, ...]:
    """Parse `top=/dev/video0,wrist=rendered`; raises SuiteError with the entry that is not valid."""
    cameras: list[CameraOption] = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, equals, device = (part.strip() for part in entry.partition("="))
        if not name or (equals and not device):
            raise SuiteError(
                f"cameras: '{entry}' does not have the form name=device, such as top=/dev/video0"
            )
        if any(camera.name == name for camera in cameras):
            raise SuiteError(f"cameras: '{name}' is given twice in '{text}'")
        cameras.append(_camera_option(name, os.path.expanduser(device)))
    return tuple(cameras)


def _camera_option(name: str, device: str) -> CameraOption:
    if not device or device == "rendered":
        return CameraOption(name, device)
    if device.isdecimal():
        return CameraOption(name, "usb", f"/dev/video{device}")
    if device.startswith("/dev/"):
        return CameraOption(name, "usb", device)
    if os.path.isdir(device):
        return CameraOption(name, "folder", device)
    if os.path.isfile(device):
        return CameraOption(name, "video", device)
    raise SuiteError(
        f"cameras: '{device}' of camera '{name}' is not a /dev/... path, a camera number, a video file, a "
        "folder of images or the word rendered"
    )


def _boolean(name: str, text: str) -> bool:
    if text.lower() not in ("", *BOOLEANS):
        raise SuiteError(f"{name}: '{text}' is neither true nor false")
    return text.lower() == "true"


def _integer(name: str, text: str) -> int:
    if text and not text.strip().isdecimal():
        raise SuiteError(f"{name}: '{text}' is not a whole number of 0 or more")
    return int(text or 0)


def _number(name: str, text: str) -> float:
    try:
        return float(text or 0.0)
    except ValueError:
        raise SuiteError(f"{name}: '{text}' is not a number") from None
