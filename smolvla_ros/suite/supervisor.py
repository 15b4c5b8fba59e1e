# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What to do when a program of the suite exits by itself, with and without ros2 launch."""

from __future__ import annotations

from collections import Counter
from enum import Enum

from smolvla_ros.suite.node_spec import NodeSpec

NOT_CONFIGURED = 1  # exit code of a node that failed to configure (nodes/run_node.py)
STEADY_S = 10.0  # a program that ran for this long has started successfully
MAX_QUICK_EXITS = 5  # in a row; after one more the program is not restarted
RESTART_DELAY_S = 2.0


class Reaction(Enum):
    """What to do when a program has exited by itself; the value is the text for the log."""

    RESTART = f"it is started again in {RESTART_DELAY_S:.0f} s"
    CONTINUE = "the suite goes on without it"
    STOP = "the suite cannot go on without it and ends"


class Supervisor:
    """Decides about restarts; counts how often each program exited soon after its start."""

    def __init__(self) -> None:
        self._quick_exits: Counter[str] = Counter()

    def on_exit(self, spec: NodeSpec, exit_code: int, ran_s: float) -> Reaction:
        """The reaction to an exit after `ran_s`. A negative exit code is the number of the signal that ended it.

        Exit code 0: the program was stopped, and is not restarted unless it is needed.
        """
        self._quick_exits[spec.label] = self._quick_exits[spec.label] + 1 if ran_s < STEADY_S else 0
        will_fail_again = exit_code == NOT_CONFIGURED or self._quick_exits[spec.label] > MAX_QUICK_EXITS
        if spec.restarts and not will_fail_again and (spec.needed or exit_code != 0):
            return Reaction.RESTART
        return Reaction.STOP if spec.needed else Reaction.CONTINUE


def exit_message(spec: NodeSpec, exit_code: int, reaction: Reaction) -> str:
    """The line for the log about an exit."""
    return f"{spec.label} has ended (exit code {exit_code}); {reaction.value}"
