# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a small SmolVLA checkpoint in LeRobot's layout, so that everything runs before anybody has trained a policy.

IT IS NOT A TRAINED POLICY. It has every layer of SmolVLA, with random weights; a few are set by hand so that the state
reaches the action expert, and the read-out of the expert is fitted (least squares, no data) to one made-up motion: a
slow sweep through a loop around the middle pose, continued from wherever the arm is. It hardly looks at its cameras
and does not care about the task. Nothing is downloaded; the same seed gives the same files.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  the name torch users know
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn

from smolvla_ros.policy.checkpoint import WEIGHTS_FILE, Json
from smolvla_ros.policy.config import ACTION, IMAGES, STATE, BackboneConfig, SmolVLAConfig
from smolvla_ros.policy.network import Network
from smolvla_ros.policy.processing import POSTPROCESSOR, PREPROCESSOR
from smolvla_ros.policy.weights import UNUSED, checkpoint_name, parameter_dtype

JOINTS = 6
CAMERAS = ("camera1", "camera2")  # from above, on the wrist
CHUNK, TOKENS, IMAGE_SIZE = 50, 48, 128
WIDTH, HEADS, HEAD_DIM, LAYERS, VOCABULARY = 384, 12, 32, 4, 448

# Statistics of the data that never was. LeRobot's units: degrees from the middle pose, gripper 0..100. The motion stays
# within about two standard deviations of the mean.
MEAN = (0.0, 0.0, 0.0, 0.0, 0.0, 50.0)
STD = (30.0, 20.0, 20.0, 20.0, 30.0, 25.0)

# The motion, in standard deviations and steps of 1/30 s: pairs of joints go round a centre, at unlike paces, and drift
# from anywhere to the loop of radius 1.
CENTRE = torch.tensor((0.5, -0.3) * 3)
PERIODS = torch.tensor((240.0, 300.0, 360.0))
GROWTH = 0.02  # per step, while small

# Of the expert's channels the first JOINTS carry the actions under way, scaled by CARRY so that they disturb nothing.
CARRY = 0.1
PULL = 6.0  # the flow's velocity is this times (actions under way - motion): ten steps of 1/10 leave 0.4 ** 10 of noise

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<global-img>",
    "<fake_token_around_image>",
    "<image>",
    "<end_of_utterance>",
)
CORPUS = """Pick up the red cube and place it in the box. Put the pink lego brick into the transparent box.
Grasp the green block and stack it on the blue one. Open the drawer, then close it. Wipe the table with the cloth.
Move the white bowl to the left, the yellow cup to the right. Push the bottle forward, pull it back. Wave with the arm.
Take the pen from the table, hand it over and return to the home position. Sort the objects by colour and size."""


def write_demo_checkpoint(folder: Path, seed: int = 0) -> None:
    """Write the checkpoint into `folder`, which is made if need be; files of the same name are replaced."""
    generator = torch.Generator().manual_seed(seed)
    config = SmolVLAConfig.from_json(Json("config.json", config_json()))
    network = Network(config, BackboneConfig.from_json(Json("vlm/config.json", backbone_json()), config))
    with torch.inference_mode():
        randomize(network, generator)
        carry_actions(network)
        show_state(network, generator)
        for name, parameter in network.named_parameters():  # fit what will be read back
            parameter.data = parameter.to(parameter_dtype(network, name, "native"))
        fit_read_out(network, generator)
    save(network, folder)


def motion(state: Tensor) -> Tensor:
    """From states (B, JOINTS) to the CHUNK steps that follow, (B, CHUNK, JOINTS), both in standard deviations.

    It is the flow of one differential equation: where a chunk leads, the next one carries on.
    """
    step = torch.arange(CHUNK, dtype=torch.float32)
    start = state - CENTRE
    radius = start.norm(dim=1, keepdim=True) / math.sqrt(JOINTS / 2)
    growth = torch.exp(GROWTH * step)
    scale = growth / (1 + radius * (growth - 1))  # logistic: small loops grow, large ones shrink
    angle = 2 * math.pi * step[:, None] / PERIODS
    x, y = start[:, None, 0::2], start[:, None, 1::2]
    pairs = [torch.cos(angle) * x - torch.sin(angle) * y, torch.sin(angle) * x + torch.cos(angle) * y]
    return torch.stack(pairs, dim=-1).flatten(2) * scale[:, :, None] + CENTRE


