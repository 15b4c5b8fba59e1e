# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The small network: records, training and the checkpoint's files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec
from smolvla_ros.policy.smolvla.smolvla_policy import SmolVLA
from smolvla_ros.policy.smolvla.weights import parameter_dtype
from smolvla_ros.robot import RobotSpec
from smolvla_ros.settings import SettingError
from smolvla_ros.share import find_robot_file, share_folder
from smolvla_ros.simulation.layout import CUBE_COLOURS
from smolvla_ros.simulation.tasks.instruction import HELD_OUT_WORDINGS, TASKS
from smolvla_ros.training.small.architecture import (
    TRAINED_TASKS,
    UNKNOWN,
    Sizes,
    save_checkpoint,
    token_ids,
    word_id,
    word_tokenizer,
    words,
)
from smolvla_ros.training.small.collection import Collector, concatenated
from smolvla_ros.training.small.read_outs import ReadOuts
from smolvla_ros.training.small.recipe import Recipe
from smolvla_ros.training.small.records import LABELS, Records
from smolvla_ros.training.small.trainer import (
    ENCODER,
    EVERYTHING,
    STAGES,
    RecordBuffer,
    Stage,
    Trainer,
    TrainerError,
    chunks_of,
    learning_rate_factor,
)
from smolvla_ros.units import load_calibration

SIZES = Sizes(
    image=96,
    patch=12,
    vision_width=32,
    vision_heads=2,
    vision_layers=1,
    text_width=64,
    text_heads=2,
    text_kv_heads=1,
    text_layers=2,
    text_mlp_width=128,
)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads wait for each other more than they compute, with networks of this size."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def robot() -> RobotSpec:
    return RobotSpec.load(find_robot_file("so100"))


@pytest.fixture(scope="module")
def records(robot: RobotSpec) -> Records:
    return collect(robot)


def collect(robot: RobotSpec, count: int = 10) -> Records:
    calibration = load_calibration(share_folder() / "config" / "emulated_calibration.json")
    collector = Collector(robot, list(robot.units(calibration)), SIZES, word_tokenizer(), seed=1)
    return concatenated(list(islice(collector.episode(), count)))


@pytest.fixture
def trainer(records: Records) -> Trainer:
    buffer = RecordBuffer(CPU)
    buffer.add(records)
    trainer = Trainer(SIZES, CPU, learning_rate=1e-3, average_decay=0.9, seed=1)
    trainer.step(buffer, 4, "all", 0.1)
    return trainer


def test_the_same_seed_gives_the_same_records(robot: RobotSpec, records: Records) -> None:
    again = collect(robot, 3)
    for name in Records.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(again, name), getattr(records, name)[:3])


def test_each_record_has_chunks_for_two_instructions(records: Records) -> None:
    assert records.actions.shape == (10, 2, LABELS, 6)
    differ = np.abs(records.actions[:, 0] - records.actions[:, 1]).max(axis=(1, 2))
    others = (records.tokens[:, 0] != records.tokens[:, 1]).any(axis=1)
    assert (differ[~others] == 0.0).all() and (differ[others] > 5.0).any()  # degrees


def test_a_cube_has_its_colour_where_a_record_says_it_is(records: Records) -> None:
    height, width = records.images.shape[2:4]
    first = records.objects[0, 0]
    seen = 0
    for name, channel in (("red", 0), ("green", 1), ("blue", 2)):
        x, y = first[CUBE_COLOURS.index(name), 0]
        if np.isfinite(x):
            pixel = records.images[0, 0, int(y * width) - (width - height), int(x * width)]
            assert pixel.argmax() == channel, (name, pixel)
            seen += 1
    assert seen


def test_records_survive_their_file(records: Records, tmp_path: Path) -> None:
    records.save(tmp_path / "records.npz")
    loaded = Records.load(tmp_path / "records.npz")
    np.testing.assert_array_equal(loaded.actions, records.actions)
    assert [path.name for path in tmp_path.iterdir()] == ["records.npz"]


def test_every_word_of_training_is_known_and_few_of_the_held_out_wordings_are_not() -> None:
    tokenizer = word_tokenizer()
    assert len(words()) + 7 <= SIZES.vocabulary
    for name in TRAINED_TASKS:
        for wording in TASKS[name]:
            ids = token_ids(tokenizer, wording.format("red", "blue"), SIZES.text_tokens)
            assert UNKNOWN not in ids and ids[-1] == 2, wording
    unknown = [
        wording
        for name in TRAINED_TASKS
        for wording in HELD_OUT_WORDINGS[name]
        if token_ids(tokenizer, wording.format("red", "blue"), SIZES.text_tokens).count(UNKNOWN) > 1
    ]
    assert not unknown


