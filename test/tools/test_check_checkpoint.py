# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""check_checkpoint has one finding for each thing by which a checkpoint does not fit the robot."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("torch", reason="reading checkpoints needs torch")

from safetensors.numpy import load_file, save_file

from smolvla_ros.policy.preflight.unit_evidence import DEGREES_PER_RAD
from smolvla_ros.simulation.layout import REST_RAD
from smolvla_ros.tools.check_checkpoint import main

from ..package_files import CALIBRATION_FILE, CHECKPOINT, GOLDEN, ROBOT, ROOT

BEFORE = "policy_preprocessor_step_5_normalizer_processor.safetensors"
AFTER = "policy_postprocessor_step_0_unnormalizer_processor.safetensors"
# The golden statistics are of LeRobot's older calibration; these are of the current one, in degrees.
STATISTICS = {
    "mean": (-5, -40, 30, 50, 0, 15),
    "std": (28, 45, 40, 25, 60, 18),
    "min": (-70, -101, -60, -20, -150, 0),
    "max": (65, 40, 95, 95, 140, 62),
}
MIDDLE = {joint.name: joint.middle_rad for joint in ROBOT.joints}

Result = tuple[int, str]
Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit code and output of main() with these arguments."""

    def run(*arguments: object) -> Result:
        code = main([*map(str, arguments), "--calibration", CALIBRATION_FILE])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


def save_statistics(folder: Path, values: Mapping[str, Any]) -> None:
    arrays = {
        f"{feature}.{name}": np.array(numbers, np.float32)
        for feature in ("observation.state", "action")
        for name, numbers in values.items()
    }
    for file in (BEFORE, AFTER):
        save_file(arrays, folder / file)


@pytest.fixture
def fitting(tmp_path: Path) -> Path:
    """The golden checkpoint with its backbone and with statistics that fit the SO-100."""
    folder = tmp_path / "pick"
    shutil.copytree(GOLDEN / "era_b", folder)
    shutil.copytree(GOLDEN / "vlm", folder / "vlm")
    save_statistics(folder, STATISTICS)
    return folder


def change_config(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def findings(output: str) -> list[list[str]]:
    """Severity and name of each finding."""
    return [line.split() for line in output.splitlines() if line.startswith(("error ", "warning "))]


def test_a_checkpoint_that_fits(run: Run, fitting: Path) -> None:
    code, output = run(fitting)
    assert code == 0 and findings(output) == [] and output.rstrip().endswith("fits")
    for part in ("pick: 6 state and 6 action values", "camera1  <-  top", "shoulder_pan", "tokenizer   vlm"):
        assert part in output
    assert "\033" not in output  # not a terminal


# Damaged and unsuitable checkpoints


def too_few_cameras(folder: Path) -> None:
    features = json.loads((folder / "config.json").read_text())["input_features"]
    image = features["observation.images.camera1"]
    names = ("camera1", "camera2", "camera3", "camera4")
    state = {"observation.state": features["observation.state"]}
    change_config(folder, input_features=state | {f"observation.images.{name}": image for name in names})


def swapped_state_size(folder: Path) -> None:
    features = json.loads((folder / "config.json").read_text())["input_features"]
    features["observation.state"]["shape"] = [7]
    change_config(folder, input_features=features)


def seven_joints(folder: Path) -> None:
    swapped_state_size(folder)
    change_config(folder, output_features={"action": {"type": "ACTION", "shape": [7]}})
    save_statistics(folder, {name: (*numbers, 5.0) for name, numbers in STATISTICS.items()})


def radians(folder: Path) -> None:
    save_statistics(folder, {n: np.array(v) / DEGREES_PER_RAD for n, v in STATISTICS.items()})


def no_tokenizer(folder: Path) -> None:
    (folder / "vlm" / "tokenizer.json").unlink()


def truncated(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def truncated_statistics(folder: Path) -> None:
    (folder / BEFORE).write_bytes((folder / BEFORE).read_bytes()[:100])


def config_cut_short(folder: Path) -> None:
    (folder / "config.json").write_text('{"type": "smolvla", ')


@pytest.mark.parametrize(
    ("damage", "name", "message"),
    [
        (too_few_cameras, "cameras", "Without a partner: camera4"),
        (swapped_state_size, "checkpoint", "shape (6,), expected (7,)"),
        (seven_joints, "dimensions", "7 state and 7 action values"),
        (radians, "units", "look like radians"),
        (no_tokenizer, "checkpoint", "tokenizer.json is missing"),
        (truncated, "checkpoint", "model.safetensors is damaged"),
        (truncated_statistics, "checkpoint", "is damaged"),
        (config_cut_short, "checkpoint", "config.json is not valid JSON"),
    ],
)
def test_one_finding_for_each_problem(
    run: Run, fitting: Path, damage: Callable[[Path], None], name: str, message: str
) -> None:
    damage(fitting)
    code, output = run(fitting)
    assert (code, findings(output)) == (1, [["error", name]])
    assert message in " ".join(output.split()) and "Traceback" not in output


# The golden checkpoints; their statistics are like smolvla_base's, of LeRobot's older calibration.


def older(folder: Path) -> None:
    """As LeRobot 0.3 saved it: statistics among the weights, no processors."""
    arrays = {}
    for key, values in load_file(folder / BEFORE).items():
        feature, _, name = key.rpartition(".")
        if name in ("mean", "std") and feature in ("observation.state", "action"):
            module = "normalize_inputs" if feature == "observation.state" else "unnormalize_outputs"
            arrays[f"{module}.buffer_{feature.replace('.', '_')}.{name}"] = values
    weights = folder / "model.safetensors"
    merge(weights, arrays)
    for file in folder.glob("policy_*"):
        file.unlink()
    shutil.copy(GOLDEN / "era_a" / "config.json", folder)


def merge(weights: Path, arrays: Mapping[str, Any]) -> None:
    import torch
    from safetensors.torch import load_file as load_torch
    from safetensors.torch import save_file as save_torch

    save_torch({**load_torch(weights), **{k: torch.tensor(v) for k, v in arrays.items()}}, weights)


def of_several_datasets(folder: Path) -> None:
    for file in (BEFORE, AFTER):
        shutil.copy(GOLDEN / "multi" / file, folder)


def adapter(folder: Path) -> None:
    """An adapter beside its base checkpoint."""
    base = folder.parent / "era_b"
    shutil.copytree(folder, base)
    shutil.rmtree(folder)
    shutil.copytree(GOLDEN / "peft", folder)


@pytest.mark.parametrize(
    ("change", "name", "message"),
    [
        (lambda folder: None, "units", "nearest to degrees of LeRobot's older calibration"),
        (older, "units", "degrees of LeRobot's older calibration"),
        (of_several_datasets, "checkpoint", "so100, so100-blue, so100-red"),
        (adapter, "units", "nearest to degrees of LeRobot's older calibration"),
    ],
    ids=["era_b", "era_a", "multi", "peft"],
)
def test_golden_checkpoints(
    run: Run, fitting: Path, change: Callable[[Path], None], name: str, message: str
) -> None:
    for file in (BEFORE, AFTER):
        shutil.copy(GOLDEN / "era_b" / file, fitting)
    change(fitting)
    code, output = run(fitting, "--backbone", GOLDEN / "vlm")
    assert (code, findings(output)) == (1, [["error", name]])
    assert message in " ".join(output.split())
    if name == "units":
        code, output = run(fitting, "--backbone", GOLDEN / "vlm", "--units", "degrees")
        assert (code, findings(output)) == (0, [["warning", "units"]])


def test_missing_statistics_come_from_options(run: Run, fitting: Path) -> None:
    of_several_datasets(fitting)
    options = ("--dataset", "so100", "--stats", GOLDEN / "stats.json")
    code, output = run(fitting, *options)
    assert findings(output) == [["error", "units"]] and "dataset so100" in output
    code, output = run(fitting, "--normalization", "identity")
    assert (code, findings(output)) == (0, [["warning", "units"]])
    code, output = run(fitting, "--normalization", "identity", *options)
    assert (code, findings(output)) == (1, [["error", "checkpoint"]])


def test_the_shipped_checkpoint_has_no_findings(run: Run) -> None:
    rest = [f"{joint.name}={rad}" for joint, rad in zip(ROBOT.joints, REST_RAD, strict=True)]
    code, output = run(CHECKPOINT, "--units", "degrees", "--joint-states", *rest)
    assert (code, findings(output)) == (0, [])


# Cameras, topics, pose


def test_other_camera_names_get_lines_to_copy(run: Run, fitting: Path) -> None:
    text = (fitting / "config.json").read_text()
    text = text.replace("images.camera1", "images.laptop").replace("images.camera2", "images.phone")
    (fitting / "config.json").write_text(text)
    code, output = run(fitting)
    assert (code, findings(output)) == (1, [["error", "cameras"]])
    assert "{name: top, image_key: laptop, width: 640, height: 480, rate_hz: 30.0, frame_id: top_" in output


def test_topics_are_named_by_camera_by_image_or_by_their_namespace(run: Run, fitting: Path) -> None:
    code, output = run(fitting, "--camera-topics", "camera1=/cam0/image_raw/compressed", "/wrist/image_raw")
    assert code == 0
    assert "-r top/image_raw/compressed:=/cam0/image_raw/compressed" in output
    code, output = run(fitting, "--camera-topics", "camera1=/top/image_raw")
    assert (code, findings(output)) == (1, [["error", "topics"]])


ECHO = yaml.safe_dump(
    {
        "header": {"stamp": {"sec": 1, "nanosec": 2}, "frame_id": ""},
        "name": list(MIDDLE)[::-1],
        "position": list(MIDDLE.values())[::-1],
        "velocity": [],
        "effort": [],
    }
)


@pytest.mark.parametrize("source", ["pairs", "yaml", "json", "stdin"])
def test_the_pose_is_read_from_pairs_and_files(
    run: Run, fitting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    file = tmp_path / "joints"
    file.write_text(json.dumps(MIDDLE) if source == "json" else f"{ECHO}---\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO(file.read_text()))
    pairs = [f"{name}={rad}" for name, rad in MIDDLE.items()]
    given = {"pairs": pairs, "stdin": ["-"]}.get(source, [file])
    code, output = run(fitting, "--joint-states", *given)
    assert code == 0 and "wrist_flex 0.0 degrees 2.0 sigma" in " ".join(output.split())


def test_a_pose_far_from_the_data_does_not_fit(run: Run, fitting: Path) -> None:
    save_statistics(fitting, {"mean": STATISTICS["mean"], "std": (5, 5, 5, 5, 60, 18)})
    pairs = [f"{name}={rad}" for name, rad in MIDDLE.items()]
    code, output = run(fitting, "--units", "degrees", "--joint-states", *pairs)
    assert (code, findings(output)) == (1, [["error", "pose"]])
    assert "this pose is 10 sigma from anything the policy saw" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--joint-states", "gripper=1"), "--joint-states lacks shoulder_pan"),
        (("--joint-states", "no/such/file"), "no/such/file"),
        (("--joint-states", *(f"{name}=x" for name in MIDDLE)), "shoulder_pan is 'x'"),
        (("--cameras", "tpo"), "no camera 'tpo'"),
        (("--robot", "no.yaml"), "no.yaml"),
        (("--camera-topics", "image_raw"), "which camera is it?"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(
    run: Run, fitting: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, output = run(fitting, *arguments)
    assert code == 2 and message in output and "Traceback" not in output


def test_it_runs_as_a_program_without_ros(fitting: Path) -> None:
    hidden = "import sys; sys.modules['rclpy'] = None; sys.argv[0] = 'check_checkpoint'; "
    program = hidden + "from smolvla_ros.tools.check_checkpoint import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, str(fitting), "--joint-states", "-"],
        input=ECHO, capture_output=True, text=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not compared: gripper" in done.stdout and done.stderr == ""
