# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads and checks a checkpoint of any LeRobot version, except for the values of its weights.

Preflight and SmolVLA use the result. A local folder needs no network access. An adapter (LoRA) has its own config and
processors, or uses those of its base model.
"""

from __future__ import annotations

import hashlib
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import torch

from smolvla_ros.policy.checkpoint.config import BackboneConfig, SmolVLAConfig, find_backbone
from smolvla_ros.policy.checkpoint.files import (
    ADAPTER_CONFIG,
    CONFIG_FILE,
    WEIGHTS_FILE,
    Checkpoint,
    CheckpointError,
)
from smolvla_ros.policy.checkpoint.lora import Adapter
from smolvla_ros.policy.checkpoint.pipeline_steps import POSTPROCESSOR, PREPROCESSOR
from smolvla_ros.policy.checkpoint.processing import Processors
from smolvla_ros.policy.checkpoint.statistics import StatisticsChoice
from smolvla_ros.policy.checkpoint.tokenization import TaskTokenizer
from smolvla_ros.policy.smolvla.network import Network
from smolvla_ros.policy.smolvla.weights import Weights

logger = logging.getLogger(__name__)


IMAGE_START = ("<fake_token_around_image>", "<global-img>")
IMAGE_END = ("<fake_token_around_image>",)


@dataclass(frozen=True)
class CheckpointSpec:
    """A checked checkpoint: names, shapes and types of its weights fit the network of its configs."""

    name: str  # the checkpoint and its revision
    folder: Path
    config: SmolVLAConfig
    backbone: BackboneConfig
    processors: Processors
    tokenizer: TaskTokenizer
    weights: Weights
    fps: float | None  # of the dataset; None if its statistics do not tell

    @classmethod
    def load(
        cls,
        checkpoint: str | Path,
        backbone: str | Path | None = None,
        revision: str | None = None,
        dataset: str | None = None,
        stats: str | Path | None = None,
        normalization: str | None = None,
    ) -> CheckpointSpec:
        """Read and check a checkpoint folder or Hub id; raises CheckpointError if it cannot be used.

        backbone: folder with the vision-language model's config.json and tokenizer.json, if its name leads to none.
        revision: branch, tag or commit of a Hub id.
        dataset: whose statistics to use, if the checkpoint has those of several.
        stats: a LeRobot dataset's meta/stats.json, for statistics that the checkpoint lacks.
        normalization: "identity" if the policy was trained on values that were not normalised.
        """
        choice = StatisticsChoice.of(dataset, stats, normalization)
        found = Checkpoint.locate(checkpoint, revision)
        adapter, base = _adapter(found)
        configured = found if found.has(CONFIG_FILE) else base
        config = SmolVLAConfig.from_json(configured.json(CONFIG_FILE, "give the folder that LeRobot saved"))
        weights = Weights(base.weights_file(), adapter)
        processed = found if found.has(PREPROCESSOR) or found.has(POSTPROCESSOR) else base
        if processed is not found:
            logger.warning(
                "%s has no processor files: those of its base model %s are used; if it was trained on another dataset, "
                "its statistics are others",
                found.name,
                base.name,
            )
        processors = Processors.load(processed, config, weights.path, choice)
        words = find_backbone(processors.tokenizer.name, (found, base), backbone)
        tokenizer = TaskTokenizer(words, processors.tokenizer)
        vlm = find_backbone(config.vlm_model_name, (found, base), backbone)
        vlm_config = BackboneConfig.from_json(
            vlm.json(CONFIG_FILE, "the backbone folder must hold it"), config
        )
        if len(tokenizer) > vlm_config.vocabulary:
            raise CheckpointError(
                f"the tokenizer in {words.folder} has {len(tokenizer)} tokens, the model in {vlm.folder} knows "
                f"{vlm_config.vocabulary}; one of the files belongs to another model"
            )
        spec = cls(
            found.name,
            found.folder,
            config,
            vlm_config,
            processors,
            tokenizer,
            weights,
            _fps(processors),
        )
        weights.check(spec.empty_network())
        return spec

    @property
    def tokenizer_name(self) -> str:
        """A folder or a Hub id, as in the checkpoint."""
        return self.processors.tokenizer.name

    def digest(self) -> str:
        """SHA-256 of configuration, weights and statistics, hexadecimal: the same wherever the checkpoint lies."""
        found = hashlib.sha256(repr(self.config).encode())
        adapter = self.weights.adapter
        for path in (self.weights.path, *((adapter.path,) if adapter else ())):
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    found.update(block)
        for statistics in (self.processors.state_statistics, self.processors.action_statistics):
            for name, values in sorted(statistics.values.items()):
                found.update(name.encode() + values.tobytes())
        return found.hexdigest()

    def empty_network(self) -> Network:
        """The network on the meta device, without memory for its weights."""
        image_start, image_end = (
            (IMAGE_START, IMAGE_END) if self.config.add_image_special_tokens else ((), ())
        )
        with torch.device("meta"):
            return Network(
                self.config,
                self.backbone,
                image_start=[self.tokenizer.token_id(token) for token in image_start],
                image_end=[self.tokenizer.token_id(token) for token in image_end],
            )


def _adapter(found: Checkpoint) -> tuple[Adapter | None, Checkpoint]:
    """The adapter in the folder, if any, and the checkpoint with the weights."""
    if not found.has(ADAPTER_CONFIG):
        return None, found
    if found.has(WEIGHTS_FILE):
        raise CheckpointError(
            f"{found.folder} holds both {WEIGHTS_FILE} and an adapter; take away {ADAPTER_CONFIG} if the adapter is "
            f"merged into the weights already, else {WEIGHTS_FILE}"
        )
    adapter = Adapter.load(found)
    return adapter, adapter.find_base(found.folder)


def _fps(processors: Processors) -> float | None:
    """Frames per second of the dataset: in each episode LeRobot counts frame_index up and timestamp = index / fps."""
    features = processors.state_file.features if processors.state_file else {}
    index, seconds = (features.get(name, {}).get("std") for name in ("frame_index", "timestamp"))
    if index is None or seconds is None or index.size != 1 or seconds.size != 1 or not seconds.item() > 0:
        return None
    fps = index.item() / seconds.item()
    return fps if math.isfinite(fps) and fps > 0 else None
