# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trains the small network on a growing set of records: flow matching, and the auxiliary losses of ReadOuts.

Training has four stages: read-outs and action expert (of a network that is taken over, so that gradients of new
read-outs do not spoil it), the vision tower alone, everything, and the action expert alone. The expert's loss does not
change the vision-language model, which learns from the auxiliary losses: it learns faster so, and the expert can have
several draws of noise for each record.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from smolvla_ros.arrays import FloatArray
from smolvla_ros.policy.checkpoint.config import ACTION, STATE
from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec
from smolvla_ros.policy.smolvla.network import Context, Network
from smolvla_ros.training.flow_matching import flow_errors, flow_matching_loss, sample_times
from smolvla_ros.training.small.architecture import PADDING, UNKNOWN, Sizes
from smolvla_ros.training.small.initialisation import initialise
from smolvla_ros.training.small.read_outs import ReadOuts
from smolvla_ros.training.small.records import INSTRUCTIONS, LABEL_RATE_HZ, LABELS, Records

ENCODER = ("vision.", "connector.", "text.", "state_proj.")  # parameters of the vision-language part
EVERYTHING = ("",)
BETAS, WEIGHT_DECAY, MAX_NORM = (0.9, 0.95), 0.01, 1.0
WARM_UP = 0.02  # share of a stage in which the learning rate rises
MIN_RATE = 0.02  # of the highest learning rate, at the end of a stage
Stage = Literal["read_outs", "vision", "all", "expert"]  # what is trained
STAGES: tuple[Stage, ...] = get_args(Stage)
Objective = Literal["flow", "regression"]
FLOW_DRAWS: dict[Stage, int] = {
    "read_outs": 1,
    "all": 1,
    "expert": 6,
}  # of noise and time for each record in a step
STATE_NOISE = 0.02  # of the normalised state, standard deviation
UNKNOWN_PROBABILITY = 0.03  # of a word to be replaced by an unknown one
BRIGHTNESS, CONTRAST = 0.1, 0.1  # of images, standard deviations
LOSS_WEIGHTS = {
    "flow": 1.0,
    "patches": 2.0,
    "tokens": 0.5,
    "cubes": 4.0,
    "colours": 4.0,
    "places": 4.0,
    "state": 3.0,
}


class TrainerError(ValueError):
    """A network cannot be trained as asked; the message says why."""


class RecordBuffer:
    """All records on the device of the training, which are few enough for its memory."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._count = 0
        self._columns: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return self._count

    def add(self, records: Records) -> None:
        """Append records; memory grows by doubling."""
        for name in Records.__dataclass_fields__:
            added = torch.from_numpy(getattr(records, name))
            column = self._columns.get(name)
            if column is None or len(column) < self._count + len(added):
                size = max(2 * (0 if column is None else len(column)), self._count + len(added))
                grown = torch.empty((size, *added.shape[1:]), dtype=added.dtype, device=self._device)
                if column is not None:
                    grown[: self._count] = column[: self._count]
                self._columns[name] = column = grown
            column[self._count : self._count + len(added)] = added.to(self._device)
        self._count += len(records)

    def column(self, name: str) -> Tensor:
        """One field of all records."""
        return self._columns[name][: self._count]

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """Fields of some records; those that differ between the instructions have (n * INSTRUCTIONS, ...) rows."""
        batch = {name: column[indices] for name, column in self._columns.items()}
        for name in ("tokens", "actions", "places"):
            batch[name] = batch[name].flatten(0, 1)
        return batch


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation (joints,) of states and actions, in LeRobot's units."""

    state: tuple[Tensor, Tensor]
    action: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, records: RecordBuffer) -> Statistics:
        states, actions = records.column("states"), records.column("actions").flatten(0, 2)
        return cls((states.mean(0), states.std(0)), (actions.mean(0), actions.std(0)))

    def by_feature(self) -> dict[str, dict[str, FloatArray]]:
        """As in a checkpoint."""
        return {
            feature: {"mean": mean.double().cpu().numpy(), "std": std.double().cpu().numpy()}
            for feature, (mean, std) in ((STATE, self.state), (ACTION, self.action))
        }


