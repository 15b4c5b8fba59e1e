# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SmolVLA: load a checkpoint, then predict a chunk of actions from images, state and task.

An implementation on plain torch that reads LeRobot's checkpoints and reproduces its results. It does not need LeRobot,
and only the tokenizer and the configuration of transformers. This file loads the checkpoint, checks the inputs, and
calls processing.py (before and after the network) and network.py. It is independent of robot, ROS and clock.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from smolvla_ros.arrays import Float32Array, ImageArray
from smolvla_ros.policy.checkpoint.config import SmolVLAConfig, short_name
from smolvla_ros.policy.checkpoint.processing import Processors, fit_image
from smolvla_ros.policy.checkpoint.statistics import IDENTITY_CHOSEN
from smolvla_ros.policy.checkpoint.tokenization import TaskTokenizer
from smolvla_ros.policy.chunk_inputs import ChunkInputs
from smolvla_ros.policy.guidance_settings import GuidanceSettings
from smolvla_ros.policy.policy import PolicyError
from smolvla_ros.policy.smolvla.acceleration import (
    supports_bfloat16,
    supports_int8,
    torch_device,
    weights_bytes,
)
from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec
from smolvla_ros.policy.smolvla.compilation import Stages
from smolvla_ros.policy.smolvla.network import Network
from smolvla_ros.policy.smolvla.parallel import ONE_THREAD_PARAMETERS, one_thread
from smolvla_ros.policy.smolvla.prepared_inputs import ImagesAhead, PreparedInputs, by_key, image_tensor
from smolvla_ros.policy.smolvla.realtime_chunking import Guidance

logger = logging.getLogger(__name__)

WARM_UP_CHUNKS = 2  # the first compiles, the second records CUDA graphs, later ones replay them
NOT_NORMALIZED = (
    "%s: images, state and action are not normalised, because normalization='identity' was given; the arm moves "
    "wrongly unless the policy was trained so"
)
DTYPES = ("auto", "float32", "bfloat16", "int8", "native")