# The network


def randomize(network: Network, generator: torch.Generator) -> None:
    """Random matrices that keep the size of what passes through; norms 1, biases 0."""
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            scale = 1.0 if "embed_tokens" in name else parameter[0].numel() ** -0.5
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
        else:
            parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
    constant = torch.randn(network.action_time_mlp_out.out_features, generator=generator)
    network.action_time_mlp_out.bias.copy_(
        constant
    )  # what the expert starts from, before it looks at anything


def carry_actions(network: Network) -> None:
    """Give the actions under way channels of their own through the expert, which no layer reads or writes."""
    for layer in (network.action_in_proj, network.action_time_mlp_in, network.action_time_mlp_out):
        layer.weight.zero_()
    network.action_time_mlp_out.bias[:JOINTS] = 0
    for joint in range(JOINTS):  # silu(z) - silu(-z) = z
        network.action_in_proj.weight[joint, joint] = 1
        for unit, sign in ((2 * joint, 1), (2 * joint + 1, -1)):
            network.action_time_mlp_in.weight[unit, joint] = sign
            network.action_time_mlp_out.weight[joint, unit] = sign * CARRY
    for layer, own in zip(network.expert.layers, network.self_attention, strict=True):
        attention = layer.self_attn
        readers = [attention.q_proj, layer.mlp.gate_proj, layer.mlp.up_proj]
        for reader in readers + ([attention.k_proj, attention.v_proj] if own else []):
            reader.weight[:, :JOINTS] = 0
        for writer in (attention.o_proj, layer.mlp.down_proj):
            writer.weight[:JOINTS] = 0