class Trainer:
    """Network, read-outs, optimizer and the average of the weights, which is what is saved and evaluated."""

    def __init__(
        self,
        sizes: Sizes,
        device: torch.device,
        learning_rate: float,
        average_decay: float,
        seed: int,
        objective: Objective = "flow",
    ) -> None:
        self.sizes, self.device, self.learning_rate = sizes, device, learning_rate
        self.objective = objective
        torch.manual_seed(seed)
        self.network = sizes.network()
        initialise(self.network, seed)
        self.network.to(device)
        self.network.batches_images = True
        self.heads = ReadOuts(sizes).to(device)
        self.parameters = [*self.network.parameters(), *self.heads.parameters()]
        decayed = [p for p in self.parameters if p.ndim > 1]
        other = [p for p in self.parameters if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": other, "weight_decay": 0.0}],
            lr=learning_rate,
            betas=BETAS,
            fused=device.type == "cuda",
        )
        self.averages = [p.detach().clone() for p in self.network.parameters()]
        self.average_decay = average_decay
        self.statistics: Statistics | None = None
        self.steps = 0
        self.generator = torch.Generator(device=device).manual_seed(seed)
        self.loss_of = self._losses

    def take_weights(self, checkpoint: CheckpointSpec, parts: tuple[str, ...]) -> None:
        """Take over the parameters that begin with one of `parts`, and the statistics; raises TrainerError.

        Before the first step: the average of the weights begins with them.
        """
        network = checkpoint.empty_network()
        checkpoint.weights.load(network, self.device, "float32", accelerates=False)
        own, its = self.network.state_dict(), network.state_dict()
        taken = {name: its[name] for name in own if name.startswith(parts) and name in its}
        shapes = {name: tuple(value.shape) for name, value in taken.items()}
        if shapes != {name: tuple(own[name].shape) for name in own if name.startswith(parts)}:
            raise TrainerError(f"checkpoint '{checkpoint.name}' does not have the sizes of this recipe")
        self.network.load_state_dict(taken, strict=False)
        self.averages = [p.detach().clone() for p in self.network.parameters()]
        state, action = checkpoint.processors.state, checkpoint.processors.action
        self.statistics = Statistics(
            (state.first.to(self.device), state.second.to(self.device)),
            (action.first.to(self.device), action.second.to(self.device)),
        )

    def compile(self) -> None:
        """Use torch.compile for the losses, which takes a minute and pays on a GPU."""
        self.loss_of = torch.compile(self._losses)

    def step(self, records: RecordBuffer, batch_size: int, stage: Stage, share: float) -> dict[str, Tensor]:
        """One update; `share` of the stage has passed. Returns the losses by name, on the device."""
        if self.statistics is None:
            self.statistics = Statistics.of(records)
        rate = self.learning_rate * learning_rate_factor(share)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(stage != "read_outs" or not name.startswith(ENCODER))
        inputs = self._augmented(self.sample(records, batch_size))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            losses = self.loss_of(stage, *inputs)
        total = sum(LOSS_WEIGHTS[name] * loss for name, loss in losses.items())
        assert isinstance(total, Tensor)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters, MAX_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        decay = min(self.average_decay, self.steps / (self.steps + 10))
        torch._foreach_lerp_(self.averages, [p.detach() for p in self.network.parameters()], 1.0 - decay)
        return {name: loss.detach() for name, loss in losses.items()}

    def sample(self, records: RecordBuffer, batch_size: int) -> dict[str, Tensor]:
        """Random records."""
        random = {"generator": self.generator, "device": self.device}
        return records.batch(torch.randint(len(records), (batch_size,), **random))  # type: ignore[call-overload]

    @torch.no_grad()
    def validation_losses(self, records: RecordBuffer, count: int) -> dict[str, float]:
        """Losses of the present weights on records that are not trained on."""
        batch = records.batch(torch.arange(count, device=self.device) % len(records))
        losses = self._losses("all", *self._prepared(batch))
        return {name: float(loss) for name, loss in losses.items()}

    def averaged_network(self) -> Network:
        """A copy of the network with the averaged weights, on the CPU."""
        network = self.sizes.network()
        with torch.no_grad():
            for parameter, average in zip(network.parameters(), self.averages, strict=True):
                parameter.copy_(average)
        return network

    def _prepared(self, batch: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Inputs of `_losses`: images (cameras, n, 3, height, width) in -1..1, others with n * INSTRUCTIONS rows."""
        assert self.statistics is not None
        images = batch["images"].permute(1, 0, 4, 2, 3).to(torch.float32) / 127.5 - 1.0
        (mean, std), (action_mean, action_std) = self.statistics.state, self.statistics.action
        state = ((batch["states"] - mean) / std).repeat_interleave(INSTRUCTIONS, 0)
        actions = (batch["actions"] - action_mean) / action_std
        return images, batch["tokens"].long(), state, actions, batch["objects"], batch["places"]

    def _augmented(self, batch: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """The same with other brightness and contrast, noise on the state, and words missing."""
        images, tokens, state, *rest = self._prepared(batch)
        shape = (*images.shape[:3], 1, 1)
        images = images * (1.0 + CONTRAST * self._normal(shape)) + BRIGHTNESS * self._normal(shape)
        state = state + STATE_NOISE * self._normal(state.shape)
        lost = torch.rand(tokens.shape, generator=self.generator, device=self.device) < UNKNOWN_PROBABILITY
        tokens = torch.where(lost & (tokens != PADDING), UNKNOWN, tokens)
        return images.clamp(-1.0, 1.0), tokens, state, *rest

    def _normal(self, shape: tuple[int, ...] | torch.Size) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.device)

    def _losses(
        self,
        stage: Stage,
        images: Tensor,
        tokens: Tensor,
        state: Tensor,
        labels: Tensor,
        objects: Tensor,
        places: Tensor,
    ) -> dict[str, Tensor]:
        """The losses of a stage by name."""
        network, sizes = self.network, self.sizes
        cameras = len(images)
        padded = nn.functional.pad(images.flatten(0, 1), (0, 0, sizes.image - images.shape[3], 0), value=-1.0)
        losses: dict[str, Tensor] = {}
        with torch.no_grad() if stage == "expert" else nullcontext():
            patches = network.vision(padded)
            if stage != "expert":
                by_image = objects.transpose(0, 1).flatten(0, 1)
                losses["patches"] = self.heads.patches.loss(patches, by_image)
            if stage == "vision":
                return losses
            encoded = network.connector(patches)
            if stage != "expert":
                unit = (
                    encoded * network.text.embed_tokens.embedding_dim**0.5
                )  # as the language model gets them
                losses["tokens"] = self.heads.tokens.loss(unit, by_image)
            encoded = encoded.unflatten(0, (cameras, -1)).repeat_interleave(INSTRUCTIONS, 1)
            state = nn.functional.pad(state, (0, network.config.max_state_dim - state.shape[1]))
            prefix = network.join_prefix(list(encoded), [True] * cameras, tokens, tokens != PADDING, state)
            keys, values = network.prefix_keys_values(prefix)
            if stage != "expert":
                memory = torch.cat([keys[-1].flatten(2), values[-1].flatten(2)], dim=2)
                first_word = prefix.valid.shape[1] - 1 - tokens.shape[1]
                words = memory[:, first_word:-1]
                first_image = objects[:, 0].repeat_interleave(INSTRUCTIONS, 0)
                losses["cubes"], losses["colours"] = self.heads.cube_losses(
                    memory[:, first_word:], prefix.valid[:, first_word:], tokens, first_image
                )
                losses["places"] = self.heads.place_loss(words, tokens != PADDING, places)
                losses["state"] = self.heads.state_loss(memory[:, -1], labels, places)
        keys, values = [key.detach() for key in keys], [value.detach() for value in values]
        draws, actions = FLOW_DRAWS[stage], chunks_of(labels, sizes)
        context = repeated(network.context(prefix, keys, values), draws)
        wide = nn.functional.pad(actions, (0, network.config.max_action_dim - actions.shape[2]))
        wide = wide.repeat_interleave(draws, 0)
        noise = torch.randn_like(wide)
        if self.objective == "regression":
            # the flow from noise in one step, so that the checkpoint runs as any other
            times = torch.ones(len(wide), device=self.device)
            errors = flow_errors(network, context, wide, noise, times)[..., : actions.shape[2]]
            losses["flow"] = errors.clamp(min=1e-12).sqrt().mean()
        else:
            times = sample_times(len(wide)).to(self.device)
            losses["flow"], _ = flow_matching_loss(
                network, context, wide, None, noise, times, actions.shape[2]
            )
        return losses


def chunks_of(labels: Tensor, sizes: Sizes) -> Tensor:
    """Labels (n, LABELS, joints) as chunks (n, chunk, joints) at a network's rate, linear in between."""
    times = torch.arange(sizes.chunk, device=labels.device) * (LABEL_RATE_HZ / sizes.rate_hz)
    first = times.long().clamp(max=LABELS - 2)
    return labels[:, first].lerp(labels[:, first + 1], (times - first)[:, None])


def learning_rate_factor(share: float) -> float:
    """Rises linearly during WARM_UP, then falls as a cosine to MIN_RATE."""
    if share < WARM_UP:
        return max(share / WARM_UP, 0.01)
    return MIN_RATE + (1.0 - MIN_RATE) * 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0)))


def repeated(context: Context, times: int) -> Context:
    """Each sample of a context `times` times, one after the other."""

    def repeat(x: Tensor) -> Tensor:
        return x.repeat_interleave(times, 0)

    bias = context.cross_attention_bias
    return replace(
        context,
        keys=[repeat(key) for key in context.keys],
        values=[repeat(value) for value in context.values],
        self_attention_bias=repeat(context.self_attention_bias),
        cross_attention_bias=None if bias is None else repeat(bias),
        self_rotation=(repeat(context.self_rotation[0]), repeat(context.self_rotation[1])),
        cross_rotation=(repeat(context.cross_rotation[0]), repeat(context.cross_rotation[1])),
    )
