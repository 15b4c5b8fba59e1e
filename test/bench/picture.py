# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make the picture and the film of the README: the shipped checkpoint does what an instruction says.

python test/bench/picture.py --picture docs/task.jpg --film docs/task.webp
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image
from result_tables import BASE, load, policy_config, with_threshold_of

from smolvla_ros.arrays import ImageArray
from smolvla_ros.evaluation.trial import WATCH_HZ, Trial
from smolvla_ros.robot import RobotSpec
from smolvla_ros.share import CHECKPOINT, find_robot_file
from smolvla_ros.simulation.tasks.task import Progress

VIEWS = ("top", "wrist")
WIDTH, HEIGHT, CAPTION = 320, 240, 28  # of a view, and of the line above, pixels
STAYS = 8  # frames that the last one of an episode is shown


class Shot(NamedTuple):
    """A moment of an episode."""

    image: ImageArray
    score: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of the layouts")
    parser.add_argument("--picture", type=Path, help="of the first episode, with the cube on its way")
    parser.add_argument("--film", type=Path, help="of all episodes, as an animated WebP")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    robot = RobotSpec.load(find_robot_file("so100"))
    trial = Trial(load(policy_config(CHECKPOINT), robot), robot, with_threshold_of(CHECKPOINT, BASE))
    episodes = [filmed(trial, seed) for seed in options.seeds]
    if options.picture:
        carried = [shot.image for shot in episodes[0] if 0.0 < shot.score < 1.0]
        Image.fromarray(carried[2 * len(carried) // 3]).save(options.picture, quality=90)
    if options.film:
        images = [Image.fromarray(shot.image) for shots in episodes for shot in [*shots, *shots[-1:] * STAYS]]
        images[0].save(
            options.film,
            save_all=True,
            append_images=images[1:],
            duration=round(1000 / WATCH_HZ),
            loop=0,
            quality=55,
        )


def filmed(trial: Trial, seed: int) -> list[Shot]:
    """The moments of one episode, ten a second."""
    shots: list[Shot] = []

    def watch(images: dict[str, ImageArray], progress: Progress) -> None:
        image = captioned(progress.task.instruction, [images[view] for view in VIEWS])
        shots.append(Shot(image, progress.score))

    result = trial.run(seed, watch)
    print(f"seed {seed}: {result.instruction}: {'done' if result.success else 'not done'}")
    return shots


def captioned(text: str, views: list[ImageArray]) -> ImageArray:
    """The views side by side under a line of text."""
    small = [cv2.resize(view, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for view in views]
    line = np.full((CAPTION, WIDTH * len(views), 3), 250, np.uint8)
    cv2.putText(line, text, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (30, 30, 30), 1, cv2.LINE_AA)
    return np.vstack([line, np.hstack(small)])


if __name__ == "__main__":
    main()
