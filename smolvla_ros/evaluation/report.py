# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A folder that shows an evaluation: a page with rates, a plot, every episode, and films of failures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")  # no display
from matplotlib import pyplot

from smolvla_ros.arrays import ImageArray
from smolvla_ros.dataset.video import encode_video
from smolvla_ros.evaluation.results import TrialResult
from smolvla_ros.evaluation.summary import Summary, by_task, report_lines
from smolvla_ros.evaluation.trial import WATCH_HZ, Trial
from smolvla_ros.html_page import page_template

LABEL = 30  # characters in a line of a task's name
PAGE = page_template("""\
{% extends "frame" %}
{% block style %}
body { font: 15px/1.5 sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em }
td, th { padding: .2em 1em .2em 0; text-align: left } img, video { max-width: 100% }
{% endblock %}
{% block body %}
<h1>{{ name }}</h1>
<pre>{{ lines | join("\n") }}</pre>
<img alt="success by task, and the time to success" src="rates.png">
<p>Conditions: {% for key, value in conditions.items() %}{{ key }} {{ value }}{{ ", " if not loop.last }}{% endfor %}.
{% if films %}
<h2>Failures</h2>
{% for seed, film in films.items() %}
<p>Seed {{ seed }}: {{ said[seed] }}<br><video controls src="{{ film }}"></video>
{% endfor %}
{% endif %}
<h2>Episodes</h2>
<table>
<tr><th>seed</th><th>said</th><th>score</th><th>time</th><th>wrong object</th><th>dropped</th><th>stuck</th>
<th>unsafe</th></tr>
{% for result in results %}
<tr><td>{{ result.seed }}</td><td>{{ result.said }}</td><td>{{ "%.2f" | format(result.score) }}</td>
<td>{{ "%.1f s" | format(result.time_s) if result.success else "failed" }}</td>
<td>{{ result.wrong_object or "" }}</td><td>{{ "yes" if result.dropped }}</td><td>{{ "yes" if result.stuck }}</td>
<td>{{ "yes" if result.unsafe }}</td></tr>
{% endfor %}
</table>
{% endblock %}
""")


def save_report(
    folder: Path, name: str, results: Sequence[TrialResult], trial: Trial | None = None, films: int = 0
) -> None:
    """Write `index.html` and what it shows; `trial` repeats up to `films` failures to film them. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    results = sorted(results, key=lambda result: result.seed)
    _plot(folder / "rates.png", results)
    failures = [result for result in results if not result.success][:films]
    filmed = {}
    if trial is not None:
        for result in failures:
            filmed[result.seed] = f"failure_{result.seed}.mp4"
            film(folder / filmed[result.seed], trial, result.seed)
    page = PAGE.render(
        name=name,
        lines=report_lines(results),
        conditions=_common_conditions(results),
        films=filmed,
        said={result.seed: result.said for result in failures},
        results=results,
    )
    (folder / "index.html").write_text(page, encoding="utf-8")


def _common_conditions(results: Sequence[TrialResult]) -> dict[str, Any]:
    """Those that are the same in all trials."""
    first = results[0].conditions if results else {}
    return {
        name: value
        for name, value in first.items()
        if all(result.conditions.get(name) == value for result in results)
    }


def film(path: Path, trial: Trial, seed: int) -> TrialResult:
    """Repeat a trial and write what its cameras see, side by side, as an mp4."""
    pictures: list[ImageArray] = []

    def watch(images: dict[str, ImageArray], _progress: object) -> None:
        pictures.append(np.hstack([image[::2, ::2] for image in images.values()]))

    result = trial.run(seed, watch)
    if pictures:
        encode_video(path, pictures, round(WATCH_HZ), "h264")
    return result


def _plot(path: Path, results: Sequence[TrialResult]) -> None:
    """Success of each task with its interval, and a histogram of the times."""
    tasks = {**by_task(results), "all": Summary.of(results)}
    size_inches = (10.0, max(3.5, 0.5 * len(tasks)))
    figure, (rates, times) = pyplot.subplots(1, 2, figsize=size_inches, layout="constrained")
    values = np.array([task.success.value for task in tasks.values()])
    bounds = np.array([task.success.interval for task in tasks.values()])
    errors = np.abs(bounds - values[:, None]).T
    rates.barh([fill(name, LABEL) for name in tasks], values, xerr=errors, capsize=4, color="0.7")
    rates.set(title="success, 95 % interval", xlim=(0.0, 1.0))
    rates.invert_yaxis()  # the first one above
    times.hist([result.time_s for result in results if result.time_s is not None], bins=20)
    times.set(title="time to success", xlabel="s")
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
