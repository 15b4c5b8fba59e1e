# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the `pretrained_model` folder of a checkpoint, which LeRobot and the policy node load."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from smolvla_ros.policy.checkpoint.config import ACTION, STATE, short_name
from smolvla_ros.policy.checkpoint.files import CONFIG_FILE, WEIGHTS_FILE, open_tensors
from smolvla_ros.policy.checkpoint.pipeline_files import rate_statistics, write_json, write_pipelines
from smolvla_ros.policy.smolvla.network import Network
from smolvla_ros.policy.smolvla.weights import UNUSED, checkpoint_name
from smolvla_ros.share import NODE_PARAMETERS
from smolvla_ros.training.settings import TrainingSettings
from smolvla_ros.training.task import TrainingTask, lerobot_training_flags

BACKBONE_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def write_description(folder: Path, task: TrainingTask, settings: TrainingSettings, run: Path) -> None:
    """Write all files but the weights."""
    spec, config = task.spec, task.spec.config
    inputs: dict[str, dict[str, Any]] = {STATE: {"type": "STATE", "shape": [config.state_dim]}}
    for key in config.camera_keys:
        inputs[key] = {"type": "VISUAL", "shape": task.image_shape(short_name(key))}
    outputs = {ACTION: {"type": "ACTION", "shape": [config.action_dim]}}
    values = base_config(task) | {
        "input_features": inputs,
        "output_features": outputs,
        **lerobot_training_flags(settings.trained),
        **_lerobot_optimizer(settings),
        "use_peft": settings.lora_rank > 0,
    }
    write_json(folder / CONFIG_FILE, values)
    tokens = spec.processors.tokenizer
    write_pipelines(
        folder,
        inputs,
        outputs,
        config.norm_modes,
        {
            "tokenizer_name": tokens.name,
            "max_length": tokens.max_length,
            "padding": "max_length" if tokens.pads_to_max_length else "longest",
            "padding_side": tokens.padding_side,
            "truncation": tokens.truncates,
        },
        {
            f"{feature}.{name}": torch.from_numpy(array.copy())
            for feature, statistics in task.statistics.items()
            for name, array in statistics.items()
        }
        | rate_statistics(task.rate_hz),
        spec.processors.rename,
    )
    write_json(folder / "train_config.json", _train_config(task, settings, values, run))
    if (spec.folder / NODE_PARAMETERS).is_file():
        shutil.copy(spec.folder / NODE_PARAMETERS, folder / NODE_PARAMETERS)
    for name in {config.vlm_model_name, tokens.name}:
        if (spec.folder / name).is_dir() and not Path(name).is_absolute():  # it belongs to the checkpoint
            copy_backbone(spec.folder / name, folder / name)


def copy_backbone(source: Path, target: Path) -> None:
    """Copy what a checkpoint needs of its vision-language model: configuration and tokenizer."""
    target.mkdir(parents=True)
    for name in BACKBONE_FILES:
        if (source / name).is_file():
            shutil.copy(source / name, target / name)


def base_config(task: TrainingTask) -> dict[str, Any]:
    """config.json of the checkpoint that training started from; that of its base model if it is an adapter."""
    places = (task.spec.folder, task.spec.weights.path.parent)
    place = next(place for place in places if (place / CONFIG_FILE).is_file())
    values: dict[str, Any] = json.loads((place / CONFIG_FILE).read_text(encoding="utf-8"))
    return values


def write_weights(folder: Path, task: TrainingTask, network: Network, trained: Mapping[str, Tensor]) -> None:
    """Write model.safetensors: `trained` by LeRobot's names, the frozen weights as they are in the base checkpoint."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in trained.items()}
    frozen = {
        checkpoint_name(name): parameter
        for name, parameter in network.named_parameters()
        if checkpoint_name(name) not in trained
    }
    adapter = task.spec.weights.adapter
    with open_tensors(task.spec.weights.path) as file:
        for key in (*frozen, *({UNUSED} & set(file.keys))):
            if adapter and adapter.changes(key) and key in frozen:
                tensors[key] = frozen[key].detach().cpu()
            else:
                tensors[key] = torch.empty(file.shape(key), dtype=file.check_type(key))
                file.copy(key, tensors[key])
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})


def _lerobot_optimizer(settings: TrainingSettings) -> dict[str, Any]:
    return {
        "optimizer_lr": settings.lr,
        "optimizer_betas": [settings.beta1, settings.beta2],
        "optimizer_eps": settings.eps,
        "optimizer_weight_decay": settings.weight_decay,
        "optimizer_grad_clip_norm": settings.grad_clip_norm,
        "scheduler_warmup_steps": settings.warmup_steps,
        "scheduler_decay_steps": settings.decay_steps,
        "scheduler_decay_lr": settings.decay_lr,
    }


def _train_config(
    task: TrainingTask, settings: TrainingSettings, policy: Mapping[str, Any], run: Path
) -> dict[str, Any]:
    """The configuration from which LeRobot's trainer continues the run, on the first dataset."""
    dataset = task.datasets[0].root.resolve()
    return {
        "dataset": {"repo_id": f"local/{dataset.name}", "root": str(dataset)},
        "policy": {**policy, "push_to_hub": False},  # LeRobot's default is to push, and asks for a name
        "output_dir": str(run.resolve()),
        "job_name": run.name,
        "resume": False,
        "seed": settings.seed,
        "num_workers": max(settings.workers, 0),
        "batch_size": settings.batch_size,
        "steps": settings.steps,
        "log_freq": settings.log_every,
        "save_checkpoint": True,
        "save_freq": settings.save_every,
        "use_policy_training_preset": True,
        "optimizer": {
            "type": "adamw",
            "lr": settings.lr,
            "betas": [settings.beta1, settings.beta2],
            "eps": settings.eps,
            "weight_decay": settings.weight_decay,
            "grad_clip_norm": settings.grad_clip_norm,
        },
        "scheduler": {
            "type": "cosine_decay_with_warmup",
            "num_warmup_steps": settings.warmup_steps,
            "num_decay_steps": settings.decay_steps,
            "peak_lr": settings.lr,
            "decay_lr": settings.decay_lr,
        },
        "rename_map": dict(task.spec.processors.rename),
    }
