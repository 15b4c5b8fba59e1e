# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write a full-size SmolVLA with random weights in LeRobot 0.4's layout, without downloading anything.

Sizes, names and types are those of lerobot/smolvla_base: 500 tensors, 450,046,176 parameters, 0.91 GB. They are
listed here and not taken from network.py, so that a mistake there is found. The tokenizer is that of the small
checkpoint: a prompt is padded to the same length. Its actions are meaningless; its inference time is realistic.
"""

from __future__ import annotations

import json
import math
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from smolvla_ros.training.small.architecture import Sizes, write_files_beside_weights

CAMERAS = ("camera1", "camera2", "camera3")
TEXT = {"hidden_size": 960, "intermediate_size": 2560, "vocab_size": 49280}
HEADS = {"num_attention_heads": 15, "num_key_value_heads": 5, "head_dim": 64}
VISION = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
IMAGE, PATCH, SHUFFLE = 512, 16, 4  # pixels a side; pixels of a patch; patches a side of a token
LAYERS = 16  # of the language model that are used
EXPERT, EXPERT_MLP = 720, 2048
PADDED = 32  # width of padded state and actions

SIZES = Sizes(
    cameras=CAMERAS,
    chunk=50,
    rate_hz=30.0,
    flow_steps=10,
    image=IMAGE,
    patch=PATCH,
    pixel_shuffle=SHUFFLE,
    vision_width=VISION["hidden_size"],
    vision_layers=VISION["num_hidden_layers"],
    vision_heads=VISION["num_attention_heads"],
    text_width=TEXT["hidden_size"],
    text_layers=LAYERS,
    text_heads=HEADS["num_attention_heads"],
    text_kv_heads=HEADS["num_key_value_heads"],
    head_dim=HEADS["head_dim"],
    text_mlp_width=TEXT["intermediate_size"],
    text_tokens=48,
    vocabulary=TEXT["vocab_size"],
)


class Spec(NamedTuple):
    """One tensor of the file."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    spread: float  # standard deviation of its random values


def tensor_specs() -> dict[str, Spec]:
    """All tensors of model.safetensors by LeRobot's names."""
    return dict(_tensor_specs())


