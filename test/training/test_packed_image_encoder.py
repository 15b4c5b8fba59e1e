# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image tokens with packed weights, for a frozen vision tower."""

from __future__ import annotations

import pytest
import torch

from smolvla_ros.policy.smolvla.acceleration import supports_packed_weights
from smolvla_ros.training.batch import Batch
from smolvla_ros.training.objective import Objective
from smolvla_ros.training.packed_image_encoder import PackedImageEncoder, packs_images
from smolvla_ros.training.small.architecture import Sizes

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(not supports_packed_weights(), reason="torch cannot pack weights on this CPU")


@pytest.mark.parametrize("cameras", [1, 2, 3])
def test_tokens_are_those_of_the_network(cameras: int) -> None:
    torch.manual_seed(1)
    network = Sizes(text_layers=1).network()
    images = [torch.rand(2, 3, 192, 192) * 2 - 1 for _ in range(cameras)]
    with torch.no_grad():
        expected = network.encode_images(images)
    found = PackedImageEncoder(network)(images)
    assert len(found) == cameras
    for tokens, its in zip(found, expected, strict=True):
        torch.testing.assert_close(tokens, its, rtol=1e-4, atol=1e-5)


def test_tokens_have_no_gradients() -> None:
    network = Sizes(text_layers=1).network()
    (tokens,) = PackedImageEncoder(network)([torch.zeros(1, 3, 192, 192)])
    assert not tokens.requires_grad


def test_only_a_network_on_the_cpu_in_float32_is_packed() -> None:
    assert packs_images(CPU, torch.float32, uses_autocast=False)
    assert not packs_images(CPU, torch.float32, uses_autocast=True)
    assert not packs_images(CPU, torch.bfloat16, uses_autocast=False)
    assert not packs_images(torch.device("cuda"), torch.float32, uses_autocast=False)


def test_the_objective_is_the_same_and_has_the_same_parameters() -> None:
    torch.manual_seed(2)
    network = Sizes(text_layers=2, chunk=4).network()
    plain = Objective(network, 6, freezes_prefix=True)
    packed = Objective(network, 6, freezes_prefix=True, packs_images=True)
    assert [name for name, _ in packed.named_parameters()] == [name for name, _ in plain.named_parameters()]
    batch = Batch(
        images=[torch.rand(2, 3, 192, 192) * 2 - 1 for _ in range(2)],
        image_valid=[True, True],
        tokens=torch.randint(64, (2, 5)),
        tokens_valid=torch.ones(2, 5, dtype=torch.bool),
        state=torch.randn(2, 32),
        actions=torch.randn(2, 4, 32),
        action_is_pad=None,
    )
    noise, time = torch.randn(2, 4, 32), torch.rand(2)
    torch.testing.assert_close(packed(batch, noise, time), plain(batch, noise, time), rtol=1e-4, atol=1e-4)
