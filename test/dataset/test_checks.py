# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each made-up episode has one defect, and that one is found and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from smolvla_ros.dataset.checks import Defect, check_episodes, lag
from smolvla_ros.dataset.inspection import CameraTrack, InspectedEpisode, JointTrack
from smolvla_ros.robot import RobotSpec

ROBOT = RobotSpec.load("config/so100.yaml")
MIDDLE = (ROBOT.lower_rad + ROBOT.upper_rad) / 2
FPS = 30.0
SECONDS = 10.0


def poses(times_s: np.ndarray) -> np.ndarray:
    """All joints swing, each at its own pace."""
    phases = np.arange(6)
    return MIDDLE + 0.5 * np.sin(times_s[:, None] * (1.0 + 0.2 * phases) + phases)


def sound(bag: bool = True) -> InspectedEpisode:
    """An episode without a defect: two cameras at 30 Hz, joints at 50, commands 100 ms ahead of them."""
    rng = np.random.default_rng(0)
    images_s = np.arange(0.0, SECONDS, 1 / FPS)
    joints_s = np.arange(0.0, SECONDS, 0.02) if bag else images_s
    jitter_s = rng.uniform(0.0, 0.004, len(images_s)) if bag else 0.0
    camera = CameraTrack(FPS, images_s + jitter_s, np.ones(len(images_s), np.bool_))
    return InspectedEpisode(
        "one",
        FPS,
        bag,
        {"top": camera, "wrist": camera},
        JointTrack(joints_s, poses(joints_s)),
        JointTrack(joints_s, poses(joints_s + 0.1)),
        ("Pick up the cube",),
    )


def with_camera(episode: InspectedEpisode, name: str, **changes: object) -> InspectedEpisode:
    return replace(episode, cameras={**episode.cameras, name: replace(episode.cameras[name], **changes)})


def kept(episode: InspectedEpisode, keep: np.ndarray) -> InspectedEpisode:
    top = episode.cameras["top"]
    return with_camera(episode, "top", times_s=top.times_s[keep], changes=top.changes[keep])


def slow(episode: InspectedEpisode) -> InspectedEpisode:
    times_s = np.arange(0.0, SECONDS, 1 / 20)
    return with_camera(episode, "top", times_s=times_s, changes=np.ones(len(times_s), np.bool_))


def holed(episode: InspectedEpisode) -> InspectedEpisode:
    times_s = episode.cameras["top"].times_s
    return kept(episode, (times_s < 5.0) | (times_s > 5.3))


def backwards(episode: InspectedEpisode) -> InspectedEpisode:
    times_s = episode.cameras["top"].times_s.copy()
    times_s[[100, 101]] = times_s[[101, 100]]
    return with_camera(episode, "top", times_s=times_s)


def skewed(episode: InspectedEpisode) -> InspectedEpisode:
    return with_camera(episode, "wrist", times_s=episode.cameras["wrist"].times_s + 5 / FPS / 2 + SECONDS)


def frozen(episode: InspectedEpisode) -> InspectedEpisode:
    changes = episode.cameras["wrist"].changes.copy()
    changes[100:160] = False
    return with_camera(episode, "wrist", changes=changes)


def repeating(episode: InspectedEpisode) -> InspectedEpisode:
    changes = episode.cameras["top"].changes.copy()
    changes[4::4] = False
    return with_camera(episode, "top", changes=changes)


def jumping(episode: InspectedEpisode) -> InspectedEpisode:
    positions = episode.state.positions_rad.copy()
    positions[200, 2] += 0.6
    return replace(episode, state=replace(episode.state, positions_rad=positions))


def stiff(episode: InspectedEpisode) -> InspectedEpisode:
    positions = episode.state.positions_rad.copy()
    positions[:, 4] = positions[0, 4]
    return replace(episode, state=replace(episode.state, positions_rad=positions))


