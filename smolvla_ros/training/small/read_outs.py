# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Auxiliary outputs that are trained with the small network and thrown away afterwards.

Patches of the vision tower and image tokens predict which objects they show and where in the image. The keys and values
of the language model's last layer predict: from all words and the state, where all cubes are in the image; from the
name of a colour, where the cube of that colour is; from all words, where the named object and its destination are; from
the state, the first actions. They make a network that starts from nothing look at the objects, and find the named one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  the name torch users know
from torch import Tensor, nn

from smolvla_ros.simulation.layout import CUBE_COLOURS
from smolvla_ros.training.small.architecture import Sizes, word_id

CLASSES = 7  # four colours of cubes, three of trays
SPREAD = 0.48  # of the heat around an object, as a share of a cell's side
PLACE_UNIT_M = 0.1  # places are predicted in this unit
PLACES = 4  # points in m: target, target from the gripper, destination, destination from the gripper
READ_STEPS = 16  # actions that the state's token predicts
# Up to this error smooth_l1_loss is quadratic: small, because an error of 1 cm already misses a cube, and a quadratic
# loss would hardly reduce errors of that size.
CELL_BETA, IMAGE_BETA, PLACE_BETA, ACTION_BETA = (
    0.1,  # of SPREAD
    0.01,  # of the image's side
    0.03,  # of PLACE_UNIT_M
    0.1,  # of the standard deviation
)
OFFSET_WEIGHT = 0.3  # of the offsets of a Detector, beside its probabilities


class Detector(nn.Module):
    """Predicts from each cell of a square grid, `side` cells a side, which objects are there and where exactly."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.out = nn.Linear(width, 3 * CLASSES)
        self.spread = SPREAD / side
        self.centres: Tensor
        centres = (torch.arange(side) + 0.5) / side
        grid = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=-1).view(-1, 2)
        self.register_buffer("centres", grid, persistent=False)  # (cells, 2): x, y as shares of the side

    def loss(self, features: Tensor, objects: Tensor) -> Tensor:
        """Of features (B, cells, width) and the objects' places (B, CLASSES, instances, 2) in the image.

        Places are x, y as shares of the image's side; NaN where there is no such object in view.
        """
        out = self.out(features).float()
        logits, offsets = out[..., :CLASSES], out[..., CLASSES:].unflatten(-1, (CLASSES, 2))
        away = objects[:, None] - self.centres[None, :, None, None]  # (B, cells, CLASSES, instances, 2)
        distance = torch.nan_to_num(away.square().sum(-1), nan=1e3)
        nearest = distance.argmin(-1, keepdim=True)
        heat = torch.exp(-distance.gather(-1, nearest)[..., 0] / (2 * self.spread**2))
        found = F.binary_cross_entropy_with_logits(logits, heat)
        wanted = torch.nan_to_num(away).gather(3, nearest[..., None].expand(-1, -1, -1, -1, 2))[..., 0, :]
        error = F.smooth_l1_loss(offsets, wanted / self.spread, reduction="none", beta=CELL_BETA).sum(-1)
        return found + (error * heat).sum() / heat.sum().clamp(min=1.0) * OFFSET_WEIGHT


class ReadOuts(nn.Module):
    """The heads, with a loss for each kind of output."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        memory = 2 * sizes.text_kv_heads * sizes.head_dim  # keys and values of a token
        side = sizes.image // sizes.patch
        self.patches = Detector(sizes.vision_width, side)
        self.tokens = Detector(sizes.text_width, side // sizes.pixel_shuffle)
        self.cubes = nn.Linear(memory, 2 * len(CUBE_COLOURS))
        self.colours = nn.Linear(memory, 2)
        self.places = nn.Sequential(nn.Linear(memory, 256), nn.GELU(), nn.Linear(256, 3 * PLACES))
        self.actions = nn.Sequential(
            nn.Linear(memory, 256), nn.GELU(), nn.Linear(256, READ_STEPS * sizes.joints + 3 * PLACES)
        )
        self.joints = sizes.joints
        self.colour_ids = [word_id(colour) for colour in CUBE_COLOURS]

    def cube_losses(
        self, memory: Tensor, valid: Tensor, tokens: Tensor, objects: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Where all cubes are, from all words and the state, and where that of a colour is, from its name.

        memory (B, L + 1, ...) and valid (B, L + 1): of words and state. tokens (B, L): the words. objects: places in
        the first image, as in Detector.loss. Only colours of which one cube is in view count.
        """
        cubes = objects[:, : len(self.colour_ids)]
        is_single = torch.isfinite(cubes[..., 0]).sum(-1) == 1  # (B, colours)
        wanted = torch.nan_to_num(cubes).sum(2)[:, None].expand(-1, memory.shape[1], -1, -1)
        is_colour = tokens[..., None] == torch.tensor(
            self.colour_ids, device=tokens.device
        )  # (B, L, colours)
        one = self.colours(memory[:, :-1]).float()[:, :, None].expand_as(wanted[:, :-1])
        every = self.cubes(memory).float().unflatten(-1, (-1, 2))
        return (
            _image_error(every, wanted, valid[..., None] & is_single[:, None]),
            _image_error(one, wanted[:, :-1], is_colour & is_single[:, None]),
        )

    def place_loss(self, memory: Tensor, valid: Tensor, places: Tensor) -> Tensor:
        """Of the words' keys and values (B, tokens, ...), valid (B, tokens) and places (B, PLACES, 3) [m] or NaN."""
        predicted = self.places(memory).float().unflatten(-1, (PLACES, 3))
        error = _place_error(predicted, places[:, None])
        return (error * valid).sum() / valid.sum()

    def state_loss(self, memory: Tensor, actions: Tensor, places: Tensor) -> Tensor:
        """Of the state's keys and values (B, ...), normalised actions (B, READ_STEPS or more, joints) and places."""
        out = self.actions(memory).float()
        count = READ_STEPS * self.joints
        wanted = actions[:, :READ_STEPS].flatten(1)
        read = F.smooth_l1_loss(out[:, :count], wanted, beta=ACTION_BETA)
        return read + _place_error(out[:, count:].unflatten(-1, (PLACES, 3)), places).mean()


def _image_error(predicted: Tensor, wanted: Tensor, counts: Tensor) -> Tensor:
    """The mean over those that count; (..., 2) as shares of the image's side."""
    error = F.smooth_l1_loss(predicted, wanted, reduction="none", beta=IMAGE_BETA).sum(-1)
    return (error * counts).sum() / counts.sum().clamp(min=1)


def _place_error(predicted: Tensor, places: Tensor) -> Tensor:
    """The mean over all places that there are; (..., PLACES, 3) -> (...)."""
    wanted = places / PLACE_UNIT_M
    error = F.smooth_l1_loss(
        predicted, torch.nan_to_num(wanted).expand_as(predicted), reduction="none", beta=PLACE_BETA
    )
    return (error * torch.isfinite(wanted)).mean((-1, -2))
