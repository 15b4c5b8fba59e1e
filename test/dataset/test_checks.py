# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each episode has one problem, and the checks find this one and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from smolvla_ros.dataset.checks import check_episodes, check_tasks, merge_findings
from smolvla_ros.dataset.inspection import CameraTrack, InspectedEpisode, JointTrack, StampFaults
from smolvla_ros.dataset.motion_checks import action_lag
from smolvla_ros.finding import Finding

from ..package_files import ROBOT

MIDDLE = (ROBOT.lower_rad + ROBOT.upper_rad) / 2
FPS = 30.0
SECONDS = 10.0


def poses(times_s: np.ndarray) -> np.ndarray:
    """Positions (n, joints) rad: all joints swing, each at its own frequency."""
    phases = np.arange(6)
    return MIDDLE + 0.5 * np.sin(times_s[:, None] * (1.0 + 0.2 * phases) + phases)


def good_episode(bag: bool = True) -> InspectedEpisode:
    """An episode without findings: two cameras at 30 Hz, joints at 50, commands 100 ms ahead of them."""
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
    return with_camera(episode, "top", times_s=top.times_s[keep], is_new=top.is_new[keep])


def slow(episode: InspectedEpisode) -> InspectedEpisode:
    times_s = np.arange(0.0, SECONDS, 1 / 20)
    return with_camera(episode, "top", times_s=times_s, is_new=np.ones(len(times_s), np.bool_))


def with_gap(episode: InspectedEpisode) -> InspectedEpisode:
    times_s = episode.cameras["top"].times_s
    return kept(episode, (times_s < 5.0) | (times_s > 5.3))


def stamped(episode: InspectedEpisode, **faults: float) -> InspectedEpisode:
    return replace(episode, stamps={"/top/image_raw": StampFaults(300, **faults)})


def constant_action(episode: InspectedEpisode) -> InspectedEpisode:
    return replace(
        episode, action=JointTrack(episode.state.times_s, np.tile(MIDDLE, (len(episode.state.times_s), 1)))
    )


def noisy_state_as_action(episode: InspectedEpisode) -> InspectedEpisode:
    noise = np.random.default_rng(0).normal(0, 0.01, episode.state.positions_rad.shape)
    return replace(episode, action=JointTrack(episode.state.times_s, episode.state.positions_rad + noise))


def without_a_number(episode: InspectedEpisode) -> InspectedEpisode:
    positions = episode.state.positions_rad.copy()
    positions[75, 2] = np.nan
    return replace(episode, state=JointTrack(episode.state.times_s, positions))


def skewed(episode: InspectedEpisode) -> InspectedEpisode:
    return with_camera(episode, "wrist", times_s=episode.cameras["wrist"].times_s + 5 / FPS / 2 + SECONDS)


def frozen(episode: InspectedEpisode) -> InspectedEpisode:
    is_new = episode.cameras["wrist"].is_new.copy()
    is_new[100:160] = False
    return with_camera(episode, "wrist", is_new=is_new)


def repeating(episode: InspectedEpisode) -> InspectedEpisode:
    is_new = episode.cameras["top"].is_new.copy()
    is_new[4::4] = False
    return with_camera(episode, "top", is_new=is_new)


def jumping(episode: InspectedEpisode) -> InspectedEpisode:
    positions = episode.state.positions_rad.copy()
    positions[200, 2] += 0.6
    return replace(episode, state=replace(episode.state, positions_rad=positions))


def static(episode: InspectedEpisode) -> InspectedEpisode:
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
    "rate": ("top", "20.0 images per second, 30 are configured", slow),
    "gaps": ("top", "1 gaps, the longest 0.3", with_gap),
    "order": ("top", "stamps decrease by up to 0.3", lambda episode: stamped(episode, decrease_s=0.3)),
    "stamps": ("top", "12 of 300 messages have an empty", lambda episode: stamped(episode, empty=12)),
    "black images": ("wrist", "50 of 300 images are black", lambda e: with_camera(e, "wrist", black=50)),
    "damaged images": ("top", "2 of 300 images cannot be decoded; the first: cut",
        lambda e: with_camera(e, "top", damage=("cut", "cut too"))),
    "skew": ("all streams", "ms apart", skewed),
    "frozen camera": ("wrist", "the image does not change for 2.0 s, 3.3 s into the episode", frozen),
    "duplicate frames": ("top", "25% of the images repeat the previous one: about 23 new images per second", repeating),
    "numbers": ("elbow_flex", "values of the state that are no finite numbers: 1, the first 1.5 s", without_a_number),
    "jumps": ("elbow_flex", "2 steps faster than the joint can move, the largest 0.6", jumping),
    "static joint": ("wrist_roll", "it moves 0.0000 rad", static),
    "units": ("", "rad beyond its limits", in_degrees),
    "action lag": ("all joints", "500 ms", lambda episode: lagging(episode, 0.5)),
    "action": ("joint_commands", "there are no actions", lambda episode: replace(episode, action=None)),
    "task": ("'Move'", "it names no object", lambda episode: replace(episode, tasks=("Move",))),
}  # fmt: skip


def checks(findings: list[Finding]) -> list[str]:
    return [finding.check for finding in findings]


@pytest.mark.parametrize("bag", [True, False], ids=["bag", "dataset"])
def test_a_good_episode_has_no_findings(bag: bool) -> None:
    assert check_episodes([good_episode(bag)], ROBOT) == []


