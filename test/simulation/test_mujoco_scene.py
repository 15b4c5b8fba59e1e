# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""MuJoCo's renderer draws what our own draws, at the same place. It runs where MUJOCO_GL names an OpenGL."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..package_files import ROOT

COMPARE = """
import numpy as np
from pathlib import Path
from smolvla_ros.robot import RobotSpec
from smolvla_ros.simulation.appearance import random_appearance
from smolvla_ros.simulation.layout import random_layout
from smolvla_ros.simulation.tabletop import Tabletop

robot = RobotSpec.load(Path("config/so100.yaml"))
looks = random_appearance(3)
for name in ("top", "side"):
    images = [
        Tabletop(robot, random_layout(4), (name,), looks, renderer=renderer).render(name).astype(int)
        for renderer in ("opencv", "mujoco")
    ]
    masks = [image[..., 0] - image[..., 1:].max(-1) > 50 for image in images]  # the red cube
    print(*(round(float(value)) for mask in masks for value in np.argwhere(mask).mean(0)), images[1].shape)
"""


def run(program: str, backend: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MUJOCO_GL": backend, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_objects_are_where_our_own_renderer_draws_them() -> None:
    pytest.importorskip("mujoco", reason="the world needs MuJoCo (make setup brings it)")
    for backend in ("egl", "osmesa"):
        if run("import mujoco; mujoco.GLContext(8, 8)", backend).returncode == 0:
            break
    else:
        pytest.skip("there is no OpenGL: neither a GPU's EGL nor the library OSMesa")
    done = run(COMPARE, backend)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        row, column, its_row, its_column = map(int, line.split()[:4])
        assert abs(row - its_row) <= 2 and abs(column - its_column) <= 2, line
        assert line.endswith("(480, 640, 3)")


def test_without_opengl_the_error_says_what_to_set(tmp_path: Path) -> None:
    pytest.importorskip("mujoco", reason="the world needs MuJoCo (make setup brings it)")
    command = "from smolvla_ros.tools.make_demonstrations import main; main({})"
    arguments = [
        "--task",
        "touch",
        "--episodes",
        "1",
        "--renderer",
        "mujoco",
        "--output",
        str(tmp_path / "data"),
    ]
    done = run(command.format(arguments), "disable")
    assert "MUJOCO_GL=osmesa" in done.stderr and "Traceback" not in done.stderr
