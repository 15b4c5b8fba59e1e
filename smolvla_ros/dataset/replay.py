# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compare the chunks that a policy predicts for recorded observations with the commands that were recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smolvla_ros.arrays import FloatArray, IntArray
from smolvla_ros.dataset.bag import Bag
from smolvla_ros.dataset.bag_topics import JOINT_STATE, check_type
from smolvla_ros.dataset.errors import BagError
from smolvla_ros.robot import RobotSpec
from smolvla_ros.text_table import align_columns
from smolvla_ros.wire import joints_from_msg


@dataclass(frozen=True, eq=False)
class RecordedCommands:
    """Recorded commands in order of their stamps: stamps (n,) ns and positions (n, joints) rad."""

    stamps_ns: IntArray
    positions_rad: FloatArray

    @classmethod
    def read(cls, bag: Bag, topic: str, joint_names: tuple[str, ...]) -> RecordedCommands:
        """The commands (JointState) of a bag; raises BagError, EpisodeError, WireError."""
        name = bag.require(topic)
        check_type(bag, name, "the commands", (JOINT_STATE,))
        commands = [joints_from_msg(message.decode(), joint_names) for message in bag.messages([name])]
        if not commands:
            raise BagError(f"bag '{bag.path}': {name} has no messages")
        stamps_ns = np.array([joints.stamp_ns for joints in commands], np.int64)
        order = np.argsort(stamps_ns, kind="stable")
        return cls(stamps_ns[order], np.stack([joints.positions_rad for joints in commands])[order])

    def at(self, times_ns: IntArray) -> FloatArray:
        """The newest command at each time, (times, joints) rad; NaN before the first and after the last command."""
        newest = np.searchsorted(self.stamps_ns, times_ns, side="right") - 1
        rows = self.positions_rad[np.maximum(newest, 0)].copy()
        rows[(newest < 0) | (times_ns > self.stamps_ns[-1])] = np.nan
        return np.asarray(rows)


@dataclass(frozen=True, eq=False)
class ReplayedChunk:
    """A predicted chunk and the commands recorded for the same times: (steps,) ns and (steps, joints) rad."""

    times_ns: IntArray
    predicted_rad: FloatArray
    recorded_rad: FloatArray  # NaN where there is no command
    inference_s: float

    @property
    def errors_rad(self) -> FloatArray:
        return np.abs(self.predicted_rad - self.recorded_rad)


def comparison_lines(chunks: Sequence[ReplayedChunk], robot: RobotSpec) -> list[str]:
    """A table of each joint's errors, over the chunks and at their first action, and a line with the latency."""
    errors = np.concatenate([chunk.errors_rad for chunk in chunks])
    first = np.stack([chunk.errors_rad[0] for chunk in chunks])
    compared = errors[~np.isnan(errors).any(axis=1)]
    if not len(compared):
        return ["no commands were recorded for the times of the chunks"]
    rows = [("joint", "mean (rad)", "95 % (rad)", "first action (rad)")]
    columns = {joint.name: (compared[:, index], first[:, index]) for index, joint in enumerate(robot.joints)}
    for name, (values, firsts) in {**columns, "all": (compared, first)}.items():
        at_first = f"{np.nanmean(firsts):.4f}" if not np.isnan(firsts).all() else "-"
        rows.append((name, f"{values.mean():.4f}", f"{np.percentile(values, 95):.4f}", at_first))
    p50_s, p95_s = np.percentile([chunk.inference_s for chunk in chunks], [50, 95])
    return [
        *align_columns(rows, numbers=True),
        f"{len(chunks)} chunks, {len(compared)} actions compared; inference p50 {p50_s:.3f} s, p95 {p95_s:.3f} s",
    ]
