# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network of SmolVLA.

    images -> vision tower -> connector --+
    task   -> embedding ------------------+--> prefix -> language model -> keys and values of every layer
    state  -> projection -----------------+                                   |
    noise  -> 10 steps of the action expert, which attends to those keys and values -> chunk of actions

The prefix, and everything else that is equal in all steps, is computed once per chunk. Types are those of the weights
(see `parameter_dtype` in weights.py). Inputs are prepared tensors; units, names and files are handled elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  the name torch users know
from torch import Tensor, nn

from smolvla_ros.policy.checkpoint.config import (
    BackboneConfig,
    SmolVLAConfig,
    TransformerConfig,
    expert_config,
)
from smolvla_ros.policy.smolvla.flow_solver import FlowSolver
from smolvla_ros.policy.smolvla.parallel import parallel_map
from smolvla_ros.policy.smolvla.realtime_chunking import Guidance
from smolvla_ros.policy.smolvla.transformer import (
    Layer,
    Layers,
    RMSNorm,
    Rotation,
    attend,
    attention_bias,
    attention_layout,
    block_mask,
    rotate,
    rotation,
)
from smolvla_ros.policy.smolvla.vision import Connector, VisionTower


@dataclass(frozen=True)
class Prefix:
    """The inputs as tokens: image tokens of each camera, task, state, padding."""

    embeddings: Tensor  # (B, tokens, width)
    valid: Tensor  # bool (B, tokens); false for padding and masked cameras
    starts_block: (
        Tensor  # bool (B, tokens); true for the state, which attends to the others; they do not attend to it
    )

    positions: Tensor  # int64 (B, tokens); padding is not counted, so that its amount has no effect
    padded: bool = True  # whether there may be invalid tokens

    def without_padding(self) -> Prefix:
        """Only the valid tokens, of a batch of one. Results stay the same: no token attends to the others."""
        kept = self.valid[0]
        return Prefix(
            self.embeddings[:, kept],
            self.valid[:, kept],
            self.starts_block[:, kept],
            self.positions[:, kept],
            padded=False,
        )


@dataclass(frozen=True)
class Context:
    """Inputs of the action expert that are the same in every step of the flow."""

    keys: Sequence[Tensor]  # of each layer, in the layout of `attention_layout`
    values: Sequence[Tensor]
    self_attention_bias: Tensor  # for attention of the actions to prefix and actions; see `attention_bias`
    cross_attention_bias: Tensor | None  # for attention to the prefix alone; None if nothing is masked
    self_rotation: Rotation  # positions of actions continue those of the prefix
    cross_rotation: Rotation  # positions of actions start at 0


Velocity = Callable[[Context, Tensor, Tensor], Tensor]


class LanguageModel(nn.Module):
    """The kept layers of the backbone's language model; of the last one only keys and values are used."""

    def __init__(self, config: TransformerConfig, vocabulary: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, config.width)
        self.layers = Layers(Layer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width, config.norm_eps)


class ActionExpert(nn.Module):
    """Some layers attend to prefix and actions together, the others only to the re-projected prefix."""

    def __init__(self, config: TransformerConfig, self_attention: Sequence[bool]) -> None:
        super().__init__()
        cached = config.kv_heads * config.head_dim
        self.layers = Layers(Layer(config, None if own else cached) for own in self_attention)
        self.norm = RMSNorm(config.width, config.norm_eps)


class Block(NamedTuple):
    """A part of the network that can be accelerated independently."""

    name: str  # of the module in the network
    module: nn.Module
    rows: int  # approximate number of input rows


