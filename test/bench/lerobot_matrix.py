# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which data this package and the LeRobot versions here exchange, as a table; exit code 1 if something fails.

LeRobot comes from `make lerobot` (0.4.4, and 0.6.1 where there is a Python 3.12), or from the Pythons named by
LEROBOT_PYTHON, separated by colons. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from smolvla_ros.dataset.edited_dataset import write_edited
from smolvla_ros.dataset.edits import Edits, edited_clips
from smolvla_ros.dataset.language import COLUMNS
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.training.demonstrations import Demonstrations, Order, read_episodes
from smolvla_ros.training.settings import TrainingSettings
from smolvla_ros.training.trainer import noise_of_update
from smolvla_ros.training.training_log import read_log

ROOT = Path(__file__).parents[2]
CONTENDERS = Path(__file__).parent / "contenders"
CHECKPOINT = ROOT / "checkpoints" / "so100_tabletop"
BACKBONE = CHECKPOINT / "vlm"
UPDATES, BATCH = 10, 4
LANGUAGE = ROOT / "test" / "data" / "lerobot_language"  # written by LeRobot 0.6.1
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
FOLDERS = ("build/lerobot", "build/lerobot-0.6")
sys.path[:0] = map(str, (CONTENDERS, ROOT / "test" / "training"))


@dataclass
class Installation:
    """A LeRobot in an environment of its own."""

    python: Path
    version: str

    def run(self, program: str, *arguments: object, folder: Path | None = None) -> str:
        """What a program of contenders/ prints, in a folder; raises RuntimeError with the last line of its errors."""
        command = [self.python, CONTENDERS / program, *map(str, arguments)]
        done = subprocess.run(
            command, env=ENVIRONMENT, cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
        return done.stdout


def find_installations() -> list[Installation]:
    named = os.environ.get("LEROBOT_PYTHON", "")
    pythons = [Path(each).absolute() for each in named.split(":") if each]
    pythons = pythons or [ROOT / folder / "bin" / "python" for folder in FOLDERS]
    return [Installation(python, version_of(python)) for python in pythons if python.exists()]


def version_of(python: Path) -> str:
    show = "import importlib.metadata as m; print(m.version('lerobot'))"
    command = [python, "-c", show]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True).stdout.strip()


def write_copies(folder: Path) -> None:
    """Copies of LeRobot's dataset by our writer: with its language columns, and without."""
    theirs = LeRobotDataset.load(LANGUAGE)
    features = {name: each for name, each in theirs.features.items() if name not in COLUMNS}
    plain = replace(theirs, info={**theirs.info, "features": features})
    for name, dataset in (("language", theirs), ("made", plain)):
        write_edited({"": edited_clips([dataset], Edits())}, [dataset], Edits(), folder / name, 1)


def ours_opens_there(lerobot: Installation, folder: Path) -> None:
    dataset = LeRobotDataset.load(folder / "made")
    report = json.loads(lerobot.run("lerobot_dataset.py", dataset.root, folder / "seen.npz").splitlines()[-1])
    seen = np.load(folder / "seen.npz")
    rows = [dataset.frames(episode) for episode in range(len(dataset.episodes))]
    assert report["tasks"] == [task for each in rows for task in each.tasks]
    assert np.array_equal(seen["action"], np.concatenate([each.action for each in rows]))
    assert np.array_equal(seen["observation.state"], np.concatenate([each.state for each in rows]))


def theirs_opens_here(lerobot: Installation, folder: Path) -> None:
    if not (folder / "theirs").exists():
        lerobot.run("lerobot_roundtrip.py", "make", folder / "theirs")
    dataset = LeRobotDataset.load(folder / "theirs")
    assert [len(dataset.frames(episode).state) for episode in range(2)] == [8, 6]
    brightness = [image.mean() for image in dataset.images(1, "top")]
    assert np.allclose(brightness, 40 + 10 * np.arange(6), atol=4)


def their_edit_opens_here(lerobot: Installation, folder: Path) -> None:
    theirs_opens_here(lerobot, folder)
    lerobot.run("lerobot_roundtrip.py", "delete", folder / "theirs", folder / "rest")
    dataset = LeRobotDataset.load(folder / "rest")
    assert dataset.frames(0).state[0, 0] == 1.0 and len(list(dataset.images(0, "top"))) == 6


