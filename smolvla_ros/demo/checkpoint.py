# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a small SmolVLA checkpoint in LeRobot's layout, so that the suite can run without a trained policy.

IT IS NOT A TRAINED POLICY. It has every layer of SmolVLA, with random weights; a few are set by hand so that the state
reaches the action expert, and the expert's output layer is fitted (least squares, no data) to one made-up motion: a
slow sweep through a loop around the middle pose, continued from wherever the arm is. Its actions hardly depend on the
images or the task. Nothing is downloaded; the same seed gives the same files.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  the name torch users know
from safetensors.torch import save_file
from torch import Tensor, nn

from smolvla_ros.demo.checkpoint_files import (
    CAMERAS,
    CHUNK,
    HEAD_DIM,
    IMAGE_SIZE,
    JOINTS,
    SPECIAL_TOKENS,
    TOKENS,
    VOCABULARY,
    WIDTH,
    backbone_json,
    config_json,
    write_files_beside_weights,
)
from smolvla_ros.policy.checkpoint.config import BackboneConfig, SmolVLAConfig
from smolvla_ros.policy.checkpoint.files import WEIGHTS_FILE, Json
from smolvla_ros.policy.smolvla.network import Network
from smolvla_ros.policy.smolvla.weights import UNUSED, checkpoint_name, parameter_dtype

# The motion, in standard deviations and steps of 1/30 s: pairs of joints circle around a centre with different periods,
# and approach a loop of radius 1 from any start.
LOOP_CENTRE = torch.tensor((0.5, -0.3) * 3)
PERIODS_STEPS = torch.tensor((240.0, 300.0, 360.0))
GROWTH_PER_STEP = 0.02  # relative growth of a small radius per step

# The first JOINTS channels of the expert hold the noisy actions, scaled so that they hardly change the norms.
ACTION_SCALE = 0.1
# velocity = VELOCITY_GAIN * (noisy actions - motion): ten steps of 1/10 leave 0.4 ** 10 of the noise.
VELOCITY_GAIN = 6.0


