# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Save the report on recorded episodes as one HTML page that contains its plots."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jinja2 import Environment

matplotlib.use("Agg")  # no display
from matplotlib import pyplot

from smolvla_ros.arrays import FloatArray
from smolvla_ros.dataset.inspection import InspectedEpisode
from smolvla_ros.dataset.motion_checks import action_lag
from smolvla_ros.dataset.stream_checks import stream_skew_s
from smolvla_ros.finding import Report
from smolvla_ros.robot import RobotSpec

MAX_JOINT_PLOTS = 4  # episodes whose joints are plotted
PAGE = Environment(autoescape=True, trim_blocks=True).from_string("""\
<!doctype html>
<html lang=en>
<meta charset=utf-8>
<title>{{ name }}</title>
<style>
body { font: 15px/1.5 sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em }
td, th { padding: .2em 1em .2em 0; text-align: left; vertical-align: top }
img { max-width: 100% } .error { color: #b00020 } .warning { color: #8a5a00 }
</style>
<h1>{{ name }}</h1>
<table>
{% for subject, lines in report.facts.items() %}
<tr><th>{{ subject }}</th><td>{{ lines | join("; ") }}</td></tr>
{% endfor %}
</table>
<h2>{{ report.findings | length }} findings</h2>
<table>
{% for finding in report.findings %}
<tr>
<td class={{ finding.severity }}>{{ finding.severity }}</td>
<td><b>{{ finding.check }}</b><br>{{ finding.where }}</td>
<td>{{ finding.message }}.<br><i>{{ finding.remedy }}</i></td>
</tr>
{% endfor %}
</table>
<h2>Plots</h2>
{% for plot in plots %}
<img alt="plot" src="data:image/png;base64,{{ plot }}">
{% endfor %}
</html>
""")


def save_page(
    path: Path, name: str, episodes: Sequence[InspectedEpisode], report: Report, robot: RobotSpec
) -> None:
    """Write the page; raises OSError."""
    figures = [
        *([_plot_timing(episodes)] if episodes else []),
        *(_plot_joints(episode, robot) for episode in episodes[:MAX_JOINT_PLOTS]),
    ]
    page = PAGE.render(name=name, report=report, plots=[_png(figure) for figure in figures])
    path.write_text(page, encoding="utf-8")


def _plot_timing(episodes: Sequence[InspectedEpisode]) -> Any:
    """Histograms: intervals of each stream, skew between the streams, lag of the state behind the action."""
    figure, (steps, skews, lags) = pyplot.subplots(1, 3, figsize=(13, 3.5), layout="constrained")
    streams: dict[str, list[Any]] = {}
    for episode in episodes:
        streams.setdefault("state", []).append(np.diff(episode.state.times_s))
        for name, camera in episode.cameras.items():
            streams.setdefault(name, []).append(np.diff(camera.times_s))
    for name, parts in streams.items():
        steps.hist(_milliseconds(np.concatenate(parts)), bins=50, histtype="step", label=name)
    steps.set(title="intervals", xlabel="ms", yscale="log")
    steps.legend()
    skews.hist(_milliseconds(np.concatenate([stream_skew_s(episode) for episode in episodes])), bins=50)
    skews.set(title="skew within an observation", xlabel="ms")
    found = [lag.seconds for episode in episodes if (lag := action_lag(episode))]
    lags.hist(_milliseconds(np.array(found)), bins=20)
    lags.set(title="state behind action", xlabel="ms")
    return figure


def _milliseconds(values_s: FloatArray) -> FloatArray:
    """To whole microseconds, because numpy refuses bins for values that differ by rounding errors alone."""
    return np.asarray(np.round(values_s * 1e3, 3))


def _plot_joints(episode: InspectedEpisode, robot: RobotSpec) -> Any:
    """State and action of an episode in degrees from the middle of the joint's range; marks for repeated images."""
    figure, rows = pyplot.subplots(
        len(robot.joints), 1, sharex=True, figsize=(13, 10), layout="constrained", squeeze=False
    )
    figure.suptitle(f"{episode.name}: {', '.join(episode.tasks) or 'no task'}")
    for index, (joint, [axes]) in enumerate(zip(robot.joints, rows)):
        for label, track in (("state", episode.state), ("action", episode.action)):
            if track is not None:
                degrees = np.degrees(track.positions_rad[:, index] - joint.middle_rad)
                axes.plot(track.times_s, degrees, label=label, linewidth=1)
        axes.set_ylabel(joint.name, fontsize=8)
    for mark, (name, camera) in enumerate(episode.cameras.items()):
        repeated = camera.times_s[~camera.is_new]
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
