# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page: which episodes it lists in which order, their findings, motion, pictures and videos."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from tqdm import tqdm

from smolvla_ros.arrays import FloatArray
from smolvla_ros.dataset.executor_record import Plan
from smolvla_ros.dataset.inspection import InspectedEpisode, JointTrack
from smolvla_ros.execution.arming import ArmingState
from smolvla_ros.finding import Finding, Report
from smolvla_ros.html_page import page_template
from smolvla_ros.robot import RobotSpec
from smolvla_ros.viewer.editing import EditableData
from smolvla_ros.viewer.page_files import EmbeddedFiles, PageFiles
from smolvla_ros.viewer.previews import camera_video, thumbnail

HERE = Path(__file__).parent
PAGE = page_template((HERE / "page.html").read_text(encoding="utf-8"))
DECIMALS = 2  # of positions in degrees; a servo's tick is 0.09


@dataclass(frozen=True)
class Entry:
    """One episode of the list."""

    name: str
    findings: tuple[Finding, ...]  # errors first
    episode: InspectedEpisode | None  # None: it cannot be read

    @property
    def severity(self) -> str:
        """error, warning or ok."""
        return self.findings[0].severity if self.findings else "ok"

    @property
    def tasks(self) -> tuple[str, ...]:
        return self.episode.tasks if self.episode else ()

    @property
    def outcome(self) -> str:
        return self.episode.outcome if self.episode else ""

    @cached_property
    def duration_s(self) -> float:
        """To the last sample of any stream."""
        if self.episode is None:
            return 0.0
        streams = [self.episode.state.times_s, *(camera.times_s for camera in self.episode.cameras.values())]
        return max((float(times_s[-1]) for times_s in streams if len(times_s)), default=0.0)

    @property
    def moment_s(self) -> float:
        """What its picture shows: the first finding, or the middle."""
        times = [finding.time_s for finding in self.findings if finding.time_s is not None]
        return times[0] if times else self.duration_s / 2


def list_entries(episodes: Sequence[InspectedEpisode], findings: Iterable[Finding]) -> list[Entry]:
    """The episodes, those with the most errors first, then those with the most warnings; unreadable ones too."""
    found: dict[str, list[Finding]] = {episode.name: [] for episode in episodes}
    for finding in findings:
        if finding.episode:
            found.setdefault(finding.episode, []).append(finding)
    by_name = {episode.name: episode for episode in episodes}
    entries = [
        Entry(name, tuple(sorted(of_it, key=lambda finding: finding.severity != "error")), by_name.get(name))
        for name, of_it in found.items()
    ]

    def faults(entry: Entry) -> tuple[int, int]:
        errors = sum(finding.severity == "error" for finding in entry.findings)
        return -errors, errors - len(entry.findings)

    return sorted(entries, key=faults)


def page(
    name: str,
    report: Report,
    episodes: Sequence[InspectedEpisode],
    robot: RobotSpec,
    files: PageFiles,
    editable: EditableData | None = None,
) -> str:
    """The page as HTML; `files` takes what it shows. The findings of the report name their episodes. Raises OSError.

    `editable`: edits can be chosen on the page, which a page without a server shows as the command that makes them.
    """
    entries = list_entries(episodes, report.findings)
    pictures = [_picture(entry, files) for entry in entries]
    return PAGE.render(
        name=name,
        facts=report.facts,
        of_all=[finding for finding in report.findings if not finding.episode],
        entries=list(zip(entries, pictures)),
        tasks=sorted({task for entry in entries for task in entry.tasks}),
        outcomes=sorted({entry.outcome for entry in entries} - {""}),
        checks=sorted({finding.check for entry in entries for finding in entry.findings}),
        episodes=[
            {
                **_player_data(entry, robot, files),
                "number": editable.numbers.get(entry.name) if editable else None,
            }
            for entry in tqdm(entries, "page", unit=" episodes", disable=None, leave=False)
        ],
        joints=robot.joint_names,
        editing=_editing_data(editable, not isinstance(files, EmbeddedFiles)) if editable else None,
        style=_source("page.css"),
        script=_source("page.js"),
        edit_script=_source("edits.js"),
    )


def _source(name: str) -> Markup:
    return Markup((HERE / name).read_text(encoding="utf-8"))


def _editing_data(editable: EditableData, is_served: bool) -> dict[str, Any]:
    """What edits.js needs beside the numbers of the episodes."""
    return {
        "inputs": [str(path) for path in editable.inputs],
        "folder": str(editable.folder),
        "name": f"{editable.inputs[0].name}_edited",
        "is_served": is_served,
    }


def _picture(entry: Entry, files: PageFiles) -> str | None:
    data = thumbnail(entry.episode, entry.moment_s) if entry.episode else None
    return files.add(data, ".jpg") if data else None


def _player_data(entry: Entry, robot: RobotSpec, files: PageFiles) -> dict[str, Any]:
    """What page.js shows of an episode; `motion` is the address of `motion_json`."""
    data: dict[str, Any] = {
        "name": entry.name,
        "tasks": entry.tasks,
        "outcome": entry.outcome,
        "duration_s": entry.duration_s,
        "findings": [asdict(finding) for finding in entry.findings],
        "cameras": [],
        "motion": None,
    }
    episode = entry.episode
    if episode:
        data["frame_s"] = 1 / episode.rate_hz
        data["cameras"] = [
            {"name": camera, **(camera_video(episode, camera, files) or {})} for camera in episode.cameras
        ]
        data["motion"] = files.add(motion_json(episode, robot).encode(), ".json")
    return data


def motion_json(episode: InspectedEpisode, robot: RobotSpec) -> str:
    """State and action: times (n) s, and for each joint n degrees from the middle of its range; null where unknown.

    Also the plans, each as these with the time from which it was known, and the executor's states from their begin.
    """
    middle_rad = np.array([joint.middle_rad for joint in robot.joints])

    def curve(track: JointTrack | Plan | None) -> dict[str, Any] | None:
        if track is None:
            return None
        degrees = np.degrees(track.positions_rad - middle_rad)
        return {"times": _numbers(track.times_s, 3), "joints": [_numbers(one, DECIMALS) for one in degrees.T]}

    executor = episode.executor
    curves = {
        "state": curve(episode.state),
        "action": curve(episode.action),
        "plans": [{"known_s": round(plan.known_s, 3), **(curve(plan) or {})} for plan in executor.plans],
        "spells": [
            {"begin_s": round(spell.begin_s, 3), "state": state_name(spell.state), "reason": spell.reason}
            for spell in executor.spells
        ],
    }
    return json.dumps(curves, separators=(",", ":"))


def state_name(state: int) -> str:
    """The name of a state of ExecutorState.msg."""
    return ArmingState(state).name.lower() if state in tuple(ArmingState) else f"state {state}"


def _numbers(values: FloatArray, decimals: int) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.round(decimals).tolist()]
