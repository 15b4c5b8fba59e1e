# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The messages of policy.proto <-> the values used inside the package, and what both sides agree on.

All that comes from the network is checked here.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smolvla_ros.arrays import Float32Array, ImageArray
from smolvla_ros.chunk import MAX_TEXT
from smolvla_ros.feature_statistics import MODE_STATISTICS, FeatureStatistics
from smolvla_ros.image import ImageError, decode_compressed, encode_png
from smolvla_ros.observation import Frame
from smolvla_ros.policy.chunk_inputs import ChunkInputs
from smolvla_ros.policy.guidance_settings import GuidanceSettings
from smolvla_ros.policy.policy import PolicyError
from smolvla_ros.policy.preflight.preflight import Expectations
from smolvla_ros.remote import policy_pb2

SERVICE = policy_pb2.DESCRIPTOR.services_by_name["Policy"].full_name
DESCRIBE, INFER = f"/{SERVICE}/Describe", f"/{SERVICE}/Infer"
RETRY_AFTER = "retry-after-ms"  # trailing metadata of an answer that says: busy
MAX_PIXELS = 4096 * 4096  # of an image; a small file can claim to be huge
MAX_IMAGES = 16
MAX_SEED = 2**63
SHORT = 64  # characters of a client's name and a digest


class MessageError(PolicyError):
    """A message from the network is not valid; the text names the field, its value and what is expected."""


def description_message(expected: Expectations, digest: str) -> Any:
    """The description of a checkpoint."""
    return policy_pb2.Description(
        name=expected.name,
        digest=digest,
        image_keys=expected.image_keys,
        image_size=expected.image_size,
        state_dim=expected.state_dim,
        action_dim=expected.action_dim,
        chunk_size=expected.chunk_size,
        state=_statistics_message(expected.state),
        action=_statistics_message(expected.action),
        tokenizer=expected.tokenizer,
        fps=expected.fps,
        renames=expected.renames,
    )


def _statistics_message(statistics: FeatureStatistics) -> Any:
    values = {
        name: policy_pb2.Values(values=array.ravel().tolist()) for name, array in statistics.values.items()
    }
    return policy_pb2.Statistics(values=values, source=statistics.source, mode=statistics.mode)


def expectations_from(message: Any) -> Expectations:
    """What the checkpoint of a description expects; raises MessageError."""
    sizes = {name: getattr(message, name) for name in ("image_size", "state_dim", "action_dim", "chunk_size")}
    for name, size in sizes.items():
        if not 1 <= size <= 4096:
            raise MessageError(f"{name} is {size}, expected 1 to 4096")
    return Expectations(
        name=message.name[:MAX_TEXT],
        image_keys=tuple(message.image_keys),
        state=_statistics_from(message.state),
        action=_statistics_from(message.action),
        tokenizer=message.tokenizer,
        fps=message.fps if message.HasField("fps") else None,
        renames=dict(message.renames),
        **sizes,
    )


def _statistics_from(message: Any) -> FeatureStatistics:
    values = {name: np.array(entry.values, np.float32) for name, entry in message.values.items()}
    lacking = [name for name in MODE_STATISTICS.get(message.mode, ("a known mode",)) if name not in values]
    if lacking:
        raise MessageError(f"statistics of mode {message.mode!r} lack {', '.join(lacking)}")
    return FeatureStatistics(values, message.source, message.mode)


def sent_image(frame: Frame) -> bytes:
    """The image of a frame as it is sent: as the camera has sent it, or without loss as PNG."""
    return frame.encoded or encode_png(frame.image, compression=1)


def observation_message(
    digest: str, client: str, images: Mapping[str, bytes], state: Sequence[float], task: str, **rest: Any
) -> Any:
    """A request without continuation; `rest`: further fields."""
    return policy_pb2.Observation(digest=digest, client=client, images=images, state=state, task=task, **rest)


def inputs_from(message: Any, expected: Expectations) -> ChunkInputs:
    """What an observation's chunk is computed from; raises PolicyError and ImageError."""
    if not 1 <= len(message.images) <= MAX_IMAGES:
        raise MessageError(f"{len(message.images)} images, expected 1 to {MAX_IMAGES}")
    unknown = [key for key in message.images if key not in (*expected.image_keys, *expected.renames)]
    if unknown:
        raise MessageError(
            f"images {unknown} are unknown to {expected.name}: {', '.join(expected.image_keys)}"
        )
    if len(message.task) > MAX_TEXT:
        raise MessageError(f"the task has {len(message.task)} characters, at most {MAX_TEXT} are allowed")
    if not 0.0 <= message.noise_scale <= 1.0 or message.seed >= MAX_SEED:
        raise MessageError(f"noise_scale {message.noise_scale} or seed {message.seed} is out of range")
    state = _finite("state", message.state, expected.state_dim)
    images = {key: _decoded(key, content) for key, content in message.images.items()}
    prefix, guidance = None, GuidanceSettings()
    if message.HasField("continuation"):
        given = message.continuation
        rows = len(given.positions) // expected.action_dim
        if rows > expected.chunk_size:
            raise MessageError(f"the continuation has {rows} rows, at most {expected.chunk_size} are allowed")
        prefix = _finite("positions", given.positions, rows * expected.action_dim).reshape(
            rows, expected.action_dim
        )
        guidance = GuidanceSettings(
            given.inference_delay, given.execution_horizon, given.schedule, given.max_guidance_weight
        )
    return ChunkInputs(images, state, message.task, message.seed, message.noise_scale, prefix, guidance)


def actions_from(message: Any, expected: Expectations) -> Float32Array:
    """The actions of a chunk, (chunk_size, action_dim); raises MessageError."""
    count = expected.chunk_size * expected.action_dim
    values: Float32Array = _finite("actions", message.actions, count).astype(np.float32)
    return values.reshape(expected.chunk_size, expected.action_dim)


def _finite(name: str, values: Sequence[float], count: int) -> Any:
    if len(values) != count:
        raise MessageError(f"{name} has {len(values)} values, expected {count}")
    if not all(map(math.isfinite, values)):
        raise MessageError(f"{name} holds values that are not finite")
    return np.array(values, np.float64)


def _decoded(key: str, content: bytes) -> ImageArray:
    """The pixels of a compressed image of reasonable size; raises ImageError."""
    from PIL import Image  # here: only the server decodes

    try:
        with Image.open(
            io.BytesIO(content), formats=("JPEG", "PNG", "WEBP")
        ) as file:  # reads the header alone
            width, height = file.size
    except Exception as error:  # depends on the content
        raise ImageError(f"image {key!r} is no JPEG, PNG or WebP of a usable size: {error}") from error
    if width * height > MAX_PIXELS:
        raise ImageError(f"image {key!r} has {width}x{height} pixels, at most {MAX_PIXELS} are allowed")
    return decode_compressed(content)