class Network(nn.Module):
    """`image_start` and `image_end`: token ids put around every image (none in published checkpoints)."""

    def __init__(
        self,
        config: SmolVLAConfig,
        backbone: BackboneConfig,
        image_start: Sequence[int] = (),
        image_end: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.config = config
        self.solver = FlowSolver(config.num_steps)
        self.head_dim = backbone.text.head_dim
        self.batches_images = False  # all cameras in one batch: equal up to the order of sums
        self.image_start, self.image_end = tuple(image_start), tuple(image_end)
        self.self_attention = tuple(config.is_self_attention(layer) for layer in range(backbone.text.layers))
        expert = expert_config(backbone.text, config.expert_width_multiplier)
        self.vision = VisionTower(backbone.vision)
        self.connector = Connector(backbone.vision, backbone.text.width)
        self.text = LanguageModel(backbone.text, backbone.vocabulary)
        self.expert = ActionExpert(expert, self.self_attention)
        self.state_proj = nn.Linear(config.max_state_dim, backbone.text.width)
        self.action_in_proj = nn.Linear(config.max_action_dim, expert.width)
        self.action_time_mlp_in = nn.Linear(2 * expert.width, expert.width)
        self.action_time_mlp_out = nn.Linear(expert.width, expert.width)
        self.action_out_proj = nn.Linear(expert.width, config.max_action_dim)

    def blocks(self) -> Iterator[Block]:
        """The repeated or large parts, in the order of the weights."""
        patches = self.vision.side**2
        tokens = patches // self.connector.factor**2
        for name, part, rows in (
            ("vision", self.vision, patches),
            ("connector", self.connector, tokens),
            ("text", self.text, 3 * tokens),
            ("expert", self.expert, self.config.chunk_size),
        ):
            if isinstance(part, Connector):
                yield Block(name, part, rows)
            else:
                for index, layer in enumerate(part.layers):
                    yield Block(f"{name}.layers.{index}", layer, rows)

    def sample(
        self,
        context: Context,
        noise: Tensor,
        guidance: Guidance | None = None,
        velocity_at: Velocity | None = None,
    ) -> Tensor:
        """Integrate the flow from noise (t = 1) to actions (t = 0); both float32 (B, chunk, max_action_dim).

        `velocity_at`: replaces `velocity`, for example by its compiled form.
        """
        velocity_of = velocity_at or self.velocity
        embeddings = self.embed_times(torch.tensor(self.solver.times)).to(noise.device)

        def velocity(x: Tensor, index: int) -> Tensor:
            found = velocity_of(context, x, embeddings[index])
            return found if guidance is None else guidance.corrected_velocity(found, x, index)

        return self.solver.integrate(velocity, noise)

    def encode_prefix(
        self,
        images: Sequence[Tensor],
        image_valid: Sequence[bool],
        tokens: Tensor,
        tokens_valid: Tensor,
        state: Tensor,
        keeps_padding: bool,
    ) -> Context:
        """The context of a chunk; inputs as `embed_prefix`.

        Without padding there is less to compute (batch of one only); with it the shape is the same for all tasks.
        """
        prefix = self.embed_prefix(images, image_valid, tokens, tokens_valid, state)
        return self.read_prefix(prefix, keeps_padding)

    def read_prefix(self, prefix: Prefix, keeps_padding: bool) -> Context:
        """The context of a chunk from its prefix; see `encode_prefix`."""
        if not keeps_padding:
            prefix = prefix.without_padding()
        return self.context(prefix, *self.prefix_keys_values(prefix))

    def embed_prefix(
        self,
        images: Sequence[Tensor],
        image_valid: Sequence[bool],
        tokens: Tensor,
        tokens_valid: Tensor,
        state: Tensor,
    ) -> Prefix:
        """Images float (B, 3, side, side) in -1..1, tokens int64 (B, n), state float32 (B, max_state_dim)."""
        return self.join_prefix(self.encode_images(images), image_valid, tokens, tokens_valid, state)

    def join_prefix(
        self,
        encoded: Sequence[Tensor],
        image_valid: Sequence[bool],
        tokens: Tensor,
        tokens_valid: Tensor,
        state: Tensor,
    ) -> Prefix:
        """As `embed_prefix`, from the output of the connector for each image, (B, image tokens, width)."""
        parts: list[Tensor] = []
        valid: list[Tensor] = []

        def add(part: Tensor, counts: bool) -> None:
            parts.append(part)
            valid.append(torch.full(part.shape[:2], counts, device=part.device))

        for image, counts in zip(encoded, image_valid, strict=True):
            add(self._embed_ids(self.image_start, image), True)
            # The factor has the type of the image tokens, as in training: sqrt(960) is 31 in bfloat16.
            scale = torch.full((), image.shape[-1] ** 0.5, dtype=image.dtype, device=image.device)
            add(image * scale, counts)
            add(self._embed_ids(self.image_end, image), True)
        words = self.text.embed_tokens(tokens)
        parts.append(words * math.sqrt(words.shape[-1]))
        valid.append(tokens_valid)
        add(self.state_proj(state)[:, None], True)
        length = sum(part.shape[1] for part in parts)
        padding = max(self.config.prefix_length - length, 0)
        starts_block = torch.zeros(1, length + padding, dtype=torch.bool, device=state.device)
        starts_block[:, length - 1] = True
        is_valid = F.pad(torch.cat(valid, dim=1), (0, padding))
        return Prefix(
            embeddings=F.pad(torch.cat(parts, dim=1), (0, 0, 0, padding)),
            valid=is_valid,
            starts_block=starts_block.expand(state.shape[0], -1),
            positions=torch.cumsum(is_valid, dim=1) - 1,
        )

    def encode_images(self, images: Sequence[Tensor]) -> Sequence[Tensor]:
        """The tokens (B, image tokens, width) of each image as in `embed_prefix`."""
        dtype = self.vision.patch_embedding.weight.dtype
        if self.batches_images:
            tokens: Tensor = self.connector(self.vision(torch.cat(list(images)).to(dtype)))
            return torch.split(tokens, len(images[0]))

        def encode(image: Tensor) -> Tensor:
            seen: Tensor = self.connector(self.vision(image.to(dtype)))
            return seen

        if images[0].device.type == "cpu":
            return parallel_map(encode, images)
        return [encode(image) for image in images]

    def _embed_ids(self, ids: Sequence[int], image: Tensor) -> Tensor:
        tokens = torch.tensor(ids, dtype=torch.int64, device=image.device)
        embedded: Tensor = self.text.embed_tokens(tokens)
        return embedded.expand(image.shape[0], -1, -1)

    def prefix_keys_values(self, prefix: Prefix) -> tuple[list[Tensor], list[Tensor]]:
        """Run the language model on the prefix; returns keys (rotated) and values of every layer."""
        turn = rotation(prefix.positions, self.head_dim)
        bias = attention_bias(block_mask(prefix.valid, prefix.starts_block))
        keys, values = [], []
        x = prefix.embeddings
        for layer in self.text.layers:
            query, key, value = layer.self_attn.queries_keys_values(layer.input_layernorm(x), turn)
            keys.append(key)
            values.append(value)
            if layer is not self.text.layers[-1]:  # the output of the last layer is not used
                x = layer.output(x, attend(query, *attention_layout(key, value), bias))
        return keys, values

    def context(self, prefix: Prefix, keys: Sequence[Tensor], values: Sequence[Tensor]) -> Context:
        """The inputs of the action expert from a prefix; keys and values are those of `prefix_keys_values`."""
        keys, values = list(keys), list(values)
        for index, layer in enumerate(self.expert.layers):
            if not self.self_attention[index]:  # re-projected, without rotating the keys again
                seen = keys[index].flatten(2), values[index].flatten(2)
                keys[index], values[index] = layer.self_attn.keys_values(*seen)
            keys[index], values[index] = attention_layout(keys[index], values[index])
        valid = prefix.valid
        batch, actions = len(valid), self.config.chunk_size
        visible = valid[:, None, :].expand(batch, actions, -1)
        ones = torch.ones(batch, actions, dtype=torch.bool, device=valid.device)
        own = torch.arange(actions, device=valid.device).expand(batch, -1)
        return Context(
            keys=keys,
            values=values,
            self_attention_bias=attention_bias(torch.cat([visible, block_mask(ones, ones)], dim=2)),
            cross_attention_bias=attention_bias(visible) if prefix.padded else None,
            self_rotation=rotation(valid.sum(dim=1, keepdim=True) + own, self.head_dim),
            cross_rotation=rotation(own, self.head_dim),
        )

    def velocity(self, context: Context, x: Tensor, time_embedding: Tensor) -> Tensor:
        """The velocity of the flow at x (B, chunk, max_action_dim); same shape, float32.

        time_embedding: (width,) of one time for all samples, or (B, 1, width).
        """
        h = self.embed_actions(x, time_embedding)
        for index, layer in enumerate(self.expert.layers):
            normed = layer.input_layernorm(h)
            keys, values = context.keys[index], context.values[index]
            bias = context.cross_attention_bias
            if self.self_attention[index]:
                bias = context.self_attention_bias
                queries, *own = layer.self_attn.queries_keys_values(normed, context.self_rotation)
                own_keys, own_values = attention_layout(*own)
                keys, values = torch.cat([keys, own_keys], dim=3), torch.cat([values, own_values], dim=2)
            else:
                queries = rotate(layer.self_attn.queries(normed), context.cross_rotation)
            h = layer.output(h, attend(queries, keys, values, bias))
        out: Tensor = self.action_out_proj(self.expert.norm(h).to(torch.float32))
        return out

    def embed_actions(self, x: Tensor, time_embedding: Tensor) -> Tensor:
        """Noisy actions (B, chunk, max_action_dim) and an embedding as in `velocity` to expert tokens."""
        actions = self.action_in_proj(x)
        both = torch.cat([actions, time_embedding.expand_as(actions)], dim=2)
        out: Tensor = self.action_time_mlp_out(F.silu(self.action_time_mlp_in(both)))
        return out

    def embed_times(self, times: Tensor) -> Tensor:
        """Sinusoids of the flow's times float32 (n,); float32 (n, expert width), on the device of `times`.

        Computed in float64, as in training, except on MPS, which does not have it.
        """
        half = self.action_in_proj.out_features // 2
        low, high = self.config.min_period, self.config.max_period
        exact = torch.float32 if times.device.type == "mps" else torch.float64
        periods = low * (high / low) ** torch.linspace(0.0, 1.0, half, dtype=exact, device=times.device)
        phases = 1.0 / periods[None, :] * 2 * math.pi * times.to(exact)[:, None]
        return torch.cat([torch.sin(phases), torch.cos(phases)], dim=1).to(torch.float32)
