# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a person may choose about the suite, read as it is typed: launch arguments and the demo's options.

Which programs follow from the choice is said in programs.py. Nothing that was not given becomes a parameter, so
that a params_file keeps its say.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from smolvla_ros.policy.preflight.unit_evidence import CONFIRMABLE
from smolvla_ros.robot import did_you_mean
from smolvla_ros.settings import SettingError, check_settings, setting
from smolvla_ros.share import find_robot_file

BOOLEANS = ("true", "false")
ARGUMENTS_OF_LAUNCH = ("emulate_tty", "sigkill_timeout", "sigterm_timeout")


class SuiteError(ValueError):
    """The suite cannot be put together as asked; the message names the argument, its value and the remedy."""


@dataclass(frozen=True)
class CameraOption:
    """One camera to start. Empty `source` and `device` leave both to the parameter files."""

    name: str
    source: str = ""  # usb, video, folder or rendered
    device: str = ""


@dataclass(frozen=True)
class SuiteOptions:
    """What a person chooses. Empty means "not given": then the parameter files decide."""

    sim: bool = setting(
        False, "emulated arm and rendered cameras in place of hardware, same nodes and topics"
    )
    robot: str = setting(
        "", "so100, so101, or a robot file of your own: joints, limits, cameras; empty: so100"
    )
    port: str = setting("", "serial port of the servo bus, best as /dev/serial/by-id/...")
    calibration: str = setting("", "LeRobot calibration JSON of this arm")
    leader_port: str = setting("", "teleoperation: serial port of the leader arm's servo bus")
    leader_calibration: str = setting("", "teleoperation: LeRobot calibration JSON of the leader arm")
    cameras: str = setting(
        "",
        "cameras to start and where each comes from, such as top=/dev/video0,wrist=/dev/video2; also a "
        "folder of images, a video file, or the word rendered; a name alone leaves that to params_file",
    )
    policy: str = setting("", "which policy answers; empty: smolvla", choices=("", "smolvla", "scripted"))
    policy_cameras: str = setting(
        "", "cameras the policy looks through, such as top,wrist; empty: those started"
    )
    checkpoint: str = setting("", "SmolVLA checkpoint: a LeRobot folder (pretrained_model) or a hub id")
    revision: str = setting("", "revision of a hub id; empty: its newest")
    dataset: str = setting("", "whose statistics to take, of a checkpoint that has those of several datasets")
    stats: str = setting(
        "", "the training dataset's meta/stats.json, for statistics that the checkpoint lacks"
    )
    backbone: str = setting(
        "", "folder with the VLM's config and tokenizer; empty: what the checkpoint names"
    )
    device: str = setting("", "torch device: cpu, cuda, cuda:1, mps ...; empty: the best there is")
    dtype: str = setting(
        "",
        "number format of the model; empty: auto",
        choices=("", "auto", "float32", "bfloat16", "int8", "native"),
    )
    units: str = setting(
        "",
        "what the arm joints of the checkpoint, or the dataset, are in, if you know; empty: as the robot file says",
        choices=("", *CONFIRMABLE),
    )
    mode: str = setting(
        "",
        "what the executor starts as; empty: disarmed, or armed with sim:=true",
        choices=("", "disarmed", "shadow", "armed"),
    )
    task: str = setting("", "instruction to start with; later ones come on the topic task")
    record: bool = setting(
        False, "start the recorder of episodes too, to be driven by record_keys or its services"
    )
    output: str = setting("", "folder for recorded episodes; empty: ./episodes")
    params_file: str = setting(
        "", "YAML file with parameters of any of the nodes; arguments given here win over it"
    )
    namespace: str = setting("", "namespace of all nodes and topics, such as left_arm")
    use_sim_time: bool = setting(False, "take time from /clock, as when a bag is played")
    rviz: bool = setting(False, "show the arm in RViz, where it is installed")
    seed: int = setting(0, "sim: seed of sensor noise", minimum=0)
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
        """Options from arguments as typed; those that are no option are left out. Raises SuiteError."""
        values: dict[str, Any] = {}
        for entry in fields(cls):
            text = arguments.get(entry.name, "")
            if isinstance(entry.default, bool):
                values[entry.name] = _boolean(entry.name, text)
            elif isinstance(entry.default, int):
                values[entry.name] = _integer(entry.name, text)
            else:
                values[entry.name] = os.path.expanduser(text.strip())
        return cls(**values)

    @property
    def robot_file(self) -> Path:
        return find_robot_file(self.robot)

    @property
    def absolute_namespace(self) -> str:
        return "/" + self.namespace.strip("/")


def launch_arguments(names: Collection[str] = ()) -> list[dict[str, Any]]:
    """Keyword arguments of launch's DeclareLaunchArgument for these options; without names for all of them."""
    return [
        {
            "name": entry.name,
            "default_value": str(entry.default).lower()
            if isinstance(entry.default, bool)
            else str(entry.default),
            "description": entry.metadata["description"],
            "choices": list(BOOLEANS if isinstance(entry.default, bool) else entry.metadata["choices"])
            or None,
        }
        for entry in fields(SuiteOptions)
        if not names or entry.name in names
    ]


def argument_warnings(words: Iterable[str], known: Collection[str], file: str) -> list[str]:
    """One line for each word `name:=value` whose name a launch file does not declare: launch ignores it in silence."""
    given = [word.partition(":=")[0] for word in words if ":=" in word]
    return [
        f"{file} has no argument '{name}'; it is ignored{did_you_mean(name, known)}"
        for name in given
        if name not in known and name not in ARGUMENTS_OF_LAUNCH
    ]


def parse_cameras(text: str) -> tuple[CameraOption, ...]:
    """`top=/dev/video0,wrist=rendered` -> cameras; raises SuiteError naming the entry that cannot be read."""
    cameras: list[CameraOption] = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, equals, device = (part.strip() for part in entry.partition("="))
        if not name or (equals and not device):
            raise SuiteError(f"cameras: '{entry}' is not of the form name=device, such as top=/dev/video0")
        if any(camera.name == name for camera in cameras):
            raise SuiteError(f"cameras: '{name}' stands twice in '{text}'")
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
        f"cameras: '{device}' of camera '{name}' is no /dev/... path, camera number, video file, folder of "
        "images, or the word rendered"
    )


def _boolean(name: str, text: str) -> bool:
    if text.lower() not in ("", *BOOLEANS):
        raise SuiteError(f"{name}: '{text}' is neither true nor false")
    return text.lower() == "true"


def _integer(name: str, text: str) -> int:
    if text and not text.strip().isdecimal():
        raise SuiteError(f"{name}: '{text}' is no whole number from 0 up")
    return int(text or 0)
