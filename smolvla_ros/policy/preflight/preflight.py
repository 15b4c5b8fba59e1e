# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checks whether a checkpoint fits a robot, before anything moves.

The checkpoint's expectations are compared with the robot file, the calibration and, if given, the topics and the pose
of the arm. The result is a report with facts, for display, and findings. Needs no torch and no weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy.typing as npt

from smolvla_ros.feature_statistics import MODE_STATISTICS, FeatureStatistics
from smolvla_ros.finding import Finding, Report
from smolvla_ros.image import fitted_size
from smolvla_ros.policy.preflight.camera_names import match_cameras, match_topics
from smolvla_ros.policy.preflight.pose import DEFAULT_MAX_SIGMA, check_pose, compare_pose
from smolvla_ros.policy.preflight.unit_evidence import check_units, with_units
from smolvla_ros.robot import RobotSpec, RobotSpecError
from smolvla_ros.text_table import align_columns
from smolvla_ros.units import UNIT_TEXT, MotorCalibration

if TYPE_CHECKING:
    from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec

UNMOVED = 1e-3  # LeRobot units; a smaller spread is less than a servo's tick (0.09 degrees)
RATE_TOLERANCE = 1.05
PLAUSIBLE_FPS = (2.0, 250.0)  # of robot data; other values are not compared
SHOWN_STATISTICS = ("mean", "std", "min", "max")


@dataclass(frozen=True)
class Expectations:
    """What a checkpoint expects of a robot."""

    name: str
    image_keys: tuple[str, ...]  # short names, in the order in which the network sees them
    image_size: int  # side of the square that images are fitted into, pixels
    state_dim: int
    action_dim: int
    chunk_size: int
    state: FeatureStatistics
    action: FeatureStatistics
    tokenizer: str
    fps: float | None = None  # of the training data; None: the checkpoint does not say
    renames: Mapping[str, str] = field(default_factory=dict)  # short image name -> image key

    def action_rate_hz(self, robot: RobotSpec) -> float:
        """Actions per second: of the training data if the checkpoint tells, else of the robot file."""
        if self.fps is None or not PLAUSIBLE_FPS[0] <= self.fps <= PLAUSIBLE_FPS[1]:
            return robot.rate_hz
        is_equal = 1 / RATE_TOLERANCE <= robot.rate_hz / self.fps <= RATE_TOLERANCE
        return robot.rate_hz if is_equal else self.fps

    @classmethod
    def of(cls, spec: CheckpointSpec) -> Expectations:
        from smolvla_ros.policy.checkpoint.config import short_name  # imported here: it imports torch

        config, processors = spec.config, spec.processors
        return cls(
            name=spec.name,
            image_keys=config.cameras,
            image_size=config.image_size,
            state_dim=config.state_dim,
            action_dim=config.action_dim,
            chunk_size=config.chunk_size,
            state=processors.state_statistics,
            action=processors.action_statistics,
            tokenizer=spec.tokenizer_name,
            fps=spec.fps,
            renames={short_name(old): short_name(new) for old, new in processors.rename.items()},
        )


@dataclass(frozen=True)
class RobotSetup:
    """The robot and its configuration. Empty or None: unknown, not compared."""

    robot: RobotSpec
    calibration: Mapping[str, MotorCalibration] | None = None
    cameras: Sequence[str] = ()  # chosen by name; empty: one for each image
    units: str = ""  # confirmed by a person for the arm's joints: one of CONFIRMABLE
    topics: Mapping[str, str] = field(default_factory=dict)  # camera or image key -> image topic
    positions_rad: npt.ArrayLike | None = None  # (joints,), in the robot's order
    max_pose_sigma: float = DEFAULT_MAX_SIGMA


def preflight(expected: Expectations, setup: RobotSetup) -> Report:
    """Compare a checkpoint with a robot; raises RobotSpecError for a chosen camera that the robot file lacks."""
    robot = with_units(setup.robot, setup.units)
    match = match_cameras(expected.name, expected.image_keys, robot, setup.cameras, expected.renames)
    feeds = match_topics(match.image_keys, robot, setup.topics)
    facts = {
        "checkpoint": (
            f"{expected.name}: {expected.state_dim} state and {expected.action_dim} action values, "
            f"chunks of {expected.chunk_size}",
        ),
        "cameras": _cameras(expected, robot, match.image_keys, feeds.topics),
        "state": _statistics(expected.state, robot),
        "action": _statistics(expected.action, robot),
        "units": _units(robot, setup),
        "rate": (_rate(expected, robot),),
        "tokenizer": (expected.tokenizer,),
    }
    found: list[Finding | None] = [match.finding or feeds.finding]
    of_dimensions = check_dimensions(expected.name, expected.state_dim, expected.action_dim, robot)
    of_calibration = _check_calibration(setup)
    found += [of_dimensions, of_calibration]
    if not of_dimensions:
        calibration = setup.calibration if not of_calibration else None
        statistics = {"state": expected.state.values, "action": expected.action.values}
        of_spread = [
            _check_spread("state", expected.state, robot),
            _check_spread("action", expected.action, robot),
        ]
        found += of_spread
        found.append(check_units(robot, calibration, statistics, confirmed=bool(setup.units)))
        if setup.positions_rad is not None:
            facts["pose"] = _pose(robot, calibration, expected, setup.positions_rad)
            found.append(
                check_pose(
                    robot, calibration, expected.state.values, setup.positions_rad, setup.max_pose_sigma
                )
            )
    findings = [finding for finding in found if finding]
    return Report(facts, tuple(sorted(findings, key=lambda finding: finding.severity)))  # errors first


