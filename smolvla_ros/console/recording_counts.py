# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Counts the episodes that are recorded through the console, by task and outcome, from what the recorder has done."""

from __future__ import annotations

from collections import Counter, defaultdict

OUTCOMES = {"stop": "unmarked", "success": "success", "failure": "failure"}  # by verb of the recorder


class RecordingCounts:
    """`counts`: task -> outcome -> number of episodes."""

    def __init__(self) -> None:
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._current: str | None = None  # task of the episode that is being recorded
        self._last: tuple[str, str] | None = (
            None  # task and outcome of the last one, which may be marked or deleted
        )

    def add(self, verb: str, task: str) -> None:
        """The recorder has done what the verb says. `task`: the newest one, of an episode that begins."""
        if verb == "start":
            self._current, self._last = task, None
            return
        ended = self._current if self._current is not None else self._take_last()
        self._current = task if verb == "rerecord" else None
        if verb in OUTCOMES and ended is not None:
            self._last = (ended, OUTCOMES[verb])
            self.counts[ended][OUTCOMES[verb]] += 1

    def _take_last(self) -> str | None:
        """No longer count the last episode; returns its task."""
        if self._last is None:
            return None
        (task, outcome), self._last = self._last, None
        self.counts[task][outcome] -= 1
        return task
