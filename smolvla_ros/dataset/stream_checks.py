# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of streams: stamps, clocks, rates, gaps and skew; frozen, repeated, damaged and black images, swapped cameras.

A LeRobot dataset stores a perfect grid instead of the times of capture, so a loop that was slower than configured shows
only in its images, which repeat; a bag still has the stamps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import numpy as np

from smolvla_ros.arrays import BoolArray, Float32Array, FloatArray
from smolvla_ros.dataset.clocks import MAX_CHANGE_S, MAX_DIFFERENCE_S
from smolvla_ros.dataset.inspection import InspectedEpisode, JointTrack
from smolvla_ros.dataset.stream_timing import gap_lengths_s, mean_rate_hz
from smolvla_ros.finding import Finding

RATE_TOLERANCE = 0.05  # share of the configured rate
MAX_SKEW_S = 0.05  # between the parts of one observation; the policy node's default too
FROZEN_S = 0.5  # an image is frozen if it does not change for this long while the arm moves
MOVES_RAD = 0.1  # by how much the arm moves meanwhile
MAX_REPEATED = 0.05  # share of images that repeat the previous one
MAX_REORDERING_S = 0.1  # messages overtake each other on their way; the converter sorts them
MAX_BLACK = 0.05  # share of black images
MIN_LOOK_DIFFERENCE = 8.0  # grey levels; cameras that look more alike cannot be told apart
SWAPPED_SHARE = 0.5  # of the difference between mean images, once their names are exchanged


def check_rates(episode: InspectedEpisode) -> Iterator[Finding]:
    """Whether cameras are slower than configured."""
    for name, camera in episode.cameras.items():
        measured_hz = mean_rate_hz(np.diff(camera.times_s))
        if measured_hz < camera.rate_hz * (1 - RATE_TOLERANCE):
            yield Finding(
                "warning",
                "rate",
                f"{measured_hz:.1f} images per second, {camera.rate_hz:.0f} are configured",
                "Use more light, another USB port or smaller images; or convert at the measured rate: "
                f"bag_to_lerobot --fps {max(1, round(measured_hz))}",
                where=name,
            )


def check_clocks(episode: InspectedEpisode) -> Iterator[Finding]:
    """Whether the clocks of the streams agree with each other and with the recorder's."""
    found = episode.clocks
    for topic, change_s in found.changes_s.items():
        if change_s > MAX_CHANGE_S:
            yield Finding(
                "error",
                "clocks",
                f"its stamps and times of arrival drift {change_s:.2f} s apart",
                "A clock jumped, or simulated time had another pace; record again, or convert with --time receive",
                where=topic,
            )
    if found.disagreement:
        yield Finding(
            "error" if found.difference_s > MAX_DIFFERENCE_S else "warning",
            "clocks",
            found.disagreement,
            "Synchronise the clocks of all computers, as with chrony, or convert with --time receive",
            where="all streams",
        )
    if found.recorder_difference:
        yield Finding(
            "warning",
            "clocks",
            found.recorder_difference,
            "Tasks are put on the stamps' clock in a conversion; synchronise the clocks if time was not simulated",
            where="recorder",
        )


def check_gaps(episode: InspectedEpisode) -> Iterator[Finding]:
    streams = {name: camera.times_s for name, camera in episode.cameras.items()}
    streams["joint states"] = episode.state.times_s
    for name, times_s in streams.items():
        steps_s = np.diff(times_s)
        if len(steps_s) == 0:
            continue
        median_s = float(np.median(steps_s))
        gaps_s = gap_lengths_s(steps_s, median_s)
        if len(gaps_s):
            yield Finding(
                "warning",
                "gaps",
                f"{len(gaps_s)} gaps, the longest {gaps_s.max():.2f} s; the median interval is {median_s * 1e3:.0f} ms",
                "Find where messages are lost (the recorder reports its own losses); leave out episodes with long gaps",
                where=name,
                time_s=float(times_s[np.argmax(steps_s)]),
            )


def check_stamps(episode: InspectedEpisode) -> Iterator[Finding]:
    for topic, faults in episode.stamps.items():
        if faults.empty:
            yield Finding(
                "error",
                "stamps",
                f"{faults.empty} of {faults.messages} messages have an empty header stamp",
                "Its node must set the stamp; what is recorded converts by the times of arrival: bag_to_lerobot --time "
                "receive",
                where=topic,
            )
        if faults.decrease_s > MAX_REORDERING_S:
            yield Finding(
                "error",
                "order",
                f"its stamps decrease by up to {faults.decrease_s:.3f} s",
                "A clock was changed, or two nodes publish on one topic; record again",
                where=topic,
            )


def stream_skew_s(episode: InspectedEpisode) -> FloatArray:
    """For each image, the largest time to the nearest sample of another stream: (images of all cameras,) s."""
    streams = [*(camera.times_s for camera in episode.cameras.values()), episode.state.times_s]
    streams = [np.sort(times) for times in streams if len(times)]
    worst = [
        np.max([_distance_to_nearest(times, other) for other in streams if other is not times], axis=0)
        for times in streams[: len(episode.cameras)]
        if len(streams) > 1
    ]
    return np.concatenate(worst) if worst else np.zeros(0)


def check_skew(episode: InspectedEpisode) -> Iterator[Finding]:
    skew = stream_skew_s(episode)
    if len(skew) and (high := float(np.percentile(skew, 95))) > MAX_SKEW_S:
        yield Finding(
            "warning",
            "skew",
            f"samples of one observation are up to {high * 1e3:.0f} ms apart (95th percentile)",
            "Check whether the clocks of all computers agree, and whether a camera stamps its images late",
            where="all streams",
        )