def check_dimensions(checkpoint: str, state_dim: int, action_dim: int, robot: RobotSpec) -> Finding | None:
    """A finding unless state and action have one value for each joint."""
    joints = len(robot.joints)
    if state_dim == action_dim == joints:
        return None
    return Finding(
        "error",
        "dimensions",
        f"checkpoint '{checkpoint}' has {state_dim} state and {action_dim} action values, robot '{robot.name}' has "
        f"{joints} joints",
        "Take a checkpoint trained on this arm, or its robot file",
    )


def _check_calibration(setup: RobotSetup) -> Finding | None:
    try:
        setup.robot.units(setup.calibration)
    except RobotSpecError as error:
        return Finding("error", "calibration", str(error))
    return None


def _check_spread(feature: str, statistics: FeatureStatistics, robot: RobotSpec) -> Finding | None:
    """A finding for joints without spread: values are divided by it."""
    first, *names = MODE_STATISTICS[statistics.mode] or ("",)
    if not names:
        return None
    spread = statistics.values[names[0]]
    if names != ["std"]:
        names, spread = [first, *names], spread - statistics.values[first]
    still = [joint.name for joint, value in zip(robot.joints, spread.tolist()) if value < UNMOVED]
    if not still:
        return None
    consequence = (
        "there any other position becomes a huge number"
        if feature == "state"
        else "the policy will not move it"
    )
    return Finding(
        "error" if feature == "state" else "warning",
        "statistics",
        f"{', '.join(still)} did not move in the data ({feature} {' to '.join(names)} without spread): {consequence}",
        f"From {statistics.source}: check that they are of this arm's data, and train on data in which it moves",
    )


# Facts


def _cameras(
    expected: Expectations, robot: RobotSpec, image_keys: Mapping[str, str], topics: Mapping[str, str]
) -> tuple[str, ...]:
    cameras = {key: robot.camera(name) for name, key in image_keys.items()}
    rows = []
    for number, key in enumerate(expected.image_keys, 1):
        camera = cameras.get(key)
        row = [f"{number}.", key, "<-"]
        if camera is None:
            rows.append([*row, "nothing", "", ""])
            continue
        size = fitted_size(camera.width, camera.height, expected.image_size, expected.image_size)
        square = f"{expected.image_size}x{expected.image_size}"
        fitted = f"{camera.width}x{camera.height} becomes {size[0]}x{size[1]} of {square}"
        rows.append([*row, camera.name, topics[camera.name], fitted])
    renamed = tuple(f"its own rename: {old} -> {new}" for old, new in expected.renames.items())
    return (*align_columns(rows), *renamed)


def _statistics(statistics: FeatureStatistics, robot: RobotSpec) -> tuple[str, ...]:
    shown = [name for name in SHOWN_STATISTICS if name in statistics.values]
    head = (
        f"{statistics.mode}, {statistics.source}"
        if statistics.values
        else f"{statistics.mode}: {statistics.source}"
    )
    columns = [statistics.values[name].tolist() for name in shown]
    names = robot.joint_names if columns and len(columns[0]) == len(robot.joints) else map(str, range(99))
    rows = (
        [[name, *(f"{value:.4g}" for value in values)] for name, *values in zip(names, *columns)]
        if columns
        else []
    )
    return (head, *align_columns([["", *shown], *rows], numbers=True)) if rows else (head,)


def _units(robot: RobotSpec, setup: RobotSetup) -> tuple[str, ...]:
    words = {joint.name: UNIT_TEXT[joint.unit] for joint in robot.joints}
    usual = max(words.values(), key=list(words.values()).count)
    said = ", ".join([usual, *(f"{name} {word}" for name, word in words.items() if word != usual)])
    source = f"confirmed by units:={setup.units}" if setup.units else "as the robot file says"
    reach = "the calibration" if setup.calibration else "the URDF (no calibration given)"
    needs = [joint.name for joint in robot.joints if joint.unit != "degrees"]
    lines = [f"{said} ({source})", f"the joints' reach is that of {reach}"]
    if needs and not setup.calibration:
        lines.append(f"the policy node needs the calibration for {', '.join(needs)}")
    return tuple(lines)


def _rate(expected: Expectations, robot: RobotSpec) -> str:
    if expected.fps is None:
        data = "the checkpoint does not say that of its data"
    elif not PLAUSIBLE_FPS[0] <= expected.fps <= PLAUSIBLE_FPS[1]:
        data = f"its statistics make it {expected.fps:.4g} frames per second for the data, which is not used"
    else:
        data = f"the data have {expected.fps:.4g} frames per second, the robot file says {robot.rate_hz:.4g}"
    return f"{expected.action_rate_hz(robot):.4g} actions per second; {data}"


def _pose(
    robot: RobotSpec,
    calibration: Mapping[str, MotorCalibration] | None,
    expected: Expectations,
    positions_rad: npt.ArrayLike,
) -> tuple[str, ...]:
    poses = compare_pose(robot, calibration, expected.state.values, positions_rad)
    left_out = sorted(set(robot.joint_names) - {pose.name for pose in poses}, key=robot.joint_names.index)
    rows = [[p.name, f"{p.value:.1f}", p.unit, f"{p.sigma:.1f} sigma"] for p in poses]
    return (
        *align_columns(rows, numbers=True),
        *([f"not compared: {', '.join(left_out)}"] if left_out else []),
    )
