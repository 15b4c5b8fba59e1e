# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Asks a vision-language model which view a camera has."""

from __future__ import annotations

import re

from smolvla_ros.curation.camera_views import VIEWS
from smolvla_ros.curation.dataset_images import contact_sheet, spread_over_dataset
from smolvla_ros.curation.vision_language_model import Question, VisionLanguageModel
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset

TEXT = """These pictures were taken by one camera while a robot arm worked. Where is the camera?
top: above the table, it looks down. wrist: on the arm, near the gripper. side: beside or in front of the arm.
Answer with one word: top, wrist or side."""
PICTURES = 4
HEIGHT = 224  # pixels, of each


def ask_view(model: VisionLanguageModel, dataset: LeRobotDataset, camera: str) -> str:
    """top, wrist or side; empty if the answer is none of them. Raises ModelError, DatasetError, VideoError."""
    image = contact_sheet(dataset, [camera], spread_over_dataset(dataset, PICTURES), HEIGHT)
    [answer] = model.answer([Question([image], TEXT)])
    said = re.findall(r"[a-z]+", answer.lower())  # whole words: a desktop is no top view
    words = [word for word in VIEWS if word in said]
    return words[0] if len(words) == 1 else ""
