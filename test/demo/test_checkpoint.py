# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's checkpoint loads like a real one and moves an arm smoothly from its present pose."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from smolvla_ros.arrays import Float32Array
from smolvla_ros.demo.checkpoint import LOOP_CENTRE, loop_motion
from smolvla_ros.demo.checkpoint_files import CHUNK, MEAN, STD
from smolvla_ros.policy import SmolVLA

from ..conftest import installed

MIDDLE, DEVIATION = np.array(MEAN), np.array(STD)


@pytest.fixture(scope="module")
def demo(demo_checkpoint: Path) -> SmolVLA:
    return SmolVLA.from_pretrained(demo_checkpoint, device="cpu", dtype="float32")


def random_images(seed: int) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    return {c: generator.integers(0, 255, (240, 320, 3), dtype=np.uint8) for c in ("camera1", "camera2")}


def sweep(policy: SmolVLA, chunks: int, steps: int) -> Float32Array:
    """The actions of an arm that follows each chunk for some steps, from the middle pose; (chunks, steps, 6)."""
    state, path = MIDDLE, []
    for index in range(chunks):
        path.append(
            policy.predict_chunk(random_images(index), state, "Wave with the arm", seed=index)[:steps]
        )
        state = path[-1][-1]
    return np.array(path)


def test_it_loads_offline_and_has_cameras_and_dimensions(demo: SmolVLA) -> None:
    assert demo.image_keys == ("camera1", "camera2")
    assert (demo.state_dim, demo.action_dim, demo.chunk_size) == (6, 6, 50)


def test_its_readme_says_that_it_is_not_trained(demo_checkpoint: Path) -> None:
    assert (demo_checkpoint / "README.md").read_text().startswith("# Not a trained policy")


def test_chunks_are_smooth_and_start_where_the_arm_is(demo: SmolVLA) -> None:
    path = sweep(demo, chunks=12, steps=25) / DEVIATION
    starts = np.concatenate([MIDDLE[None] / DEVIATION, path[:-1, -1]])
    assert np.abs(path[:, 0] - starts).max() < 0.25  # standard deviations; 7 degrees at most, 2 on average
    assert np.abs(path[:, 0] - starts).mean() < 0.07
    moved, shaken = (np.abs(np.diff(path, n=n, axis=1)).mean() for n in (1, 2))
    assert 0.003 < moved < 0.03  # per step of 1/30 s
    assert shaken < 0.15 * moved


def test_it_sweeps_around_the_middle_pose_and_stays_there(demo: SmolVLA) -> None:
    path = (sweep(demo, chunks=40, steps=40).reshape(-1, 6) - MIDDLE) / DEVIATION
    assert np.abs(path).max() < 2.5
    assert (path.max(axis=0) - path.min(axis=0)).min() > 0.7


def test_chunks_do_not_depend_on_the_noise(demo: SmolVLA) -> None:
    chunks = [demo.predict_chunk(random_images(0), MIDDLE, "Wave with the arm", seed=seed) for seed in (1, 2)]
    assert np.abs((chunks[0] - chunks[1]) / DEVIATION).max() < 0.02


def test_the_motion_continues_where_a_chunk_ends() -> None:
    start = LOOP_CENTRE + torch.tensor([[0.5, 0.2, -0.9, 0.4, 0.1, 1.1]])
    chunk = loop_motion(start)
    torch.testing.assert_close(chunk[:, 0], start)
    torch.testing.assert_close(loop_motion(chunk[:, 20])[:, : CHUNK - 20], chunk[:, 20:], atol=1e-5, rtol=0)


def test_the_installed_program_writes_the_same_files_for_one_seed(
    demo_checkpoint: Path, tmp_path: Path
) -> None:
    program = [installed("demo_checkpoint"), str(tmp_path)]
    assert (
        "NOT a trained policy" in subprocess.run(program, check=True, capture_output=True, text=True).stdout
    )
    names = sorted(p.relative_to(demo_checkpoint) for p in demo_checkpoint.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    for name in names:
        assert (demo_checkpoint / name).read_bytes() == (tmp_path / name).read_bytes(), name
