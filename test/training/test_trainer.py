# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A run: its files, that it can be continued to the last bit, and what it refuses before the first step."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.smolvla.checkpoint_spec import CheckpointSpec
from smolvla_ros.settings import SettingError
from smolvla_ros.share import NODE_PARAMETERS
from smolvla_ros.tools.train import main
from smolvla_ros.training.errors import TrainingError
from smolvla_ros.training.prefix_cache import digest
from smolvla_ros.training.run_folder import RunFolder
from smolvla_ros.training.session import Outcome, TrainingRequest, run_lock, train
from smolvla_ros.training.settings import TrainingSettings
from smolvla_ros.training.task import TrainingTask
from smolvla_ros.training.training_log import read_log

from .conftest import BACKBONE, CHECKPOINT
from .small_dataset import write_small_dataset

ROOT = Path(__file__).parents[2]
SETTINGS = TrainingSettings(
    steps=4, batch_size=2, save_every=2, log_every=1, validate_every=2, validation=0.5, workers=0,
    precision="float32", device="cpu",
)  # fmt: skip
Start = Callable[..., Outcome]


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_dataset(tmp_path_factory.mktemp("data") / "bar", [12, 9])


@pytest.fixture
def start(dataset: Path, tmp_path: Path) -> Start:
    """Trains the golden checkpoint on the small dataset in tmp_path / name."""

    def start(name: str = "run", stop: tuple[int, ...] = (), **changes: Any) -> Outcome:
        request = TrainingRequest(
            (str(dataset),), str(CHECKPOINT), replace(SETTINGS, **changes), str(BACKBONE)
        )
        request.save(tmp_path / name)
        return train(request, tmp_path / name, stop, lambda _: None)

    return start


def weights(run: Path, checkpoint: str = "last") -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / checkpoint / "pretrained_model" / "model.safetensors")


