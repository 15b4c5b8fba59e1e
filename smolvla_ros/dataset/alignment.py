# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Resample the streams of a bag to a fixed rate, without samples from the future.

Tick k is at start + k / fps. Each stream contributes its newest sample stamped at or before the tick, so a slower
camera repeats its image and a faster one skips some, as for a policy on the robot. The episode starts when all streams
have started and ends when the first one ends. With a camera of the same rate whose images arrive close to the ticks,
jitter would repeat some images and skip others; so the start is delayed by less than a period, to the phase at which
most images are used.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from smolvla_ros.arrays import FloatArray, IntArray
from smolvla_ros.authority import Authority
from smolvla_ros.dataset import clocks
from smolvla_ros.dataset.bag import Bag, RecordedMessage
from smolvla_ros.dataset.bag_topics import BagTopics
from smolvla_ros.dataset.clocks import ClockComparison
from smolvla_ros.dataset.errors import EpisodeError
from smolvla_ros.image import ImageError
from smolvla_ros.observation import NANOSECONDS, Frame
from smolvla_ros.robot import RobotSpec
from smolvla_ros.wire import MissingJointsError, WireError, frame_from_msg, header_stamp_ns, joints_from_msg

Times = IntArray
Positions = FloatArray
Clock = Literal["header", "receive"]

START_PHASES = 16  # phases within a period that are tried for the first tick


@dataclass(frozen=True)
class AlignmentSettings:
    """The rate of the ticks, and how samples are assigned to them."""

    fps: int
    clock: Clock = "header"  # header stamps or times of arrival; tasks have no header: clocks.py
    max_camera_age_s: float = 0.2  # EpisodeError if the newest sample is older at a tick
    max_state_age_s: float = 0.2
    max_action_age_s: float = 0.5

    def __post_init__(self) -> None:
        if self.fps < 1:
            raise EpisodeError(f"fps must be a whole number above 0, got {self.fps}")


@dataclass(frozen=True, eq=False)
class AlignedEpisode:
    """The newest samples at each of n ticks; images by their ordinal in the bag, for `camera_frames`."""

    stamps_ns: Times  # (n,)
    state_rad: Positions  # (n, joints), in the robot's order
    action_rad: Positions  # (n, joints)
    tasks: list[str]  # n
    ordinals: Mapping[str, Times]  # camera -> (n,)
    clock_warning: str  # how clocks differ; empty: they agree
    vectors: Mapping[str, Positions]  # name -> (n, width)
    authority: list[str]  # n, values of Authority; empty texts: it was not recorded


@dataclass(eq=False)
class _Stream:
    """The samples of one topic in order of arrival: their times, and positions, vectors or texts."""

    bag: Bag
    kind: Literal["image", "joints", "vector", "text"]
    name: str
    topic: str
    max_age_s: float
    stamps: array[int] = field(default_factory=lambda: array("q"))
    arrivals: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    texts: list[str] = field(default_factory=list)

    def error(self, text: str) -> EpisodeError:
        return EpisodeError(f"bag '{self.bag.path}': {self.topic} ({self.name}){text}")

    def add(
        self, recorded: RecordedMessage, message: Any, clock: Clock, joint_names: tuple[str, ...]
    ) -> None:
        """Keep times and values of a message; raises EpisodeError."""
        if self.kind == "joints":
            try:
                self.values.extend(joints_from_msg(message, joint_names).positions_rad)
            except MissingJointsError:
                return  # a servo did not answer: a sample that has not come
            except WireError as error:
                raise self.error(f", message {recorded.ordinal}: {error}") from error
        elif self.kind == "vector":
            self.values.extend(message.values)
        elif self.kind == "text":
            self.texts.append(str(message.data))
        is_stamped = clock == "header" and self.kind != "text"
        self.stamps.append(header_stamp_ns(message) if is_stamped else recorded.receive_ns)
        self.arrivals.append(recorded.receive_ns)

    def check_stamps(self, clock: Clock) -> None:
        """Raise EpisodeError if there are none, or some are not set."""
        if not self.stamps:
            raise self.error(" has no messages; was its node running?")
        if clock == "header" and min(self.stamps) <= 0:
            raise self.error(" has empty header stamps; use --time receive")

    def rows(self) -> Positions:
        """Its values, (samples, width)."""
        return np.array(self.values).reshape(len(self.stamps), -1)

    def sorted(self, ahead_ns: int) -> tuple[Times, Times]:
        """Stamps in ascending order and their ordinals. `ahead_ns`: what its clock is ahead of the others."""
        stamps = np.array(self.stamps)
        order = np.argsort(stamps, kind="stable")
        return stamps[order] - ahead_ns, order


