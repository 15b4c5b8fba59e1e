# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes and reads the `training_state` folder of a checkpoint, in LeRobot's layout.

LeRobot numbers the optimizer's state by `policy.parameters()`, frozen ones included. The states of random generators
are written for LeRobot's trainer only: here noise and order follow from the seed and the number of the update.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from smolvla_ros.policy.checkpoint.pipeline_files import write_json

STEP, SCHEDULER, GROUPS = "training_step.json", "scheduler_state.json", "optimizer_param_groups.json"
OPTIMIZER, RANDOM, WEIGHTS = "optimizer_state.safetensors", "rng_state.safetensors", "weights.safetensors"


@dataclass(frozen=True)
class TrainingState:
    """What changes in a run, beside the weights themselves.

    parameters: the trained ones, by LeRobot's names, in the order of the optimizer. indices: LeRobot's numbers of all
    parameters, by name; of an adapter its own order. average: moving average of the weights, if it is kept.
    """

    parameters: Mapping[str, nn.Parameter]
    indices: Mapping[str, int]
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    average: Mapping[str, Tensor] | None = None

    def write(self, folder: Path, step: int, processes: int, batch_size: int) -> None:
        """Write all files into `folder`, which is created."""
        folder.mkdir(parents=True)
        write_json(folder / STEP, {"step": step, "num_processes": processes, "batch_size": batch_size})
        write_json(
            folder / SCHEDULER,
            {key: value for key, value in self.schedule.state_dict().items() if key != "lr_lambdas"}
            | {"lr_lambdas": [None]},
        )
        state = self.optimizer.state_dict()
        [group] = state["param_groups"]
        # LeRobot accepts no other type than that of its own optimizer, which is not fused.
        saved = {**group, "fused": None, "params": sorted(self.indices.values())}
        write_json(folder / GROUPS, [saved])
        numbers = [self.indices[name] for name in self.parameters]
        save_file(
            {
                f"state/{numbers[index]}/{name}": value.cpu()
                for index, values in state["state"].items()
                for name, value in values.items()
            },
            folder / OPTIMIZER,
        )
        save_file(_random_state(), folder / RANDOM)
        if self.average is not None:  # model.safetensors holds the average
            weights = {name: parameter.detach().cpu() for name, parameter in self.parameters.items()}
            save_file(weights, folder / WEIGHTS)

    def read(self, folder: Path) -> int:
        """Restore optimizer and schedule; returns the number of updates done."""
        names = {index: place for place, index in enumerate(self.indices[name] for name in self.parameters)}
        values: dict[int, dict[str, Tensor]] = {}
        for key, value in load_file(folder / OPTIMIZER).items():
            _, index, name = key.split("/")
            values.setdefault(names[int(index)], {})[name] = value
        [group] = json.loads((folder / GROUPS).read_text(encoding="utf-8"))
        own = self.optimizer.state_dict()["param_groups"][0]
        self.optimizer.load_state_dict(
            {
                "state": values,
                "param_groups": [{**own, **group, "params": own["params"], "fused": own["fused"]}],
            }
        )
        schedule = json.loads((folder / SCHEDULER).read_text(encoding="utf-8"))
        self.schedule.load_state_dict(schedule)
        step: int = json.loads((folder / STEP).read_text(encoding="utf-8"))["step"]
        return step


def _random_state() -> dict[str, Tensor]:
    """The states of Python's, NumPy's and torch's generators under LeRobot's names."""
    version, state, _ = random.getstate()
    legacy: Any = np.random.get_state()
    return {
        "py_rng_version": torch.tensor([version], dtype=torch.int64),
        "py_rng_state": torch.tensor(state, dtype=torch.int64),
        "np_rng_state_values": torch.tensor(legacy[1].astype(np.int64)),
        "np_rng_state_index": torch.tensor([legacy[2]], dtype=torch.int64),
        "np_rng_has_gauss": torch.tensor([legacy[3]], dtype=torch.int64),
        "np_rng_cached_gaussian": torch.tensor([legacy[4]], dtype=torch.float32),
        "torch_rng_state": torch.get_rng_state(),
    }
