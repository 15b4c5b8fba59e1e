# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes as a recording for Rerun's viewer: one after the other on the timeline `time`.

Rerun's files hold one recording well, so episodes have no recordings of their own. The entities are cameras/NAME,
state/JOINT and action/JOINT in degrees from the middle of the joint's range, executor, episode and findings.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from smolvla_ros.arrays import FloatArray
from smolvla_ros.dataset.errors import DataError
from smolvla_ros.dataset.inspection import InspectedEpisode
from smolvla_ros.finding import Finding
from smolvla_ros.image import encode_jpeg
from smolvla_ros.robot import RobotSpec
from smolvla_ros.viewer.episode_page import Entry, list_entries, state_name

TIMELINE = "time"
LEVELS = {"error": "ERROR", "warning": "WARN"}


class RerunMissingError(RuntimeError):
    """The package that writes recordings is not installed."""


def rerun_package() -> Any:
    """The package rerun; raises RerunMissingError."""
    try:
        import rerun
    except ImportError as error:
        raise RerunMissingError(
            f"a recording for Rerun needs the package rerun-sdk ({error}); install it: pip install rerun-sdk"
        ) from error
    return rerun


def save_recording(
    path: Path, name: str, episodes: Sequence[InspectedEpisode], findings: Iterable[Finding], robot: RobotSpec
) -> None:
    """Write the recording `name`, which appears when it is complete. Raises RerunMissingError, OSError."""
    rerun = rerun_package()
    part = path.with_name(f".{path.name}.part")
    part.touch()  # raises OSError, which rerun does not
    try:
        stream = rerun.RecordingStream("smolvla_ros", recording_id=name)
        stream.save(part)
        stream.set_log_tick_enabled(False)
        stream.set_log_time_enabled(False)
        writer = _Writer(rerun, stream, np.array([joint.middle_rad for joint in robot.joints]))
        entries = {entry.name: entry for entry in list_entries(episodes, findings)}
        begin_s = 0.0
        for episode in tqdm(episodes, "recording", unit=" episodes", disable=None, leave=False):
            writer.add(entries[episode.name], episode, robot.joint_names, begin_s)
            begin_s += entries[episode.name].duration_s + 1 / episode.rate_hz
        stream.disconnect()  # which waits until all is written
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


class _Writer:
    """Writes episodes to a recording."""

    def __init__(self, rerun: Any, stream: Any, middle_rad: FloatArray) -> None:
        self._rerun, self._stream, self._middle_rad = rerun, stream, middle_rad

    def add(self, entry: Entry, episode: InspectedEpisode, joints: Sequence[str], begin_s: float) -> None:
        """Write an episode that begins at this time."""
        text = " · ".join(filter(None, (entry.name, entry.outcome, *entry.tasks)))
        self._say("episode", begin_s, text, "INFO")
        for finding in entry.findings:
            where = f", {finding.where}" if finding.where else ""
            told = f"{finding.check}{where}: {finding.message}. {finding.remedy}"
            self._say("findings", begin_s + (finding.time_s or 0.0), told, LEVELS[finding.severity])
        for spell in episode.executor.spells:
            told = f"{state_name(spell.state)}{': ' if spell.reason else ''}{spell.reason}"
            self._say("executor", begin_s + spell.begin_s, told, "INFO")
        for kind, track in (("state", episode.state), ("action", episode.action)):
            if track is not None and len(track.times_s):
                degrees = np.degrees(track.positions_rad - self._middle_rad)
                for joint, values in zip(joints, degrees.T, strict=True):
                    known = np.isfinite(values)
                    self._curve(f"{kind}/{joint}", begin_s + track.times_s[known], values[known])
        for camera in episode.cameras:
            self._images(episode, camera, begin_s)

    def _say(self, entity: str, time_s: float, text: str, level: str) -> None:
        self._stream.set_time(TIMELINE, duration=time_s)
        self._stream.log(entity, self._rerun.TextLog(text, level=level))

    def _curve(self, entity: str, times_s: FloatArray, values: FloatArray) -> None:
        if len(values):
            columns = self._rerun.Scalars.columns(scalars=values)
            self._stream.send_columns(entity, [self._rerun.TimeColumn(TIMELINE, duration=times_s)], columns)

    def _images(self, episode: InspectedEpisode, camera: str, begin_s: float) -> None:
        """Write all images of a camera; those that cannot be decoded are left out, as the findings say."""
        if episode.images is None:
            return
        try:
            for image, time_s in zip(episode.images.read(camera), episode.cameras[camera].times_s):
                if image is not None:
                    self._stream.set_time(TIMELINE, duration=begin_s + float(time_s))
                    picture = self._rerun.EncodedImage(contents=encode_jpeg(image), media_type="image/jpeg")
                    self._stream.log(f"cameras/{camera}", picture)
        except DataError:
            return