def align_streams(
    bag: Bag, robot: RobotSpec, sources: BagTopics, alignment: AlignmentSettings, task: str | None = None
) -> AlignedEpisode:
    """Read a bag once and resample its streams; `task` replaces the recorded tasks.

    Raises EpisodeError on gaps, streams that do not overlap, clock jumps and invalid values, BagError on damage.
    """
    if task is None and sources.task is None:
        raise EpisodeError(
            f"bag '{bag.path}' has no task: neither active_task nor task was recorded; use --task TEXT"
        )
    cameras = {
        name: _Stream(bag, "image", f"camera '{name}'", topic, alignment.max_camera_age_s)
        for name, topic in sources.cameras.items()
    }
    state = _Stream(bag, "joints", "state", sources.state, alignment.max_state_age_s)
    action = _Stream(bag, "joints", "action", sources.action, alignment.max_action_age_s)
    vectors = {
        name: _Stream(bag, "vector", f"vector '{name}'", topic, alignment.max_state_age_s)
        for name, topic in sources.vectors.items()
    }
    tasks = _Stream(bag, "text", "task", sources.task or "", np.inf)
    authority = _Stream(bag, "text", "control", sources.authority or "", np.inf)
    stamped = [*cameras.values(), state, action, *vectors.values()]
    needed = [*stamped, *([tasks] if task is None else [])]
    streams = [*needed, *([authority] if sources.authority else [])]
    for recorded in bag.messages({stream.topic for stream in streams}):
        message = recorded.decode()
        for stream in streams:
            if stream.topic == recorded.topic:
                stream.add(recorded, message, alignment.clock, robot.joint_names)
    for stream in streams:
        stream.check_stamps(alignment.clock)
    comparison = _compare_clocks(stamped)
    times = {id(stream): stream.sorted(comparison.ahead_ns(stream.topic)) for stream in streams}
    start = max(int(times[id(stream)][0][0]) for stream in needed)
    end = min(int(times[id(stream)][0][-1]) for stream in stamped)
    if end < start:
        raise EpisodeError(
            f"bag '{bag.path}': its streams do not overlap, one begins {(start - end) / NANOSECONDS:.2f} s after "
            "another ends: "
            + ", ".join(f"{stream.topic} {_span(times[id(stream)][0])}" for stream in streams)
        )
    images = [times[id(stream)][0] for stream in cameras.values()]
    ticks = _choose_ticks(start, end, alignment.fps, images)
    chosen = {id(stream): _newest_ordinals(stream, *times[id(stream)], ticks) for stream in needed}
    rows = {id(stream): stream.rows()[chosen[id(stream)]] for stream in (state, action, *vectors.values())}
    return AlignedEpisode(
        stamps_ns=ticks,
        state_rad=rows[id(state)],
        action_rad=rows[id(action)],
        tasks=[tasks.texts[i] for i in chosen[id(tasks)]] if task is None else [task] * len(ticks),
        ordinals={name: chosen[id(stream)] for name, stream in cameras.items()},
        clock_warning="; ".join(filter(None, (comparison.disagreement, comparison.recorder_difference))),
        vectors={name: rows[id(stream)] for name, stream in vectors.items()},
        authority=_authority(authority, times.get(id(authority)), ticks),
    )


def _compare_clocks(streams: list[_Stream]) -> ClockComparison:
    """The clocks of the streams; raises EpisodeError if their stamps cannot be compared."""
    comparison = ClockComparison.of(
        {stream.topic: (np.array(stream.stamps), np.array(stream.arrivals)) for stream in streams}
    )
    for stream in streams:
        if (change_s := comparison.changes_s.get(stream.topic, 0.0)) > clocks.MAX_CHANGE_S:
            raise stream.error(
                f": header stamps and times of arrival drift {change_s:.2f} s apart, so a clock jumped or the stamps "
                "are in wrong order, or simulated time had another pace; use --time receive if the times of arrival "
                "are right"
            )
    if comparison.difference_s > clocks.MAX_DIFFERENCE_S:
        raise EpisodeError(
            f"bag '{streams[0].bag.path}': {comparison.disagreement}: the clocks of the computers that stamped them "
            "differ. Synchronise them and record again; use --time receive if the times of arrival are right"
        )
    return comparison