def show_state(network: Network, generator: torch.Generator) -> None:
    """Let the expert see the state, and its own place in the chunk, clearly and smoothly.

    The state gets directions of its own in the language model's values, and its token a mark that keys answer to. How
    much of it a query takes then depends on the step through the rotary embedding, of which only slow turns are kept,
    since fast ones make the arm shake. One pair that hardly turns lifts state and actions above the other tokens, so
    that neither the length of the task nor the images change the motion much.
    """

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    directions = torch.linalg.qr(random(WIDTH, JOINTS + 1))[0]
    of_state, mark = directions[:, :JOINTS] * math.sqrt(WIDTH), directions[:, JOINTS] * math.sqrt(WIDTH)
    network.state_proj.weight.zero_()
    network.state_proj.weight[:, :JOINTS] = of_state
    network.state_proj.bias.copy_(9 * mark - of_state @ CENTRE)
    turns = 10_000.0 ** (-2 / HEAD_DIM * torch.arange(HEAD_DIM // 2))  # rad per step
    fast, steady = (turns > 0.06).repeat(2), HEAD_DIM // 2 - 1
    for layer in network.text.layers:
        keys, values = layer.self_attn.k_proj.weight, layer.self_attn.v_proj.weight
        answer = 12 * random(len(keys))
        answer[steady::HEAD_DIM] = 16
        keys.mul_(0.3).add_(torch.outer(answer, mark) / WIDTH)
        values.mul_(0.1).add_(random(len(values), JOINTS) @ of_state.T / math.sqrt(JOINTS * WIDTH))
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


def fit_read_out(network: Network, generator: torch.Generator, samples: int = 512) -> None:
    """Set `action_out_proj` so that the flow ends in `motion`: least squares on what the random expert offers.

    The first steps count more, since the arm is there; shaking (second differences) costs extra.
    """
    states = random_states(samples, generator)
    outputs = torch.cat([expert_output(network, part, generator) for part in states.split(64)])
    size = outputs.to(torch.float32).pow(2).mean().sqrt()  # the last norm divides by it
    features, target = outputs[..., JOINTS:].to(torch.float64), motion(states).to(torch.float64)
    counts = 1 + 4 * torch.exp(-torch.arange(CHUNK, dtype=torch.float64) / 4)
    shaking = features.diff(n=2, dim=1)
    gram = torch.einsum("bsi,s,bsj->ij", features, counts, features)
    gram += 10 * torch.einsum("bsi,bsj->ij", shaking, shaking)
    gram += 1e-5 * gram.diagonal().mean() * torch.eye(len(gram))
    weights = torch.linalg.solve(gram, torch.einsum("bsi,s,bsj->ij", features, counts, target)).T
    network.action_out_proj.weight.zero_()
    network.action_out_proj.weight[:JOINTS, :JOINTS] = PULL * size / CARRY * torch.eye(JOINTS)
    network.action_out_proj.weight[:JOINTS, JOINTS:] = -PULL * size * weights


def random_states(samples: int, generator: torch.Generator) -> Tensor:
    """States near the loop, and some inside and outside it."""
    direction = F.normalize(torch.randn(samples, JOINTS, generator=generator), dim=1)
    near = 1 + 0.25 * torch.randn(samples, 1, generator=generator)
    wide = 2.2 * torch.rand(samples, 1, generator=generator)
    radius = torch.where(torch.rand(samples, 1, generator=generator) < 0.7, near, wide)
    return CENTRE + direction * radius * math.sqrt(JOINTS / 2)


def expert_output(network: Network, states: Tensor, generator: torch.Generator) -> Tensor:
    """What the expert's last layer puts out for random images and words, (B, CHUNK, width), before the last norm."""
    batch = len(states)
    coarse = torch.rand(len(CAMERAS), batch, 3, 8, 8, generator=generator)
    images = [
        F.interpolate(image, size=(IMAGE_SIZE, IMAGE_SIZE), mode="bilinear") * 2 - 1 for image in coarse
    ]
    tokens = torch.randint(len(SPECIAL_TOKENS), VOCABULARY, (batch, TOKENS), generator=generator)
    lengths = torch.randint(4, TOKENS, (batch, 1), generator=generator)
    state = F.pad(states, (0, network.config.max_state_dim - JOINTS))
    prefix = network.embed_prefix(images, [True] * len(images), tokens, torch.arange(TOKENS) < lengths, state)
    context = network.context(prefix.valid, *network.read_prefix(prefix))
    seen: list[Tensor] = []

    def look(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0])

    with network.expert.norm.register_forward_pre_hook(look):
        noise = torch.zeros(batch, CHUNK, network.config.max_action_dim)
        network.velocity(context, noise, network.embed_times([1.0])[0])
    return seen[0]


# The files


def save(network: Network, folder: Path) -> None:
    """The network and all that LeRobot keeps beside it."""
    (folder / "vlm").mkdir(parents=True, exist_ok=True)
    tensors = {
        checkpoint_name(name): parameter.to(parameter_dtype(network, name, "native")).contiguous()
        for name, parameter in network.named_parameters()
    }
    tensors[UNUSED] = torch.zeros(VOCABULARY, WIDTH, dtype=torch.bfloat16)
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    _write_json(folder / "config.json", config_json())
    _write_json(folder / "vlm" / "config.json", backbone_json())
    for name, steps in ((PREPROCESSOR, preprocessor_steps()), (POSTPROCESSOR, postprocessor_steps())):
        pipeline = name.removesuffix(".json")
        for index, step in enumerate(steps):
            if "norm_map" in step["config"]:
                step["state_file"] = f"{pipeline}_step_{index}_{step['registry_name']}.safetensors"
                save_file(statistics(), folder / step["state_file"])
        _write_json(folder / name, {"name": pipeline, "steps": steps})
    write_tokenizer(folder / "vlm")
    (folder / "README.md").write_text(f"# Not a trained policy\n\n{__doc__}", encoding="utf-8")


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=4) + "\n", encoding="utf-8")


def features_json() -> dict[str, Any]:
    images = {f"{IMAGES}{name}": {"type": "VISUAL", "shape": [3, 480, 640]} for name in CAMERAS}
    return {STATE: {"type": "STATE", "shape": [JOINTS]}, **images}


def action_json() -> dict[str, Any]:
    return {ACTION: {"type": "ACTION", "shape": [JOINTS]}}


NORMALIZATION = {"VISUAL": "IDENTITY", "STATE": "MEAN_STD", "ACTION": "MEAN_STD"}


