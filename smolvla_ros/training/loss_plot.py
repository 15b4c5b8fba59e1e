# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A picture of a run's losses and learning rate."""

from __future__ import annotations

from pathlib import Path

from smolvla_ros.training.training_log import read_log

PICTURE = "loss.png"


def plot_losses(folder: Path) -> Path | None:
    """Draw the log of the run in `folder`; returns the picture, or None if there is nothing to draw."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = read_log(folder)
    if not lines:
        return None
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, label in (("loss", "training"), ("validation_loss", "held-out episodes")):
        points = [(line["step"], line[name]) for line in lines if name in line]
        if points:
            axes.plot(*zip(*points), label=label, linewidth=1.2)
    axes.set(xlabel="update", ylabel="loss", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right")
    rate = axes.twinx()
    rates = [(line["step"], line["lr"]) for line in lines if "lr" in line]
    if rates:
        rate.plot(*zip(*rates), color="0.6", linewidth=1.0, linestyle=":")
    rate.set_ylabel("learning rate (dotted)")
    figure.savefig(folder / PICTURE, dpi=120)
    return folder / PICTURE
