# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's command line, and the demo itself in short: real nodes, real DDS, no torch."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from smolvla_ros.demo.plan import make_plan
from smolvla_ros.suite.node_spec import NodeSpec
from smolvla_ros.suite.options import SuiteError
from smolvla_ros.suite.processes import Processes
from smolvla_ros.suite.programs import suite_nodes
from smolvla_ros.tools.demo import parse_arguments

from ..conftest import installed
from ..package_files import CALIBRATION_FILE, ROOT

REAL = ["--port", "/dev/arm", "--calibration", CALIBRATION_FILE, "--cameras", "top=0", "--checkpoint", "a/b"]


def demo(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    pytest.importorskip("rclpy", reason="the demo needs ROS 2 (make setup brings it)")
    return subprocess.Popen(
        [installed("demo"), "--policy", "scripted", "--out", str(folder), *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "ROS_DOMAIN_ID"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "who", "checkpoint"),
    [
        ([], "policy so100_tabletop", "so100_tabletop"),
        (["--policy", "expert"], "a scripted expert, no policy", ""),
        (["--checkpoint", "a/b"], "policy a/b", "a/b"),
    ],
    ids=["nothing", "the expert", "a checkpoint"],
)
def test_the_title_says_who_does_the_tasks_of_the_simulated_world(
    arguments: list[str], who: str, checkpoint: str, tmp_path: Path
) -> None:
    plan = make_plan(parse_arguments(["--out", str(tmp_path), *arguments]))
    assert plan.options.sim and plan.cameras == ("top", "wrist") and not plan.task
    assert plan.options.checkpoint == checkpoint
    assert plan.title.startswith("smolvla_ros demo: simulated world, ") and plan.title.endswith(who)
    assert plan.options.port == str(tmp_path / "arm")


def test_a_real_arm_starts_in_shadow_mode() -> None:
    plan = make_plan(parse_arguments(REAL))
    assert not plan.options.sim and not plan.has_consent
    [executor] = [spec for spec in suite_nodes(plan.options) if spec.name == "executor"]
    assert executor.parameters["mode"] == "shadow"


@pytest.mark.parametrize("name", ["calibration", "cameras", "checkpoint"])
def test_a_real_arm_needs_calibration_cameras_and_checkpoint(name: str) -> None:
    at = REAL.index(f"--{name}")
    with pytest.raises(SuiteError, match=name.upper()):
        make_plan(parse_arguments(REAL[:at] + REAL[at + 2 :]))


@pytest.mark.node
@pytest.mark.parametrize("consent", [[], ["--yes"]], ids=["without consent", "with --yes"])
def test_a_real_arm_moves_only_with_consent(consent: list[str], tmp_path: Path) -> None:
    pytest.importorskip("rclpy", reason="the demo needs ROS 2 (make setup brings it)")
    arm = Processes(tmp_path)  # in place of a real one
    arguments = ("--calibration", CALIBRATION_FILE, "--link", str(tmp_path / "port"))
    arm.start(NodeSpec("emulated_arm", "arm", arguments=arguments, is_ros=False))
    cameras = ["--cameras", "top=rendered,wrist=rendered", "--calibration", CALIBRATION_FILE]
    process = demo(tmp_path / "demo", "--port", str(tmp_path / "port"), *cameras, "--seconds", "2", *consent)
    output = process.communicate(timeout=60)[0]
    arm.stop()
    assert process.returncode == 0, output
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text())
    assert (summary["commands"] > 0) == bool(consent)
    assert (max(summary["moved_deg"].values()) > 1.0) == bool(consent)
    assert summary["chunks_accepted"] > 0


@pytest.mark.node
def test_the_demo_moves_the_arm_until_ctrl_c_and_saves_figures_and_images(tmp_path: Path) -> None:
    process = demo(tmp_path, "--seconds", "0")
    assert process.stdout is not None
    lines = [""]
    while " armed " not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1], "".join(lines)
    process.send_signal(signal.SIGINT)
    output = "".join(lines) + process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    assert re.search(r"the operator's console: http://127\.0\.0\.1:\d+/\n", output)
    assert "exit codes" in output and "\033" not in output
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["problems"] == [] and set(summary["exit_codes"].values()) == {0}
    assert summary["chunks_accepted"] > 0 and min(summary["moved_deg"].values()) > 1.0
    images = {path.stem for path in tmp_path.glob("*.png")}
    assert images == {"demo", "joints", "top", "wrist"}


@pytest.mark.node
@pytest.mark.usefixtures("sighup_has_default_action")
def test_a_closed_terminal_ends_the_demo_and_its_programs(tmp_path: Path) -> None:
    process = demo(tmp_path, "--cameras", "top=rendered")
    assert process.stdout is not None
    while "waiting for" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGHUP)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 130 and "interrupted before the demo had started" in output
    assert not os.path.lexists(tmp_path / "arm")


def test_a_program_that_fails_ends_the_demo_with_its_last_output(tmp_path: Path) -> None:
    process = demo(tmp_path, "--cameras", "top=/dev/no_such_camera,wrist=rendered")
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 1, output
    assert "top_camera has ended" in output and "/dev/no_such_camera" in output