def _tensor_specs() -> Iterator[tuple[str, Spec]]:
    width, vocabulary = TEXT["hidden_size"], TEXT["vocab_size"]
    eye = VISION["hidden_size"]
    vlm = "model.vlm_with_expert.vlm.model."
    tower = f"{vlm}vision_model."

    yield from _linear(f"{tower}embeddings.patch_embedding", (eye, 3, PATCH, PATCH))
    yield (
        f"{tower}embeddings.position_embedding.weight",
        Spec(((IMAGE // PATCH) ** 2, eye), torch.bfloat16, 1.0),
    )
    for index in range(VISION["num_hidden_layers"]):
        layer = f"{tower}encoder.layers.{index}."
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from _linear(f"{layer}self_attn.{name}", (eye, eye))
        yield from _linear(f"{layer}mlp.fc1", (VISION["intermediate_size"], eye))
        yield from _linear(f"{layer}mlp.fc2", (eye, VISION["intermediate_size"]))
        yield from _norm(f"{layer}layer_norm1", eye, bias=True)
        yield from _norm(f"{layer}layer_norm2", eye, bias=True)
    yield from _norm(f"{tower}post_layernorm", eye, bias=True)

    # Image and word embeddings are multiplied by sqrt(width) before the first layer, which makes their size 1.
    unit = width**-0.5
    patches = SHUFFLE**2 * eye
    connector = f"{vlm}connector.modality_projection.proj.weight"
    yield connector, Spec((width, patches), torch.bfloat16, unit * patches**-0.5)
    yield f"{vlm}text_model.embed_tokens.weight", Spec((vocabulary, width), torch.bfloat16, unit)
    for index in range(LAYERS):
        yield from _layer(f"{vlm}text_model.layers.{index}.", width, TEXT["intermediate_size"])
    yield from _norm(f"{vlm}text_model.norm", width)
    yield from _linear("model.vlm_with_expert.vlm.lm_head", (vocabulary, width), bias=False)

    expert = "model.vlm_with_expert.lm_expert."
    for index in range(LAYERS):
        yield from _layer(f"{expert}layers.{index}.", EXPERT, EXPERT_MLP, is_cross_attention=index % 2 == 1)
    yield from _norm(f"{expert}norm", EXPERT)

    for name, shape in (
        ("state_proj", (width, PADDED)),
        ("action_in_proj", (EXPERT, PADDED)),
        ("action_out_proj", (PADDED, EXPERT)),
        ("action_time_mlp_in", (EXPERT, 2 * EXPERT)),
        ("action_time_mlp_out", (EXPERT, EXPERT)),
    ):
        yield from _linear(f"model.{name}", shape, dtype=torch.float32)


def _layer(name: str, width: int, mlp: int, is_cross_attention: bool = False) -> Iterator[tuple[str, Spec]]:
    """A layer of the language model or the expert; cross-attention takes keys and values from those of the prefix."""
    queries, cached = (
        HEADS[count] * HEADS["head_dim"] for count in ("num_attention_heads", "num_key_value_heads")
    )
    source, dtype = (cached, torch.float32) if is_cross_attention else (width, torch.bfloat16)
    yield from _linear(f"{name}self_attn.q_proj", (queries, width), bias=False)
    yield from _linear(f"{name}self_attn.k_proj", (cached, source), bias=False, dtype=dtype)
    yield from _linear(f"{name}self_attn.v_proj", (cached, source), bias=False, dtype=dtype)
    yield from _linear(f"{name}self_attn.o_proj", (width, queries), bias=False)
    yield from _linear(f"{name}mlp.gate_proj", (mlp, width), bias=False)
    yield from _linear(f"{name}mlp.up_proj", (mlp, width), bias=False)
    yield from _linear(f"{name}mlp.down_proj", (width, mlp), bias=False)
    yield from _norm(f"{name}input_layernorm", width)
    yield from _norm(f"{name}post_attention_layernorm", width)


def _linear(
    name: str, shape: tuple[int, ...], bias: bool = True, dtype: torch.dtype = torch.bfloat16
) -> Iterator[tuple[str, Spec]]:
    """Weights that keep the standard deviation of their input."""
    yield f"{name}.weight", Spec(shape, dtype, math.prod(shape[1:]) ** -0.5)
    if bias:
        yield f"{name}.bias", Spec(shape[:1], dtype, 0.02)


def _norm(name: str, width: int, bias: bool = False) -> Iterator[tuple[str, Spec]]:
    """Weights around 1: see `_values`."""
    yield f"{name}.weight", Spec((width,), torch.bfloat16, 0.1)
    if bias:
        yield f"{name}.bias", Spec((width,), torch.bfloat16, 0.02)


def make(folder: Path, seed: int = 0) -> Path:
    """The checkpoint folder; it is written if it does not exist."""
    if not folder.is_dir():
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        write_files(unfinished)
        _write_weights(unfinished / "model.safetensors", seed)
        unfinished.rename(folder)
    return folder


def write_files(folder: Path) -> None:
    """Write all files but the weights."""
    values = {"mean": np.zeros(SIZES.joints), "std": np.full(SIZES.joints, 30.0)}
    write_files_beside_weights(folder, SIZES, {"observation.state": values, "action": values})


def _write_weights(path: Path, seed: int) -> None:
    """Write a safetensors file with one tensor in memory at a time: length of the header, header, tensors."""
    names = {torch.float32: "F32", torch.bfloat16: "BF16"}
    # float32 first, so that all are aligned
    specs = sorted(tensor_specs().items(), key=lambda item: -item[1].dtype.itemsize)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, spec in specs:
        start, end = end, end + math.prod(spec.shape) * spec.dtype.itemsize
        header[name] = {"dtype": names[spec.dtype], "shape": spec.shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    generator = torch.Generator().manual_seed(seed)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, spec in specs:
            file.write(_values(name, spec, generator).view(torch.uint8).numpy().data)


def _values(name: str, spec: Spec, generator: torch.Generator) -> Tensor:
    """Flat random values, around 1 for norms and around 0 for all others."""
    middle = 1.0 if "norm" in name and name.endswith(".weight") else 0.0
    values = torch.empty(math.prod(spec.shape))
    return values.normal_(middle, spec.spread, generator=generator).to(spec.dtype)
