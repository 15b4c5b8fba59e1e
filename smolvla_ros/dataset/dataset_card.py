# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page that the hub shows for a dataset (README.md), written from what its files and the checks say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import yaml

from smolvla_ros.dataset.edited_dataset import HISTORY
from smolvla_ros.dataset.lerobot_format import ACTION, IMAGES, STATE, VERSION
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset, read_json
from smolvla_ros.finding import Finding

NOT_KNOWN = "not known"


def dataset_card(dataset: LeRobotDataset, name: str, findings: Sequence[Finding], license: str = "") -> str:
    """Markdown with the hub's header. `name`: USER/NAME on the hub. `license`: its identifier; empty: not stated."""
    header = {
        **({"license": license} if license else {}),
        "task_categories": ["robotics"],
        "tags": ["LeRobot"],
        "configs": [{"config_name": "default", "data_files": "data/*/*.parquet"}],
    }
    frames = int(dataset.info["total_frames"])
    facts = {
        "robot": str(dataset.info.get("robot_type") or NOT_KNOWN),
        "episodes": str(len(dataset.episodes)),
        "frames": f"{frames} at {dataset.fps} fps, {frames / dataset.fps / 60:.1f} minutes",
        "outcomes": _counts(outcome or NOT_KNOWN for outcome in dataset.outcomes),
        "format": f"LeRobotDataset {VERSION}",
    }
    tasks = Counter(task for row in dataset.episodes for task in row["tasks"])
    sections = {
        "Cameras": _table(("camera", "images", "codec"), _cameras(dataset)),
        "State and action": _table(("feature", "values"), _vectors(dataset)),
        "Tasks": _table(("task", "episodes"), ((task, str(count)) for task, count in tasks.items())),
        "Findings of check_dataset": _findings(findings),
        **({"Origin": origin} if (origin := _origin(dataset)) else {}),
        "Use": f'```python\nLeRobotDataset("{name}")\n```',
    }
    return "\n\n".join(
        [
            f"---\n{yaml.safe_dump(header, sort_keys=False)}---",
            f"# {name.rpartition('/')[2]}",
            _table(("property", "value"), facts.items()),
            *(f"## {title}\n\n{text}" for title, text in sections.items()),
            "",
        ]
    )


def _cameras(dataset: LeRobotDataset) -> Iterator[tuple[str, str, str]]:
    for key in (*dataset.image_keys, *dataset.depth_keys):
        feature = dataset.features[IMAGES + key]
        size = dict(zip(feature.get("names") or (), feature["shape"]))
        depth = " (depth)" if key in dataset.depth_keys else ""
        codec = (feature.get("info") or {}).get("video.codec") or feature["dtype"]
        yield key + depth, f"{size.get('width', '?')}x{size.get('height', '?')}", str(codec)


def _vectors(dataset: LeRobotDataset) -> Iterator[tuple[str, str]]:
    units = ", ".join(f"{joint} in {unit}" for joint, unit in dataset.units.items())
    for name in (STATE, ACTION):
        names = dataset.features[name].get("names") or dataset.features[name]["shape"]
        yield name, units or f"{', '.join(map(str, names))}; units {NOT_KNOWN}"


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return "No errors and no warnings."
    return "\n".join(
        f"- {finding.severity}: {finding.check}{f' ({_text(finding.where)})' if finding.where else ''}: "
        f"{_text(finding.message)}"
        for finding in findings
    )


def _origin(dataset: LeRobotDataset) -> str:
    path = dataset.root / HISTORY
    if not path.exists():
        return ""
    inputs = read_json(path)["inputs"]
    names = ", ".join(f"{entry['name']} ({entry['episodes']} episodes)" for entry in inputs)
    return (
        f"Made by edit_dataset of {_text(names)}; [{HISTORY}]({HISTORY}) tells from where each episode comes."
    )


def _counts(values: Iterable[str]) -> str:
    return ", ".join(f"{count} {value}" for value, count in Counter(values).items())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_text(cell) for cell in line)} |" for line in lines)


def _text(text: str) -> str:
    """Text in one line of Markdown, in which it does not become a cell, link or HTML."""
    line = " ".join(text.split())
    for mark, entity in {"&": "&amp;", "<": "&lt;", "|": "&#124;", "[": "&#91;", "`": "&#96;"}.items():
        line = line.replace(mark, entity)
    return line