def their_edit_of_ours(lerobot: Installation, folder: Path) -> None:
    lerobot.run("lerobot_roundtrip.py", "delete", folder / "made", folder / "made_rest")
    assert LeRobotDataset.load(folder / "made_rest").frames(0).state[0, 0] == 1.0


def our_edit_opens_there(lerobot: Installation, folder: Path) -> None:
    theirs_opens_here(lerobot, folder)
    theirs = LeRobotDataset.load(folder / "theirs")
    edits = Edits(keep=[1], cameras={"top": "camera1"})
    write_edited({"": edited_clips([theirs], edits)}, [theirs], edits, folder / "edited", 1)
    lerobot.run("lerobot_dataset.py", folder / "edited", folder / "edited.npz")
    assert len(np.load(folder / "edited.npz")["action"]) == 6


def their_viewer_shows_ours(lerobot: Installation, folder: Path) -> None:
    """`lerobot-dataset-viz` writes an episode as a Rerun recording that has its images, actions and states."""
    words = ("--repo-id", "local/check", "--root", folder / "made", "--episode-index", 0, "--num-workers", 0)
    lerobot.run("lerobot_viz.py", *words, "--save", 1, "--output-dir", folder)
    recording = folder / "local_check_episode_0.rrd"
    printed = [lerobot.python.parent / "rerun", "rrd", "print", recording]
    contents = subprocess.run(printed, env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout
    dataset = LeRobotDataset.load(folder / "made")
    images = [f"observation.images.{key}" for key in dataset.image_keys]
    missing = [name for name in (*images, "action", "state") if f"/{name}" not in contents]
    assert not missing, f"missing in the recording: {', '.join(missing)}"


def language_both_ways(lerobot: Installation, folder: Path) -> None:
    seen = [
        json.loads(lerobot.run("lerobot_language.py", "read", root).splitlines()[-1])
        for root in (LANGUAGE, folder / "language")
    ]
    assert seen[0] == seen[1]


def acts_the_same(lerobot: Installation, folder: Path, checkpoint: Path) -> None:
    """A checkpoint gives the same actions of the same noise there and here, in float32."""
    from our_policy import Ours
    from worker import Stopwatch, sample_question

    lerobot.run("lerobot_actions.py", checkpoint, BACKBONE, folder / "actions.npy")
    expected = np.load(folder / "actions.npy")
    options = argparse.Namespace(checkpoint=checkpoint, backbone=BACKBONE, device="cpu", dtype="float32")
    ours = Ours(options, Stopwatch("cpu"))
    found = ours.predict(sample_question(ours.policy.image_keys, len(expected)))
    assert np.allclose(found, expected, atol=1e-3), f"actions differ by {np.abs(found - expected).max():.2g}"


def our_checkpoint_acts_there(lerobot: Installation, folder: Path) -> None:
    acts_the_same(lerobot, folder, CHECKPOINT)


def train_here(dataset: Path, checkpoint: Path, run: Path) -> None:
    """Ten updates of `train`."""
    from smolvla_ros.tools.train import main

    paths = (dataset, "--checkpoint", checkpoint, "--backbone", BACKBONE, "--output", run, "--no-check")
    counts = ("--steps", UPDATES, "--batch-size", BATCH, "--validation", 0, "--log-every", 1, "--workers", 0)
    numbers = ("--precision", "float32", "--device", "cpu")
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as errors:
        code = main([str(word) for word in (*paths, *counts, *numbers)])
    assert code == 0, errors.getvalue().splitlines()[-1]


def their_trainer_resumes_our_run(lerobot: Installation, folder: Path) -> None:
    """`lerobot-train --resume=true` takes weights, optimizer and schedule of a run of `train` for ten more updates."""
    from small_dataset import write_small_dataset

    train_here(write_small_dataset(folder / "bars", [24, 18]), CHECKPOINT, folder / "run")
    last = folder / "run" / "checkpoints" / "last"
    before = load_file(last / "pretrained_model" / "model.safetensors")
    config = (last / "pretrained_model" / "train_config.json").resolve()
    words = (f"--config_path={config}", "--resume=true", f"--steps={2 * UPDATES}")
    lerobot.run("lerobot_train.py", *words, folder=config.parent)  # that of the small checkpoint's backbone
    optimizer = load_file(last / "training_state" / "optimizer_state.safetensors")
    steps = {int(value) for name, value in optimizer.items() if name.endswith("/step")}
    assert steps == {2 * UPDATES}, f"the optimizer has counted {steps} updates"
    after = load_file(last / "pretrained_model" / "model.safetensors")
    moved = {name for name in before if not torch.equal(before[name].to(after[name].dtype), after[name])}
    assert moved and not [name for name in moved if ".vlm." in name], f"changed: {moved or 'nothing'}"
    acts_the_same(lerobot, folder, last / "pretrained_model")


def our_trainer_goes_on_from_theirs(lerobot: Installation, folder: Path) -> None:
    """`train --checkpoint` of what their trainer saved: the losses of ten updates are those of LeRobot's model, with
    its presets, on the same batches with the same noise."""
    checkpoint = (
        folder / "run" / "checkpoints" / f"{2 * UPDATES:06}" / "pretrained_model"
    )  # of the check before
    train_here(folder / "bars", checkpoint, folder / "ours")
    losses = [line["loss"] for line in read_log(folder / "ours")]
    np.savez(folder / "batches.npz", **batches_of_train(folder / "bars", checkpoint))
    lerobot.run("lerobot_losses.py", checkpoint, BACKBONE, folder / "batches.npz", folder / "losses.npy")
    theirs = np.load(folder / "losses.npy")
    error = np.abs(losses / theirs - 1)
    assert error[0] < 1e-5 and error.max() < 1e-4, f"losses {losses}, there {theirs.tolist()}"


def batches_of_train(dataset: Path, checkpoint: Path) -> dict[str, Any]:
    """What the ten updates of `train_here` are computed on, by LeRobot's names, (updates, ...) each."""
    config = json.loads((checkpoint / "config.json").read_text())
    data, seed = LeRobotDataset.load(dataset), TrainingSettings().seed
    cameras = {key: key for key in data.image_keys}
    frames = Demonstrations([data], read_episodes([data]), cameras, config["chunk_size"])
    order, shape = Order(len(frames), seed), (BATCH, config["chunk_size"], config["max_action_dim"])
    batches = []
    for update in range(UPDATES):
        samples = frames.read(order.draws(update * BATCH, BATCH))
        noise, time = noise_of_update(seed, update, shape)
        images = {f"observation.images.{name}": image for name, image in samples.images.items()}
        actions = {"action": samples.action, "action_is_pad": samples.action_is_pad}
        observed = {**images, "observation.state": samples.state, "task": samples.tasks}
        batches.append({**observed, **actions, "noise": noise, "time": time})
    return {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}


CHECKS: dict[str, Callable[[Installation, Path], None]] = {
    "our dataset opens there": ours_opens_there,
    "its dataset opens here": theirs_opens_here,
    "its dataset, edited there, opens here": their_edit_opens_here,
    "our dataset is edited there": their_edit_of_ours,
    "its dataset, edited here, opens there": our_edit_opens_there,
    "its viewer writes an episode of our dataset": their_viewer_shows_ours,
    "language columns and tools, written here, are read there as its own": language_both_ways,
    "our checkpoint acts the same there": our_checkpoint_acts_there,
    "its trainer resumes our run, and the result acts the same here": their_trainer_resumes_our_run,
    "our trainer goes on from its checkpoint, with its losses": our_trainer_goes_on_from_theirs,
}


def result_of(check: Callable[[Installation, Path], None], lerobot: Installation, folder: Path) -> str:
    if check is language_both_ways and lerobot.version.startswith("0.4"):
        return "not in this version"
    try:
        check(lerobot, folder)
    except (AssertionError, RuntimeError, ValueError, OSError) as error:
        return f"FAILS: {error}" if str(error) else f"FAILS: {type(error).__name__}"
    return "yes"


def main() -> int:
    installations = find_installations()
    if not installations:
        print("no LeRobot here: make lerobot, or LEROBOT_PYTHON=...")
        return 0
    table: dict[str, list[str]] = {name: [] for name in CHECKS}
    for lerobot in installations:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_copies(folder)
            for name, check in CHECKS.items():
                table[name].append(result_of(check, lerobot, folder))
    print(f"| | {' | '.join(f'LeRobot {each.version}' for each in installations)} |")
    print(f"|---|{'---|' * len(installations)}")
    for name, results in table.items():
        print(f"| {name} | {' | '.join(results)} |")
    return 1 if any(each.startswith("FAILS") for results in table.values() for each in results) else 0


if __name__ == "__main__":
    sys.exit(main())