def test_the_losses_fall(records: Records) -> None:
    buffer = RecordBuffer(CPU)
    buffer.add(records)
    trainer = Trainer(SIZES, CPU, learning_rate=3e-3, average_decay=0.9, seed=1)
    losses = [trainer.step(buffer, 8, "all", 0.1) for _ in range(40)]
    for name in losses[0]:
        first, last = (sum(float(loss[name]) for loss in part) for part in (losses[:5], losses[-5:]))
        assert last < 0.8 * first, name


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_changes_its_parts_alone(records: Records, stage: Stage) -> None:
    buffer = RecordBuffer(CPU)
    buffer.add(records)
    trainer = Trainer(SIZES, CPU, learning_rate=1e-3, average_decay=0.9, seed=1)
    before = {name: parameter.detach().clone() for name, parameter in trainer.network.named_parameters()}
    trainer.step(buffer, 4, stage, 0.1)
    changed = {
        name.partition(".")[0]
        for name, parameter in trainer.network.named_parameters()
        if not torch.equal(parameter, before[name])
    }
    action_parts = {
        "expert",
        "action_in_proj",
        "action_time_mlp_in",
        "action_time_mlp_out",
        "action_out_proj",
    }
    parts = {"read_outs": action_parts, "vision": {"vision"}, "expert": action_parts}
    assert changed == parts.get(stage, {"vision", "connector", "text", "state_proj"} | action_parts)


def test_chunks_have_the_rate_of_the_network_and_lie_on_the_lines_between_the_labels() -> None:
    labels = torch.randn(2, LABELS, 6)
    torch.testing.assert_close(chunks_of(labels, Sizes()), labels[:, :16])
    fast = chunks_of(labels, Sizes(chunk=50, rate_hz=30.0))
    torch.testing.assert_close(fast[:, ::3], labels[:, :17], rtol=0.0, atol=1e-5)
    torch.testing.assert_close(fast[:, 1], labels[:, 0] + (labels[:, 1] - labels[:, 0]) / 3)


@pytest.mark.parametrize(("chunk", "rate_hz"), [(16, 25.0), (19, 10.0), (53, 30.0)])
def test_a_chunk_beyond_the_labels_is_refused(chunk: int, rate_hz: float) -> None:
    with pytest.raises(SettingError, match="the last action at most 1.7 s after the first"):
        Recipe(chunk=chunk, rate_hz=rate_hz)


def test_another_expert_is_trained_for_the_encoder_of_a_checkpoint(
    records: Records, trainer: Trainer, tmp_path: Path
) -> None:
    assert trainer.statistics is not None
    save_checkpoint(tmp_path, SIZES, trainer.averaged_network(), trainer.statistics.by_feature())
    checkpoint = CheckpointSpec.load(tmp_path)
    other = Trainer(replace(SIZES, chunk=50, rate_hz=30.0), CPU, 1e-3, average_decay=0.9, seed=2)
    other.take_weights(checkpoint, ENCODER)
    buffer = RecordBuffer(CPU)
    buffer.add(records)
    other.step(buffer, 4, "expert", 0.1)
    its, mean = dict(trainer.averaged_network().named_parameters()), checkpoint.processors.state.first
    for name, parameter in other.averaged_network().named_parameters():
        is_equal = torch.allclose(parameter, its[name], rtol=0.01, atol=1e-3)  # the file has bfloat16 values
        assert is_equal == name.startswith(ENCODER) or name.endswith(("norm.weight", "bias")), name
    assert other.statistics is not None and torch.equal(other.statistics.state[0], mean)
    with pytest.raises(TrainerError, match="does not have the sizes of this recipe"):
        Trainer(Sizes(), CPU, 1e-3, average_decay=0.9, seed=1).take_weights(checkpoint, EVERYTHING)