class SmolVLA:
    """A loaded checkpoint; its attributes describe inputs and outputs.

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
        in_one_thread: bool = False,
    ) -> None:
        """From loaded parts; use `from_pretrained` to load them. `stages` are those of `network`."""
        self.name = name
        self.config = config
        self.network = network
        self.chunk_size = config.chunk_size
        self.image_keys = config.cameras
        self.state_dim = config.state_dim
        self.action_dim = config.action_dim
        self.processors = processors
        self.tokenizer_name = processors.tokenizer.name
        renamed = {short_name(old): short_name(new) for old, new in processors.rename.items()}
        self._by_key = partial(by_key, keys=self.image_keys, renamed=renamed, policy=name)
        self._tokenizer = tokenizer
        self._device = network.state_proj.weight.device
        self._image_normalizers = {
            short_name(key): normalizer.to(self._device) for key, normalizer in processors.images.items()
        }
        self._stages = stages
        self._ahead = ImagesAhead()
        self._keeps_padding, self._in_one_thread = keeps_padding, in_one_thread
        self.noise_scale = 1.0  # of the noise that is generated here
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
        """Load a checkpoint folder or Hub id; raises CheckpointError if it cannot be used.

        The arguments are those of `CheckpointSpec.load` and `from_spec`.
        """
        spec = CheckpointSpec.load(checkpoint, backbone, revision, dataset, stats, normalization)
        return cls.from_spec(spec, device, dtype, compiles)

    @classmethod
    def from_spec(
        cls, spec: CheckpointSpec, device: str = "auto", dtype: str = "auto", compiles: bool | None = None
    ) -> SmolVLA:
        """Load the weights of a checkpoint; raises CheckpointError if they cannot be used.

        device: "auto" (CUDA if there is one) or torch's name of one.
        dtype: "float32" is exact. "bfloat16" computes most layers in that type, "int8" most products in 8 bits and the
            rest in bfloat16. "native" is LeRobot's own mix of bfloat16 and float32, operation for operation, and
            slower. "auto" is bfloat16 if the device has bfloat16 arithmetic, else float32.
        compiles: whether to use torch.compile, with which the first chunk takes minutes; by default on CUDA only.
        """
        if dtype not in DTYPES:
            raise ValueError(f"dtype is {dtype!r}, expected one of {', '.join(DTYPES)}")
        target = torch_device(device)
        if dtype == "auto":
            dtype = "bfloat16" if supports_bfloat16(target) else "float32"
        if dtype == "int8" and not (target.type == "cpu" and supports_int8()):
            raise PolicyError(
                f"dtype 'int8' needs a CPU with 8-bit products (VNNI), device {str(target)!r} has none; use 'auto'"
            )
        if compiles is None:
            compiles = target.type == "cuda"
        if spec.processors.state_statistics.source == IDENTITY_CHOSEN:
            logger.warning(NOT_NORMALIZED, spec.name)
        network = spec.empty_network()
        count = sum(parameter.numel() for parameter in network.parameters())
        spec.weights.load(network, target, dtype)
        size_mb = weights_bytes(network) / 1e6
        logger.info("%s: %d parameters in %s on %s, %.0f MB", spec.name, count, dtype, target, size_mb)
        return cls(
            spec.name,
            spec.config,
            spec.processors,
            spec.tokenizer.of_one_length() if compiles else spec.tokenizer,  # each length would be compiled
            network,
            Stages.compiled(network) if compiles else Stages.eager(network),
            keeps_padding=compiles or dtype == "native",
            in_one_thread=count < ONE_THREAD_PARAMETERS,
        )

    def predict_chunk(
        self,
        images: Mapping[str, ImageArray],
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
    ) -> Float32Array:
        """The next actions, (chunk_size, action_dim), in the units and order of the checkpoint's robot.

        images: RGB uint8 (H, W, 3) under the names in `image_keys`. Cameras may be missing, but not all;
            the network then gets fewer images, as in LeRobot.
        state: (state_dim,), in the checkpoint's units.
        noise: (chunk_size, max_action_dim), or a batch of one, the start of the flow. Without it, `seed` makes the
            chunk reproducible; without both, chunks after a reset have the seeds 0, 1, 2 ...
        image_masks: an image set to false keeps its tokens in the prompt, but is masked.
        prefix: for real-time chunking, the remaining plan: (rows, action_dim), in the checkpoint's units, row k due at
            the same time as the new chunk's action k. Rows beyond a chunk are ignored; without rows: no guidance.
        inference_delay: rows that are executed before the new chunk can take effect.
        execution_horizon, schedule, max_guidance_weight: see `GuidanceSettings`; by default those of the
            checkpoint (10, "exp" and 10 if it has none).

        Raises PolicyError if an input does not fit the checkpoint.
        """
        with torch.inference_mode(), one_thread(self._in_one_thread):
            inputs = self.prepare(images, state, task, image_masks)
            if noise is not None:
                start = self._given_noise(noise)
            else:
                start = self._noise(self._next_seed if seed is None else seed, self.noise_scale)
                self._next_seed += seed is None
            settings = self._settings(inference_delay, execution_horizon, schedule, max_guidance_weight)
            [chunk] = self._infer(inputs, start, self._guidance(prefix, settings))
        return chunk

    def predict_chunks(self, requests: Sequence[ChunkInputs]) -> list[Float32Array]:
        """The chunks of several requests with the same cameras, computed together; as by `predict_chunk`.

        One alone is the same bit for bit; several are, up to the order of sums.
        """
        with torch.inference_mode(), one_thread(self._in_one_thread):
            prepared = [self.prepare(request.images, request.state, request.task) for request in requests]
            start = torch.cat([self._noise(request.seed, request.noise_scale) for request in requests])
            guidance = [self._guidance(request.prefix, request.guidance) for request in requests]
            return self._infer(PreparedInputs.joined(prepared), start, Guidance.joined(guidance))

    def _infer(self, inputs: PreparedInputs, start: Tensor, guidance: Guidance | None) -> list[Float32Array]:
        """The chunks of these inputs, (chunk_size, action_dim) each; `start` is the noise."""
        rest = inputs.image_valid, inputs.tokens, inputs.tokens_valid, inputs.state
        keeps_padding = self._keeps_padding or len(start) > 1
        if inputs.encoded is not None:
            prefix = self.network.join_prefix(inputs.encoded, *rest)
            context = self.network.read_prefix(prefix, keeps_padding)
        else:
            context = self._stages.encode_prefix(inputs.images, *rest, keeps_padding)
        chunks = self.network.sample(context, start, guidance, self._stages.velocity)
        actions = self.processors.action.unnormalize(chunks[:, :, : self.action_dim].to("cpu"))
        if not bool(torch.isfinite(actions).all()):
            raise RuntimeError(f"{self.name} returned actions that are not finite; its weights are damaged")
        return list(actions.numpy())

    def look(self, images: Mapping[str, ImageArray]) -> bool:
        """Encode images now, as `predict_chunk` would. The next chunk uses the result if it is of the same arrays.

        Returns False, and does nothing, where the network is compiled, because that makes one stage of image and text.
        """
        if self.network.batches_images:
            return False
        with torch.inference_mode(), one_thread(self._in_one_thread):
            given = self._by_key(images)
            prepared, _ = self._images(given, {})
            self._ahead.keep(given, prepared, self.network.encode_images(prepared))
        return True

    def warm_up(self, images: Sequence[str] | None = None) -> None:
        """Run dummy inferences, so that the first real chunk takes no longer than later ones.

        images: the `image_keys` that will be given; by default all. Raises RuntimeError if outputs are not finite.
        """
        black = {name: np.zeros((480, 640, 3), np.uint8) for name in images or self.image_keys}
        for _ in range(WARM_UP_CHUNKS):
            self.predict_chunk(black, np.zeros(self.state_dim), "warm up")
        self.reset()

    def reset(self) -> None:
        """The noise of the next chunks is that of a newly loaded policy."""
        self._next_seed = 0
        self._ahead.clear()

    def prepare(
        self,
        images: Mapping[str, ImageArray],
        state: npt.ArrayLike,
        task: str,
        image_masks: Mapping[str, bool] | None = None,
    ) -> PreparedInputs:
        """Check and convert the inputs of `predict_chunk`."""
        if not isinstance(task, str):
            raise PolicyError(f"task is {task!r}, expected text")
        given, masks = self._by_key(images), self._by_key(image_masks or {})
        ready, encoded = self._ahead.take(given)
        prepared, valid = self._images(given, masks, ready)
        tokens, tokens_valid = (part.to(self._device) for part in self._tokenizer(task))
        return PreparedInputs(prepared, valid, tokens, tokens_valid, self._state(state), encoded)

    def _images(
        self, images: Mapping[str, ImageArray], masks: Mapping[str, bool], ready: Sequence[Tensor] = ()
    ) -> tuple[list[Tensor], list[bool]]:
        """The images, unless they are `ready`, and whether each counts."""
        present = [key for key in self.image_keys if key in images]
        if not present:
            raise PolicyError(f"no image is given; {self.name} expects {', '.join(self.image_keys)}")
        empty = min(self.config.empty_cameras, len(self.config.image_keys) - len(present))
        valid = [bool(masks.get(key, True)) for key in present] + [False] * empty
        if ready:
            return list(ready), valid
        size, normalizers = self.config.image_size, self._image_normalizers
        tensors = {key: image_tensor(key, images[key]).to(self._device) for key in present}
        prepared = [fit_image(tensors[key], size, normalizers.get(key)) for key in present]
        return prepared + [torch.full_like(prepared[-1], -1.0)] * empty, valid

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

    def _noise(self, seed: int, scale: float) -> Tensor:
        shape = (1, self.chunk_size, self.config.max_action_dim)
        generator = torch.Generator().manual_seed(seed)  # on the CPU: the same noise for every device
        return (scale * torch.randn(shape, generator=generator)).to(self._device)

    def _given_noise(self, noise: npt.ArrayLike) -> Tensor:
        shape = (self.chunk_size, self.config.max_action_dim)
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

    def _guidance(self, prefix: npt.ArrayLike | None, settings: GuidanceSettings) -> Guidance | None:
        if prefix is None:
            return None
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
            self.network.solver.times,
        )
