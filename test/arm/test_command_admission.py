# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which joint commands are accepted: stamps, one commander at a time, start at the measured pose, limited speed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smolvla_ros.arm.command_admission import (
    BURST_S,
    MAX_GOAL_RAD,
    PAUSE_S,
    ArmPose,
    CommandAdmission,
    CommandError,
    CommandLimits,
    JointCommand,
    only_commander,
)
from smolvla_ros.robot import Joints

NOW_NS = 1_700_000_000_000_000_000
SPEEDS = np.array([3.5, 2.0])
PERIOD_S = 0.02


class Bench:
    """Two joints that reach each goal at once, on a clock that only the test advances."""

    def __init__(self, **limits: Any) -> None:
        self.limits = CommandLimits(**limits)
        self.admission = CommandAdmission(self.limits, ("pan", "lift"), SPEEDS, PERIOD_S)
        self.now_s = 100.0
        self.stands = np.zeros(2)
        self.goals = np.zeros(2)
        self.obstacle = ""

    def send(
        self, goal: Any, commander: str = "/executor", *, age_s: float = 0.0, sequence: int | None = None
    ) -> np.ndarray:
        stamp_ns = self.now_ns - round(age_s * 1e9)
        joints = Joints(stamp_ns, np.asarray(goal, np.float64), np.zeros(2), np.zeros(2))
        pose = self.obstacle or ArmPose(self.stands, self.goals)
        command = JointCommand(commander, joints, sequence)
        goals, self.cut = self.admission.admit(command, self.now_ns, self.now_s, pose)
        self.stands = self.goals = goals
        return goals

    def refusal(self, *arguments: Any, **options: Any) -> CommandError:
        with pytest.raises(CommandError) as raised:
            self.send(*arguments, **options)
        return raised.value

    @property
    def now_ns(self) -> int:
        return NOW_NS + round(self.now_s * 1e9)

    def wait(self, duration_s: float) -> None:
        self.now_s += duration_s
        self.admission.drop_silent_commander(self.now_s)


@pytest.mark.parametrize(
    ("age_s", "reason"),
    [(0.21, "stale"), (25 * 365 * 86400.0, "stale"), (-0.06, "future"), (0.19, ""), (-0.04, "")],
)
def test_a_stamp_that_is_too_old_or_ahead_is_refused(age_s: float, reason: str) -> None:
    bench = Bench()
    if not reason:
        bench.send([0.01, 0.0], age_s=age_s)
        return
    error = bench.refusal([0.01, 0.0], age_s=age_s)
    assert error.reason == reason and "'/executor'" in str(error)
    assert bench.admission.refused == {reason: 1}
    bench.send([0.01, 0.0])  # it need not pause


def test_a_command_without_a_stamp_is_refused() -> None:
    bench = Bench()
    error = bench.refusal([0.0, 0.0], age_s=bench.now_ns * 1e-9)
    assert error.reason == "no stamp" and "header: auto" in str(error)


@pytest.mark.parametrize("goal", [1e308, -1e308, MAX_GOAL_RAD + 0.01, 90.0])
def test_values_that_are_no_angle_are_rejected_from_the_commander_too(goal: float) -> None:
    bench = Bench()
    bench.send([0.0, 0.0])
    assert "lift" in str(bench.refusal([0.0, goal]))
    assert bench.admission.commander == "/executor"


def test_a_second_commander_is_refused_by_the_name_of_the_first() -> None:
    bench = Bench()
    bench.send([0.0, 0.0], "/executor")
    error = bench.refusal([0.0, 0.0], "/teleop")
    assert error.reason == "second commander"
    assert error.pause == "'/executor' commands the arm; stop it first"
    assert "'/teleop' is not obeyed" in str(error)
    assert bench.send([0.01, 0.0], "/executor")[0] == pytest.approx(0.01)


def test_it_takes_over_after_the_first_is_silent_and_it_has_paused() -> None:
    bench = Bench()
    bench.send([0.0, 0.0], "/executor")
    for _ in range(10):  # it does not stop when the first one does
        bench.wait(0.1)
        bench.refusal([0.0, 0.0], "/teleop")
    assert bench.admission.commander == ""
    assert bench.refusal([0.0, 0.0], "/teleop").reason == "no pause"
    bench.wait(PAUSE_S)
    bench.send([0.0, 0.0], "/teleop")
    assert bench.admission.commander == "/teleop"


def test_two_programs_of_one_name_are_distinguished_by_their_sequence() -> None:
    bench = Bench()
    bench.send([0.0, 0.0], sequence=70)
    assert "two programs command the arm as '/executor'" in str(bench.refusal([0.05, 0.0], sequence=3))
    bench.send([0.05, 0.0], sequence=72)  # number 71 was lost, which is allowed
    bench.wait(1.0)
    bench.send([0.05, 0.0], sequence=1)  # the commander was restarted


def test_a_commander_must_start_at_the_measured_pose() -> None:
    bench = Bench()
    bench.stands = bench.goals = np.array([0.0, 0.5])
    error = bench.refusal([0.0, 0.35])
    assert error.reason == "away" and "0.15 rad from where lift stands" in error.pause
    bench.wait(0.033)
    # its plan passes the arm's pose, which does not count as a start
    assert bench.refusal([0.0, 0.5]).reason == "no pause"
    bench.wait(PAUSE_S)
    bench.send([0.0, 0.45])