def check_frozen_images(episode: InspectedEpisode) -> Iterator[Finding]:
    for name, camera in episode.cameras.items():
        for start, end in _repeated_runs(camera.is_new):
            start_s, end_s = camera.times_s[start], camera.times_s[end - 1]
            if end_s - start_s < FROZEN_S or _moved(episode.state, start_s, end_s) < MOVES_RAD:
                continue
            yield Finding(
                "error",
                "frozen camera",
                f"the image does not change for {end_s - start_s:.1f} s, {start_s:.1f} s into the episode, while "
                "the arm moves",
                "Leave the episode out, and check the camera's cable and power",
                where=name,
                time_s=float(start_s),
            )
            break


def check_repeated_images(episode: InspectedEpisode) -> Iterator[Finding]:
    """Whether images repeat the previous one while the arm moves; long runs count as frozen."""
    for name, camera in episode.cameras.items():
        repeated, seen = 0, max(1, len(camera.is_new) - 1)
        for start, end in _repeated_runs(camera.is_new):
            duration_s = camera.times_s[end - 1] - camera.times_s[start]
            if duration_s < FROZEN_S and _moves_around(episode.state, camera.times_s[start]):
                repeated += end - start - 1
        if repeated > MAX_REPEATED * seen:
            share = repeated / seen
            yield Finding(
                "warning",
                "duplicate frames",
                f"{share:.0%} of the images repeat the previous one: about {camera.rate_hz * (1 - share):.0f} new "
                f"images per second, {camera.rate_hz:.0f} are configured",
                "The camera or the loop was slower than configured, or was resampled at nearly its own rate",
                where=name,
            )


def check_images(episode: InspectedEpisode) -> Iterator[Finding]:
    """Whether images cannot be decoded or show nothing."""
    for name, camera in episode.cameras.items():
        images = len(camera.times_s)
        if camera.damage:
            yield Finding(
                "error",
                "damaged images",
                f"{len(camera.damage)} of {images} images cannot be decoded; the first: {camera.damage[0]}",
                "Leave the episode out, or convert without this camera: bag_to_lerobot --cameras NAME ...",
                where=name,
                time_s=camera.first_fault_s,
            )
        if camera.black > MAX_BLACK * images:
            yield Finding(
                "error",
                "black images",
                f"{camera.black} of {images} images are black",
                "Take the cap off the lens, and check exposure, light and cable; leave the episode out",
                where=name,
                time_s=camera.first_fault_s,
            )


def check_swapped_cameras(episodes: Sequence[InspectedEpisode]) -> Iterator[Finding]:
    """Whether two cameras look in a few episodes as the other one does in the rest."""
    pairs = combinations(dict.fromkeys(name for episode in episodes for name in episode.cameras), 2)
    for one, other in pairs:
        looks = {
            episode.name: (first, second)
            for episode in episodes
            if (first := _mean_image(episode, one)) is not None
            and (second := _mean_image(episode, other)) is not None
        }
        swapped = [name for name, look in looks.items() if _is_swapped(look, next(iter(looks.values())))]
        if 2 * len(swapped) > len(looks):  # the first episode is one of the few
            swapped = [name for name in looks if name not in swapped]
        for name in swapped:
            yield Finding(
                "error",
                "swapped cameras",
                f"they look like each other's images in the other {len(looks) - len(swapped)} episodes",
                "Give each camera a device path by its USB port; leave these episodes out, or convert them alone: "
                f"bag_to_lerobot --cameras {one}=TOPIC {other}=TOPIC",
                where=f"{one} and {other}",
                episode=name,
            )


def _mean_image(episode: InspectedEpisode, camera: str) -> Float32Array | None:
    return episode.cameras[camera].mean_image if camera in episode.cameras else None


def _is_swapped(
    look: tuple[Float32Array, Float32Array], reference: tuple[Float32Array, Float32Array]
) -> bool:
    """Whether the mean images of two cameras resemble the reference better when they are exchanged."""

    def difference(order: tuple[int, int]) -> float:
        return float(sum(np.abs(look[i] - image).mean() for i, image in zip(order, reference, strict=True)))

    straight = difference((0, 1))
    return straight > MIN_LOOK_DIFFERENCE and difference((1, 0)) < SWAPPED_SHARE * straight


def _distance_to_nearest(times_s: FloatArray, other_s: FloatArray) -> FloatArray:
    """From each time to the nearest one of `other_s`, which is sorted: (times,) s."""
    right = np.clip(np.searchsorted(other_s, times_s), 1, max(1, len(other_s) - 1))
    nearest = np.minimum(
        np.abs(times_s - other_s[right - 1]), np.abs(times_s - other_s[np.minimum(right, len(other_s) - 1)])
    )
    return np.asarray(nearest)


def _repeated_runs(is_new: BoolArray) -> Iterable[tuple[int, int]]:
    """Runs [start, end) of two or more equal images."""
    starts = np.nonzero(is_new)[0]
    ends = np.append(starts[1:], len(is_new))
    return [(int(start), int(end)) for start, end in zip(starts, ends) if end - start > 1]


def _moved(state: JointTrack, start_s: float, end_s: float) -> float:
    """The largest range of a joint within a span of time, rad."""
    inside = (state.times_s >= start_s) & (state.times_s <= end_s)
    positions = state.positions_rad[inside]
    return float(np.nan_to_num(np.ptp(positions, axis=0)).max()) if len(positions) else 0.0


def _moves_around(state: JointTrack, moment_s: float) -> bool:
    return _moved(state, moment_s - FROZEN_S / 2, moment_s + FROZEN_S / 2) >= MOVES_RAD / 2
