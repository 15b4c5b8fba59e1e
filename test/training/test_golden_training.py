# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Loss and gradients are those of LeRobot 0.6.1, case by case (test/data/golden/README.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from smolvla_ros.policy.policy import PolicyError
from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec
from smolvla_ros.policy.smolvla.weights import checkpoint_name
from smolvla_ros.training import loss_and_gradients
from smolvla_ros.training.batch import Batch
from smolvla_ros.training.flow_matching import flow_errors, flow_matching_loss, sample_times
from smolvla_ros.training.objective import Objective
from smolvla_ros.training.trained_parameters import lerobot_indices, set_trained

from .conftest import BACKBONE, CASES, CHECKPOINT

Tensors = Mapping[str, torch.Tensor]
FLOAT32_CASES = [name for name in CASES if name.endswith("fp32") and not name.startswith("lora")]
ROUNDED_TO_ZERO = ".self_attn.k_proj.bias"  # a bias of all keys has no effect on softmax


@pytest.mark.parametrize("name", [*FLOAT32_CASES, "expert.fp32.without_mask"])
def test_loss_and_gradients_are_those_of_the_reference(
    name: str, batch: dict[str, Any], tensors: Tensors
) -> None:
    given = {
        key: value for key, value in batch.items() if "without_mask" not in name or key != "action_is_pad"
    }
    noise, time = tensors["in.noise"][0].numpy(), tensors["in.time"][0].numpy()
    loss, gradients = loss_and_gradients(
        CHECKPOINT, given, noise, time, trained=name.partition(".")[0], backbone=BACKBONE
    )
    case = CASES[name]
    assert loss == pytest.approx(case["steps"][0]["loss"], rel=1e-5)
    assert set(gradients) == {key for key, norm in case["gradients"].items() if norm is not None}
    for key, gradient in gradients.items():
        if not key.endswith(ROUNDED_TO_ZERO):
            assert np.linalg.norm(gradient) == pytest.approx(case["gradients"][key], rel=1e-4), key
    prefix = f"{name}.grad."
    compared = [key for key in tensors if key.startswith(prefix)]
    assert compared
    for key in compared:
        expected = tensors[key].numpy()
        error = np.abs(gradients[key.removeprefix(prefix)] - expected).max()
        assert error < 1e-4 * np.abs(expected).max(), key


@pytest.mark.parametrize("name", FLOAT32_CASES)
def test_what_is_trained_is_that_of_the_reference(name: str, spec: CheckpointSpec) -> None:
    trained = set_trained(spec.empty_network(), name.partition(".")[0])
    assert list(trained) == CASES[name]["trainable"]


def test_an_unknown_set_is_refused(spec: CheckpointSpec) -> None:
    with pytest.raises(ValueError, match="trained is 'everything', expected one of expert, "):
        set_trained(spec.empty_network(), "everything")


def test_the_head_is_counted_among_the_parameters_of_lerobot(spec: CheckpointSpec) -> None:
    network = spec.empty_network()
    indices = lerobot_indices(network)
    assert sorted(indices.values()) == list(range(len(list(network.parameters())) + 1))
    assert indices["model.state_proj.weight"] == len(indices) - 10
    assert {checkpoint_name(name) for name, _ in network.named_parameters()} < set(indices)


def test_prepared_samples_are_those_of_the_reference(prepared: Batch, tensors: Tensors) -> None:
    kept = tensors["batch.token_mask"].any(dim=0)
    valid = tensors["batch.token_mask"][:, kept]
    assert torch.equal(prepared.tokens_valid, valid)
    assert torch.equal(prepared.tokens[valid], tensors["batch.tokens"][:, kept][valid])
    for values, name in ((prepared.state, "state"), (prepared.actions, "action")):
        expected = tensors[f"batch.{name}_normalized"]
        torch.testing.assert_close(values[..., : expected.shape[-1]], expected, atol=1e-6, rtol=1e-6)
        assert not values[..., expected.shape[-1] :].any()


def test_errors_and_losses_of_each_sample_are_those_of_the_reference(
    spec: CheckpointSpec, prepared: Batch, tensors: Tensors
) -> None:
    network = spec.empty_network()
    spec.weights.load(network, torch.device("cpu"), "float32", accelerates=False)
    context = prepared.context(network)
    noise, time = tensors["in.noise"][0], tensors["in.time"][0]
    errors = flow_errors(network, context, prepared.actions, noise, time)
    torch.testing.assert_close(errors, tensors["expert.fp32.element_losses"], atol=1e-4, rtol=1e-4)
    loss, per_sample = flow_matching_loss(
        network, context, prepared.actions, prepared.action_is_pad, noise, time, spec.config.action_dim
    )
    assert per_sample.tolist() == pytest.approx(CASES["expert.fp32"]["loss_per_sample"], rel=1e-5)
    assert loss.item() != pytest.approx(per_sample.mean().item(), rel=1e-3)


def test_samples_of_another_robot_are_refused(batch: dict[str, Any], tensors: Tensors) -> None:
    noise, time = tensors["in.noise"][0].numpy(), tensors["in.time"][0].numpy()
    for changed, message in (
        ({"images": {"wrist": batch["images"]["camera1"]}}, "has cameras camera1, camera2, given are wrist"),
        ({"state": batch["state"][:, :5]}, r"state has shape \(3, 5\), era_b expects \(3, 6\)"),
        ({"action": batch["action"][:, :20]}, r"action has shape \(3, 20, 6\), era_b expects \(3, 50, 6\)"),
    ):
        with pytest.raises(PolicyError, match=message):
            loss_and_gradients(CHECKPOINT, {**batch, **changed}, noise, time, backbone=BACKBONE)


def test_times_have_the_distribution_of_the_reference() -> None:
    times = sample_times(20_000, torch.Generator().manual_seed(0))
    uniform = (((times - 0.001) / 0.999) ** 1.5).sort().values  # its distribution function
    assert times.dtype == torch.float32
    assert (uniform - torch.linspace(0, 1, len(uniform))).abs().max() < 0.013  # Kolmogorov: 1 in 400


@torch.no_grad()
def test_a_weight_counts_an_action_as_often(spec: CheckpointSpec, prepared: Batch) -> None:
    network = spec.empty_network()
    spec.weights.load(network, torch.device("cpu"), "float32", accelerates=False)
    objective = Objective(network, spec.config.action_dim, freezes_prefix=False)
    noise, time = torch.zeros_like(prepared.actions), torch.full((len(prepared.actions),), 0.5)
    ones = torch.ones(prepared.actions.shape[:2])
    plain = objective(prepared, noise, time)
    assert torch.equal(objective(replace(prepared, action_weights=ones), noise, time), plain)
    parts = [torch.zeros_like(ones), ones.clone()]
    parts[0][0], parts[1][0] = 1.0, 0.0
    first, others = (objective(replace(prepared, action_weights=part), noise, time) for part in parts)
    tripled = replace(prepared, action_weights=3 * parts[0] + parts[1])
    assert float(objective(tripled, noise, time)) == pytest.approx(float(3 * first + others), rel=1e-5)
    counts = [objective.count(replace(prepared, action_weights=part)) for part in parts]
    assert objective.count(tripled) == 3 * counts[0] + counts[1]