def test_new_read_outs_do_not_change_the_encoder_that_training_begins_with(
    records: Records, trainer: Trainer, tmp_path: Path
) -> None:
    assert trainer.statistics is not None
    save_checkpoint(tmp_path, SIZES, trainer.averaged_network(), trainer.statistics.by_feature())
    other = Trainer(SIZES, CPU, 1e-3, average_decay=0.9, seed=2)
    other.take_weights(CheckpointSpec.load(tmp_path), EVERYTHING)
    before = {name: value.clone() for name, value in other.network.state_dict().items()}
    heads = {name: value.clone() for name, value in other.heads.state_dict().items()}
    buffer = RecordBuffer(CPU)
    buffer.add(records)
    losses = other.step(buffer, 4, "read_outs", 0.1)
    assert {"flow", "patches", "tokens", "cubes", "places", "state"} <= losses.keys()
    for name, value in other.network.state_dict().items():
        assert torch.equal(value, before[name]) or not name.startswith(ENCODER), name
    assert not torch.equal(other.network.action_in_proj.weight, before["action_in_proj.weight"])
    assert not torch.equal(other.heads.colours.weight, heads["colours.weight"])
    other.step(buffer, 4, "all", 0.1)
    assert not torch.equal(other.network.state_proj.weight, before["state_proj.weight"])


def test_only_names_of_colours_of_which_one_cube_is_in_view_count() -> None:
    heads = ReadOuts(SIZES)
    words = ["put", "the", "red", "cube", "on", "the", "blue"]
    tokens = torch.tensor([[word_id(word) for word in words]])
    memory = torch.ones(1, len(words) + 1, heads.colours.in_features, requires_grad=True)
    valid = torch.ones(1, len(words) + 1, dtype=torch.bool)
    objects = torch.full((1, 7, 2, 2), torch.nan)
    objects[0, CUBE_COLOURS.index("red"), 0] = torch.tensor([0.2, 0.7])
    objects[0, CUBE_COLOURS.index("blue")] = torch.tensor([[0.3, 0.3], [0.6, 0.6]])  # two of them
    _, error = heads.cube_losses(memory, valid, tokens, objects)
    error.backward()
    assert memory.grad is not None
    assert memory.grad.abs().sum(-1)[0].nonzero().flatten().tolist() == [words.index("red")]


def test_the_stages_of_a_recipe_follow_each_other() -> None:
    recipe = Recipe(read_out_steps=5, vision_steps=10, steps=20, expert_steps=10)
    assert [recipe.stage(steps) for steps in (0, 5, 10, 15, 30, 35, 45)] == [
        ("read_outs", 0.0),
        ("vision", 0.0),
        ("vision", 0.5),
        ("all", 0.0),
        ("all", 0.75),
        ("expert", 0.0),
        ("expert", 1.0),
    ]


def test_the_checkpoint_gives_the_chunks_of_the_averaged_network(trainer: Trainer, tmp_path: Path) -> None:
    assert trainer.statistics is not None
    network = trainer.averaged_network()
    save_checkpoint(tmp_path, SIZES, network, trainer.statistics.by_feature())
    policy = SmolVLA.from_pretrained(tmp_path, device="cpu", dtype="float32")
    random = np.random.default_rng(1)
    images = {name: random.integers(0, 255, (480, 640, 3), np.uint8) for name in SIZES.cameras}
    state = random.normal(size=6).astype(np.float32)
    noise = random.normal(size=(SIZES.chunk, 32)).astype(np.float32)
    chunk = policy.predict_chunk(images, state, "Pick up the red cube", noise=noise)
    inputs = policy.prepare(images, state, "Pick up the red cube")
    assert inputs.tokens[0].tolist() == token_ids(word_tokenizer(), "Pick up the red cube", SIZES.text_tokens)
    with torch.inference_mode():
        for name, parameter in network.named_parameters():
            parameter.copy_(parameter.to(parameter_dtype(network, name, "native")))
        context = network.encode_prefix(
            inputs.images, inputs.image_valid, inputs.tokens, inputs.tokens_valid, inputs.state, True
        )
        normalized = network.sample(context, torch.from_numpy(noise)[None])[0, :, :6]
    mean, std = trainer.statistics.action
    np.testing.assert_allclose(chunk, (normalized * std + mean).numpy(), atol=1e-3)
    policy.noise_scale = 0.0
    without_noise = policy.predict_chunk(images, state, "Pick up the red cube")
    zeros = policy.predict_chunk(images, state, "Pick up the red cube", noise=np.zeros_like(noise))
    np.testing.assert_array_equal(without_noise, zeros)


def test_the_learning_rate_rises_and_falls() -> None:
    factors = [learning_rate_factor(share) for share in (0.0, 0.01, 0.02, 0.5, 1.0)]
    assert factors == pytest.approx([0.01, 0.5, 1.0, 0.51, 0.02], abs=0.01)
