# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LeRobot 0.4.4's own SmolVLA, in LeRobot's own environment (`make lerobot`); timed from outside, not changed.

Three things are put in its way, none of them in the way of the computation:

- torchvision, which LeRobot imports for data sets and other policies and SmolVLA never calls, is an empty stand-in:
  there is none for every torch.
- The backbone is built from the local config.json, in the types that from_pretrained gives it; its weights are in
  the checkpoint anyway. LeRobot would download and load them first, so its load time here flatters it.
- In float32 transformers 4.57 shifts the patch positions of the vision tower by one, which it does in no other type
  and version. With dtype float32 they are as in training, as otherwise there would be nothing to compare.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor
from worker import Question, Stopwatch, answer, bytes_of


class StandIn(ModuleType):
    """A module that has everything and does nothing."""

    __path__: list[str] = []

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = importlib.machinery.ModuleSpec(name, None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


torchvision = StandIn("torchvision")
torchvision.transforms = StandIn("torchvision.transforms")
torchvision.transforms.v2 = StandIn("torchvision.transforms.v2")
torchvision.transforms.functional = StandIn("torchvision.transforms.functional")
for module in (
    torchvision,
    torchvision.transforms,
    torchvision.transforms.v2,
    torchvision.transforms.functional,
):
    sys.modules[module.__name__] = module

from lerobot.configs.policies import PreTrainedConfig  # noqa: E402
from lerobot.policies.smolvla import smolvlm_with_expert  # noqa: E402
from lerobot.policies.smolvla.modeling_smolvla import SmolVLAPolicy  # noqa: E402
from lerobot.processor import PolicyProcessorPipeline  # noqa: E402


class LocalModel:
    """In place of transformers' loader of models."""

    @staticmethod
    def from_pretrained(folder: str, torch_dtype: str, **_: Any) -> Any:
        config = transformers.AutoConfig.from_pretrained(folder)
        with transformers.modeling_utils.no_init_weights():
            return transformers.AutoModelForImageTextToText.from_config(
                config, torch_dtype=getattr(torch, torch_dtype)
            )


class LocalProcessor:
    """In place of transformers' loader of processors, of which LeRobot uses two ids."""

    @staticmethod
    def from_pretrained(folder: str) -> Any:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        tokenizer.fake_image_token_id = tokenizer.convert_tokens_to_ids("<fake_token_around_image>")
        tokenizer.global_image_token_id = tokenizer.convert_tokens_to_ids("<global-img>")
        return SimpleNamespace(tokenizer=tokenizer)


smolvlm_with_expert.AutoModelForImageTextToText = LocalModel
smolvlm_with_expert.AutoProcessor = LocalProcessor


class LeRobot:
    def __init__(self, options: argparse.Namespace, stopwatch: Stopwatch) -> None:
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
        self._time(stopwatch)

    def _time(self, stopwatch: Stopwatch) -> None:
        model = self.policy.model
        self._batch = stopwatch.timed("preparation", self._batch)
        self.policy.prepare_images = stopwatch.timed("preparation", self.policy.prepare_images)
        model.embed_prefix = stopwatch.timed("vision", model.embed_prefix)
        model.denoise_step = stopwatch.timed("denoise", model.denoise_step)
        forward = model.vlm_with_expert.forward
        reads_prefix = stopwatch.timed("prefix", forward)
        model.vlm_with_expert.forward = lambda **inputs: (
            reads_prefix(**inputs) if inputs["fill_kv_cache"] else forward(**inputs)
        )

    def predict(self, question: Question) -> np.ndarray[Any, np.dtype[np.float32]]:
        noise = torch.from_numpy(question.noise).to(self.device)
        actions: Tensor = self.policy.predict_action_chunk(self._batch(question), noise=noise)
        return actions[0].to("cpu", torch.float32).numpy()

    def _batch(self, question: Question) -> dict[str, Any]:
        """From what a robot gives to what the policy takes, as LeRobot's inference does it."""
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
