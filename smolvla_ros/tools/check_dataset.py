# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Says what is wrong with recorded episodes before a policy learns it: a LeRobot dataset (v3.0), a bag, many bags.

    check_dataset my_dataset --calibration my_arm.json --html report.html
    check_dataset episodes/episode_000007

Needs neither ROS nor LeRobot.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from smolvla_ros.dataset.checks import Defect, check_episodes, lag, skew_s
from smolvla_ros.dataset.errors import BagError, DatasetError, EpisodeError, VideoError
from smolvla_ros.dataset.html_report import save_page
from smolvla_ros.dataset.inspection import InspectedEpisode, inspect
from smolvla_ros.dataset.lerobot_format import ACTION, INFO, STATE
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.stream_timing import mean_rate_hz
from smolvla_ros.policy.preflight.unit_evidence import check_units
from smolvla_ros.robot import RobotSpec, RobotSpecError
from smolvla_ros.suite.command_line import ROBOT, add_options, load_robot_and_calibration
from smolvla_ros.units import CalibrationError, MotorCalibration
from smolvla_ros.wire import WireError

WIDTH = 110
UNREADABLE = (BagError, EpisodeError, DatasetError, VideoError, WireError, OSError)
Calibration = dict[str, MotorCalibration] | None


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="check_dataset",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 fit to learn from (there may be warnings), 1 not, 2 the command line is wrong.",
    )
    add = parser.add_argument
    add("path", type=Path, help="dataset folder, bag, or folder of bags")
    add_options(parser, *ROBOT)
    add("--html", type=Path, metavar="FILE", help="write the report with plots as one page")
    return parser


def facts(episodes: Sequence[InspectedEpisode]) -> list[tuple[str, str]]:
    """What was measured, as pairs of a name and its value."""
    lines = [("episodes", str(len(episodes)))]
    lines.append(("duration", f"{sum(_duration_s(episode) for episode in episodes):.1f} s"))
    for name in dict.fromkeys(name for episode in episodes for name in episode.cameras):
        tracks = [episode.cameras[name] for episode in episodes if name in episode.cameras]
        images = sum(len(track.times_s) for track in tracks)
        new = sum(int(track.changes.sum()) for track in tracks)
        rate = float(np.median([mean_rate_hz(np.diff(track.times_s)) for track in tracks]))
        lines.append((name, f"{images} images at {rate:.1f}/s, {images - new} repeat the one before"))
    rate = float(np.median([mean_rate_hz(np.diff(episode.state.times_s)) for episode in episodes]))
    lines.append(("state", f"{rate:.1f}/s"))
    skew = np.concatenate([skew_s(episode) for episode in episodes])
    if len(skew) and episodes[0].has_capture_times:
        low, high = np.percentile(skew, [50, 95]) * 1e3
        lines.append(("skew", f"{low:.0f} ms, 95 % below {high:.0f} ms"))
    lags = [found.seconds for episode in episodes if (found := lag(episode))]
    if lags:
        lines.append(("state lags action", f"{np.median(lags) * 1e3:.0f} ms"))
    return lines


def unit_defects(path: Path, robot: RobotSpec, calibration: Calibration, confirmed: bool) -> list[Defect]:
    """What a dataset's statistics say against the units that it is read in; a bag is in radians."""
    if not (path / INFO).exists():
        return []
    stats = LeRobotDataset.load(path).stats
    values = {
        feature: {
            name: np.asarray(stats[feature][name], np.float32)
            for name in ("min", "max", "mean", "std", "q01", "q99")
            if name in stats[feature]
        }
        for feature in (STATE, ACTION)
        if feature in stats
    }
    finding = check_units(robot, calibration, values, confirmed)
    if finding is None:
        return []
    return [Defect(finding.severity, "units", "the whole dataset", finding.message, finding.remedy)]


def depth_defects(path: Path) -> list[Defect]:
    """That depth images of a dataset are not looked at."""
    if not (path / INFO).exists():
        return []
    keys = LeRobotDataset.load(path).depth_keys
    remedy = "Only RGB images are checked; look at these yourself"
    return [Defect("warning", "depth images", key, "they are left out", remedy) for key in keys]


def _duration_s(episode: InspectedEpisode) -> float:
    times_s = episode.state.times_s
    return float(times_s[-1] - times_s[0]) if len(times_s) else 0.0


def show(defects: Sequence[Defect], measured: Sequence[tuple[str, str]]) -> None:
    """The report in the terminal."""
    for name, value in measured:
        print(f"{name:20}{value}")
    for defect in defects:
        print(f"\n{defect.severity:8}{defect.check}: {defect.where}")
        for text in (defect.message, defect.remedy):
            if text:
                print(textwrap.fill(f"{text}.", WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8))
    errors = sum(defect.severity == "error" for defect in defects)
    print(f"\n{errors} errors, {len(defects) - errors} warnings")


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        robot, calibration = load_robot_and_calibration(options)
        units = robot.units(calibration)
    except (RobotSpecError, CalibrationError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        episodes = list(inspect(options.path, robot, units))
        defects = check_episodes(episodes, robot)
        defects += unit_defects(options.path, robot, calibration, bool(options.units))
        defects += depth_defects(options.path)
        if not episodes:
            raise DatasetError(f"'{options.path}' has no episodes")
        measured = facts(episodes)
        if options.html:
            save_page(options.html, options.path.name, episodes, defects, measured, robot)
    except UNREADABLE as error:
        print(error, file=sys.stderr)
        return 1
    show(defects, measured)
    if options.html:
        print(f"page: {options.html}")
    return 1 if any(defect.severity == "error" for defect in defects) else 0


if __name__ == "__main__":
    sys.exit(main())
