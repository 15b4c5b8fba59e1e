# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SmolVLA, ready to use: load a checkpoint, give it images, state and task, get a chunk of actions.

An own implementation on plain torch that reads LeRobot's checkpoints and reproduces its numbers; it needs no LeRobot,
and of transformers the tokenizer and the configuration only. This file is the door: it joins the checkpoint's files,
checks what comes in, and passes it through processing.py (before and after) and network.py (between). It knows no
robot, no ROS and no clock.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from smolvla_ros.policy.checkpoint.config import SmolVLAConfig, short_name
from smolvla_ros.policy.checkpoint.processing import Processors, fit_image
from smolvla_ros.policy.checkpoint.tokenization import TaskTokenizer
from smolvla_ros.policy.guidance_settings import GuidanceSettings
from smolvla_ros.policy.policy import PolicyError
from smolvla_ros.policy.smolvla.acceleration import supports_bfloat16, supports_int8, weights_bytes
from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec
from smolvla_ros.policy.smolvla.compilation import Stages
from smolvla_ros.policy.smolvla.network import Network
from smolvla_ros.policy.smolvla.realtime_chunking import Guidance

logger = logging.getLogger(__name__)

T = TypeVar("T")

WARM_UP_CHUNKS = 2  # compile, record; CUDA graphs are replayed from the third on
DTYPES = ("auto", "float32", "bfloat16", "int8", "native")


