# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LoRA adapters as PEFT saves them: small matrices that are added to the weights of a base checkpoint.

    W' = W + scale * B A        scale = alpha / r, with rank-stabilised LoRA alpha / sqrt(r)

A is (r, inputs), B is (outputs, r). The sum is computed once, at load, in float32. Other variants of PEFT's LoraConfig
raise CheckpointError.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from smolvla_ros.policy.checkpoint.files import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    HUB_ID,
    Checkpoint,
    CheckpointError,
    Json,
    TensorFile,
    open_tensors,
)

PREFIX = "base_model.model."
ALL_LINEAR = "all-linear"
COMPLETE = "copy the whole folder of the adapter"
REQUIRED_VALUES: dict[str, tuple[object, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    # Other initialisations change the base model's weights too, which are then not those of the base checkpoint.
    "init_lora_weights": (True, False, "gaussian", "eva", "orthogonal"),
}
# Keys of PEFT's LoraConfig that may have any value: those that are computed here, and those that do not change the sum.
# A true value of any other key means a variant that computes something else.
# fmt: off
COMPUTED_KEYS = (
    "alpha_pattern", "base_model_name_or_path", "exclude_modules", "layers_pattern", "layers_to_transform",
    "lora_alpha", "modules_to_save", "r", "rank_pattern", "revision", "target_modules", "use_rslora",
)
NO_EFFECT_KEYS = (
    "auto_mapping", "corda_config", "ensure_weight_tying", "eva_config", "inference_mode", "loftq_config",
    "lora_dropout", "lora_ga_config", "megatron_config", "megatron_core", "peft_version", "qalora_group_size",
    "runtime_config", "task_type",
)
# fmt: on


@dataclass(frozen=True)
class Adapter:
    """An adapter folder. All keys are those of the base checkpoint's weights."""

    path: Path
    base: str  # name of the base checkpoint: a folder or a Hub id
    base_revision: str | None
    scales: Mapping[str, float]  # weight -> factor of B A
    replaced: frozenset[str]  # weights and biases that the adapter replaces
    target: object  # PEFT's target_modules; None if other settings narrow it, or it is all-linear

    @classmethod
    def load(cls, checkpoint: Checkpoint) -> Adapter:
        """Read adapter_config.json and the names and shapes in adapter_model.safetensors."""
        config = checkpoint.json(ADAPTER_CONFIG, COMPLETE)
        for key, value in config.values.items():
            allowed = REQUIRED_VALUES.get(key)
            if key not in COMPUTED_KEYS + NO_EFFECT_KEYS and (value not in allowed if allowed else value):
                raise CheckpointError(
                    f"{config.where}: {key!r} is {value!r}: only plain LoRA can be merged; merge the adapter into its "
                    f"base model with PEFT (merge_and_unload) and save that"
                )
        path = checkpoint.weights_file(ADAPTER_WEIGHTS)
        with open_tensors(path) as file:
            modules, whole = _sort(file, config)
            scales = {f"{module}.weight": _scale(file, config, module) for module in modules}
        narrowed = any(config.values.get(key) for key in ("exclude_modules", "layers_to_transform"))
        target = config.values.get("target_modules")
        return cls(
            path,
            config.get("base_model_name_or_path", str),
            config.get("revision", str, None),
            scales,
            frozenset(whole),
            None if narrowed or target == ALL_LINEAR else target,
        )

    def find_base(self, folder: Path) -> Checkpoint:
        """The base checkpoint: a folder inside the adapter's, beside it or in the working directory; or on the Hub."""
        for place in (folder / self.base, folder.resolve().parent / self.base, Path(self.base).expanduser()):
            if place.is_dir():
                base = Checkpoint.locate(place)
                break
        else:
            if not HUB_ID.fullmatch(self.base):
                raise CheckpointError(
                    f"{folder / ADAPTER_CONFIG}: the base model {self.base!r} is no folder inside the adapter's, none "
                    f"beside it, none in {Path.cwd()} and no Hub id; put the base checkpoint beside the adapter"
                )
            base = Checkpoint.locate(self.base, self.base_revision)
        if base.has(ADAPTER_CONFIG):
            raise CheckpointError(
                f"{folder}: its base model {base.folder} is an adapter too; merge that one first"
            )
        return base

    def check(self, shapes: Mapping[str, tuple[int, ...]], unused: frozenset[str]) -> None:
        """Raise CheckpointError unless the adapter fits weights of these `shapes`; it may adapt `unused` ones too."""
        strange = sorted({*self.scales, *self.replaced} - set(shapes) - unused)
        if strange:
            raise CheckpointError(
                f"{self.path} adapts {', '.join(strange[:4])}, which the base model does not have"
            )
        matrices = (key for key, shape in shapes.items() if key.endswith(".weight") and len(shape) == 2)
        absent = [
            key
            for key in matrices
            if _targets(self.target, key.removesuffix(".weight")) and not self.changes(key)
        ]
        if absent:
            raise CheckpointError(
                f"{self.path} lacks {', '.join(absent[:4])}, which it should adapt; {COMPLETE}"
            )
        with open_tensors(self.path) as file:
            for key in {*self.scales, *self.replaced} & set(shapes):
                names = _matrices(key) if key in self.scales else (PREFIX + key,)
                stored = tuple(file.shape(name) for name in names)
                fits = (stored[-1][0], stored[0][-1]) if key in self.scales else stored[0]
                if fits != shapes[key]:
                    raise CheckpointError(
                        f"{self.path}: {' and '.join(names)} have shapes {stored}, the base model's {key!r} has "
                        f"{shapes[key]}; the adapter belongs to another model"
                    )

    def changes(self, key: str) -> bool:
        return key in self.scales or key in self.replaced

    def merged(self, key: str, weight: torch.Tensor) -> torch.Tensor:
        """The weight, float32, after the adapter is added to the base's `weight` or replaces it."""
        with open_tensors(self.path) as file:
            if key in self.replaced:
                return file.read(PREFIX + key)
            a, b = (file.read(name) for name in _matrices(key))
            return weight.addmm_(b, a, alpha=self.scales[key])


def _matrices(key: str) -> tuple[str, str]:
    module = PREFIX + key.removesuffix(".weight")
    return f"{module}.lora_A.weight", f"{module}.lora_B.weight"


def _sort(file: TensorFile, config: Json) -> tuple[list[str], list[str]]:
    """The modules with A and B, and the weights that replace the base's; raises CheckpointError for others."""
    saved_whole = tuple(config.values.get("modules_to_save") or ())
    modules, whole = [], []
    for name in file.keys:
        file.check_type(name)
        key = name.removeprefix(PREFIX)
        module, _, leaf = key.rpartition(".")
        if key.endswith(".lora_A.weight"):
            modules.append(key.removesuffix(".lora_A.weight"))
        elif key.endswith(".lora_B.weight"):
            if name.replace(".lora_B.", ".lora_A.") not in file.keys:
                raise CheckpointError(f"{file.path}: {name!r} has no lora_A beside it; {COMPLETE}")
        elif leaf in ("weight", "bias") and _ends_in(module, saved_whole):
            whole.append(key)
        else:
            raise CheckpointError(
                f"{file.path}: {name!r} is not part of plain LoRA; merge the adapter into its base model with PEFT "
                f"(merge_and_unload) and save that"
            )
        if not name.startswith(PREFIX):
            raise CheckpointError(f"{file.path}: {name!r} does not begin with {PREFIX!r} as PEFT saves it")
    target = config.values.get("target_modules")
    strange = [module for module in modules if not _targets(target, module)]
    if strange or not modules:
        raise CheckpointError(
            f"{config.where}: 'target_modules' {target!r} matches {'not ' + strange[0] if strange else 'nothing'} in "
            f"{file.path.name}; {COMPLETE}"
        )
    return modules, whole


def _targets(target: object, module: str) -> bool:
    """Whether PEFT's target_modules contains this module: a regular expression, or names that modules end in."""
    if target == ALL_LINEAR:
        return True
    if isinstance(target, str):
        return re.fullmatch(target, module) is not None
    return isinstance(target, list) and _ends_in(module, tuple(map(str, target)))


def _ends_in(module: str, names: tuple[str, ...]) -> bool:
    return any(module == name or module.endswith(f".{name}") for name in names)


def _scale(file: TensorFile, config: Json, module: str) -> float:
    rank = _of_pattern(config, "rank_pattern", module, config.positive("r"))
    alpha = _of_pattern(config, "alpha_pattern", module, config.get("lora_alpha", float))
    a, b = _matrices(f"{module}.weight")
    if b not in file.keys:
        raise CheckpointError(f"{file.path}: {a!r} has no lora_B beside it; {COMPLETE}")
    shapes = file.shape(a), file.shape(b)
    if len(shapes[0]) != 2 or len(shapes[1]) != 2 or shapes[0][0] != rank or shapes[1][1] != rank:
        raise CheckpointError(
            f"{file.path}: {a!r} and its lora_B have shapes {shapes[0]} and {shapes[1]}, adapter_config.json says "
            f"rank {rank:g}; the files belong to two adapters"
        )
    return alpha / (math.sqrt(rank) if config.get("use_rslora", bool, False) else rank)


def _of_pattern(config: Json, key: str, module: str, default: float) -> float:
    """PEFT's rank_pattern and alpha_pattern: ends of module names, as regular expressions, with their own value."""
    patterns = config.object(key, {})
    for pattern in patterns.values:
        if re.fullmatch(rf"(?:.*\.)?(?:{pattern})", module):
            return patterns.get(pattern, float)
    return default
