# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole recipe: processes collect records while the network is trained on those that there are.

At first the expert acts; later the newest network acts in a part of the episodes. Everything is in one folder, so that
a run that was broken off goes on. The order in which records arrive depends on the machine, so two runs differ.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import torch

from smolvla_ros.arrays import Float32Array, ImageArray
from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec
from smolvla_ros.policy.smolvla.smolvla_policy import SmolVLA
from smolvla_ros.robot import RobotSpec
from smolvla_ros.settings import SettingError, Settings, setting
from smolvla_ros.simulation.tabletop import CAMERAS
from smolvla_ros.training.small.architecture import Sizes, save_checkpoint, word_tokenizer
from smolvla_ros.training.small.collection import Chunks, Collector, concatenated
from smolvla_ros.training.small.records import LABEL_RATE_HZ, LABELS, Records
from smolvla_ros.training.small.trainer import (
    ENCODER,
    EVERYTHING,
    STAGES,
    Objective,
    RecordBuffer,
    Stage,
    Trainer,
)
from smolvla_ros.units import load_calibration
from smolvla_ros.worker_pool import interrupt_deferred

VALIDATION_SHARDS = 25  # one of so many files is not trained on
VALIDATION_RECORDS = 96
NETWORK_ACTS = 0.6  # share of the episodes in which the network acts, once there is one
SAVE_S, LOG_S = 180.0, 120.0
ACTS = "network_acts"  # a file that is there when the network may act while records are collected
AVERAGE_DECAY = 0.998


@dataclass(frozen=True)
class Recipe(Settings):
    """Settings of a run."""

    chunk: int = setting(16, "actions in a chunk", bounds=(1, None))
    rate_hz: float = setting(10.0, "of the actions; 10 or a multiple of it", bounds=(10.0, None))
    start: str = setting(
        "",
        "checkpoint whose weights and statistics training begins with; give --read-out-steps and --vision-steps 0 too",
    )
    encoder: str = setting(
        "",
        "checkpoint whose vision-language part and statistics are taken over; with --vision-steps 0 --steps 0 only a "
        "new action expert is trained for it",
    )
    text_layers: int = setting(4, "layers of language model and action expert", bounds=(1, None))
    self_attention_every: int = setting(
        2,
        "of so many layers of the action expert one attends to the actions too, the others to the prefix alone; "
        "1: all, 0: none",
        bounds=(0, None),
    )
    objective: Objective = setting(
        "flow",
        "flow: flow matching; regression: one step from noise to the actions, absolute error",
        choices=get_args(Objective),
    )
    read_out_steps: int = setting(
        0, "updates of read-outs and action expert, before all others", bounds=(0, None)
    )
    vision_steps: int = setting(1500, "updates of the vision tower alone", bounds=(0, None))
    steps: int = setting(6000, "updates of everything, after that", bounds=(0, None))
    expert_steps: int = setting(3000, "updates of the action expert alone, at the end", bounds=(0, None))
    workers: int = setting(
        1, "processes that collect records; 0: only those of an earlier run", bounds=(0, None)
    )
    batch_size: int = setting(16, "records in a training step", bounds=(2, None))
    learning_rate: float = setting(2e-3, "highest learning rate", bounds=(1e-6, None))
    reuse: float = setting(
        4.0, "how often a record is used on average before training waits for others", bounds=(1.0, None)
    )
    network_acts_after: float = setting(
        0.35,
        "share of all updates after which the network acts while records are collected",
        bounds=(0.0, None),
    )
    first_records: int = setting(1000, "training begins when there are so many records", bounds=(1, None))
    records_per_file: int = setting(64, "records in a file", bounds=(1, None))
    max_records: int = setting(60_000, "collection ends when there are so many records", bounds=(1, None))
    seed: int = setting(1, "of weights, layouts and disturbances", bounds=(0, None))
    device: str = setting("cpu", "torch's name of the device of the training")
    compile: bool = setting(False, "whether to use torch.compile")

    def __post_init__(self) -> None:
        super().__post_init__()
        last_s, longest_s = (self.chunk - 1) / self.rate_hz, (LABELS - 1) / LABEL_RATE_HZ
        if self.rate_hz % LABEL_RATE_HZ or last_s > longest_s:
            raise SettingError(
                f"chunk, rate_hz: {self.chunk} actions at {self.rate_hz} Hz; the rate must be a multiple of "
                f"{LABEL_RATE_HZ:.0f} Hz, and the last action at most {longest_s} s after the first"
            )

    @property
    def sizes(self) -> Sizes:
        return Sizes(
            chunk=self.chunk,
            rate_hz=self.rate_hz,
            flow_steps=1 if self.objective == "regression" else Sizes.flow_steps,
            text_layers=self.text_layers,
            self_attention_every=self.self_attention_every,
        )

    @property
    def all_steps(self) -> int:
        return self.read_out_steps + self.vision_steps + self.steps + self.expert_steps

    def stage(self, steps: int) -> tuple[Stage, float]:
        """The stage after so many updates, and the share of it that has passed."""
        lengths = (self.read_out_steps, self.vision_steps, self.steps, self.expert_steps)
        for stage, length in zip(STAGES, lengths):
            if steps < length:
                return stage, steps / length
            steps -= length
        return STAGES[-1], 1.0


