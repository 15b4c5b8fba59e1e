# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with recorded episodes, and what was measured in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.dataset import motion_checks, stream_checks
from smolvla_ros.dataset.inspection import InspectedEpisode
from smolvla_ros.dataset.stream_timing import mean_rate_hz
from smolvla_ros.dataset.task_text import suggest_task, task_problem, unclear_problem
from smolvla_ros.finding import Finding
from smolvla_ros.robot import RobotSpec

NAMED_EPISODES = 3  # in a merged finding


def check_episodes(episodes: Sequence[InspectedEpisode], robot: RobotSpec) -> list[Finding]:
    """The findings of each episode, which they name, and of all episodes together."""
    return [
        *(
            replace(finding, episode=episode.name)
            for episode in episodes
            for finding in _check_episode(episode, robot)
        ),
        *motion_checks.check_static_joints(episodes, robot),
        *stream_checks.check_swapped_cameras(episodes),
    ]


def merge_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first; what several episodes have in common appears once, with the message of the first one."""
    found: dict[Finding, list[Finding]] = {}
    for finding in findings:
        found.setdefault(replace(finding, message="", episode="", time_s=None), []).append(finding)
    merged = [
        replace(key, message=cases[0].message, where=", ".join(filter(None, (key.where, _episodes(cases)))))
        for key, cases in found.items()
    ]
    return sorted(merged, key=lambda finding: (finding.severity != "error", finding.check))


def _episodes(findings: Iterable[Finding]) -> str:
    """The first episodes of these findings, and how many more there are; empty if they are of none."""
    names = list(dict.fromkeys(finding.episode for finding in findings if finding.episode))
    more = f" and {len(names) - NAMED_EPISODES} more" if len(names) > NAMED_EPISODES else ""
    return f"{', '.join(names[:NAMED_EPISODES])}{more}"


def _check_episode(episode: InspectedEpisode, robot: RobotSpec) -> Iterator[Finding]:
    if episode.has_capture_times:
        yield from stream_checks.check_stamps(episode)
        yield from stream_checks.check_clocks(episode)
        yield from stream_checks.check_rates(episode)
        yield from stream_checks.check_gaps(episode)
        yield from stream_checks.check_skew(episode)
        yield from motion_checks.check_limits(episode, robot)
    yield from stream_checks.check_images(episode)
    yield from stream_checks.check_frozen_images(episode)
    yield from stream_checks.check_repeated_images(episode)
    yield from motion_checks.check_numbers(episode, robot)
    yield from motion_checks.check_jumps(episode, robot)
    yield from motion_checks.check_action(episode)
    yield from check_tasks(episode)


def check_tasks(episode: InspectedEpisode) -> Iterator[Finding]:
    if not episode.tasks:
        yield Finding(
            "error",
            "task",
            "there is none",
            "Give it here and when converting: --task TEXT",
            where="task",
        )
    for task in episode.tasks:
        if problem := task_problem(task):
            if better := suggest_task(task):
                remedy = f"Perhaps '{better}'"
            elif unclear_problem(task):
                remedy = "Name the action and its object, as in 'Put the cube in the box'"
            else:
                remedy = "Leave it, unless a shorter wording asks for the same"
            yield Finding("warning", "task", f"it {problem}", remedy, where=f"'{task}'")


def measured_facts(episodes: Sequence[InspectedEpisode]) -> dict[str, tuple[str, ...]]:
    """Lines of text by subject: durations, rates, skew, lag."""
    durations_s = [
        float(np.ptp(episode.state.times_s)) if len(episode.state.times_s) else 0.0 for episode in episodes
    ]
    facts = {"episodes": str(len(episodes)), "duration": f"{sum(durations_s):.1f} s"}
    for name in dict.fromkeys(name for episode in episodes for name in episode.cameras):
        tracks = [episode.cameras[name] for episode in episodes if name in episode.cameras]
        images = sum(len(track.times_s) for track in tracks)
        repeated = images - sum(int(track.is_new.sum()) for track in tracks)
        rate_hz = _median_rate_hz([track.times_s for track in tracks])
        facts[f"camera {name}"] = f"{images} images at {rate_hz:.1f}/s, {repeated} repeat the previous one"
    facts["state"] = f"{_median_rate_hz([episode.state.times_s for episode in episodes]):.1f}/s"
    skew_s = np.concatenate([stream_checks.stream_skew_s(episode) for episode in episodes])
    if len(skew_s) and episodes[0].has_capture_times:
        median_ms, high_ms = np.percentile(skew_s, [50, 95]) * 1e3
        facts["skew"] = f"{median_ms:.0f} ms, 95 % below {high_ms:.0f} ms"
    lags_s = [lag.seconds for episode in episodes if (lag := motion_checks.action_lag(episode))]
    if lags_s:
        facts["state lags action"] = f"{np.median(lags_s) * 1e3:.0f} ms"
    return {name: (text,) for name, text in facts.items()}


def _median_rate_hz(times_s: Sequence[FloatArray]) -> float:
    return float(np.median([mean_rate_hz(np.diff(times)) for times in times_s]))
