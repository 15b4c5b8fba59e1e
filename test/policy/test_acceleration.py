# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faster computations with the same results: fused and packed layers, 8 bits, no padding, compiled stages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.policy import PolicyError
from smolvla_ros.policy.smolvla import network, smolvla_policy
from smolvla_ros.policy.smolvla.acceleration import supports_int8, supports_packed_weights
from smolvla_ros.policy.smolvla.compilation import Stages
from smolvla_ros.policy.smolvla.linear import Int8Linear, Linear, PackedLinear, concatenate

from .conftest import GOLDEN, MakeCheckpoint
from .test_golden import inputs

Load = Callable[..., SmolVLA]
Tensors = Mapping[str, torch.Tensor]

packing = pytest.mark.skipif(not supports_packed_weights(), reason="torch without oneDNN for this CPU")
int8 = pytest.mark.skipif(not supports_int8(), reason="this CPU has no 8-bit products")


def normalized(policy: SmolVLA, name: str, tensors: Tensors, **changes: Any) -> torch.Tensor:
    chunk = policy.predict_chunk(
        **{**inputs(name, tensors), **changes}, noise=tensors[f"{name}.noise"][0].numpy()
    )
    return policy.processors.action.normalize(torch.from_numpy(chunk))


def random_linear(seed: int, inputs: int, outputs: int, **options: bool) -> Linear:
    torch.manual_seed(seed)
    return Linear(inputs, outputs, **options).requires_grad_(False)


# How far each may be from float32: bfloat16 as far as LeRobot's own mixture of types. The error of 8 bits is larger
# for random weights, whose channels are all equally important.
@pytest.mark.parametrize(
    ("dtype", "largest", "mean"),
    [
        ("float32", 3e-5, 1e-5),
        ("bfloat16", 0.2, 0.03),
        pytest.param("int8", 0.4, 0.06, marks=int8),
    ],
)
@pytest.mark.parametrize("name", ["basic", "mixed_sizes", "missing_last_camera", "camera_masked"])
def test_every_number_format_stays_near_the_reference(
    name: str, dtype: str, largest: float, mean: float, load_shared: Load, tensors: Tensors
) -> None:
    policy = load_shared(dtype)
    expected = policy.processors.action.normalize(tensors[f"{name}.fp32.action"][0])
    error = (normalized(policy, name, tensors) - expected).abs()
    assert error.max() < largest
    assert error.mean() < mean