def run(recipe: Recipe, folder: Path, robot: RobotSpec, calibration: Path) -> Path:
    """Collect and train; returns the checkpoint's folder. Goes on from what is in `folder`."""
    records_folder = folder / "records"
    records_folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(
        recipe.sizes,
        torch.device(recipe.device),
        recipe.learning_rate,
        AVERAGE_DECAY,
        recipe.seed,
        recipe.objective,
    )
    for checkpoint, parts in ((recipe.start, EVERYTHING), (recipe.encoder, ENCODER)):
        if checkpoint:
            trainer.take_weights(CheckpointSpec.load(checkpoint), parts)
    _restore(trainer, folder / "training_state.pt")
    if recipe.start and not trainer.steps:
        _save(trainer, folder, acts=recipe.network_acts_after == 0)
    if recipe.compile:
        trainer.compile()
    workers = _start_workers(recipe, folder, robot, calibration)
    try:
        _train(recipe, trainer, folder, workers)
    finally:
        for worker in workers:
            worker.terminate()
    return folder / "checkpoint"


def _train(recipe: Recipe, trainer: Trainer, folder: Path, workers: list[BaseProcess]) -> None:
    records, validation = RecordBuffer(trainer.device), RecordBuffer(trainer.device)
    incoming = _incoming(folder / "records")
    saved_s = logged_s = time.monotonic()
    sums: dict[str, torch.Tensor] = {}
    count = 0
    stage: Stage | None = None
    while trainer.steps < recipe.all_steps:
        for path, shard in _drain(incoming):
            (validation if _number(path) % VALIDATION_SHARDS == 0 else records).add(shard)
        wanted = min(
            max(recipe.first_records, trainer.steps * recipe.batch_size / recipe.reuse), recipe.max_records
        )
        if len(records) < wanted or not len(validation):
            time.sleep(0.2)
            continue
        before, (stage, share) = stage, recipe.stage(trainer.steps)
        if stage != before:
            sums, count = {}, 0
        for name, loss in trainer.step(records, recipe.batch_size, stage, share).items():
            sums[name] = sums.get(name, torch.zeros((), device=trainer.device)) + loss
        count += 1
        now_s = time.monotonic()
        if now_s - logged_s > LOG_S:
            held_out = trainer.validation_losses(validation, VALIDATION_RECORDS)
            line = {
                "stage": stage,
                "steps": trainer.steps,
                "records": len(records),
                **{name: round(float(loss) / count, 4) for name, loss in sums.items()},
                **{f"validation_{name}": round(loss, 4) for name, loss in held_out.items()},
            }
            with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            print(line, flush=True)
            logged_s, sums, count = time.monotonic(), {}, 0
            if len(records) > recipe.max_records:
                for worker in workers:
                    worker.terminate()
        if now_s - saved_s > SAVE_S:
            _save(trainer, folder, acts=trainer.steps >= recipe.network_acts_after * recipe.all_steps)
            saved_s = time.monotonic()
    _save(trainer, folder, acts=True)


def _incoming(folder: Path) -> queue.Queue[tuple[Path, Records]]:
    """Files of records as they appear, read in a thread."""
    found: queue.Queue[tuple[Path, Records]] = queue.Queue(maxsize=64)

    def read() -> None:
        known: set[Path] = set()
        while True:
            for path in sorted(set(folder.glob("*.npz")) - known):
                known.add(path)
                found.put((path, Records.load(path)))
            time.sleep(0.5)

    threading.Thread(target=read, daemon=True).start()
    return found


