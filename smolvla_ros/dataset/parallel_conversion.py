# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a conversion in several processes.

Episodes are not visible before all are there: a dataset has the rows of many episodes in one file, and their images in
another, so each set of finished episodes would be other files; only complete ones are moved into the dataset.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smolvla_ros.dataset.conversion import Conversion
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.output_lock import locked_folder
from smolvla_ros.dataset.parallel_steps import run_all
from smolvla_ros.worker_pool import worker_pool


@dataclass(frozen=True)
class Converted:
    """The result of a conversion."""

    dataset: LeRobotDataset | None  # None: no episode was added
    damaged: int  # bags that were left out because of an error


def convert(
    conversion: Conversion,
    append: bool,
    jobs: int,
    strict: bool = True,
    report: Callable[[str], None] = lambda _: None,
    ray: str = "",
) -> Converted:
    """Convert with a `worker_pool`, and pass to `report` what users should know about single bags.

    Bags whose episodes are in the dataset already are left out, and, unless `strict`, bags that raise DataError. Raises
    DataError, CalibrationError and ClusterError.
    """
    with locked_folder(conversion.output):
        return _convert(conversion, append, jobs, strict, report, ray)


def _convert(
    conversion: Conversion,
    append: bool,
    jobs: int,
    strict: bool,
    report: Callable[[str], None],
    ray: str,
) -> Converted:
    if not conversion.prepare(append):
        return Converted(None, 0)
    every = range(len(conversion.bags))
    with worker_pool(jobs, ray, (conversion.output, *conversion.bags)) as pool:
        unreadable = run_all("read", pool, conversion.align_bag, [(index,) for index in every], strict)
        damaged = {index for index in every if unreadable[index]}
        for index in sorted(damaged):
            report(f"left out: {unreadable[index]}")
        aligned = [index for index in every if index not in damaged]
        for index in aligned:
            if warning := conversion.clock_warning(index):
                report(f"warning: bag '{conversion.bags[index]}': {warning}")
            if not conversion.pieces([index]):
                report(
                    f"left out: bag '{conversion.bags[index]}' has nothing for --control {conversion.control}"
                )
        pieces = conversion.pieces(aligned)
        known = conversion.known_episodes(pieces)
        for piece, episode in known.items():
            report(
                f"left out: bag '{conversion.bags[piece.bag]}' is episode {episode} of the dataset already"
            )
        calls = conversion.pending_videos([piece for piece in pieces if piece not in known])
        frames = [piece.end - piece.begin for piece, _ in calls]
        faulty = run_all("encode", pool, conversion.encode_video, calls, strict, frames)
    for (piece, _), error in zip(calls, faulty, strict=True):
        if error and piece.bag not in damaged:
            damaged.add(piece.bag)
            report(f"left out: {error}")
    added = [piece for piece in pieces if piece.bag not in damaged and piece not in known]
    if added:
        return Converted(conversion.write_dataset(added), len(damaged))
    conversion.remove_work()
    return Converted(None, len(damaged))
