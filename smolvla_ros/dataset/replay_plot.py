# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plot the recorded commands of each joint and the chunks that a policy predicts for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")  # no display
from matplotlib import pyplot

from smolvla_ros.dataset.replay import RecordedCommands, ReplayedChunk
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import RobotSpec

MAX_CHUNKS = 12  # more would hide the recorded commands


def save_replay_plot(
    path: Path, chunks: Sequence[ReplayedChunk], commands: RecordedCommands, robot: RobotSpec, title: str
) -> None:
    """Save the plot, one row for each joint, in degrees; raises OSError."""
    figure, rows = pyplot.subplots(
        len(robot.joints), 1, sharex=True, squeeze=False, figsize=(12, 11), layout="constrained"
    )
    figure.suptitle(title)
    start_ns = int(commands.stamps_ns[0])
    plotted = chunks[:: max(1, -(-len(chunks) // MAX_CHUNKS))]
    for index, (joint, [axes]) in enumerate(zip(robot.joints, rows)):
        times_s = (commands.stamps_ns - start_ns) / NANOSECONDS
        degrees = np.degrees(commands.positions_rad[:, index])
        axes.plot(times_s, degrees, color="black", linewidth=1, label="recorded")
        for number, chunk in enumerate(plotted):
            times_s = (chunk.times_ns - start_ns) / NANOSECONDS
            label = "predicted" if number == 0 else None
            axes.plot(times_s, np.degrees(chunk.predicted_rad[:, index]), linewidth=1, alpha=0.8, label=label)
        axes.set_ylabel(joint.name, fontsize=8)
    rows[0][0].legend(fontsize=8)
    rows[-1][0].set_xlabel("s")
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
