# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plots of a demo run: joint positions over time with the times of chunks, and the last camera images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")  # no display
from matplotlib import pyplot

from smolvla_ros.arrays import ImageArray
from smolvla_ros.demo.observed_run import ObservedRun
from smolvla_ros.observation import NANOSECONDS


def save_joints(run: ObservedRun, start_ns: int, path: Path) -> None:
    """One row a joint: commanded and measured position in degrees, a vertical line for each chunk."""
    figure = pyplot.figure(figsize=(11, 11), layout="constrained")
    _draw_joints(figure, run, start_ns)
    _save(figure, path)


def save_overview(run: ObservedRun, images: Mapping[str, ImageArray], start_ns: int, path: Path) -> None:
    """The cameras' last images above the joint plots."""
    figure = pyplot.figure(figsize=(11, 10), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(2, 3))
    for axes, (camera, image) in zip(above.subplots(1, len(images), squeeze=False)[0], images.items()):
        axes.imshow(image)
        axes.set_title(camera)
        axes.axis("off")
    _draw_joints(below, run, start_ns)
    _save(figure, path)


def save_image(image: ImageArray, path: Path) -> None:
    pyplot.imsave(path, image)


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def _draw_joints(figure: Any, run: ObservedRun, start_ns: int) -> None:
    rows = figure.subplots(len(run.joint_names), 1, sharex=True, squeeze=False)[:, 0]
    for index, (axes, name) in enumerate(zip(rows, run.joint_names)):
        for chunk in run.chunks:
            at_s = (chunk.published_ns - start_ns) / NANOSECONDS
            axes.axvline(at_s, color="0.85", linewidth=0.8, zorder=0)
        for trace, label, color in ((run.commanded, "commanded", "C1"), (run.measured, "measured", "C0")):
            times_s = (np.asarray(trace.stamps_ns, np.int64) - start_ns) / NANOSECONDS
            positions_deg = np.degrees(trace.positions_rad[:, index])
            axes.plot(times_s, positions_deg, label=label, color=color, linewidth=1.0)
        axes.set_ylabel(f"{name}\n(deg)", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.margins(x=0.01)
    rows[0].plot([], color="0.85", label="new chunk")
    rows[0].legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, fontsize=8, frameon=False)
    rows[-1].set_xlabel("time (s)", fontsize=8)