def _drain(incoming: queue.Queue[tuple[Path, Records]]) -> Iterator[tuple[Path, Records]]:
    while True:
        try:
            yield incoming.get_nowait()
        except queue.Empty:
            return


def _number(path: Path) -> int:
    """Of a file of its worker."""
    return int(path.stem.rpartition("_")[2])


def _save(trainer: Trainer, folder: Path, acts: bool) -> None:
    """Replace the checkpoint and the state to go on from; `acts`: the collecting processes use it from now on."""
    assert trainer.statistics is not None
    new, old = folder / "checkpoint.new", folder / "checkpoint.old"
    shutil.rmtree(new, ignore_errors=True)
    save_checkpoint(new, trainer.sizes, trainer.averaged_network(), trainer.statistics.by_feature())
    shutil.rmtree(old, ignore_errors=True)
    if (folder / "checkpoint").exists():
        (folder / "checkpoint").rename(old)
    new.rename(folder / "checkpoint")
    if acts:
        (folder / ACTS).touch()
    state = {
        "steps": trainer.steps,
        "network": trainer.network.state_dict(),
        "heads": trainer.heads.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "averages": trainer.averages,
        "statistics": trainer.statistics,
    }
    unfinished = folder / "training_state.unfinished"
    torch.save(state, unfinished)
    unfinished.rename(folder / "training_state.pt")


def _restore(trainer: Trainer, path: Path) -> None:
    """Go on from a saved state, if there is one."""
    if not path.exists():
        return
    state = torch.load(path, map_location=trainer.device, weights_only=False)
    trainer.network.load_state_dict(state["network"])
    trainer.heads.load_state_dict(state["heads"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.averages, trainer.statistics = state["averages"], state["statistics"]
    trainer.steps = state["steps"]


def _start_workers(recipe: Recipe, folder: Path, robot: RobotSpec, calibration: Path) -> list[BaseProcess]:
    context = multiprocessing.get_context("spawn")
    arguments = (recipe, folder, robot, calibration)
    workers: list[BaseProcess] = [
        context.Process(target=collect, args=(*arguments, index), daemon=True)
        for index in range(recipe.workers)
    ]
    with interrupt_deferred():
        for worker in workers:
            worker.start()
    return workers


def collect(recipe: Recipe, folder: Path, robot: RobotSpec, calibration: Path, worker: int) -> None:
    """Write files of records until the process, or the one that has started it, is ended."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    os.nice(19)  # training waits for records if they are too few; beside it they would take half of two cores
    number = sum(1 for _ in (folder / "records").glob(f"{worker}_*.npz"))
    seed = [recipe.seed, worker, number]
    random = np.random.default_rng(seed)
    units = list(robot.units(load_calibration(calibration, robot.joint_names)))
    collector = Collector(robot, units, recipe.sizes, word_tokenizer(), int(random.integers(2**31)))
    newest = NewestNetwork(folder / "checkpoint", robot)
    shard: list[Records] = []
    parent = multiprocessing.parent_process()
    while parent is None or parent.is_alive():
        chunks = None
        if (folder / ACTS).exists() and random.random() < NETWORK_ACTS:
            chunks = newest.chunks()
        for record in collector.episode(chunks):
            shard.append(record)
            if len(shard) == recipe.records_per_file:
                concatenated(shard).save(folder / "records" / f"{worker}_{number:06}.npz")
                shard, number = [], number + 1


class NewestNetwork:
    """The newest checkpoint in a folder that is replaced from time to time."""

    def __init__(self, folder: Path, robot: RobotSpec) -> None:
        self._folder = folder
        self._keys = {name: robot.camera(name).image_key for name in CAMERAS}
        self._loaded: SmolVLA | None = None
        self._time = 0.0

    def chunks(self) -> Chunks | None:
        """Its actions; None as long as there is none."""
        try:
            time = (self._folder / "config.json").stat().st_mtime
            if time != self._time:
                self._loaded = SmolVLA.from_pretrained(self._folder, device="cpu", dtype="float32")
                self._time = time
        except (OSError, ValueError):  # it is being replaced
            pass
        policy = self._loaded
        if policy is None:
            return None

        def predict(images: Mapping[str, ImageArray], state: Float32Array, task: str) -> Float32Array:
            named = {self._keys[name]: image for name, image in images.items()}
            return policy.predict_chunk(named, state, task)

        return predict