def camera_frames(bag: Bag, topic: str, camera: str, ordinals: Times) -> Iterator[Frame]:
    """The frame of each tick, given its ordinal on `topic`; each is decoded once and only the newest one is kept.

    Raises EpisodeError on images that cannot be decoded or change their size.
    """
    needed, waiting, done = set(ordinals.tolist()), {}, 0
    frame: Frame | None = None
    newest = -1
    for recorded in bag.messages([topic]):
        if recorded.ordinal in needed:
            waiting[recorded.ordinal] = recorded
        while done < len(ordinals) and (ordinals[done] == newest or ordinals[done] in waiting):
            if ordinals[done] != newest:
                newest = int(ordinals[done])
                try:
                    image = frame_from_msg(waiting.pop(newest).decode(), camera)
                except ImageError as error:
                    raise EpisodeError(f"bag '{bag.path}': {topic}, image {newest}: {error}") from error
                if frame is not None and frame.image.shape != image.image.shape:
                    raise EpisodeError(
                        f"bag '{bag.path}': {topic} changes its size at image {newest}, from {_size(frame)} to "
                        f"{_size(image)}; a dataset has one image size per camera"
                    )
                frame = image
            assert frame is not None
            yield frame
            done += 1
    if done < len(ordinals):
        raise EpisodeError(
            f"bag '{bag.path}': {topic} gave {done} of {len(ordinals)} frames; was the bag changed meanwhile?"
        )


def _choose_ticks(start: int, end: int, fps: int, images: list[Times]) -> Times:
    """The ticks up to `end`, at the phase after `start` at which most images are used, or else the newest ones."""

    def ticks(first: int) -> Times:
        count = max((end - first + 1) * fps - 1, 0) // NANOSECONDS + 1
        return first + np.arange(count, dtype=np.int64) * NANOSECONDS // fps

    def cost(grid: Times) -> tuple[int, int]:
        newest = [np.searchsorted(stamps, grid, side="right") - 1 for stamps in images]
        used = sum(len(np.unique(chosen)) for chosen in newest)
        age = sum(int((grid - stamps[chosen]).sum()) for stamps, chosen in zip(images, newest, strict=True))
        return -used, age // len(grid)

    period = NANOSECONDS // fps
    firsts = [start + i * period // START_PHASES for i in range(START_PHASES)]
    return min((ticks(first) for first in firsts if first <= end), key=cost)


def _newest_ordinals(stream: _Stream, stamps: Times, ordinals: Times, ticks: Times) -> Times:
    newest = np.searchsorted(stamps, ticks, side="right") - 1
    ages_s = (ticks - stamps[newest]) / NANOSECONDS
    worst = int(np.argmax(ages_s))
    if ages_s[worst] > stream.max_age_s:
        raise stream.error(
            f" has no messages for {ages_s[worst]:.2f} s, up to "
            f"{(ticks[worst] - ticks[0]) / NANOSECONDS:.2f} s into the episode; at most {stream.max_age_s} s are "
            "allowed. Cut the bag there, or allow more with --max-age"
        )
    return np.asarray(ordinals[newest])


def _authority(stream: _Stream, times: tuple[Times, Times] | None, ticks: Times) -> list[str]:
    """Who commanded at each tick; nobody before the first message, when the executor had not started."""
    if times is None:
        return [""] * len(ticks)
    stamps, ordinals = times
    newest = np.searchsorted(stamps, ticks, side="right") - 1
    return [stream.texts[ordinals[i]] if i >= 0 else Authority.NONE.value for i in newest]


def _span(stamps: Times) -> str:
    return f"{stamps[0] / NANOSECONDS:.2f} .. {stamps[-1] / NANOSECONDS:.2f} s"


def _size(frame: Frame) -> str:
    return f"{frame.image.shape[1]}x{frame.image.shape[0]}"
