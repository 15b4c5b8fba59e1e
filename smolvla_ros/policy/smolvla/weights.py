# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Loads a checkpoint's weights into the network.

LeRobot loads what fits and logs the rest; here a missing or unexpected tensor is an error, because a partly loaded
model still outputs actions. Tensors are copied one at a time into an empty network, so the model is in memory once.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
from torch import nn

from smolvla_ros.policy.checkpoint.files import CheckpointError, TensorFile, open_tensors
from smolvla_ros.policy.checkpoint.lora import Adapter
from smolvla_ros.policy.checkpoint.statistics import BUFFER_MODULES
from smolvla_ros.policy.smolvla.acceleration import accelerate
from smolvla_ros.policy.smolvla.network import Network

# Prefix of our parameters -> prefix in checkpoints; the first row that matches is used.
_VLM = "model.vlm_with_expert.vlm.model."
CHECKPOINT_NAMES = (
    ("vision.patch_embedding.", f"{_VLM}vision_model.embeddings.patch_embedding."),
    ("vision.position_embedding.", f"{_VLM}vision_model.embeddings.position_embedding."),
    ("vision.layers.", f"{_VLM}vision_model.encoder.layers."),
    ("vision.", f"{_VLM}vision_model."),
    ("connector.", f"{_VLM}connector.modality_projection."),
    ("text.", f"{_VLM}text_model."),
    ("expert.", "model.vlm_with_expert.lm_expert."),
    ("", "model."),
)
UNUSED = "model.vlm_with_expert.vlm.lm_head.weight"  # predicts the next token; not used
LAYER = re.compile(r"\w+\.layers\.\d+")
EXPERT_KEY_VALUE = re.compile(r"expert\.layers\.(\d+)\.self_attn\.[kv]_proj\.weight")


@dataclass(frozen=True)
class Weights:
    """The files of a checkpoint's weights: model.safetensors, and an adapter to merge into it."""

    path: Path
    adapter: Adapter | None = None

    def check(self, network: Network) -> None:
        """Raise CheckpointError unless names, shapes and types fit the network; reads no weights."""
        names = _names(network)
        with open_tensors(self.path) as file:
            _check_keys(file, names)
            for key, name in names.items():
                file.check_type(key)
                wanted = tuple(network.get_parameter(name).shape)
                if file.shape(key) != wanted:
                    raise CheckpointError(
                        f"{self.path}: {key!r} has shape {file.shape(key)}, the config.json of checkpoint and "
                        f"backbone make it {wanted}; one of the files belongs to another model"
                    )
        if self.adapter:
            shapes = {key: tuple(network.get_parameter(name).shape) for key, name in names.items()}
            self.adapter.check(shapes, frozenset((UNUSED,)))

    def load(self, network: Network, device: torch.device, dtype: str, accelerates: bool = True) -> None:
        """Load into a network on the meta device that `check` has accepted, and accelerate it for inference.

        Without `accelerates` the network keeps its parameters, so that it can be trained.
        """
        blocks = {block.name: block for block in network.blocks()}
        with open_tensors(self.path) as file:
            for block, names in groupby(_names(network).items(), key=lambda item: _block(item[1])):
                self._fill(network, file, names, device, dtype)
                if accelerates and block in blocks:
                    accelerate(blocks[block], device, dtype)
                    _return_freed_memory()
        network.eval()

    def _fill(
        self,
        network: Network,
        file: TensorFile,
        names: Iterable[tuple[str, str]],
        device: torch.device,
        dtype: str,
    ) -> None:
        for key, name in names:
            module_name, _, leaf = name.rpartition(".")
            module = network.get_submodule(module_name)
            shape = tuple(getattr(module, leaf).shape)
            tensor = torch.empty(shape, dtype=parameter_dtype(network, name, dtype), device=device)
            if self.adapter and self.adapter.changes(key):
                tensor.copy_(self.adapter.merged(key, file.read(key)))
            else:
                file.copy(key, tensor)
            setattr(module, leaf, nn.Parameter(tensor, requires_grad=False))


def _return_freed_memory() -> None:
    """Return memory that glibc keeps after a block was rearranged, up to an eighth of the weights."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _block(name: str) -> str:
    """`vision.layers.3` for `vision.layers.3.mlp.fc1.weight`, else the first part of the name."""
    return name[: layer.end()] if (layer := LAYER.match(name)) else name.partition(".")[0]


def _names(network: Network) -> dict[str, str]:
    return {checkpoint_name(name): name for name, _ in network.named_parameters()}


def checkpoint_name(name: str) -> str:
    """The key under which LeRobot saves our parameter `name`."""
    ours, theirs = next(row for row in CHECKPOINT_NAMES if name.startswith(row[0]))
    return theirs + name.removeprefix(ours)


def parameter_dtype(network: Network, name: str, dtype: str) -> torch.dtype:
    """The type in which a parameter is computed, whatever type it is stored in.

    "native": as in LeRobot 0.4, where it results from the order in which the model is built (the re-projections of the
    odd expert layers are float32 because they are created after the rest).
    """
    if dtype == "float32" or name.startswith(("state_proj.", "action_")):
        return torch.float32
    if dtype == "native":
        if name.startswith(("vision.", "connector.")) and not network.config.load_vlm_weights:
            return torch.float32
        match = EXPERT_KEY_VALUE.fullmatch(name)
        if match and not network.self_attention[int(match[1])]:
            return torch.float32
    return torch.bfloat16


def _check_keys(file: TensorFile, wanted: dict[str, str]) -> None:
    weights = {key for key in file.keys if not key.startswith(BUFFER_MODULES)}
    missing = sorted(set(wanted) - weights)
    unexpected = sorted(weights - set(wanted) - {UNUSED})
    if missing or unexpected:
        raise CheckpointError(
            f"{file.path} does not hold the weights that config.json describes: {_listed('missing', missing)}"
            f"; {_listed('unexpected', unexpected)}. Copy the checkpoint again, all files from one place"
        )


def _listed(what: str, keys: Sequence[str]) -> str:
    shown = ", ".join(keys[:4]) + (", ..." if len(keys) > 4 else "")
    return f"{len(keys)} {what}" + (f" ({shown})" if keys else "")
