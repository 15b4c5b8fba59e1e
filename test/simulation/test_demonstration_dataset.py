# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations as a dataset: the project's format, the same bytes however often it is interrupted, and errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="the physical world needs MuJoCo")

from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.robot import RobotSpecError
from smolvla_ros.simulation import demonstration, demonstration_dataset
from smolvla_ros.simulation.demonstration_dataset import REPORT, SEEDS_OF_RUN, WORK_FOLDER, DemonstrationRun
from smolvla_ros.simulation.tasks.instruction import InstructionError, random_task
from smolvla_ros.tools.check_dataset import main as check_dataset
from smolvla_ros.tools.make_demonstrations import demonstration_run, main, parser
from smolvla_ros.units import positions_from_lerobot

ROOT = Path(__file__).parents[2]
ARGUMENTS = ("--task", "touch", "--episodes", "3", "--image-size", "64x48", "--cameras", "top")


def described(output: Path, *arguments: str) -> DemonstrationRun:
    return demonstration_run(parser().parse_args([*ARGUMENTS, *arguments, "--output", str(output)]))


def make(run: DemonstrationRun) -> LeRobotDataset:
    assert run.prepare()
    for index in range(run.episodes):
        run.make_episode(index)
    return run.write_dataset()


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> LeRobotDataset:
    return make(described(tmp_path_factory.mktemp("made") / "data"))


def test_the_dataset_has_the_projects_features_units_and_rate(made: LeRobotDataset) -> None:
    assert made.fps == 30 and made.info["robot_type"] == "so100_follower"
    assert made.features["observation.state"]["names"][0] == "shoulder_pan.pos"
    assert made.features["observation.images.camera1"]["shape"] == [48, 64, 3]
    run = described(made.root)
    layout, task = random_task("touch", SEEDS_OF_RUN)
    frames = made.frames(0)
    start_rad = positions_from_lerobot(run.robot.units(run.calibration), frames.state[0])
    np.testing.assert_allclose(start_rad, layout.start_rad, atol=2e-3)
    assert set(frames.tasks) == {task.instruction}
    assert sum(1 for _ in made.images(0, "camera1")) == len(frames.state)


def test_the_check_of_datasets_finds_no_error(made: LeRobotDataset) -> None:
    calibration = ROOT / "config" / "emulated_calibration.json"
    assert check_dataset([str(made.root), "--calibration", str(calibration)]) == 0


def test_a_run_that_is_killed_goes_on_and_gives_the_same_bytes(made: LeRobotDataset, tmp_path: Path) -> None:
    output = tmp_path / "data"
    command = [sys.executable, "-m", "smolvla_ros.tools.make_demonstrations", *ARGUMENTS, "--jobs", "1"]
    command += ["--output", str(output)]
    first = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    while not list(output.glob(f"{WORK_FOLDER}/*/result.json")):
        assert first.poll() is None
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert not (output / "meta").exists()
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert "3 episodes" in again.stdout and "failed attempts: none" in again.stdout
    assert files(output) == files(made.root)


def test_a_run_that_was_killed_while_it_wrote_the_dataset_gives_the_same_bytes(
    made: LeRobotDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = described(tmp_path / "data")
    with monkeypatch.context() as broken:
        broken.setattr(demonstration_dataset.shutil, "rmtree", _only_missing)
        with pytest.raises(KeyboardInterrupt):
            make(run)
    assert (run.output / WORK_FOLDER).exists()
    assert run.prepare() is False
    assert files(run.output) == files(made.root)


def _only_missing(path: Path, ignore_errors: bool = False) -> None:
    """In place of shutil.rmtree: the program ends where the work folder would be removed."""
    if not ignore_errors:
        raise KeyboardInterrupt


def test_several_tasks_come_in_turn_and_the_report_names_seeds(tmp_path: Path) -> None:
    run = described(
        tmp_path / "data", "--task", "touch", "pick_up", "--episodes", "2", "--camera-names", "name"
    )
    dataset = make(run)
    report = json.loads((dataset.root / REPORT).read_text())
    assert [episode["task"] for episode in report["episodes"]] == ["touch", "pick_up"]
    assert [episode["seed"] for episode in report["episodes"]] == [SEEDS_OF_RUN, SEEDS_OF_RUN + 10]
    assert dataset.image_keys == ("top",)


def test_failed_attempts_are_counted_and_another_layout_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_fails(robot: Any, layout: Any, task: Any, seed: int, *rest: Any) -> Any:
        made = demonstration.demonstrate(robot, layout, task, seed, *rest)
        return replace(made, progress=replace(made.progress, success_s=None)) if seed % 10 == 0 else made

    monkeypatch.setattr(demonstration_dataset, "demonstrate", first_fails)
    run = described(tmp_path / "data", "--episodes", "1")
    make(run)
    assert run.failures() == {"the goal was not reached in time": 1}
    report = json.loads((run.output / REPORT).read_text())
    assert report["episodes"][0]["seed"] == SEEDS_OF_RUN + 1
    kept = described(tmp_path / "kept", "--episodes", "1", "--keep-failures")
    make(kept)
    assert json.loads((kept.output / REPORT).read_text())["episodes"][0]["success"] is False
    assert LeRobotDataset.load(kept.output).outcomes == ("failure",)


def test_an_expert_that_always_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demonstration, "LIMIT_S", 0.1)
    run = described(tmp_path / "data")
    run.prepare()
    with pytest.raises(DatasetError, match="'touch': the expert failed on 10 layouts in a row"):
        run.make_episode(0)


def test_a_complete_run_is_not_repeated_and_another_does_not_overwrite_it(made: LeRobotDataset) -> None:
    assert described(made.root).prepare() is False
    with pytest.raises(DatasetError, match="not empty"):
        described(made.root, "--seed", "2").prepare()


def test_an_interrupted_run_is_not_mixed_with_another(tmp_path: Path) -> None:
    described(tmp_path / "data").prepare()
    with pytest.raises(DatasetError, match="other demonstrations, which were interrupted"):
        described(tmp_path / "data", "--seed", "2").prepare()


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DatasetError, match="not empty; give another folder"):
        described(tmp_path).prepare()


def test_unknown_names_are_errors(tmp_path: Path) -> None:
    with pytest.raises(RobotSpecError, match="no camera 'frnt'"):
        described(tmp_path / "data", "--cameras", "frnt").prepare()
    with pytest.raises(InstructionError, match="no task 'juggle'"):
        replace(described(tmp_path / "data"), tasks=("juggle",)).prepare()


def test_bad_input_ends_the_program_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["--noise-rad", "2"], "--noise-rad: 2.0 is outside 0.0 .. 0.1"),
        (["--cameras", "frnt"], "no camera 'frnt'"),
        (["--robot", "nowhere.yaml"], "nowhere.yaml"),
    ):
        code = main([*ARGUMENTS, *arguments, "--output", str(tmp_path / "data")])
        error = capsys.readouterr().err
        assert code == 2 and message in error and error.count("\n") == 1


def test_without_mujoco_the_program_says_what_to_install() -> None:
    program = "import sys; sys.modules['mujoco'] = None; import smolvla_ros.tools.make_demonstrations"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr == "make_demonstrations: MuJoCo is missing; install it: pip install mujoco\n"
