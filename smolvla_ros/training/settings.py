# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The settings of a training run; the command line is made of them."""

from __future__ import annotations

from dataclasses import dataclass

from smolvla_ros.settings import setting
from smolvla_ros.training.adapter import AdapterSettings
from smolvla_ros.training.balance import BALANCES
from smolvla_ros.training.optimization import LARGEST_DECAY, OptimizerSettings
from smolvla_ros.training.trained_parameters import TRAINED


@dataclass(frozen=True)
class TrainingSettings(OptimizerSettings, AdapterSettings):
    """What is trained, for how long, and what is written."""

    steps: int = setting(20_000, "updates of the weights", bounds=(1, None))
    batch_size: int = setting(
        64, "samples of an update in each process and accumulated batch", bounds=(1, None)
    )
    accumulate: int = setting(1, "batches whose gradients are added up for an update", bounds=(1, None))
    trained: str = setting(
        "expert",
        "which weights: the action expert and the projection of the state, the expert alone, also the language model "
        "and the connector, or all. The last layer and the head of the language model are never trained, as in LeRobot",
        choices=TRAINED,
    )
    precision: str = setting(
        "auto",
        "bfloat16: computed in bfloat16, weights kept in float32. lerobot: LeRobot's mix, weights kept in bfloat16, "
        "in which most of them do not change in a step. auto: bfloat16 if the device has such arithmetic, else float32",
        choices=("auto", "float32", "bfloat16", "lerobot"),
    )
    correction_weight: float = setting(
        1.0,
        "weight of the actions of a person who has taken control from the policy, which datasets state as "
        "`intervention`; those of others have 1",
        bounds=(0, 1000),
    )
    validation: float = setting(0.1, "share of the episodes that are held out", bounds=(0, 0.9))
    validate_every: int = setting(
        1000, "updates between losses of held-out episodes; 0: never", bounds=(0, None)
    )
    save_every: int = setting(1000, "updates between checkpoints", bounds=(1, None))
    keep: int = setting(3, "checkpoints that are kept, the newest; 0: all", bounds=(0, None))
    log_every: int = setting(10, "updates between lines of the log", bounds=(1, None))
    ema: float = setting(
        0.0,
        "decay of a moving average of the weights, which is then saved, such as 0.999; 0: none",
        bounds=(0, LARGEST_DECAY),
    )
    augment: str = setting("off", "random changes of images, as LeRobot's", choices=("off", "on"))
    cache: str = setting(
        "",
        "folder for keys and values of frozen parts, computed once for each frame: faster, but needs much space",
    )
    cache_variants: int = setting(
        4, "how many random changes of each frame the cache has, if augment is on", bounds=(1, None)
    )
    balance: str = setting(
        "frames",
        "what is drawn equally often: every frame, or every task or dataset, whatever its length",
        choices=BALANCES,
    )
    statistics: str = setting(
        "joint",
        "joint: of all datasets together. own: states and actions of each dataset are scaled to the mean and range of "
        "the first one, whose statistics the checkpoint gets. checkpoint: those that it has, for the robot that it was "
        "trained on: training begins with what it can do",
        choices=("joint", "own", "checkpoint"),
    )
    action_rate_hz: float = setting(
        0.0,
        "actions a second in a chunk, such as those of the checkpoint, where the datasets have two or three times as "
        "many frames a second; 0: as many as frames",
        bounds=(0, None),
    )
    checkpoint_activations: str = setting(
        "off",
        "on: layers are computed again in the backward pass, which needs less memory and more time",
        choices=("off", "on"),
    )
    workers: int = setting(
        -1, "processes that decode images; 0: none, -1: one for each other core", bounds=(-1, None)
    )
    seed: int = setting(
        1000, "of order, noise, augmentation, held-out episodes and new weights", bounds=(0, None)
    )
    device: str = setting("auto", "auto: CUDA if there is one; or cpu")
