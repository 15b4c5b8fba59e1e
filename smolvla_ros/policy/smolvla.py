# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SmolVLA, ready to use: load a checkpoint, give it images, state and task, get a chunk of actions.

An own implementation on plain torch that reads LeRobot's checkpoints and reproduces its numbers; it needs
neither LeRobot nor transformers. This file is the door: it joins the checkpoint's files, checks what comes
in, and passes it through processing.py (before and after) and network.py (between). It knows no robot, no ROS
and no clock.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from smolvla_ros.policy.checkpoint import Checkpoint
from smolvla_ros.policy.config import BackboneConfig, SmolVLAConfig, find_backbone, short_name
from smolvla_ros.policy.network import Network
from smolvla_ros.policy.policy import PolicyError
from smolvla_ros.policy.processing import Processors, TaskTokenizer, fit_image
from smolvla_ros.policy.weights import load_weights

T = TypeVar("T")

DTYPES = ("auto", "float32", "bfloat16", "native")
IMAGE_START = ("<fake_token_around_image>", "<global-img>")
IMAGE_END = ("<fake_token_around_image>",)


@dataclass(frozen=True)
class PreparedInputs:
    """An observation as the network takes it; batch of one."""

    images: list[Tensor]  # each float32 (1, 3, side, side) in -1..1
    image_valid: list[bool]
    tokens: Tensor  # int64 (1, tokens)
    tokens_valid: Tensor  # bool (1, tokens)
    state: Tensor  # float32 (1, max_state_dim), normalised, padded with 0


class SmolVLA:
    """A loaded checkpoint; the attributes say what it expects and returns.

    name: the checkpoint and its revision. image_keys: short camera names in the checkpoint's order.
    state_dim, action_dim, chunk_size: sizes.
    """

    def __init__(
        self,
        name: str,
        config: SmolVLAConfig,
        processors: Processors,
        tokenizer: TaskTokenizer,
        network: Network,
    ) -> None:
        """Join loaded parts; `from_pretrained` loads them."""
        self.name = name
        self.config = config
        self.network = network
        self.chunk_size = config.chunk_size
        self.image_keys = config.cameras
        self.state_dim = config.state_dim
        self.action_dim = config.action_dim
        self._processors = processors
        self._rename = {short_name(old): short_name(new) for old, new in processors.rename.items()}
        self._tokenizer = tokenizer
        self._device = network.state_proj.weight.device
        self._generator = torch.Generator().manual_seed(0)

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str | Path,
        device: str = "auto",
        dtype: str = "auto",
        backbone: str | Path | None = None,
        revision: str | None = None,
    ) -> SmolVLA:
        """Load a checkpoint folder or Hub id; raises CheckpointError if it must not be run.

        device: "auto" (CUDA if there is one) or torch's name of one.
        dtype: "native" is LeRobot's mix of bfloat16 and float32; "float32" and "bfloat16" compute the bulk in
            one type. "auto" is native where the device has bfloat16 arithmetic, else float32.
        backbone: folder with the vision-language model's config.json and tokenizer.json, for when the name
            that the checkpoint has for it leads nowhere (without network, for example).
        revision: branch, tag or commit of a Hub id.
        """
        if dtype not in DTYPES:
            raise ValueError(f"dtype is {dtype!r}, expected one of {', '.join(DTYPES)}")
        target = _device(device)
        if dtype == "auto":
            dtype = "native" if _computes_bfloat16(target) else "float32"
        found = Checkpoint.locate(checkpoint, revision)
        config = SmolVLAConfig.from_json(found.json("config.json", "give the folder that LeRobot saved"))
        processors = Processors.load(found, config)
        weights = found.weights_file()
        tokenizer = TaskTokenizer(
            find_backbone(processors.tokenizer.name, found, backbone), processors.tokenizer
        )
        vlm = find_backbone(config.vlm_model_name, found, backbone)
        vlm_config = BackboneConfig.from_json(
            vlm.json("config.json", "the backbone folder must hold it"), config
        )
        image_start, image_end = (IMAGE_START, IMAGE_END) if config.add_image_special_tokens else ((), ())
        with torch.device("meta"):
            network = Network(
                config,
                vlm_config,
                image_start=[tokenizer.token_id(token) for token in image_start],
                image_end=[tokenizer.token_id(token) for token in image_end],
            )
        load_weights(network, weights, target, dtype)
        return cls(found.name, config, processors, tokenizer, network)

    def predict_chunk(
        self,
        images: Mapping[str, npt.NDArray[np.uint8]],
        state: npt.ArrayLike,
        task: str,
        noise: npt.ArrayLike | None = None,
        seed: int | None = None,
        image_masks: Mapping[str, bool] | None = None,
    ) -> npt.NDArray[np.float32]:
        """The next actions, (chunk_size, action_dim), in the units and order of the checkpoint's robot.

        images: RGB uint8 (H, W, 3) under the names in `image_keys`. A camera may be absent, though not all;
            the policy then sees fewer images, as LeRobot's does.
        state: (state_dim,), in the checkpoint's units.
        noise: (chunk_size, max_action_dim), or a batch of one, where the flow starts. Without it `seed` makes the
            chunk repeatable; without either, chunks draw on one generator that starts alike in every process.
        image_masks: a camera set to false keeps its place in the prompt and is not looked at.

        Raises PolicyError if an input does not fit the checkpoint.
        """
        with torch.inference_mode():
            inputs = self.prepare(images, state, task, image_masks)
            start = self._noise(noise, seed)
            prefix = self.network.embed_prefix(
                inputs.images, inputs.image_valid, inputs.tokens, inputs.tokens_valid, inputs.state
            )
            context = self.network.context(prefix.valid, *self.network.read_prefix(prefix))
            normalized = self.network.sample(context, start)[0, :, : self.action_dim]
            actions = self._processors.action.unnormalize(normalized.to("cpu"))
        if not bool(torch.isfinite(actions).all()):
            raise RuntimeError(f"{self.name} put out actions that are not finite; its weights are damaged")
        array: npt.NDArray[np.float32] = actions.numpy()
        return array

    def prepare(
        self,
        images: Mapping[str, npt.NDArray[np.uint8]],
        state: npt.ArrayLike,
        task: str,
        image_masks: Mapping[str, bool] | None = None,
    ) -> PreparedInputs:
        """Check and convert the inputs of `predict_chunk`."""
        if not isinstance(task, str):
            raise PolicyError(f"task is {task!r}, expected text")
        prepared, valid = self._images(self._by_key(images), self._by_key(image_masks or {}))
        tokens, tokens_valid = self._tokenizer(task)
        return PreparedInputs(
            prepared, valid, tokens.to(self._device), tokens_valid.to(self._device), self._state(state)
        )

    def _by_key(self, given: Mapping[str, T]) -> dict[str, T]:
        """Keyed by the checkpoint's own names; refuses names that it does not know."""
        by_key: dict[str, T] = {}
        for name, value in given.items():
            key = self._rename.get(name, name)
            if key not in self.image_keys:
                near = difflib.get_close_matches(name, self.image_keys, n=1, cutoff=0.5)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise PolicyError(
                    f"image {name!r} is unknown to {self.name}: it looks at {', '.join(self.image_keys)}, "
                    f"given were {', '.join(given)}{hint}. Give each camera the checkpoint's name of its view"
                )
            if key in by_key:
                raise PolicyError(f"image {key!r} is given twice, once under a name that {self.name} renames")
            by_key[key] = value
        return by_key

    def _images(
        self, images: Mapping[str, npt.NDArray[np.uint8]], masks: Mapping[str, bool]
    ) -> tuple[list[Tensor], list[bool]]:
        present = [key for key in self.image_keys if key in images]
        if not present:
            raise PolicyError(f"no image is given; {self.name} looks at {', '.join(self.image_keys)}")
        prepared = [fit_image(self._image(key, images[key]), self.config.image_size) for key in present]
        valid = [bool(masks.get(key, True)) for key in present]
        empty = min(self.config.empty_cameras, len(self.config.image_keys) - len(present))
        return prepared + [torch.full_like(prepared[-1], -1.0)] * empty, valid + [False] * empty

    def _image(self, key: str, image: npt.NDArray[np.uint8]) -> Tensor:
        array = np.ascontiguousarray(image)
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
            raise PolicyError(
                f"image {key!r} has shape {array.shape} and type {array.dtype}, "
                f"expected RGB uint8 (height, width, 3)"
            )
        return torch.tensor(array, device=self._device)

    def _state(self, state: npt.ArrayLike) -> Tensor:
        array = np.asarray(state)
        if array.shape != (self.state_dim,) or array.dtype.kind not in "fiu":
            raise PolicyError(
                f"state has shape {array.shape} and type {array.dtype}; {self.name} expects "
                f"{self.state_dim} numbers"
            )
        if not np.isfinite(array).all():
            raise PolicyError(f"state holds values that are not finite: {array.tolist()}")
        normalized = self._processors.state.normalize(torch.tensor(array, dtype=torch.float32))
        padded = torch.zeros(1, self.config.max_state_dim)
        padded[0, : self.state_dim] = normalized
        return padded.to(self._device)

    def _noise(self, noise: npt.ArrayLike | None, seed: int | None) -> Tensor:
        shape = (self.chunk_size, self.config.max_action_dim)
        if noise is None:  # drawn on the CPU, so that a seed means the same on every device
            generator = self._generator if seed is None else torch.Generator().manual_seed(seed)
            return torch.randn(1, *shape, generator=generator).to(self._device)
        array = np.asarray(noise)
        if array.shape == (1, *shape):  # LeRobot's, a batch of one
            array = array[0]
        if array.shape != shape or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise PolicyError(
                f"noise has shape {array.shape} and type {array.dtype}, expected finite floats of "
                f"shape {shape}"
            )
        return torch.tensor(array, dtype=torch.float32, device=self._device)[None]


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} is not available ({error}); use 'auto' or 'cpu'") from error


def _computes_bfloat16(device: torch.device) -> bool:
    """GPUs do. CPUs are twice as fast as in float32 if they do, several times slower if they imitate it."""
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type == "cuda"
