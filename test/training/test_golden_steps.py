# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Three steps of the optimizer end in the parameters of LeRobot 0.6.1; the schedule is the same (golden cases)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec
from smolvla_ros.policy.smolvla.network import Network
from smolvla_ros.training.adapter import AdapterSettings, add_adapter
from smolvla_ros.training.batch import Batch
from smolvla_ros.training.errors import TrainingError
from smolvla_ros.training.flow_matching import flow_matching_loss
from smolvla_ros.training.optimization import OptimizerSettings, lr_factor, make_optimizer, make_schedule
from smolvla_ros.training.trained_parameters import set_trained

from .conftest import CASES, FILE

Tensors = Mapping[str, torch.Tensor]
Parameters = Mapping[str, torch.nn.Parameter]
SETTINGS = OptimizerSettings()
ACTION_DIM = 6
STEPS = 20  # of the run that the cases are the beginning of


def load(spec: CheckpointSpec, dtype: str = "float32") -> Network:
    network = spec.empty_network()
    spec.weights.load(network, torch.device("cpu"), dtype, accelerates=False)
    network.batches_images = True
    return network


def steps(
    network: Network, parameters: Parameters, prepared: Batch, tensors: Tensors, fused: bool = True
) -> list[dict[str, Any]]:
    """Three updates with the golden noise and times; each as in `steps` of the golden file, and the first gradients."""
    optimizer = make_optimizer(parameters.values(), SETTINGS, fused)
    schedule = make_schedule(optimizer, STEPS, SETTINGS)
    done = []
    for noise, time in zip(tensors["in.noise"], tensors["in.time"], strict=True):
        lr = schedule.get_last_lr()[0]
        context = prepared.context(network)
        loss, _ = flow_matching_loss(
            network, context, prepared.actions, prepared.action_is_pad, noise, time, ACTION_DIM
        )
        loss.backward()
        gradients = {name: p.grad.clone() for name, p in parameters.items() if p.grad is not None}
        norm = torch.nn.utils.clip_grad_norm_(list(parameters.values()), SETTINGS.grad_clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        done.append({"loss": loss.item(), "norm": norm.item(), "lr": lr, "gradients": gradients})
    return done


def assert_steps_are_those(name: str, done: list[dict[str, Any]], loss: float, norm: float) -> None:
    for mine, theirs in zip(done, CASES[name]["steps"], strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=loss)
        assert mine["norm"] == pytest.approx(theirs["grad_norm_before_clipping"], rel=norm)
        assert mine["lr"] == pytest.approx(theirs["lr"], rel=1e-12)


def assert_parameters_are_those(
    name: str, parameters: Parameters, gradients: Tensors, tensors: Tensors
) -> None:
    """Where the gradient is near zero Adam's first steps may go either way (test/data/golden/README.md)."""
    prefix = f"{name}.after."
    compared = [key for key in tensors if key.startswith(prefix)]
    assert compared
    for key in compared:
        parameter = key.removeprefix(prefix)
        gradient = gradients[parameter].abs()
        error = (parameters[parameter].detach() - tensors[key]).abs()
        assert error[gradient > 1e-3 * gradient.max()].max() < 1e-2 * SETTINGS.lr, parameter
        assert error.max() < 6 * SETTINGS.lr, parameter


@pytest.mark.parametrize("name", ["expert.fp32", "all.fp32"])
def test_three_steps_are_those_of_the_reference(
    name: str, spec: CheckpointSpec, prepared: Batch, tensors: Tensors
) -> None:
    network = load(spec)
    parameters = set_trained(network, name.partition(".")[0])
    done = steps(network, parameters, prepared, tensors)
    assert_steps_are_those(name, done, loss=2e-5, norm=1e-4)
    assert_parameters_are_those(name, parameters, done[0]["gradients"], tensors)


def test_native_types_and_norms_are_those_of_the_reference(
    spec: CheckpointSpec, prepared: Batch, tensors: Tensors
) -> None:
    network = load(spec, "native")
    parameters = set_trained(network, "expert")
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    done = steps(network, parameters, prepared, tensors, fused=False)
    assert_steps_are_those("expert.native", done, loss=2e-2, norm=2e-2)
    kinds = {str(parameter.dtype).removeprefix("torch.") for parameter in parameters.values()}
    assert kinds == set(CASES["expert.native"]["dtypes"])
    rounded = "model.vlm_with_expert.lm_expert.layers.2.self_attn.q_proj.weight"
    unmoved = (parameters[rounded] == before[rounded]).float().mean()
    assert 0.7 < unmoved < 0.95  # the reference's bfloat16 weights mostly stay where they were, too


def test_an_adapter_is_trained_as_by_the_reference(
    spec: CheckpointSpec, prepared: Batch, tensors: Tensors
) -> None:
    pytest.importorskip("peft", reason="adapters need PEFT")
    network = load(spec)
    settings = AdapterSettings(lora_rank=FILE["lora"]["r"], lora_alpha=FILE["lora"]["lora_alpha"])
    parameters = add_adapter(network, settings)
    assert set(parameters) == set(CASES["lora.fp32"]["trainable"])
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[f"in.lora.{name.removesuffix('.weight')}"])
    done = steps(network, parameters, prepared, tensors)
    assert_steps_are_those("lora.fp32", done, loss=2e-5, norm=1e-4)
    assert_parameters_are_those("lora.fp32", parameters, done[0]["gradients"], tensors)
    for key in (key for key in tensors if key.startswith("lora.fp32.grad.")):
        gradient = done[0]["gradients"][key.removeprefix("lora.fp32.grad.")]
        torch.testing.assert_close(
            gradient, tensors[key], atol=1e-4 * tensors[key].abs().max().item(), rtol=0
        )


def test_without_peft_an_adapter_is_refused(spec: CheckpointSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(TrainingError, match="an adapter needs PEFT"):
        add_adapter(spec.empty_network(), AdapterSettings(lora_rank=4))


def test_targets_that_match_nothing_are_refused(spec: CheckpointSpec) -> None:
    pytest.importorskip("peft", reason="adapters need PEFT")
    with pytest.raises(TrainingError, match="lora_targets 'q_proj' matches no linear layer"):
        add_adapter(spec.empty_network(), AdapterSettings(lora_rank=4, lora_targets="q_proj"))


@pytest.mark.parametrize("run", FILE["schedule"], ids=lambda run: f"{run['total_steps']} steps")
def test_schedule_is_that_of_the_reference(run: dict[str, Any]) -> None:
    for step, lr in run["lr"]:
        assert SETTINGS.lr * lr_factor(step, run["total_steps"], SETTINGS) == pytest.approx(lr, rel=1e-12)
