# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Steps in several processes, with a progress bar if stderr is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, wait
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TypeVar, cast

import numpy as np
from tqdm import tqdm

from smolvla_ros.dataset.errors import DataError
from smolvla_ros.worker_pool import submit_all

REFRESH_S = 0.5  # between two looks at the counts
T = TypeVar("T")


@dataclass(frozen=True)
class FrameCount:
    """The number of frames that one call has done, in a file that the process with the progress bar reads.

    Each call has its own number, so there is no lock that a process could hold when it is killed. The file is of one
    computer; calls on others are counted when they end.
    """

    path: Path
    call: int

    def counted(self, images: Iterable[T]) -> Iterator[T]:
        """Pass images on, and count those that were taken."""
        if not self.path.exists():
            yield from images
            return
        counts = np.memmap(self.path, np.int64, "r+")
        for done, image in enumerate(images, 1):
            yield image
            counts[self.call] = done


def run_all(
    phase: str,
    pool: Executor,
    step: Callable[..., None],
    calls: Sequence[tuple[Any, ...]],
    strict: bool = True,
    frames: Sequence[int] | None = None,
) -> list[DataError | None]:
    """Call `step` with each tuple of arguments; returns their DataErrors, in the order of the calls.

    `frames`: the number of frames of each call, whose last argument is then a FrameCount, and the bar counts frames.
    Other errors, and if `strict` all, are raised.
    """
    if not calls:
        return []
    totals = np.array([1] * len(calls) if frames is None else frames, np.int64)
    with NamedTemporaryFile() as file:
        np.zeros(len(calls), np.int64).tofile(file)
        file.flush()
        counts = np.memmap(file.name, np.int64, "r+")
        if frames is not None:
            calls = [(*call, FrameCount(Path(file.name), index)) for index, call in enumerate(calls)]
        futures = submit_all(pool, step, calls)
        number = {future: index for index, future in enumerate(futures)}
        unit = "it" if frames is None else " frames"
        # disable=None: no bar where stderr is not a terminal
        with tqdm(desc=phase, total=int(totals.sum()), unit=unit, disable=None) as bar:
            waiting = set(futures)
            while waiting:
                ended, waiting = wait(waiting, REFRESH_S, FIRST_EXCEPTION)
                for future in ended:
                    error = future.exception()
                    if error is not None and (strict or not isinstance(error, DataError)):
                        raise error
                    counts[number[future]] = totals[number[future]]
                bar.update(int(counts.sum()) - bar.n)
        return [cast(DataError | None, future.exception()) for future in futures]
