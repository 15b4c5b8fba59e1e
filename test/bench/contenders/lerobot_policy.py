# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time LeRobot 0.4.4's own SmolVLA, in LeRobot's own environment (`make lerobot`), by wrapping its methods.

Three things are replaced, none of them part of the measured computation:

- torchvision, which SmolVLA does not use: see torchvision_stand_in.py.
- The backbone is built from the local config.json, in the types of from_pretrained; its weights are in the checkpoint.
  LeRobot would download and load them first, so its load time here is too short.
- In float32, and in no other type, transformers 4.57 shifts the patch positions of the vision tower by one. With dtype
  float32 the positions are corrected to those of training, so that actions can be compared.
"""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torchvision_stand_in  # noqa: F401  # before LeRobot
import transformers
from torch import Tensor
from worker import Question, Stopwatch, answer, bytes_of

try:
    from transformers.initialization import no_init_weights
except ImportError:  # transformers 4
    from transformers.modeling_utils import no_init_weights

# isort: split
from lerobot.configs.policies import PreTrainedConfig
from lerobot.policies.smolvla import smolvlm_with_expert
from lerobot.policies.smolvla.modeling_smolvla import SmolVLAPolicy
from lerobot.processor import PolicyProcessorPipeline


class LocalModel:
    """Replaces transformers' model loader."""

    @staticmethod
    def from_pretrained(folder: str, torch_dtype: str, **_: Any) -> Any:
        config = transformers.AutoConfig.from_pretrained(folder)
        with no_init_weights():
            return transformers.AutoModelForImageTextToText.from_config(
                config, torch_dtype=getattr(torch, torch_dtype)
            )


class LocalProcessor:
    """Replaces transformers' processor loader, of which LeRobot uses two token ids."""

    @staticmethod
    def from_pretrained(folder: str) -> Any:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        tokenizer.fake_image_token_id = tokenizer.convert_tokens_to_ids("<fake_token_around_image>")
        tokenizer.global_image_token_id = tokenizer.convert_tokens_to_ids("<global-img>")
        return SimpleNamespace(tokenizer=tokenizer)


smolvlm_with_expert.AutoModelForImageTextToText = LocalModel
smolvlm_with_expert.AutoProcessor = LocalProcessor


class LeRobot:
    def __init__(self, options: argparse.Namespace, stopwatch: Stopwatch | None = None) -> None:
        checkpoint = str(options.checkpoint)
        config = PreTrainedConfig.from_pretrained(checkpoint)
        config.vlm_model_name, config.device = str(options.backbone), options.device
        self.policy = SmolVLAPolicy.from_pretrained(checkpoint, config=config, strict=True)
        if options.dtype == "float32":
            self.policy.float()
            embeddings = self.policy.model.vlm_with_expert.get_vlm_model().vision_model.embeddings
            embeddings.forward = lambda pixel_values, patch_attention_mask: (
                embeddings.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
                + embeddings.position_embedding.weight
            )
        self.policy.eval()
        self.preprocessor = PolicyProcessorPipeline.from_pretrained(
            checkpoint,
            config_filename="policy_preprocessor.json",
            overrides={
                "tokenizer_processor": {"tokenizer_name": str(options.backbone)},
                "device_processor": {"device": options.device},
            },
        )
        self.device = options.device
        self.weights_bytes = bytes_of(self.policy.parameters())
        if stopwatch is not None:
            self._time(stopwatch)

    def _time(self, stopwatch: Stopwatch) -> None:
        model = self.policy.model
        self._batch = stopwatch.timed("preparation", self._batch)
        self.policy.prepare_images = stopwatch.timed("preparation", self.policy.prepare_images)
        model.embed_prefix = stopwatch.timed("vision", model.embed_prefix)
        model.denoise_step = stopwatch.timed("denoise", model.denoise_step)
        forward = model.vlm_with_expert.forward
        forward_prefix = stopwatch.timed("prefix", forward)
        model.vlm_with_expert.forward = lambda **inputs: (
            forward_prefix(**inputs) if inputs["fill_kv_cache"] else forward(**inputs)
        )

    def predict(self, question: Question) -> np.ndarray[Any, np.dtype[np.float32]]:
        noise = torch.from_numpy(question.noise).to(self.device)
        actions: Tensor = self.policy.predict_action_chunk(self._batch(question), noise=noise)
        return actions[0].to("cpu", torch.float32).numpy()

    def _batch(self, question: Question) -> dict[str, Any]:
        """Convert an observation to the policy's input, as LeRobot's inference does."""
        images = {
            f"observation.images.{name}": torch.from_numpy(image)
            .to(torch.float32)
            .div(255)
            .permute(2, 0, 1)
            .contiguous()
            for name, image in question.images.items()
        }
        state = torch.from_numpy(question.state)
        return self.preprocessor({**images, "observation.state": state, "task": question.task})


if __name__ == "__main__":
    answer(LeRobot)
