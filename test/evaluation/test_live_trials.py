# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`evaluate --live`: the scripted expert through the real nodes; what only the stepped world has is refused."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ..conftest import installed


def evaluate(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("rclpy", reason="the nodes need ROS 2 (make setup brings it)")
    environment = {name: value for name, value in os.environ.items() if name != "ROS_DOMAIN_ID"}
    words = [installed("evaluate"), "expert", "--live", *arguments]
    return subprocess.run(words, capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.node
def test_the_expert_does_tasks_through_the_real_nodes(tmp_path: Path) -> None:
    files = ("--json", str(tmp_path / "rates.json"), "--results", str(tmp_path / "results.jsonl"))
    done = evaluate("--task", "pick_up", "--episodes", "2", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    rates = json.loads((tmp_path / "rates.json").read_text())
    assert (rates["task"], rates["n"], rates["checkpoint"]) == ("pick_up", 2, "expert")
    results = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [result["seed"] for result in results] == [10000, 10001]
    # A computer that stands still for 0.2 s ends a trial with a fault, by design, and one that is too busy for the
    # policy starves the executor, so that the expert acts on what is no longer so; nothing else may prevent success.
    successes = [result for result in results if result["success"]]
    assert all(result in successes or result["fault"] or result["starved_periods"] for result in results), (
        results
    )
    assert rates["success"] == len(successes) / 2
    for result in successes:
        assert result["conditions"]["live"] and result["periods"] > 30 and result["chunks"] >= 1
        assert 0.0 < result["time_s"] < 15.0


@pytest.mark.node
def test_conditions_of_the_stepped_world_are_refused() -> None:
    done = evaluate("--distractors", "1")
    assert done.returncode == 2
    assert "--distractors is a condition of the stepped world; leave it out" in done.stderr
    assert "Traceback" not in done.stderr
