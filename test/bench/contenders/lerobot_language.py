# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write a small dataset with language columns by LeRobot 0.6.1, in its own environment, or read one with it.

python lerobot_language.py make FOLDER     # as in test/data/lerobot_language
python lerobot_language.py read FOLDER     # prints what LeRobot reads, as JSON
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import lerobot_roundtrip as plain  # before LeRobot

# isort: split
import pyarrow.parquet
from lerobot.annotations.steerable_pipeline.executor import Executor
from lerobot.annotations.steerable_pipeline.reader import EpisodeRecord
from lerobot.annotations.steerable_pipeline.staging import EpisodeStaging
from lerobot.annotations.steerable_pipeline.writer import LanguageColumnsWriter, speech_atom
from lerobot.datasets.language import LANGUAGE_COLUMNS
from lerobot.datasets.lerobot_dataset import LeRobotDataset


def row(role: str, content: str, style: str, time_s: float, camera: str | None = None) -> dict:
    return {"role": role, "content": content, "style": style, "timestamp": time_s, "camera": camera}


def said(timestamps: list[float]) -> dict[str, list[dict]]:
    """Rows by module; events need the exact times of frames."""
    camera = "observation.images.top"
    return {
        "plan": [
            row("assistant", "reach for the bar", "subtask", timestamps[0]),
            row("assistant", "lift the bar", "subtask", timestamps[3]),
            row("assistant", "1. reach 2. lift", "plan", timestamps[0]),
        ],
        "interjections": [
            speech_atom(timestamps[1], "On my way"),
            row("user", "Faster, please", "interjection", timestamps[4]),
        ],
        "vqa": [
            row("user", "Where is the bar?", "vqa", timestamps[2], camera),
            row("assistant", "on the left", "vqa", timestamps[2], camera),
        ],
    }


def make(folder: Path) -> None:
    plain.make(folder)
    [rows] = folder.glob("data/*/*.parquet")
    records, first = [], 0
    with tempfile.TemporaryDirectory() as staging:
        for episode, length in enumerate(plain.LENGTHS):
            times = pyarrow.parquet.read_table(rows).column("timestamp").to_pylist()[first : first + length]
            record = EpisodeRecord(
                episode, "Lift the bar", tuple(times), tuple(range(length)), rows, first, length
            )
            records.append(record)
            first += length
            if episode == 0:  # nothing is said about the other one
                for module, content in said(times).items():
                    EpisodeStaging(Path(staging), episode).write(module, content)
        LanguageColumnsWriter().write_all(records, Path(staging), folder)
    Executor._ensure_annotation_metadata_in_info(folder)


def read(folder: Path) -> None:
    dataset = LeRobotDataset("local/language", root=folder)
    items = [dataset.hf_dataset[index] for index in range(len(dataset))]
    columns = {name: [item.get(name) for item in items] for name in LANGUAGE_COLUMNS}
    print(json.dumps({**columns, "tools": dataset.meta.tools, "length": len(dataset)}))


if __name__ == "__main__":
    {"make": make, "read": read}[sys.argv[1]](Path(sys.argv[2]))
