# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands stay within all limits for any sequence of chunks and faults."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from smolvla_ros.chunk import ChunkError
from smolvla_ros.execution.arming import ArmingState
from smolvla_ros.execution.executor_config import ExecutorConfig
from smolvla_ros.execution.fusion import FUSIONS
from smolvla_ros.robot import RobotSpec

SECOND = 1_000_000_000
PERIOD_S = 1.0 / 30.0


EVENTS = st.one_of(
    st.tuples(st.just("run"), st.floats(0.03, 0.5)),
    st.tuples(
        st.just("chunk"), st.floats(-0.04, 2.2), st.integers(0, 2**32 - 1), st.sampled_from([1, 50, 1e307])
    ),
    st.tuples(st.just("joint states"), st.booleans()),
    st.tuples(st.just("task"), st.sampled_from(["pick", "wave", ""])),
    st.tuples(st.just("clock"), st.floats(-0.2, 2.0)),
    st.tuples(st.just("fusion"), st.sampled_from(sorted(FUSIONS))),
)


@settings(max_examples=80, deadline=None)
@given(events=st.lists(EVENTS, max_size=40))
def test_commands_stay_within_limits_for_any_chunks_and_faults(
    robot: RobotSpec, make_bench: Any, events: list[tuple[Any, ...]]
) -> None:
    bench = make_bench()
    bench.run(0.1)
    for what, *details in events:
        if what == "run":
            bench.run(details[0])
        elif what == "chunk":
            age_s, seed, scale = details
            positions = np.random.default_rng(seed).normal(scale=scale, size=(61, 6))
            try:
                bench.accept(positions=positions, age_s=age_s, task=bench.executor.status(0).task)
            except ChunkError:
                continue
        elif what == "joint states":
            bench.joint_states_come = details[0]
        elif what == "task":
            bench.executor.set_task(details[0], bench.now_ns)
        elif what == "clock":
            bench.now_ns += round(details[0] * SECOND)
        else:
            bench.reconfigure(fusion=details[0])
    bench.run(0.1)
    assert bench.state in (ArmingState.ARMED, ArmingState.HOLDING)
    positions = np.array([bench.middle, *(command.positions_rad for command in bench.commands)])
    assert (positions >= robot.lower_rad).all() and (positions <= robot.upper_rad).all()
    assert np.abs(np.diff(positions, axis=0)).max() <= 0.05 + 1e-12
    most = ExecutorConfig().max_acceleration_rad_s2 * PERIOD_S**2
    assert np.abs(np.diff(positions, 2, axis=0, prepend=positions[:1])).max() <= most + 1e-9
