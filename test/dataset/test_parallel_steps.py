# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The progress bar of parallel steps."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from smolvla_ros.dataset import parallel_steps
from smolvla_ros.dataset.errors import DataError, EpisodeError
from smolvla_ros.dataset.parallel_steps import FrameCount, run_all


def test_the_bar_moves_within_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call goes on after frame 7 when the bar has shown 6, the frames that were finished before."""
    shown = threading.Event()
    positions: list[int] = []

    class Bar(parallel_steps.tqdm):  # type: ignore[type-arg]
        def update(self, n: float | None = 1) -> bool | None:
            self.n += n or 0
            positions.append(int(self.n))
            if self.n == 6:
                shown.set()
            return None

    def step(count: FrameCount) -> None:
        for image in count.counted(range(10)):
            if image == 6:
                assert shown.wait(20)

    monkeypatch.setattr(parallel_steps, "tqdm", Bar)
    monkeypatch.setattr(parallel_steps, "REFRESH_S", 0.01)
    with ThreadPoolExecutor(1) as pool:
        assert run_all("encode", pool, step, [()], frames=[10]) == [None]
    assert 6 in positions and positions[-1] == 10


def test_errors_come_in_the_order_of_the_calls_and_strict_raises_the_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def step(index: int, *_: Any) -> None:
        if index == 1:
            raise EpisodeError("damaged")

    with ThreadPoolExecutor(2) as pool:
        found = run_all("read", pool, step, [(0,), (1,), (2,)], strict=False)
        assert [str(error) for error in found] == ["None", "damaged", "None"]
        with pytest.raises(DataError, match="damaged"):
            run_all("read", pool, step, [(0,), (1,), (2,)])
    assert capsys.readouterr().err == ""  # no bar where stderr is no terminal