def config_json() -> dict[str, Any]:
    return {
        "type": "smolvla",
        "n_obs_steps": 1,
        "input_features": features_json(),
        "output_features": action_json(),
        "device": "cpu",
        "use_amp": False,
        "push_to_hub": False,
        "chunk_size": CHUNK,
        "n_action_steps": CHUNK,
        "normalization_mapping": NORMALIZATION,
        "max_state_dim": 32,
        "max_action_dim": 32,
        "resize_imgs_with_padding": [IMAGE_SIZE, IMAGE_SIZE],
        "empty_cameras": 0,
        "adapt_to_pi_aloha": False,
        "use_delta_joint_actions_aloha": False,
        "tokenizer_max_length": TOKENS,
        "num_steps": 10,
        "use_cache": True,
        "vlm_model_name": "vlm",
        "load_vlm_weights": True,
        "add_image_special_tokens": False,
        "attention_mode": "cross_attn",
        "prefix_length": 0,
        "pad_language_to": "max_length",
        "num_expert_layers": 0,
        "num_vlm_layers": LAYERS,
        "self_attn_every_n_layers": 2,
        "expert_width_multiplier": 0.75,
        "min_period": 0.004,
        "max_period": 4.0,
    }


def backbone_json() -> dict[str, Any]:
    return {
        "architectures": ["SmolVLMForConditionalGeneration"],
        "model_type": "smolvlm",
        "image_token_id": SPECIAL_TOKENS.index("<image>"),
        "pad_token_id": SPECIAL_TOKENS.index("<|im_end|>"),
        "scale_factor": 4,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "text_config": {
            "model_type": "llama",
            "hidden_act": "silu",
            "rms_norm_eps": 1e-05,
            "tie_word_embeddings": False,
            "torch_dtype": "bfloat16",
            "hidden_size": WIDTH,
            "intermediate_size": 2 * WIDTH,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS // 2,
            "head_dim": HEAD_DIM,
            "vocab_size": VOCABULARY,
        },
        "vision_config": {
            "model_type": "smolvlm_vision",
            "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-06,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": IMAGE_SIZE,
            "patch_size": 16,
        },
    }


def _step(name: str, **config: Any) -> dict[str, Any]:
    return {"registry_name": name, "config": config}


def preprocessor_steps() -> list[dict[str, Any]]:
    return [
        _step("rename_observations_processor", rename_map={}),
        _step("to_batch_processor"),
        _step("smolvla_new_line_processor"),
        _step(
            "tokenizer_processor",
            max_length=TOKENS,
            task_key="task",
            padding_side="right",
            padding="max_length",
            truncation=True,
            tokenizer_name="vlm",
        ),
        _step("device_processor", device="cpu", float_dtype=None),
        _step(
            "normalizer_processor",
            eps=1e-8,
            features={**features_json(), **action_json()},
            norm_map=NORMALIZATION,
        ),
    ]


def postprocessor_steps() -> list[dict[str, Any]]:
    return [
        _step("unnormalizer_processor", eps=1e-8, features=action_json(), norm_map=NORMALIZATION),
        _step("device_processor", device="cpu", float_dtype=None),
    ]


def statistics() -> dict[str, Tensor]:
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    named = {"mean": mean, "std": std, "min": mean - 2 * std, "max": mean + 2 * std}
    return {
        f"{feature}.{name}": value.clone() for feature in (STATE, ACTION) for name, value in named.items()
    }


def write_tokenizer(folder: Path) -> None:
    """A byte-level tokenizer with SmolVLM's special tokens, its merges learnt from CORPUS."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        show_progress=False,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(CORPUS.splitlines(), trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"pad_token": "<|im_end|>", "bos_token": "<|im_start|>", "unk_token": "<|endoftext|>"}
    special["eos_token"] = "<end_of_utterance>"
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "truncation_side": "left",
        "model_max_length": 8192,
    }
    _write_json(folder / "tokenizer_config.json", {**settings, **special})
    _write_json(folder / "special_tokens_map.json", special)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="demo_checkpoint", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("folder", type=Path, help="where to write it")
    parser.add_argument(
        "--seed", type=int, default=0, help="another seed, another (equally untrained) policy"
    )
    options = parser.parse_args(arguments)
    write_demo_checkpoint(options.folder, options.seed)
    print(
        f"Wrote {options.folder}. It is NOT a trained policy: it sweeps an arm slowly through one made-up motion."
    )


if __name__ == "__main__":
    main()
