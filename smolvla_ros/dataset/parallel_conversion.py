# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a conversion in several processes."""

from __future__ import annotations

from smolvla_ros.dataset.conversion import Conversion
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.worker_pool import run_all, worker_pool


def convert(conversion: Conversion, append: bool, jobs: int) -> LeRobotDataset | None:
    """Convert with `jobs` processes; returns None if a conversion that was interrupted turns out to be complete.

    Raises DataError and CalibrationError.
    """
    if not conversion.prepare(append):
        return None
    with worker_pool(jobs) as pool:
        run_all("read", pool, conversion.align_bag, [(index,) for index in range(len(conversion.bags))])
        run_all("encode", pool, conversion.encode_video, conversion.pending_videos())
    return conversion.write_dataset()