def assert_equal(mine: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []


def assert_close(mine: Path, theirs: Path) -> None:
    """The same run up to the order of sums; where a gradient is near zero, Adam's first steps may go either way."""
    losses = [[line["loss"] for line in read_log(run) if "loss" in line] for run in (mine, theirs)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    found, expected = weights(mine), weights(theirs)
    differences = torch.cat([(found[name] - expected[name]).abs().flatten() for name in expected])
    assert differences.max() < 6 * SETTINGS.lr
    assert (differences > 0.02 * SETTINGS.lr).float().mean() < 1e-3


@pytest.fixture(scope="session")
def whole_run(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    request = TrainingRequest((str(dataset),), str(CHECKPOINT), SETTINGS, str(BACKBONE))
    request.save(folder)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in the order of the other runs
    outcome = train(request, folder, (), lambda _: None)
    torch.set_num_threads(threads)
    assert outcome.done == 4
    assert outcome.errors is not None and np.isfinite(outcome.errors.policy).all()
    assert outcome.picture is not None and outcome.picture.stat().st_size > 10_000
    return folder


def test_the_checkpoint_has_the_layout_of_lerobot(whole_run: Path) -> None:
    last = whole_run / "checkpoints" / "last"
    assert os.readlink(last) == "000004"
    assert {path.name for path in (last / "training_state").iterdir()} == {
        "optimizer_param_groups.json", "optimizer_state.safetensors", "rng_state.safetensors", "scheduler_state.json",
        "training_step.json",
    }  # fmt: skip
    assert {"config.json", "model.safetensors", "train_config.json", "policy_preprocessor.json"} < {
        path.name for path in (last / "pretrained_model").iterdir()
    }
    train_config = json.loads((last / "pretrained_model" / "train_config.json").read_text())
    assert train_config["policy"]["push_to_hub"] is False  # else lerobot-train --resume asks for a repo_id
    state = load_file(last / "training_state" / "optimizer_state.safetensors")
    [group] = json.loads((last / "training_state" / "optimizer_param_groups.json").read_text())
    # 154 frozen parameters of the vision-language model come before the expert's in LeRobot's numbers
    assert len(group["params"]) == len(load_file(CHECKPOINT / "model.safetensors"))
    assert {len(group["params"]) - 1 - int(key.split("/")[1]) for key in state} == set(range(47))


def test_the_checkpoint_loads_with_the_statistics_of_the_dataset(whole_run: Path, dataset: Path) -> None:
    policy = SmolVLA.from_pretrained(
        whole_run / "checkpoints/last/pretrained_model", device="cpu", dtype="float32", backbone=BACKBONE
    )
    stats = json.loads((dataset / "meta" / "stats.json").read_text())
    assert CheckpointSpec.load(whole_run / "checkpoints/last/pretrained_model", BACKBONE).fps == 10.0
    assert policy.processors.action.first.tolist() == pytest.approx(stats["action"]["mean"], rel=1e-6)
    before = load_file(CHECKPOINT / "model.safetensors")
    after = weights(whole_run)
    moved = {name for name in before if not torch.equal(before[name], after[name].to(before[name].dtype))}
    assert moved and all("lm_expert" in name or "_proj" in name or "_mlp" in name for name in moved)
    image = np.zeros((48, 64, 3), np.uint8)
    chunk = policy.predict_chunk({"camera1": image, "camera2": image}, np.zeros(6), "Move the bar 0")
    assert chunk.shape == (50, 6)


def test_the_log_has_a_line_for_each_update(whole_run: Path) -> None:
    lines = read_log(whole_run)
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4]
    assert all(line["samples_per_s"] > 0 and line["grad_norm"] > 0 for line in lines if "loss" in line)
    assert [line["step"] for line in lines if "validation_loss" in line] == [2, 4]


def test_a_continued_run_ends_in_the_same_weights(whole_run: Path, tmp_path: Path, start: Start) -> None:
    shutil.copytree(whole_run, tmp_path / "run", symlinks=True)
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "000004")  # as if it had been killed just before
    assert start().done == 4
    assert_equal(weights(tmp_path / "run"), weights(whole_run))
    assert [line["step"] for line in read_log(tmp_path / "run") if "loss" in line] == [1, 2, 3, 4]


def test_a_stop_signal_saves_a_checkpoint(tmp_path: Path, start: Start, whole_run: Path) -> None:
    assert start(stop=(signal.SIGINT,)).done == 1
    assert start().done == 4
    assert_equal(weights(tmp_path / "run"), weights(whole_run))


def test_accumulated_batches_are_one_update(tmp_path: Path, start: Start, whole_run: Path) -> None:
    start(batch_size=1, accumulate=2)
    assert_close(tmp_path / "run", whole_run)


def test_two_processes_are_one_with_twice_the_batch(dataset: Path, tmp_path: Path, whole_run: Path) -> None:
    run = tmp_path / "run"
    TrainingRequest(
        (str(dataset),), str(CHECKPOINT), replace(SETTINGS, batch_size=1, validate_every=0), str(BACKBONE)
    ).save(run)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launch, "-m", "smolvla_ros.tools.train", "--output", str(run), "--resume"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    state = json.loads((run / "checkpoints/last/training_state/training_step.json").read_text())
    assert state == {"step": 4, "num_processes": 2, "batch_size": 1}
    assert_close(run, whole_run)


def test_a_cache_trains_the_same_weights(tmp_path: Path, start: Start, whole_run: Path) -> None:
    start(cache=str(tmp_path / "cache"))
    start("again", cache=str(tmp_path / "cache"), steps=2)
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert_close(tmp_path / "run", whole_run)


def test_a_cache_has_several_random_changes_of_each_frame(tmp_path: Path, start: Start) -> None:
    start(cache=str(tmp_path / "cache"), augment="on", cache_variants=3, steps=1)
    start("unchanged", cache=str(tmp_path / "unchanged"), steps=1)
    varied, unchanged = (
        next((tmp_path / name).glob("*.keys_values")).stat().st_size for name in ("cache", "unchanged")
    )
    assert varied == 3 * unchanged
    assert not torch.equal(
        *(weights(tmp_path / name)["model.action_out_proj.weight"] for name in ("run", "unchanged"))
    )


def test_a_stop_signal_ends_the_computation_of_a_cache_which_can_be_continued(
    tmp_path: Path, start: Start
) -> None:
    with pytest.raises(TrainingError, match="stopped when 0 of 9 rows .* --resume"):
        start(cache=str(tmp_path / "cache"), stop=(signal.SIGINT,))
    assert start(cache=str(tmp_path / "cache"), steps=1).done == 1


def test_a_cache_is_not_used_for_another_dataset_in_the_same_folder(tmp_path: Path) -> None:
    def name_for(tasks: tuple[str, ...]) -> str:
        folder = tmp_path / "data"
        write_small_dataset(tmp_path / tasks[0], [5, 5], tasks=tasks).rename(folder)
        task = TrainingTask.load(CHECKPOINT, [LeRobotDataset.load(folder)], {}, BACKBONE)
        name = digest(task, "float32")
        shutil.rmtree(folder)
        return name

    assert name_for(("Lift the bar", "Drop the bar")) != name_for(("Push the bar", "Pull the bar"))


def test_activations_that_are_computed_again_train_the_same_weights(tmp_path: Path, start: Start) -> None:
    start("kept", trained="all", steps=2)
    start("again", trained="all", steps=2, checkpoint_activations="on")
    assert_equal(weights(tmp_path / "again"), weights(tmp_path / "kept"))


def test_a_compiled_network_trains_the_same_weights(
    tmp_path: Path, start: Start, whole_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "eager")
    start()
    assert_close(tmp_path / "run", whole_run)


def test_a_moving_average_is_saved_and_training_goes_on_from_the_weights(
    tmp_path: Path, start: Start, whole_run: Path
) -> None:
    start(ema=0.5)
    state = load_file(tmp_path / "run/checkpoints/last/training_state/weights.safetensors")
    last = weights(whole_run)
    assert_equal(state, {name: last[name] for name in state})
    averaged = weights(tmp_path / "run")
    assert any(not torch.equal(averaged[name], state[name]) for name in state)


def test_a_continued_run_goes_on_with_the_moving_average(tmp_path: Path, start: Start) -> None:
    start("whole", ema=0.5, steps=2)
    start("parts", ema=0.5, steps=2, stop=(signal.SIGINT,))
    start("parts", ema=0.5, steps=2)
    assert_equal(weights(tmp_path / "parts"), weights(tmp_path / "whole"))


def test_a_shipped_checkpoint_keeps_its_statistics_and_the_parameters_of_its_nodes(
    dataset: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    settings = replace(
        SETTINGS, steps=1, save_every=1, statistics="checkpoint", action_rate_hz=5.0, trained="all"
    )
    before = CheckpointSpec.load("so100_tabletop")
    base = tmp_path / "base"  # with a tokenizer beside its vision-language model, as LeRobot 0.6.2 saves it
    shutil.copytree(before.folder, base)
    shutil.copytree(base / "vlm", base / "tokenizer")
    pipeline = base / "policy_preprocessor.json"
    pipeline.write_text(pipeline.read_text().replace('"vlm"', '"tokenizer"'))
    request = TrainingRequest((str(dataset),), str(base), settings)
    request.save(tmp_path / "run")
    outcome = train(request, tmp_path / "run", (), told.append)
    assert outcome.checkpoint is not None
    after = CheckpointSpec.load(outcome.checkpoint)
    assert after.tokenizer_name == "tokenizer"
    parameters = [(spec.folder / NODE_PARAMETERS).read_text() for spec in (before, after)]
    assert parameters[0] == parameters[1]
    assert torch.equal(before.processors.action.first, after.processors.action.first)
    assert (before.fps, after.fps) == (10.0, 5.0)
    assert any("have 10 actions a second, after this training they will have 5" in line for line in told)


def test_an_adapter_is_saved_and_merged_at_inference(dataset: Path, tmp_path: Path, start: Start) -> None:
    pytest.importorskip("peft", reason="adapters need PEFT")
    outcome = start(lora_rank=4, steps=2)
    assert outcome.checkpoint is not None and not (outcome.checkpoint / "model.safetensors").exists()
    spec = CheckpointSpec.load(outcome.checkpoint, BACKBONE)
    assert spec.weights.adapter is not None and len(spec.weights.adapter.scales) == 13
    assert start(lora_rank=4, steps=2).done == 2
    start("again", lora_rank=4, steps=2)
    second = TrainingRequest((str(dataset),), str(outcome.checkpoint), SETTINGS, str(BACKBONE))
    with pytest.raises(TrainingError, match="is an adapter, on which no other one can be trained"):
        train(
            replace(second, settings=replace(SETTINGS, lora_rank=4)), tmp_path / "second", (), lambda _: None
        )
    files = [tmp_path / run / "checkpoints/last/pretrained_model" for run in ("run", "again")]
    assert_equal(*(load_file(folder / "adapter_model.safetensors") for folder in files))


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoints(
    tmp_path: Path, start: Start
) -> None:
    with pytest.raises(TrainingError, match="update 2: the loss is (inf|nan).*smaller --lr"):
        start(lr=1e30, warmup_steps=0, save_every=1)
    assert os.readlink(tmp_path / "run" / "checkpoints" / "last") == "000001"


def test_an_adapter_of_the_language_model_is_trained_too(tmp_path: Path, start: Start) -> None:
    pytest.importorskip("peft", reason="adapters need PEFT")
    outcome = start(lora_rank=2, steps=1, lora_targets=r".*\.layers\.0\.self_attn\.v_proj")
    assert outcome.checkpoint is not None
    matrices = load_file(outcome.checkpoint / "adapter_model.safetensors")
    changed = {name: bool(value.any()) for name, value in matrices.items() if "lora_B" in name}
    assert any(".vlm." in name for name in changed) and all(changed.values()), changed


@pytest.mark.parametrize("values", [{"lr": 0.0}, {"beta1": 1.0}, {"beta2": 1.0}, {"ema": 1.0}])
def test_settings_with_which_nothing_could_be_trained_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(SettingError, match=f"{next(iter(values))}: .* is outside"):
        replace(SETTINGS, **values)


def test_oldest_checkpoints_are_removed(tmp_path: Path, start: Start) -> None:
    start(save_every=1, keep=2)
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == [
        "000003",
        "000004",
        "last",
    ]


def test_a_second_run_in_the_same_folder_is_refused(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with run_lock(tmp_path / "run", "cpu"):
        command = [str(dataset), "--checkpoint", "so100_tabletop", "--output", str(tmp_path / "run")]
        assert main([*command, "--device", "cpu"]) == 1
    assert "run' is being written by another program" in capsys.readouterr().err


def test_a_folder_without_a_run_is_not_said_to_be_continuable(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    (run / "converted").mkdir(parents=True)  # as of bags whose conversion was interrupted
    assert main([str(dataset), "--output", str(run), "--device", "cpu"]) == 2
    assert "is not empty; it holds no run, so give another folder" in capsys.readouterr().err
    (run / "training.json").touch()
    assert main([str(dataset), "--output", str(run), "--device", "cpu"]) == 2
    assert "is not empty; continue its run with --resume" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"settings": {"unknown": 1}, "datasets": []}'])
def test_a_damaged_request_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "training.json").write_text(text)
    with pytest.raises(TrainingError, match="training.json' cannot be read .* is this the folder of a run"):
        TrainingRequest.load(tmp_path)


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, 3)
    run.save(1, lambda folder: (folder / "file").touch())

    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError(28, "No space left on device")

    with pytest.raises(
        TrainingError, match="No space left on device; the previous checkpoint 000001 is intact"
    ):
        run.save(2, fail)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["000001", "last"]


def test_what_does_not_fit_is_refused(dataset: Path, tmp_path: Path, start: Start) -> None:
    def refused(message: str, folders: tuple[Path, ...] = (dataset,), **changes: Any) -> None:
        given = {"cameras": {}, "settings": SETTINGS, **changes}
        request = TrainingRequest(tuple(map(str, folders)), str(CHECKPOINT), backbone=str(BACKBONE), **given)
        with pytest.raises(TrainingError, match=message):
            train(request, tmp_path / "refused", (), lambda _: None)

    refused("no camera wrist, it has camera1, camera2. Say which", cameras={"wrist": "camera1"})
    refused("has no camera side for camera1", cameras={"camera1": "side"})
    other = write_small_dataset(tmp_path / "other", [3], cameras=("top",))
    refused("has cameras top, the checkpoint has camera1, camera2: .*--cameras camera1=top", (other,))
    fast = write_small_dataset(tmp_path / "fast", [3], fps=30)
    refused("different frames per second", (dataset, fast))
    copy = shutil.copytree(dataset, tmp_path / "copy")
    (copy / "meta" / "stats.json").unlink()
    refused("has no statistics of observation.state", (copy,))
    refused("give at most --batch-size", settings=replace(SETTINGS, batch_size=10_000_000))
    refused(
        "cache: the vision-language model must be frozen",
        settings=replace(SETTINGS, cache="c", trained="all"),
    )


@pytest.mark.kills(1)  # each takes many seconds
def test_after_kill_9_a_run_continues_to_the_same_weights(
    dataset: Path, tmp_path: Path, whole_run: Path, kill: int
) -> None:
    """Kill -9 at a random time, `python -m` as a user starts it."""
    run = tmp_path / "run"
    TrainingRequest((str(dataset),), str(CHECKPOINT), replace(SETTINGS, save_every=1), str(BACKBONE)).save(
        run
    )
    command = [sys.executable, "-m", "smolvla_ros.tools.train", "--output", str(run), "--resume"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as program:
        deadline = time.monotonic() + 60
        while not (run / "checkpoints").exists() and program.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(random.Random(kill).uniform(0.0, 0.5))
        program.kill()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "continued from update" in done.stderr or "hold still" in done.stdout
    assert_equal(weights(run), weights(whole_run))
