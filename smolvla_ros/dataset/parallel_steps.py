# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Steps in several processes, with a progress bar if stderr is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, cast

from tqdm import tqdm

from smolvla_ros.dataset.errors import DataError
from smolvla_ros.worker_pool import submit_all


def run_all(
    phase: str,
    pool: ProcessPoolExecutor,
    step: Callable[..., None],
    calls: Sequence[tuple[Any, ...]],
    strict: bool = True,
) -> list[DataError | None]:
    """Call `step` with each tuple of arguments; returns their DataErrors, in the order of the calls.

    Other errors, and if `strict` all, are raised: the first one cancels the calls that have not started.
    """
    futures = submit_all(pool, step, calls)
    try:
        # disable=None: no bar where stderr is not a terminal
        for future in tqdm(as_completed(futures), phase, len(futures), disable=None):
            error = future.exception()
            if error is not None and (strict or not isinstance(error, DataError)):
                raise error
        return [cast(DataError | None, future.exception()) for future in futures]
    finally:
        for future in futures:
            future.cancel()
