# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The two language columns of LeRobot 0.6 (lerobot/datasets/language.py): what is said about an episode.

A row is {role, content, style, camera, tool_calls}. `language_persistent` has, on every frame, the rows of the whole
episode, each with the time from which it is valid (a subtask, a plan); `language_events` has rows on the frame at which
something was said or asked. The tools that may be called are in info.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow

from smolvla_ros.dataset.lerobot_format import IMAGES

PERSISTENT, EVENTS = "language_persistent", "language_events"
COLUMNS = (PERSISTENT, EVENTS)
DTYPE = "language"  # of both in info.json
TOOLS = "tools"  # in info.json
BAG_NOTE = "language"  # in the notes of a bag, as by EpisodeLanguage.to_json
SUBTASK = "subtask"  # the style of an instruction that is valid for a part of the episode
TOLERANCE_S = 1e-4  # times are float32 in the files
TEXTS = ("role", "content", "style", "camera")

LanguageRow = Mapping[str, Any]


@dataclass(frozen=True)
class EpisodeLanguage:
    """The rows of one episode. Times are seconds since it began."""

    persistent: tuple[tuple[float, LanguageRow], ...] = ()  # valid from then on
    events: tuple[tuple[float, LanguageRow], ...] = ()

    def cut(self, begin_s: float, end_s: float) -> EpisodeLanguage:
        """That of a part of the episode; what is valid at its begin stays so: the last row of each style and role."""
        first_s, last_s = begin_s - TOLERANCE_S, end_s - TOLERANCE_S
        valid_s = begin_s + TOLERANCE_S
        latest: dict[tuple[Any, Any], float] = {}
        for time_s, row in self.persistent:
            if time_s <= valid_s:
                latest[_kind(row)] = max(time_s, latest.get(_kind(row), time_s))
        return EpisodeLanguage(
            tuple(
                (time_s - begin_s if time_s > valid_s else 0.0, row)
                for time_s, row in self.persistent
                if valid_s < time_s < last_s or time_s == latest.get(_kind(row))
            ),
            tuple((time_s - begin_s, row) for time_s, row in self.events if first_s <= time_s < last_s),
        )

    def with_cameras(self, renamed: Mapping[str, str]) -> EpisodeLanguage:
        """The same about renamed cameras: old -> new image key, without prefix."""

        def change(row: LanguageRow) -> LanguageRow:
            key = (row.get("camera") or "").removeprefix(IMAGES)
            return {**row, "camera": IMAGES + renamed[key]} if key in renamed else row

        return EpisodeLanguage(
            tuple((time_s, change(row)) for time_s, row in self.persistent),
            tuple((time_s, change(row)) for time_s, row in self.events),
        )

    def to_json(self) -> str:
        """For the notes of a bag; empty without rows."""
        rows = {"persistent": self.persistent, "events": self.events}
        return json.dumps(rows, ensure_ascii=False) if any(rows.values()) else ""

    @classmethod
    def from_json(cls, text: str) -> EpisodeLanguage:
        """What `to_json` wrote."""
        found = json.loads(text) if text else {}
        return cls(
            *(
                tuple((time_s, row) for time_s, row in found.get(name, ()))
                for name in ("persistent", "events")
            )
        )

    @classmethod
    def of_tasks(cls, tasks: Sequence[str], fps: int) -> EpisodeLanguage:
        """The instructions of all frames as subtasks, if they change."""
        changes = [k for k, task in enumerate(tasks) if k == 0 or task != tasks[k - 1]]
        rows = [(k / fps, {"role": "assistant", "content": tasks[k], "style": SUBTASK}) for k in changes]
        return cls(tuple(rows) if len(rows) > 1 else ())

    @classmethod
    def of_columns(cls, columns: Mapping[str, Sequence[Any]], fps: int) -> EpisodeLanguage:
        """From the columns of an episode, each a list of rows for each frame."""
        persistent: Sequence[Any] = next((rows for rows in columns.get(PERSISTENT, ()) if rows), ())
        events = [(k / fps, row) for k, rows in enumerate(columns.get(EVENTS, ())) for row in rows or ()]
        return cls(
            tuple((float(row["timestamp"]), _plain(row)) for row in persistent),
            tuple((time_s, _plain(row)) for time_s, row in events),
        )

    def to_columns(self, frames: int, fps: int) -> dict[str, list[list[dict[str, Any]]]]:
        """The columns of an episode with so many frames; an event is on the frame nearest to its time."""
        persistent = [{**_full(row), "timestamp": time_s} for time_s, row in self.persistent]
        events: list[list[dict[str, Any]]] = [[] for _ in range(frames)]
        for time_s, row in self.events:
            events[min(frames - 1, max(0, round(time_s * fps)))].append(_full(row))
        return {PERSISTENT: [persistent] * frames, EVENTS: events}


NO_LANGUAGE = EpisodeLanguage()


def _kind(row: LanguageRow) -> tuple[Any, Any]:
    return row.get("style"), row.get("role")


def _plain(row: Mapping[str, Any]) -> LanguageRow:
    """A row without its time and empty fields; parquet fills absent fields of structures with null."""
    return {
        name: _without_null(value) for name, value in row.items() if value is not None and name != "timestamp"
    }


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_null(each) for name, each in value.items() if each is not None}
    return [_without_null(each) for each in value] if isinstance(value, list) else value


def _full(row: LanguageRow) -> dict[str, Any]:
    return {**{name: row.get(name) for name in TEXTS}, "tool_calls": row.get("tool_calls")}


def language_features() -> dict[str, Any]:
    """The features of info.json."""
    return {name: {"dtype": DTYPE, "shape": [1], "names": None} for name in COLUMNS}


def language_types(languages: Iterable[EpisodeLanguage]) -> dict[str, pyarrow.DataType]:
    """The Arrow types of both columns in one file, as LeRobot writes them: tool calls are structures of what occurs."""
    rows = [row for each in languages for _, row in (*each.persistent, *each.events)]
    calls = pyarrow.array([row.get("tool_calls") for row in rows]).type if rows else pyarrow.null()
    text, time = pyarrow.string(), [("timestamp", pyarrow.float32())]
    return {
        PERSISTENT: pyarrow.list_(
            pyarrow.struct(
                [*((name, text) for name in TEXTS[:3]), *time, ("camera", text), ("tool_calls", calls)]
            )
        ),
        EVENTS: pyarrow.list_(pyarrow.struct([*((name, text) for name in TEXTS), ("tool_calls", calls)])),
    }


def merged_tools(catalogs: Iterable[Sequence[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    """The tools of several datasets; the first one of a name counts."""
    found: dict[str, Mapping[str, Any]] = {}
    for tool in (tool for catalog in catalogs for tool in catalog):
        found.setdefault(str(tool.get("function", {}).get("name")), tool)
    return list(found.values())