def test_a_joint_that_sags_or_grips_may_go_on_from_the_goal_that_it_holds() -> None:
    bench = Bench()
    bench.stands, bench.goals = np.array([0.0, 0.6]), np.array([0.3, 0.0])
    bench.send([0.3, 0.6])
    assert bench.goals.tolist() == [0.3, 0.6]


@pytest.mark.parametrize("why", ["torque was off", "the servo bus was gone"])
def test_after_an_interruption_a_continued_stream_is_rejected(why: str) -> None:
    bench = Bench()
    bench.send([0.0, 0.0])
    bench.admission.interrupt(why, bench.now_s)
    for _ in range(60):
        bench.wait(1 / 30)
        assert bench.refusal([0.0, 0.0]).pause == why
    assert bench.admission.refused_commander(bench.now_s) == ("/executor", why)
    bench.wait(PAUSE_S)
    assert bench.admission.refused_commander(bench.now_s) is None
    bench.send([0.0, 0.0])


def test_commands_while_the_arm_cannot_move_release_their_commander() -> None:
    bench = Bench()
    bench.send([0.0, 0.0])
    bench.obstacle = "torque is off"
    assert bench.refusal([0.0, 0.0]).pause == "torque is off"
    bench.obstacle = ""
    bench.wait(1 / 30)
    assert bench.refusal([0.0, 0.0]).reason == "no pause"


def test_a_commander_may_be_late_by_less_than_the_timeout() -> None:
    bench = Bench(command_timeout_s=0.3)
    bench.send([0.0, 0.0])
    assert bench.admission.drop_silent_commander(bench.now_s + 0.29) == 0.0
    assert bench.admission.drop_silent_commander(bench.now_s + 0.31) == pytest.approx(0.31)
    assert bench.admission.drop_silent_commander(bench.now_s + 0.4) == 0.0


def test_the_first_command_goes_no_further_than_one_period_at_full_speed() -> None:
    bench = Bench()
    assert bench.send([0.1, 0.1]) == pytest.approx(SPEEDS * PERIOD_S)
    assert bench.cut.tolist() == [True, True]


@pytest.mark.parametrize("setting", [20.0, 0.5])
def test_many_commands_in_one_period_are_no_faster_than_one(setting: float) -> None:
    bench = Bench(max_speed_rad_s=setting)
    bench.send([0.0, 0.0])
    bench.wait(0.4)  # distance that was not used is kept for BURST_S at most
    before = bench.goals
    for _ in range(200):
        bench.now_s += PERIOD_S / 200
        bench.send([3.0, -3.0])
    most = np.minimum(SPEEDS, setting) * (BURST_S + PERIOD_S)
    assert (np.abs(bench.goals - before) <= most + 1e-9).all()


def test_a_stream_at_full_speed_is_followed_though_its_commands_come_unevenly() -> None:
    bench = Bench()
    rng = np.random.default_rng(0)
    bench.send([0.0, 0.0])
    bench.wait(0.1)
    for k in range(1, 60):  # 30 Hz, each up to 8 ms off its time
        bench.now_s = 100.1 + k / 30 + rng.uniform(-0.008, 0.008)
        goal = SPEEDS * k / 30 * [0.999, -0.999]
        assert bench.send(goal) == pytest.approx(goal)


NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=64)


@given(
    st.lists(
        st.tuples(
            st.tuples(NUMBERS, NUMBERS),
            st.sampled_from(["/executor", "/teleop", "", "\x00\n" * 100]),
            st.floats(-1e9, 1e9),
            st.floats(0.0, 1.0),
            st.one_of(st.none(), st.integers(0, 2**64 - 1)),
        ),
        max_size=30,
    )
)
def test_whatever_comes_the_goals_stay_finite_and_within_the_speed(commands: list[Any]) -> None:
    bench = Bench()
    for goal, commander, age_s, pause_s, sequence in commands:
        bench.wait(pause_s)
        before = bench.goals
        try:
            bench.send(goal, commander, age_s=age_s if abs(age_s) > 1.0 else 0.0, sequence=sequence)
        except CommandError as error:
            assert len(str(error)) < 700
            continue
        assert all(map(math.isfinite, bench.goals))
        assert (np.abs(bench.goals - before) <= SPEEDS * BURST_S + 1e-9).all()


def test_a_command_without_a_name_is_that_of_the_only_node_once_it_is_discovered() -> None:
    assert only_commander([("/", "executor")]) == "/executor"
    assert only_commander([("/arm_1", "executor")]) == "/arm_1/executor"
    for unknown in ([], [("_NODE_NAMESPACE_UNKNOWN_", "_NODE_NAME_UNKNOWN_")]):  # of rcl
        with pytest.raises(CommandError, match="not discovered") as refusal:
            only_commander(unknown)
        assert not refusal.value.pause  # the next one may be obeyed
    with pytest.raises(CommandError, match="may come from /executor, /teleop"):
        only_commander([("/", "teleop"), ("/", "executor")])
