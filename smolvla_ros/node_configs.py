# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of every node, as dataclasses that need no ROS.

The nodes declare them (`nodes/parameters.py`), launch arguments are made of them (`suite/options.py`), and the files
in config/ are checked against them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from smolvla_ros.arm.command_admission import CommandLimits
from smolvla_ros.console.server_config import ServerConfig
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.execution.teleoperation import TeleoperationConfig
from smolvla_ros.image import JPEG_QUALITY
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.settings import SettingError, Settings, setting


@dataclass(frozen=True)
class CameraConfig(Settings):
    """Parameters of a camera node."""

    robot: str = setting("", "robot file (config/so100.yaml): the camera's size, rate and frame")
    camera: str = setting("", "name of this camera in the robot file, such as top or wrist")
    source: str = setting("usb", "where the images come from", choices=("usb", "video", "folder", "rendered"))
    device: str = setting(
        "",
        "usb: /dev/v4l/by-id/... or /dev/video0; video: a file; folder: a folder of images; rendered: nothing",
    )
    rate_hz: float = setting(
        0.0,
        "frames per second; 0: the robot file's rate, for a video the rate of the file",
        bounds=(0.0, 240.0),
    )
    jpeg_quality: int = setting(JPEG_QUALITY, "quality of image_raw/compressed", bounds=(1, 100), live=True)
    seed: int = setting(0, "rendered: seed of the sensor noise and of the appearance", bounds=(0, None))
    appearance: float = setting(
        0.0,
        "rendered, simulated world: how much light, colours, table and cameras differ from the default, by seed",
        bounds=(0.0, 1.0),
    )