def test_cameras_seen_side_by_side_look_as_they_do_one_after_the_other(
    load: Load, tensors: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = load("float32")
    torch.set_num_threads(2)
    at_once = normalized(policy, "basic", tensors)
    monkeypatch.setattr(network, "parallel_map", lambda work, items: [work(item) for item in items])
    one_by_one = normalized(policy, "basic", tensors)
    torch.testing.assert_close(at_once, one_by_one, rtol=0, atol=1e-6)


def test_native_is_left_as_the_reference_computes_it(load_shared: Load) -> None:
    kinds = {type(module) for module in load_shared("native").network.modules()}
    assert not kinds & {PackedLinear, Int8Linear}


@packing
@pytest.mark.parametrize(
    ("dtype", "of_vision_and_expert"),
    [("float32", PackedLinear), pytest.param("int8", Int8Linear, marks=int8)],
)
def test_on_a_cpu_every_layer_of_the_large_parts_is_packed(
    dtype: str, of_vision_and_expert: type, load_shared: Load
) -> None:
    network = load_shared(dtype).network
    kinds = {
        part: {type(m) for m in part.modules() if isinstance(m, nn.Linear | PackedLinear | Int8Linear)}
        for part in (network.vision, network.connector, network.text, network.expert)
    }
    assert kinds[network.vision] == kinds[network.expert] == {of_vision_and_expert}
    assert kinds[network.connector] == kinds[network.text] == {PackedLinear}


def test_int8_is_refused_where_the_cpu_cannot_multiply_it(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smolvla_policy, "supports_int8", lambda: False)
    with pytest.raises(PolicyError, match="'int8' needs a CPU with 8-bit products"):
        load("int8")


@packing
@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_a_packed_layer_computes_what_the_layer_does(bias: bool, gelu: bool) -> None:
    linear = random_linear(0, 48, 96, bias=bias, gelu=gelu)
    x = torch.randn(2, 7, 48)
    torch.testing.assert_close(PackedLinear(linear, rows=14)(x), linear(x), atol=1e-5, rtol=1e-5)


@int8
@pytest.mark.parametrize("offset", [-3.0, 0.0, 5.0])
@pytest.mark.parametrize("size", [1e-3, 1.0, 100.0])
def test_eight_bits_are_off_by_no_more_than_their_steps(size: float, offset: float) -> None:
    linear = random_linear(1, 48, 96)
    x = (torch.randn(3, 5, 48) + offset) * size
    span = max(x.max().item(), 0.0) - min(x.min().item(), 0.0)
    input_step, weight_step = span / 255, linear.weight.abs().amax(dim=1) / 127
    # each of the 48 products is off by at most half a step of either factor
    bound = 48 * (
        input_step * linear.weight.abs().amax(dim=1) + weight_step * (x.abs().amax().item() + input_step)
    )
    error = (Int8Linear(linear, rows=15)(x).to(torch.float32) - linear(x)).abs()
    assert (error <= bound / 2 + 0.01 * linear(x).abs()).all()  # the output is rounded to bfloat16
    assert error.mean() < 0.02 * linear(x).std()


@int8
def test_eight_bits_give_the_bias_for_zeros_and_zeros_for_a_layer_of_zeros() -> None:
    linear = random_linear(2, 16, 8)
    bias = linear.bias.to(torch.bfloat16)
    assert torch.equal(Int8Linear(linear, rows=4)(torch.zeros(4, 16)), bias.expand(4, -1))
    linear.weight.zero_()
    assert torch.equal(Int8Linear(linear, rows=4)(torch.randn(4, 16)), bias.expand(4, -1))


def test_stacked_layers_put_out_the_same_side_by_side() -> None:
    first, second = random_linear(3, 12, 4), random_linear(4, 12, 9)
    x = torch.randn(5, 12)
    torch.testing.assert_close(concatenate([first, second])(x), torch.cat([first(x), second(x)], dim=1))


def test_dropped_padding_changes_no_action(load: Load, tensors: Tensors) -> None:
    policy = load("float32")
    assert not policy._keeps_padding
    without = normalized(policy, "camera_masked", tensors)
    policy._keeps_padding = True
    torch.testing.assert_close(normalized(policy, "camera_masked", tensors), without, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_stages_compile_as_one_graph_each_and_give_the_same(
    dtype: str, load: Load, tensors: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The graph is captured as for a GPU and run by torch; the code that a compiler makes for a GPU is not tested here.
    monkeypatch.setattr("smolvla_ros.policy.smolvla.acceleration.supports_packed_weights", lambda: False)
    policy = load(dtype)
    policy._keeps_padding = True
    expected = normalized(policy, "basic", tensors)
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    policy._stages = Stages.compiled(policy.network, backend="aot_eager")
    compiled = normalized(policy, "basic", tensors)
    torch.testing.assert_close(compiled, expected, atol=1e-5 if dtype == "float32" else 0.1, rtol=0)
    other_task = normalized(policy, "basic", tensors, task="Put the cup away")
    assert (other_task - compiled).abs().max() > 0.1
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2  # no other for another task
    torch.compiler.reset()


def test_compiled_tasks_have_one_length(make_checkpoint: MakeCheckpoint) -> None:
    # torch compiles each length of a prompt anew, for minutes, and the ninth one not at all
    folder = make_checkpoint(steps={"tokenizer_processor": {"padding": "longest"}})
    eager, compiled = (
        SmolVLA.from_pretrained(folder, "cpu", "float32", backbone=GOLDEN / "vlm", compiles=compiles)
        for compiles in (False, True)
    )
    images, state = {"camera1": np.zeros((48, 64, 3), np.uint8)}, np.zeros(6, np.float32)
    lengths = {compiled.prepare(images, state, task).tokens.shape[1] for task in ("Wipe", "Wipe the table")}
    assert lengths == {48}
    compiled._stages = Stages.eager(compiled.network)
    expected = eager.predict_chunk(images, state, "Wipe", seed=1)
    np.testing.assert_allclose(compiled.predict_chunk(images, state, "Wipe", seed=1), expected, atol=1e-3)


def test_warming_up_leaves_no_trace(load: Load, tensors: Tensors) -> None:
    policy, warm = load(), None
    given = inputs("mixed_sizes", tensors)
    cold = policy.predict_chunk(**given)
    policy.reset()
    policy.warm_up()
    warm = policy.predict_chunk(**given)
    np.testing.assert_array_equal(cold, warm)


def test_warming_up_finds_damaged_weights(load: Load) -> None:
    policy = load()
    policy.network.action_out_proj.weight.fill_(float("nan"))
    with pytest.raises(RuntimeError, match="not finite"):
        policy.warm_up()


def test_threads_hardly_spin_unless_told_to(tmp_path: Path) -> None:
    program = "import os, smolvla_ros.policy; print(os.environ['GOMP_SPINCOUNT'])"
    for told, expected in (({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7")):
        environment = {"PYTHONPATH": str(Path(__file__).parents[2]), **told}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected
