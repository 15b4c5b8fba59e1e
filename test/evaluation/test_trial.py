# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trials in the stepped world, with the expert and with a policy that does nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smolvla_ros.dataset.video import decode_video
from smolvla_ros.evaluation.conditions import Conditions
from smolvla_ros.evaluation.report import save_report
from smolvla_ros.evaluation.results import TrialResult
from smolvla_ros.evaluation.trial import LAYOUT_SEEDS, Trial
from smolvla_ros.evaluation.trials import trial_seeds
from smolvla_ros.policy.policy import Policy
from smolvla_ros.policy.scripted import ScriptedPolicy
from smolvla_ros.robot import RobotSpec
from smolvla_ros.settings import SettingError
from smolvla_ros.share import find_robot_file
from smolvla_ros.simulation.demonstration_dataset import SEEDS_OF_RUN
from smolvla_ros.simulation.expert_policy import ExpertPolicy
from smolvla_ros.tools.evaluate import main

ROBOT = RobotSpec.load(find_robot_file("so100"))
EXPERT = ExpertPolicy(ROBOT)
PICK_UP = Conditions(task="pick_up", limit_s=8.0)


def trial(conditions: Conditions, seed: int = 1, policy: Policy = EXPERT) -> TrialResult:
    return Trial(policy, ROBOT, conditions).run(seed)


def test_the_expert_succeeds_and_its_time_is_counted() -> None:
    result = trial(PICK_UP)
    assert result.success and result.score == 1.0 and result.wrong_object is None
    assert result.time_s is not None and 0.5 < result.time_s < 6.0
    assert result.periods == pytest.approx((result.time_s + 1.0) * 30, abs=3)  # the goal must last for 1 s


def test_the_same_seed_gives_the_same_trial() -> None:
    assert trial(PICK_UP, seed=2) == trial(PICK_UP, seed=2)


def test_no_seed_gives_layouts_of_demonstrations() -> None:
    assert trial_seeds(1, 100) == range(10_000, 10_100)
    assert LAYOUT_SEEDS + trial_seeds(899, 10_000).stop == SEEDS_OF_RUN
    for seed, episodes in ((-1, 1), (899, 10_001), (900, 1)):
        with pytest.raises(
            SettingError, match=f"--seed: expected 0 to 89[89] for {episodes} episodes, got {seed}"
        ):
            trial_seeds(seed, episodes)


def test_a_file_that_is_only_scored_cannot_lack_its_rates_unnoticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--score", str(tmp_path / "results.jsonl"), "--json", str(tmp_path / "rates.json")])
    assert "--json: not allowed with argument --score" in capsys.readouterr().err


def test_a_policy_that_does_something_else_fails() -> None:
    still = ScriptedPolicy(ROBOT, ("top",), amplitude_rad=0.01)
    result = trial(replace(PICK_UP, limit_s=2.0), policy=still)
    assert not result.success and result.score == 0.0 and result.periods == 60


def test_with_a_shuffled_instruction_the_cube_that_is_said_is_lifted() -> None:
    shuffled = replace(PICK_UP, instruction="shuffled")
    results = [trial(shuffled, seed) for seed in range(2)]
    assert [result.success for result in results] == [result.said == result.instruction for result in results]
    assert any(result.wrong_object for result in results)


def test_a_latency_starves_the_synchronous_arm_and_not_the_asynchronous_one() -> None:
    slow = replace(PICK_UP, latency_s=0.6, limit_s=3.0)
    starved = {
        trigger: trial(replace(slow, trigger=trigger)).starved_periods for trigger in ("sync", "threshold")
    }
    assert starved["sync"] > starved["threshold"] + 10


def test_the_expert_follows_a_cube_that_is_pushed_aside() -> None:
    result = trial(replace(PICK_UP, moved_after_s=0.5))
    assert result.success


def test_held_out_wordings_are_said() -> None:
    said = {trial(replace(PICK_UP, wordings="held_out", limit_s=0.1), seed).said for seed in range(3)}
    assert all("block and lift" in text or text.startswith("Hold up") for text in said)


def test_a_setting_outside_its_bounds_is_refused() -> None:
    with pytest.raises(SettingError, match="latency_s"):
        Conditions(latency_s=-1.0)
    with pytest.raises(SettingError, match="juggle"):
        Conditions(task="juggle")


def test_roughness_is_that_of_the_commands() -> None:
    assert np.isfinite(trial(replace(PICK_UP, limit_s=1.0)).roughness)


def test_a_report_shows_rates_episodes_and_films_of_failures(tmp_path: Path) -> None:
    hurried = Trial(EXPERT, ROBOT, replace(PICK_UP, limit_s=0.5))
    save_report(tmp_path, "expert", [hurried.run(1)], hurried, films=1)
    page = (tmp_path / "index.html").read_text()
    assert "0.0 % (0 of 1" in page and "failure_1.mp4" in page
    assert (tmp_path / "rates.png").stat().st_size > 1000
    assert len(list(decode_video(tmp_path / "failure_1.mp4", 0.0, 5, 10))) == 5