@pytest.mark.parametrize("check", CASES)
def test_each_check_finds_its_problem_and_no_other(check: str) -> None:
    where, message, modify = CASES[check]
    findings = check_episodes([modify(good_episode())], ROBOT)
    assert checks(findings) == [check], findings
    assert where in findings[0].where and message in findings[0].message, findings[0]
    assert findings[0].episode == ("" if check == "static joint" else "one")
    assert findings[0].remedy


def test_actions_later_than_the_state_are_an_error() -> None:
    [finding] = check_episodes([lagging(good_episode(), -0.2)], ROBOT)
    assert finding.severity == "error" and "the state moves 200 ms before the action" in finding.message


def test_an_action_equal_to_the_state_is_a_finding() -> None:
    [finding] = check_episodes([lagging(good_episode(), 0.0)], ROBOT)
    assert "same numbers" in finding.message


def test_reordering_that_the_converter_sorts_is_no_finding() -> None:
    assert check_episodes([stamped(good_episode(), decrease_s=0.012)], ROBOT) == []


def test_a_constant_action_is_an_error() -> None:
    [finding] = check_episodes([constant_action(good_episode())], ROBOT)
    assert finding.severity == "error" and "constant while the state moves" in finding.message


@pytest.mark.parametrize("bag", [True, False], ids=["bag", "dataset"])
def test_an_action_that_is_the_state_with_noise_is_a_finding(bag: bool) -> None:
    [finding] = check_episodes([noisy_state_as_action(good_episode(bag))], ROBOT)
    assert "the action is the state with noise" in finding.message


def test_a_command_that_the_state_follows_within_a_frame_is_not_noise() -> None:
    assert check_episodes([lagging(good_episode(), 0.02)], ROBOT) == []


def test_a_command_that_leads_steady_motion_is_not_noise() -> None:
    episode = good_episode()
    steady = MIDDLE + 0.02 * (episode.state.times_s[:, None] - SECONDS / 2) * np.arange(1, 7)
    noise = np.random.default_rng(0).normal(0, 0.001, (2, *steady.shape))
    state = JointTrack(episode.state.times_s, steady + noise[0])
    action = JointTrack(episode.state.times_s, steady + 0.01 * np.arange(1, 7) + noise[1])
    assert "action" not in checks(check_episodes([replace(episode, state=state, action=action)], ROBOT))


@pytest.mark.parametrize("odd", [0, 1, 2])
def test_cameras_that_are_swapped_in_an_episode_are_found(odd: int) -> None:
    rng = np.random.default_rng(1)
    top, wrist = rng.uniform(0, 255, (2, 12, 16, 3)).astype(np.float32)
    episodes = []
    for index in range(3):
        episode = replace(good_episode(), name=f"episode {index}")
        for name, look in (("top", top), ("wrist", wrist)):
            other = wrist if name == "top" else top
            image = (other if index == odd else look) + rng.normal(0, 10, look.shape)
            episode = with_camera(episode, name, mean_image=image.astype(np.float32))
        episodes.append(episode)
    [finding] = check_episodes(episodes, ROBOT)
    assert (finding.check, finding.where, finding.episode) == (
        "swapped cameras",
        "top and wrist",
        f"episode {odd}",
    )
    assert check_episodes([episode for index, episode in enumerate(episodes) if index != odd], ROBOT) == []


@pytest.mark.parametrize("by_s", [0.0, 0.1, 0.4, -0.3])
def test_the_lag_is_measured(by_s: float) -> None:
    found = action_lag(lagging(good_episode(), by_s))
    assert found is not None
    assert found.seconds == pytest.approx(by_s, abs=0.5 / FPS) and found.correlation > 0.9


def test_a_still_scene_is_not_a_frozen_camera() -> None:
    episode = frozen(good_episode())
    still = np.tile(MIDDLE, (len(episode.state.times_s), 1))
    still[:50] = poses(episode.state.times_s[:50])
    still[50:] = still[49]
    motion = replace(episode.state, positions_rad=still)
    assert checks(check_episodes([replace(episode, state=motion, action=motion)], ROBOT)) == ["action"]


def test_a_finding_of_many_episodes_appears_once() -> None:
    episodes = [replace(good_episode(), name=f"episode {i}", tasks=("Move",)) for i in range(5)]
    [finding] = merge_findings(check_episodes(episodes, ROBOT))
    assert finding.where == "'Move', episode 0, episode 1, episode 2 and 2 more"


@pytest.mark.parametrize(
    "fault, begins_s",
    [
        (frozen, 3.3),
        (with_gap, 5.0),
        (jumping, 4.0),
        (lambda episode: with_camera(episode, "top", black=50, first_fault_s=7.0), 7.0),
    ],
    ids=["frozen", "gap", "jump", "black"],
)
def test_a_finding_of_a_moment_has_its_time(
    fault: Callable[[InspectedEpisode], InspectedEpisode], begins_s: float
) -> None:
    [finding] = check_episodes([fault(good_episode())], ROBOT)
    assert finding.time_s == pytest.approx(begins_s, abs=2 / FPS)


def test_a_long_instruction_is_left_as_it_is_where_none_of_it_can_be_left_out() -> None:
    task = "Pick up the yellow cube and put it on the left"
    [finding] = check_tasks(replace(good_episode(), tasks=(task,)))
    assert finding.severity == "warning" and finding.remedy.startswith("Leave it")
