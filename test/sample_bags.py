# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Short recordings of a known motion, which tests modify; their messages serve the benchmarks too.

Tests import this file as part of their package, programs that they start and benchmarks from the folder test/.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from smolvla_ros.dataset.alignment import AlignmentSettings
from smolvla_ros.dataset.bag import BagWriter
from smolvla_ros.dataset.conversion import Conversion
from smolvla_ros.image import encode_jpeg
from smolvla_ros.robot import RobotSpec
from smolvla_ros.units import load_calibration

CONFIG = Path(__file__).parents[1] / "config"
ROBOT = RobotSpec.load(CONFIG / "so100.yaml")
CALIBRATION = load_calibration(CONFIG / "emulated_calibration.json")
START_NS = 1_700_000_000_123_456_789
RAD_PER_S = 0.2  # speed of all joints in a recording, so that a position determines its time
LAG_NS = 4_000_000  # from the stamp to the arrival

Entry = tuple[str, Any, int]  # topic, message, receive_ns
Edit = Callable[[BagWriter, list[Entry]], list[Entry]]


def positions(seconds: float) -> np.ndarray[Any, Any]:
    """Positions (joints,) rad at this time of a recording."""
    return np.array([joint.middle_rad for joint in ROBOT.joints]) + RAD_PER_S * seconds


def header(bag: BagWriter, stamp_ns: int) -> Any:
    sec, nanosec = divmod(stamp_ns, 10**9)
    stamp = bag.message("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
    return bag.message("std_msgs/msg/Header", stamp=stamp, frame_id="")


def joint_state(bag: BagWriter, stamp_ns: int, values: Any) -> Any:
    none = np.zeros(0)
    return bag.message(
        "sensor_msgs/msg/JointState",
        header=header(bag, stamp_ns),
        name=list(ROBOT.joint_names),
        position=np.asarray(values, np.float64),
        velocity=none,
        effort=none,
    )


def jpeg_image(bag: BagWriter, stamp_ns: int, jpeg: bytes) -> Any:
    data = np.frombuffer(jpeg, np.uint8)
    return bag.message(
        "sensor_msgs/msg/CompressedImage", header=header(bag, stamp_ns), format="jpeg", data=data
    )


def image(bag: BagWriter, stamp_ns: int, grey: Any, size: tuple[int, int] = (24, 32)) -> Any:
    """A compressed image of one grey level, or of given pixels (height, width, 3)."""
    return jpeg_image(bag, stamp_ns, encode_jpeg(np.zeros((*size, 3), np.uint8) + np.uint8(grey)))


def record(
    path: Path,
    seconds: float = 1.0,
    cameras: dict[str, float] | None = None,
    task: str = "Pick up the red cube",
    edit: Edit | None = None,
    joints_hz: int = 50,
) -> Path:
    """A bag of `seconds`; image k of a camera has grey level k, actions are 0.1 s ahead of states."""
    with BagWriter(path) as bag:
        entries: list[Entry] = [
            ("/active_task", bag.message("std_msgs/msg/String", data=task), START_NS - 10**7)
        ]
        for camera, rate_hz in (cameras or {"top": 30.0, "wrist": 30.0}).items():
            for k in range(int(seconds * rate_hz) + 1):
                stamp = START_NS + int(k * 1e9 / rate_hz)
                entries.append(
                    (f"/{camera}/image_raw/compressed", image(bag, stamp, k % 256), stamp + LAG_NS)
                )
        for k in range(int(seconds * joints_hz) + 1):
            stamp = START_NS + int(k * 1e9 / joints_hz)
            state, action = positions(k / joints_hz), positions(k / joints_hz + 0.1)
            entries.append(("/joint_states", joint_state(bag, stamp, state), stamp + LAG_NS))
            entries.append(("/joint_commands", joint_state(bag, stamp, action), stamp + LAG_NS))
        for topic, message, receive_ns in sorted(
            edit(bag, entries) if edit else entries, key=lambda entry: entry[2]
        ):
            bag.write(topic, message, receive_ns)
    return path


def conversion(bags: list[Path], output: Path, fps: int = 30, **changes: Any) -> Conversion:
    alignment = changes.pop("alignment", AlignmentSettings(fps))
    work = Conversion(tuple(bags), output, ROBOT, alignment, CALIBRATION)
    return replace(work, **changes)


def run(work: Conversion, append: bool = False) -> Any:
    """Run all steps of a conversion in this process."""
    if work.prepare(append):
        every = range(len(work.bags))
        for index in every:
            work.align_bag(index)
        pieces = work.pieces(every)
        for piece, camera in work.pending_videos(pieces):
            work.encode_video(piece, camera)
        return work.write_dataset(pieces)
    return None