def write_demo_checkpoint(folder: Path, seed: int = 0) -> None:
    """Write the checkpoint into `folder`, which is created if missing; files of the same name are replaced."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # one order of summation, so that the same seed gives the same bits
    try:
        with torch.inference_mode():
            save_checkpoint(make_network(torch.Generator().manual_seed(seed)), folder)
    finally:
        torch.set_num_threads(threads)


def make_network(generator: torch.Generator) -> Network:
    """The network with all weights set, in the dtypes in which they are saved."""
    config = SmolVLAConfig.from_json(Json("config.json", config_json()))
    network = Network(config, BackboneConfig.from_json(Json("vlm/config.json", backbone_json()), config))
    set_random_weights(network, generator)
    pass_actions_through_expert(network)
    make_expert_attend_to_state(network, generator)
    convert_to_saved_dtypes(network)  # before the fit, which then compensates the rounding
    # In float32: bfloat16 is ten times slower on CPUs without bfloat16 arithmetic.
    fit_action_out_proj(network.float(), generator)
    convert_to_saved_dtypes(network)
    return network


def convert_to_saved_dtypes(network: Network) -> None:
    """Convert the parameters to the dtypes in which they are saved."""
    for name, parameter in network.named_parameters():
        parameter.data = parameter.to(parameter_dtype(network, name, "native"))


def loop_motion(state: Tensor) -> Tensor:
    """From states (B, JOINTS) to the CHUNK steps that follow, (B, CHUNK, JOINTS), both in standard deviations.

    It is the solution of one differential equation, so a chunk that starts at the end of another one continues it.
    """
    step = torch.arange(CHUNK, dtype=torch.float32)
    start = state - LOOP_CENTRE
    radius = start.norm(dim=1, keepdim=True) / math.sqrt(JOINTS / 2)
    growth = torch.exp(GROWTH_PER_STEP * step)
    scale = growth / (1 + radius * (growth - 1))  # logistic: small loops grow, large ones shrink
    angle = 2 * math.pi * step[:, None] / PERIODS_STEPS
    x, y = start[:, None, 0::2], start[:, None, 1::2]
    pairs = [torch.cos(angle) * x - torch.sin(angle) * y, torch.sin(angle) * x + torch.cos(angle) * y]
    moved: Tensor = torch.stack(pairs, dim=-1).flatten(2) * scale[:, :, None]
    return moved + LOOP_CENTRE


def set_random_weights(network: Network, generator: torch.Generator) -> None:
    """Random matrices that keep the magnitude of activations; norm weights 1, biases 0."""
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            scale = 1.0 if "embed_tokens" in name else parameter[0].numel() ** -0.5
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
        else:
            parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
    start = torch.randn(network.action_time_mlp_out.out_features, generator=generator)
    network.action_time_mlp_out.bias.copy_(start)  # the initial value of the expert's channels


def pass_actions_through_expert(network: Network) -> None:
    """Copy the noisy actions to the first JOINTS channels of the expert, which no layer then reads or writes."""
    for projection in (network.action_in_proj, network.action_time_mlp_in, network.action_time_mlp_out):
        projection.weight.zero_()
    network.action_time_mlp_out.bias[:JOINTS] = 0
    for joint in range(JOINTS):  # silu(z) - silu(-z) = z
        network.action_in_proj.weight[joint, joint] = 1
        for unit, sign in ((2 * joint, 1), (2 * joint + 1, -1)):
            network.action_time_mlp_in.weight[unit, joint] = sign
            network.action_time_mlp_out.weight[joint, unit] = sign * ACTION_SCALE
    for layer, own in zip(network.expert.layers, network.self_attention, strict=True):
        attention = layer.self_attn
        readers = [attention.q_proj, layer.mlp.gate_proj, layer.mlp.up_proj]
        for reader in readers + ([attention.k_proj, attention.v_proj] if own else []):
            reader.weight[:, :JOINTS] = 0
        for writer in (attention.o_proj, layer.mlp.down_proj):
            writer.weight[:JOINTS] = 0


def make_expert_attend_to_state(network: Network, generator: torch.Generator) -> None:
    """Set attention weights so that the expert's output depends smoothly on the state and on the step in the chunk.

    The state is written in directions of its own, which the values of the language model read. Its token has a marker
    direction, to which the keys respond. The weight of that token then depends on the step through the rotary
    embedding, of which only slow rotations are kept, since fast ones make the arm shake. One pair that hardly rotates
    raises the attention to state and actions above that to other tokens, so that neither the length of the task nor the
    images change the motion much.
    """

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    directions = torch.linalg.qr(random(WIDTH, JOINTS + 1))[0]
    directions *= math.sqrt(WIDTH)
    state_directions, marker = directions[:, :JOINTS], directions[:, JOINTS]
    network.state_proj.weight.zero_()
    network.state_proj.weight[:, :JOINTS] = state_directions
    network.state_proj.bias.copy_(9 * marker - state_directions @ LOOP_CENTRE)
    rotations = 10_000.0 ** (-2 / HEAD_DIM * torch.arange(HEAD_DIM // 2))  # rad per step
    fast, steady = (rotations > 0.06).repeat(2), HEAD_DIM // 2 - 1
    for layer in network.text.layers:
        keys, values = layer.self_attn.k_proj.weight, layer.self_attn.v_proj.weight
        response = 12 * random(len(keys))
        response[steady::HEAD_DIM] = 16
        keys.mul_(0.3).add_(torch.outer(response, marker) / WIDTH)
        values.mul_(0.1).add_(random(len(values), JOINTS) @ state_directions.T / math.sqrt(JOINTS * WIDTH))
        layer.self_attn.o_proj.weight.mul_(0.1)
        layer.mlp.down_proj.weight.mul_(0.1)
    start = network.action_time_mlp_out.bias
    start = start / start.norm() / math.sqrt(len(start))
    for layer, own in zip(network.expert.layers, network.self_attention, strict=True):
        queries, keys = layer.self_attn.q_proj.weight, layer.self_attn.k_proj.weight
        for weight, size in ((queries, 6), (keys, 10)) if own else ((queries, 0),):
            heads = weight.view(-1, HEAD_DIM, weight.shape[1])
            heads[:, fast] = 0
            heads[:, steady] = size * start
        layer.self_attn.o_proj.weight.mul_(1.0 if own else 0.1)
        layer.mlp.down_proj.weight.mul_(0.1)


def fit_action_out_proj(network: Network, generator: torch.Generator, samples: int = 256) -> None:
    """Set `action_out_proj` so that denoising ends in `loop_motion`: least squares on the random expert's features.

    The first steps have more weight, since the arm starts there; second differences (shaking) are penalized.
    """
    states = sample_states(samples, generator)
    outputs = torch.cat([expert_features(network, part, generator) for part in torch.split(states, 64)])
    size = outputs.to(torch.float32).pow(2).mean().sqrt()  # the last norm divides by it
    features, target = outputs[..., JOINTS:].to(torch.float64), loop_motion(states).to(torch.float64)
    step_weights = 1 + 4 * torch.exp(-torch.arange(CHUNK, dtype=torch.float64) / 4)
    shaking = features.diff(n=2, dim=1)
    gram = torch.einsum("bsi,s,bsj->ij", features, step_weights, features)
    gram += 40 * torch.einsum("bsi,bsj->ij", shaking, shaking)
    gram += 1e-5 * gram.diagonal().mean() * torch.eye(len(gram))
    weights = torch.linalg.solve(gram, torch.einsum("bsi,s,bsj->ij", features, step_weights, target)).T
    network.action_out_proj.weight.zero_()
    network.action_out_proj.weight[:JOINTS, :JOINTS] = VELOCITY_GAIN * size / ACTION_SCALE * torch.eye(JOINTS)
    network.action_out_proj.weight[:JOINTS, JOINTS:] = -VELOCITY_GAIN * size * weights


def sample_states(samples: int, generator: torch.Generator) -> Tensor:
    """States (samples, JOINTS), most of them near the loop, some inside and outside it."""
    direction = F.normalize(torch.randn(samples, JOINTS, generator=generator), dim=1)
    near = 1 + 0.25 * torch.randn(samples, 1, generator=generator)
    wide = 2.2 * torch.rand(samples, 1, generator=generator)
    radius = torch.where(torch.rand(samples, 1, generator=generator) < 0.7, near, wide)
    return LOOP_CENTRE + direction * radius * math.sqrt(JOINTS / 2)


def expert_features(network: Network, states: Tensor, generator: torch.Generator) -> Tensor:
    """Output of the expert's last layer for random images and words, (B, CHUNK, width), before the last norm."""
    batch = len(states)
    coarse = torch.rand(len(CAMERAS), batch, 3, 8, 8, generator=generator)
    images = [
        F.interpolate(image, size=(IMAGE_SIZE, IMAGE_SIZE), mode="bilinear") * 2 - 1 for image in coarse
    ]
    tokens = torch.randint(len(SPECIAL_TOKENS), VOCABULARY, (batch, TOKENS), generator=generator)
    lengths = torch.randint(4, TOKENS, (batch, 1), generator=generator)
    state = F.pad(states, (0, network.config.max_state_dim - JOINTS))
    prefix = network.embed_prefix(images, [True] * len(images), tokens, torch.arange(TOKENS) < lengths, state)
    context = network.context(prefix, *network.prefix_keys_values(prefix))
    captured: list[Tensor] = []

    def capture(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        captured.append(inputs[0])

    with network.expert.norm.register_forward_pre_hook(capture):
        noise = torch.zeros(batch, CHUNK, network.config.max_action_dim)
        network.velocity(context, noise, network.embed_times(torch.tensor([1.0]))[0])
    return captured[0]


def save_checkpoint(network: Network, folder: Path) -> None:
    """Write the weights and all other files of a LeRobot checkpoint."""
    write_files_beside_weights(folder)
    tensors = {
        checkpoint_name(name): parameter.contiguous() for name, parameter in network.named_parameters()
    }
    tensors[UNUSED] = torch.zeros(VOCABULARY, WIDTH, dtype=torch.bfloat16)
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    (folder / "README.md").write_text(f"# Not a trained policy\n\n{__doc__}", encoding="utf-8")