@dataclass(frozen=True)
class PreparedInputs:
    """An observation as the network takes it; batch of one."""

    images: list[Tensor]  # each float32 (1, 3, side, side), in -1..1 unless the checkpoint normalises images
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
        stages: Stages,
        keeps_padding: bool,
    ) -> None:
        """Join loaded parts; `from_pretrained` loads them. `stages` are those of `network`."""
        self.name = name
        self.config = config
        self.network = network
        self.chunk_size = config.chunk_size
        self.image_keys = config.cameras
        self.state_dim = config.state_dim
        self.action_dim = config.action_dim
        self.processors = processors
        self.tokenizer_name = processors.tokenizer.name
        self._rename = {short_name(old): short_name(new) for old, new in processors.rename.items()}
        self._tokenizer = tokenizer
        self._device = network.state_proj.weight.device
        self._image_normalizers = {
            short_name(key): normalizer.to(self._device) for key, normalizer in processors.images.items()
        }
        self._stages = stages
        self._keeps_padding = keeps_padding
        self._generator = torch.Generator()
        self.reset()

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str | Path,
        device: str = "auto",
        dtype: str = "auto",
        backbone: str | Path | None = None,
        revision: str | None = None,
        dataset: str | None = None,
        stats: str | Path | None = None,
        normalization: str | None = None,
        compiles: bool | None = None,
    ) -> SmolVLA:
        """Load a checkpoint folder or Hub id; raises CheckpointError if it must not be run.

        device: "auto" (CUDA if there is one) or torch's name of one.
        dtype: "float32" is exact. "bfloat16" computes the bulk in that type, and "int8" most products in 8
            bits, the rest in bfloat16. "native" is LeRobot's own mix of bfloat16 and float32, operation for
            operation, and slower. "auto" is bfloat16 where the device has its arithmetic, else float32.
        backbone: folder with the vision-language model's config.json and tokenizer.json, for when the name
            that the checkpoint has for it leads nowhere (without network, for example).
        revision: branch, tag or commit of a Hub id.
        dataset: whose statistics to take, of a checkpoint that has those of several.
        stats: a LeRobot dataset's meta/stats.json, for statistics that the checkpoint lacks.
        normalization: "identity" says that the policy was trained on values that were not normalised.
        compiles: whether torch.compile is used, which makes the first chunk take minutes; by default on CUDA.
        """
        if dtype not in DTYPES:
            raise ValueError(f"dtype is {dtype!r}, expected one of {', '.join(DTYPES)}")
        target = _device(device)
        if dtype == "auto":
            dtype = "bfloat16" if supports_bfloat16(target) else "float32"
        if dtype == "int8" and not (target.type == "cpu" and supports_int8()):
            raise ValueError(
                f"dtype 'int8' needs a CPU with 8-bit products (VNNI), device {str(target)!r} has none; use 'auto'"
            )
        if compiles is None:
            compiles = target.type == "cuda"
        spec = CheckpointSpec.load(checkpoint, backbone, revision, dataset, stats, normalization)
        network = spec.empty_network()
        count = sum(parameter.numel() for parameter in network.parameters())
        spec.weights.load(network, target, dtype)
        logger.info(
            "%s: %d parameters in %s on %s, %.0f MB",
            spec.name,
            count,
            dtype,
            target,
            weights_bytes(network) / 1e6,
        )
        return cls(
            spec.name,
            spec.config,
            spec.processors,
            spec.tokenizer,
            network,
            Stages.compiled(network) if compiles else Stages.of(network),
            keeps_padding=compiles or dtype == "native",
        )

    def predict_chunk(
        self,
        images: Mapping[str, npt.NDArray[np.uint8]],
        state: npt.ArrayLike,
        task: str,
        noise: npt.ArrayLike | None = None,
        seed: int | None = None,
        image_masks: Mapping[str, bool] | None = None,
        prefix: npt.ArrayLike | None = None,
        inference_delay: int = 0,
        execution_horizon: int | None = None,
        schedule: str | None = None,
        max_guidance_weight: float | None = None,
    ) -> npt.NDArray[np.float32]:
        """The next actions, (chunk_size, action_dim), in the units and order of the checkpoint's robot.

        images: RGB uint8 (H, W, 3) under the names in `image_keys`. A camera may be absent, though not all;
            the policy then sees fewer images, as LeRobot's does.
        state: (state_dim,), in the checkpoint's units.
        noise: (chunk_size, max_action_dim), or a batch of one, where the flow starts. Without it `seed` makes the
            chunk repeatable; without either, chunks draw on one generator that starts alike in every process.
        image_masks: a camera set to false keeps its place in the prompt and is not looked at.
        prefix: for real-time chunking, what is left of the present plan: (rows, action_dim), in the checkpoint's
            units, row k due together with the new chunk's action k. Rows beyond a chunk do not count; without
            any row the chunk is free.
        inference_delay: rows of it that are executed before the new chunk can take effect.
        execution_horizon, schedule, max_guidance_weight: how far and how firmly it is followed, see
            `GuidanceSettings`; without them the checkpoint's (10, "exp" and 10 where it says nothing).

        Raises PolicyError if an input does not fit the checkpoint.
        """
        with torch.inference_mode():
            inputs = self.prepare(images, state, task, image_masks)
            start = self._noise(noise, seed)
            settings = self._settings(inference_delay, execution_horizon, schedule, max_guidance_weight)
            guidance = None if prefix is None else self._guidance(prefix, settings)
            context = self._stages.encode_prefix(
                inputs.images,
                inputs.image_valid,
                inputs.tokens,
                inputs.tokens_valid,
                inputs.state,
                self._keeps_padding,
            )
            chunk = self.network.sample(context, start, guidance, self._stages.velocity)
            normalized = chunk[0, :, : self.action_dim]
            actions = self.processors.action.unnormalize(normalized.to("cpu"))
        if not bool(torch.isfinite(actions).all()):
            raise RuntimeError(f"{self.name} put out actions that are not finite; its weights are damaged")
        array: npt.NDArray[np.float32] = actions.numpy()
        return array

    def warm_up(self, images: Sequence[str] | None = None) -> None:
        """Compute chunks for nobody, so that the first real one takes no longer than the rest.

        images: those of `image_keys` that will be given; by default all. Raises RuntimeError if the weights put out
        what is not finite.
        """
        black = {name: np.zeros((480, 640, 3), np.uint8) for name in images or self.image_keys}
        for _ in range(WARM_UP_CHUNKS):
            self.predict_chunk(black, np.zeros(self.state_dim), "warm up")
        self.reset()

    def reset(self) -> None:
        """Start over: the next chunks are those of a policy just loaded."""
        self._generator.manual_seed(0)

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
        size, normalizers = self.config.image_size, self._image_normalizers
        prepared = [fit_image(self._image(key, images[key]), size, normalizers.get(key)) for key in present]
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
        normalized = self.processors.state.normalize(torch.tensor(array, dtype=torch.float32))
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

    def _settings(
        self, delay: int, horizon: int | None, schedule: str | None, max_weight: float | None
    ) -> GuidanceSettings:
        own = self.config.guidance
        return GuidanceSettings(
            inference_delay=delay,
            execution_horizon=own.execution_horizon if horizon is None else horizon,
            schedule=own.schedule if schedule is None else schedule,
            max_weight=own.max_weight if max_weight is None else max_weight,
        )

    def _guidance(self, prefix: npt.ArrayLike, settings: GuidanceSettings) -> Guidance | None:
        array = np.asarray(prefix)
        if array.ndim != 2 or array.shape[1] != self.action_dim or array.dtype.kind not in "fiu":
            raise PolicyError(
                f"prefix has shape {array.shape} and type {array.dtype}; {self.name} expects rows of "
                f"{self.action_dim} numbers"
            )
        if not np.isfinite(array).all():
            row, joint = np.argwhere(~np.isfinite(array))[0]
            raise PolicyError(
                f"prefix is {array[row, joint]} in row {row}, column {joint}; it must be finite"
            )
        if not len(array):
            return None
        return Guidance.towards(
            self.processors.action.normalize(torch.tensor(array, dtype=torch.float32)).to(self._device),
            settings,
            self.chunk_size,
            self.config.max_action_dim,
            self.network.times,
        )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} is not available ({error}); use 'auto' or 'cpu'") from error