@dataclass(frozen=True)
class ServoThresholds(Settings):
    """Limits of a servo's state for a warning and for an error."""

    temperature_warn_c: float = setting(
        50.0, "servo temperature for a warning", bounds=(0.0, 100.0), live=True
    )
    temperature_derate_c: float = setting(
        55.0,
        "above this temperature a servo gets less torque, down to half of it at temperature_stop_c",
        bounds=(0.0, 100.0),
    )
    temperature_stop_c: float = setting(
        65.0,
        "above this temperature the arm holds and refuses commands, until all servos are below temperature_derate_c; "
        "the servo itself switches its torque off at 70",
        bounds=(0.0, 100.0),
    )
    voltage_warn_v: float = setting(
        4.8,
        "supply voltage below which there is a warning; 10.5 for 12 V servos",
        bounds=(0.0, 30.0),
        live=True,
    )
    voltage_error_v: float = setting(
        4.3,
        "supply voltage below which there is an error; 9.5 for 12 V servos",
        bounds=(0.0, 30.0),
        live=True,
    )
    current_warn_a: float = setting(1.5, "current of one servo for a warning", bounds=(0.0, 10.0), live=True)
    current_error_a: float = setting(2.5, "current of one servo for an error", bounds=(0.0, 10.0), live=True)
    load_warn: float = setting(
        0.8,
        "share of full drive for a warning; most servos report overload at 0.8",
        bounds=(0.0, 1.1),
        live=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.temperature_derate_c < self.temperature_stop_c:
            raise SettingError(
                f"temperature_derate_c: {self.temperature_derate_c} must be below temperature_stop_c: "
                f"{self.temperature_stop_c}"
            )


@dataclass(frozen=True)
class ArmConfig(CommandLimits, ServoThresholds):
    """Parameters of the arm node."""

    robot: str = setting("", "robot file (config/so100.yaml): joints, servo ids, directions, limits")
    port: str = setting("", "serial port of the servo bus, best as /dev/serial/by-id/...")
    baudrate: int = setting(1_000_000, "baud rate of the servo bus", bounds=(9600, 1_000_000))
    calibration: str = setting("", "LeRobot calibration JSON of this arm")
    rate_hz: float = setting(50.0, "joint states per second", bounds=(1.0, 200.0))
    retries: int = setting(
        3, "how often a read is repeated before a servo counts as not answering", bounds=(0, 20)
    )
    role: str = setting(
        "follower",
        "a follower obeys joint commands, a leader is moved by hand and only read",
        choices=("follower", "leader"),
    )
    torque: bool = setting(
        True, "torque while the node is active; false: the arm is limp and can be moved by hand", live=True
    )
    max_step_rad: float = setting(
        0.5, "largest distance between a joint's goal and its measured position", bounds=(0.01, 2 * math.pi)
    )
    gripper_max_torque: float = setting(
        0.5, "torque limit of the gripper as a share of its full torque", bounds=(0.05, 1.0)
    )
    gripper_max_current_a: float = setting(
        1.625, "current above which the gripper's servo switches its torque off", bounds=(0.1, 3.2)
    )
    on_deactivate: str = setting(
        "hold",
        "when the node stops: hold the pose with torque on, release the torque (the arm may fall), or move to "
        "rest_pose_rad and release it there",
        choices=("hold", "release", "rest_pose"),
        live=True,
    )
    rest_pose_rad: tuple[float, ...] = setting(
        (0.0, 0.15, -0.15, 0.7, 0.0, 0.2),
        "pose in which the arm does not fall without torque, in the order of the robot file",
    )
    rest_speed_rad_s: float = setting(0.8, "speed on the way to rest_pose_rad", bounds=(0.05, 3.0), live=True)

    @property
    def holds(self) -> bool:
        """Whether torque is on: the arm holds its pose and obeys commands."""
        return self.torque and self.role == "follower"


@dataclass(frozen=True)
class ExecutorNodeConfig(ExecutorConfig):
    """Parameters of the executor node."""

    robot: str = setting("", "robot file (config/so100.yaml): joints and their limits")
    task: str = setting("", "instruction to start with; later ones come on the topic task")
    publish_joint_trajectory: bool = setting(
        False, "publish each command on `joint_trajectory` too, for joint_trajectory_controller"
    )
    publish_position_commands: bool = setting(
        False, "publish each command on `position_commands` too, for forward_command_controller"
    )
    realtime_priority: int = setting(
        0,
        "priority of the control loop (SCHED_FIFO, 1 .. 99), if the system permits it; 0: normal scheduling",
        bounds=(0, 99),
    )


@dataclass(frozen=True)
class RecorderConfig(Settings):
    """Parameters of the recorder node."""

    robot: str = setting("", "robot file (config/so100.yaml): names of the cameras")
    output: str = setting("episodes", "folder for recorded episodes")
    topics: tuple[str, ...] = setting((), "topics to record; empty: all topics of the suite")
    image_transport: str = setting(
        "compressed",
        "which images to record if `topics` is empty",
        choices=("compressed", "raw", "both"),
    )
    task: str = setting(
        "", "instruction of the episodes; empty: the newest one on task or active_task", live=True
    )
    flush_s: float = setting(
        0.5,
        "period of writing to disk: a crash loses at most the messages of this time (s)",
        bounds=(0.05, 60.0),
    )
    min_free_mb: float = setting(
        500.0, "stop the episode when less disk space is free (MB)", bounds=(0.0, 1e9)
    )
    max_queue_mb: float = setting(
        500.0, "memory for messages that wait to be written (MB); further ones are dropped", bounds=(1.0, 1e6)
    )


@dataclass(frozen=True)
class TeleopConfig(TeleoperationConfig):
    """Parameters of the teleop node."""

    robot: str = setting("", "robot file (config/so100.yaml) of both arms: joints, limits and units")
    calibration: str = setting("", "LeRobot calibration JSON of the follower")
    leader_calibration: str = setting("", "teleoperation: LeRobot calibration JSON of the leader arm")


@dataclass(frozen=True)
class ConsoleConfig(ServerConfig):
    """Parameters of the console node."""

    robot: str = setting("", "robot file (config/so100.yaml): names of joints and cameras")
    suggestions: tuple[str, ...] = setting((), "instructions that the page offers")
    suggestions_dataset: str = setting(
        "", "folder of a LeRobot dataset, whose tasks the page offers too; empty: none"
    )
    protocol: str = setting(
        "", "trials that a person judges on the console (YAML, config/protocol_example.yaml); empty: none"
    )
    trials_log: str = setting(
        "trials.jsonl", "file to which their outcomes are added, and from which a protocol continues (JSONL)"
    )


@dataclass(frozen=True)
class WorldConfig(Settings):
    """Parameters of the simulated world."""

    robot: str = setting("", "robot file (config/so100.yaml): joints, servo ids, URDF")
    calibration: str = setting("", "LeRobot calibration JSON that the servos hold")
    port: str = setting("", "symbolic link to the servo bus, for the arm node; empty: none")
    layout: str = setting(
        "pick_place",
        "the task for which objects are put on the table",
        choices=("touch", "pick_up", "pick_place", "stack", "sort", "choose_box", "put_aside"),
    )
    seed: int = setting(0, "seed of the layout, the servos' noise and the appearance", bounds=(0, None))
    appearance: float = setting(0.0, "how much the colours of objects differ, by seed", bounds=(0.0, 1.0))
    objects_rate_hz: float = setting(30.0, "scene/objects per second", bounds=(1.0, 120.0))


NODE_CONFIGS: dict[str, type[Any]] = {
    "camera": CameraConfig,
    "arm": ArmConfig,
    "policy": PolicyConfig,
    "executor": ExecutorNodeConfig,
    "recorder": RecorderConfig,
    "teleop": TeleopConfig,
    "console": ConsoleConfig,
    "simulated_world": WorldConfig,
}  # by name of the node
