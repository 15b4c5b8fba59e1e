# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report on recorded episodes as one HTML page, its plots inside."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")  # no display
from matplotlib import pyplot

from smolvla_ros.dataset.checks import Defect, lag, skew_s
from smolvla_ros.dataset.inspection import InspectedEpisode
from smolvla_ros.robot import RobotSpec

DRAWN = 4  # episodes whose joints are drawn
STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:62em;margin:2em auto;padding:0 1em}"
    "td,th{padding:.2em 1em .2em 0;text-align:left;vertical-align:top}"
    "img{max-width:100%}.error{color:#b00020}.warning{color:#8a5a00}"
)


def save_page(
    path: Path,
    name: str,
    episodes: Sequence[InspectedEpisode],
    defects: Sequence[Defect],
    measured: Iterable[tuple[str, str]],
    robot: RobotSpec,
) -> None:
    """Write the page; raises OSError."""
    rows = "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in measured)
    found = "".join(
        f"<tr><td class={defect.severity}>{defect.severity}</td><td><b>{escape(defect.check)}</b><br>"
        f"{escape(defect.where)}</td><td>{escape(defect.message)}.<br><i>{escape(defect.remedy)}</i></td></tr>"
        for defect in defects
    )
    figures = [_timing(episodes), *(_joints(episode, robot) for episode in episodes[:DRAWN])]
    images = "".join(f'<img alt="plot" src="data:image/png;base64,{_png(figure)}">' for figure in figures)
    path.write_text(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(name)}</title><style>{STYLE}</style>"
        f"<h1>{escape(name)}</h1><table>{rows}</table><h2>{len(defects)} defects</h2>"
        f"<table>{found}</table><h2>Plots</h2>{images}</html>\n",
        encoding="utf-8",
    )


def _timing(episodes: Sequence[InspectedEpisode]) -> Any:
    """Intervals of every stream, skew between the streams, lag of the state behind the action."""
    figure, (steps, skews, lags) = pyplot.subplots(1, 3, figsize=(13, 3.5), layout="constrained")
    streams: dict[str, list[Any]] = {}
    for episode in episodes:
        streams.setdefault("state", []).append(np.diff(episode.state.times_s))
        for name, camera in episode.cameras.items():
            streams.setdefault(name, []).append(np.diff(camera.times_s))
    for name, parts in streams.items():
        steps.hist(np.concatenate(parts) * 1e3, bins=50, histtype="step", label=name)
    steps.set(title="intervals", xlabel="ms", yscale="log")
    steps.legend()
    skews.hist(np.concatenate([skew_s(episode) for episode in episodes]) * 1e3, bins=50)
    skews.set(title="skew within an observation", xlabel="ms")
    lags.hist([found.seconds * 1e3 for episode in episodes if (found := lag(episode))], bins=20)
    lags.set(title="state behind action", xlabel="ms")
    return figure


def _joints(episode: InspectedEpisode, robot: RobotSpec) -> Any:
    """State and action of one episode, degrees from the middle; images that repeat the one before as marks."""
    figure, rows = pyplot.subplots(
        len(robot.joints), 1, sharex=True, figsize=(13, 10), layout="constrained", squeeze=False
    )
    figure.suptitle(f"{episode.name}: {', '.join(episode.tasks) or 'no task'}")
    for index, (joint, [axes]) in enumerate(zip(robot.joints, rows)):
        for label, motion in (("state", episode.state), ("action", episode.action)):
            if motion is not None:
                degrees = np.degrees(motion.positions_rad[:, index] - joint.middle_rad)
                axes.plot(motion.times_s, degrees, label=label, linewidth=1)
        axes.set_ylabel(joint.name, fontsize=8)
    for mark, (name, camera) in enumerate(episode.cameras.items()):
        repeated = camera.times_s[~camera.changes]
        rows[-1][0].plot(
            repeated,
            np.full(len(repeated), 0.1 + 0.1 * mark),
            "|",
            transform=rows[-1][0].get_xaxis_transform(),
            label=f"{name} repeats",
        )
    rows[0][0].legend(fontsize=8)
    rows[-1][0].legend(fontsize=8)
    rows[-1][0].set_xlabel("s")
    return figure


def _png(figure: Any) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    pyplot.close(figure)
    return base64.b64encode(buffer.getvalue()).decode()