def in_degrees(episode: InspectedEpisode) -> InspectedEpisode:
    degrees = np.degrees(poses(episode.state.times_s / 100))  # slow enough for any joint
    return replace(
        episode,
        state=replace(episode.state, positions_rad=degrees),
        action=replace(episode.state, positions_rad=np.degrees(poses((episode.state.times_s + 0.1) / 100))),
    )


def lagging(episode: InspectedEpisode, by_s: float) -> InspectedEpisode:
    times_s = episode.state.times_s
    return replace(episode, action=JointTrack(times_s, poses(times_s + by_s)))


CASES: dict[str, tuple[str, str, Callable[[InspectedEpisode], InspectedEpisode]]] = {
    "rate": ("top", "20.0 images a second, stated are 30", slow),
    "gaps": ("top", "1 gaps, the longest 0.3", holed),
    "order": ("top", "stamps go back by up to 0.0", backwards),
    "skew": ("all streams", "ms apart", skewed),
    "frozen camera": ("wrist", "the image stays for 2.0 s, 3.3 s into the episode", frozen),
    "duplicate frames": ("top", "25% of the images repeat the one before: about 23 new ones a second", repeating),
    "jumps": ("elbow_flex", "2 steps no joint can make, the largest 0.6", jumping),
    "static joint": ("wrist_roll", "it moves 0.0000 rad", stiff),
    "units": ("", "rad beyond its limits", in_degrees),
    "action lag": ("all joints", "500 ms", lambda episode: lagging(episode, 0.5)),
    "action": ("joint_commands", "there are no actions", lambda episode: replace(episode, action=None)),
    "task": ("'Move'", "it does not say what with", lambda episode: replace(episode, tasks=("Move",))),
}  # fmt: skip


def checks(defects: list[Defect]) -> list[str]:
    return [defect.check for defect in defects]


@pytest.mark.parametrize("bag", [True, False], ids=["bag", "dataset"])
def test_nothing_is_found_where_nothing_is_wrong(bag: bool) -> None:
    assert check_episodes([sound(bag)], ROBOT) == []


@pytest.mark.parametrize("check", CASES)
def test_a_defect_is_found_and_no_other(check: str) -> None:
    where, message, spoil = CASES[check]
    defects = check_episodes([spoil(sound())], ROBOT)
    assert checks(defects) == [check], defects
    assert where in defects[0].where and message in defects[0].message, defects[0]
    assert defects[0].where.endswith("one") or check == "static joint"
    assert defects[0].remedy


def test_actions_that_come_after_the_state_are_an_error() -> None:
    [defect] = check_episodes([lagging(sound(), -0.2)], ROBOT)
    assert defect.severity == "error" and "the state moves 200 ms before the action" in defect.message


def test_an_action_that_repeats_the_state_is_told() -> None:
    [defect] = check_episodes([lagging(sound(), 0.0)], ROBOT)
    assert "same numbers" in defect.message


@pytest.mark.parametrize("by_s", [0.0, 0.1, 0.4, -0.3])
def test_the_lag_is_measured(by_s: float) -> None:
    found = lag(lagging(sound(), by_s))
    assert found is not None
    assert found.seconds == pytest.approx(by_s, abs=0.5 / FPS) and found.correlation > 0.9


def test_a_still_scene_is_no_frozen_camera() -> None:
    episode = frozen(sound())
    still = np.tile(MIDDLE, (len(episode.state.times_s), 1))
    still[:50] = poses(episode.state.times_s[:50])
    still[50:] = still[49]
    motion = replace(episode.state, positions_rad=still)
    assert checks(check_episodes([replace(episode, state=motion, action=motion)], ROBOT)) == ["action"]


def test_what_is_wrong_in_many_episodes_is_told_once() -> None:
    episodes = [replace(sound(), name=f"episode {i}", tasks=("Move",)) for i in range(5)]
    [defect] = check_episodes(episodes, ROBOT)
    assert defect.where == "'Move', episode 0, episode 1, episode 2 and 2 more"
