# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recording of one episode: callbacks add messages to a queue, one thread writes them.

Only that thread waits for the disk. On a slow disk the queue grows; beyond `max_queue_bytes` messages are dropped and
counted. The file is flushed every `flush_s`, so a crash loses at most the messages of this time.
"""

from __future__ import annotations

import errno
import queue
import shutil
import threading
import time
from contextlib import suppress

from smolvla_ros.dataset.episode_writer import EpisodeWriter, StreamType
from smolvla_ros.dataset.errors import RecordingError
from smolvla_ros.dataset.stream_counter import SLOW_DISK, StreamCounter, StreamReport

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
FINISH_S = 60.0  # to write the queued messages; after that the disk counts as failed


class EpisodeRecorder:
    """Writes an episode; `failure`: why it was stopped, empty while there is none."""

    def __init__(
        self,
        writer: EpisodeWriter,
        task: str,
        flush_s: float,
        min_free_bytes: int,
        max_queue_bytes: int,
    ) -> None:
        self.folder = writer.folder
        self.task = task
        self.failure = ""
        self._broken = False  # the file cannot be closed
        self.started_s = time.monotonic()
        self.started_ns = time.time_ns()  # on the clock of the middleware's reception times
        self._writer = writer
        self._flush_s = flush_s
        self._min_free_bytes = min_free_bytes
        self._max_queue_bytes = max_queue_bytes
        self._queued_bytes = 0
        self._counters: dict[str, StreamCounter] = {}
        self._queue: queue.SimpleQueue[tuple[str, StreamType, int, bytes] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # for _queued_bytes, which both threads change
        self._thread = threading.Thread(target=self._write_all, name="recording", daemon=True)
        self._thread.start()

    @property
    def duration_s(self) -> float:
        return time.monotonic() - self.started_s

    @property
    def messages(self) -> int:
        return sum(counter.messages for counter in self._counters.values())

    @property
    def lost(self) -> int:
        """Number of messages that are known to be missing."""
        return sum(counter.lost + counter.dropped for counter in self._counters.values())

    def add(self, topic: str, kind: StreamType, receive_ns: int, data: bytes) -> None:
        """Add a serialized message to the queue."""
        counter = self._counter(topic, kind)
        if self.failure or self._queued_bytes + len(data) > self._max_queue_bytes:
            counter.dropped += 1
            return
        with self._lock:
            self._queued_bytes += len(data)
        counter.add(receive_ns, data)
        self._queue.put((topic, kind, receive_ns, data))

    def add_lost(self, topic: str, kind: StreamType, count: int) -> None:
        """Count messages of a topic that the middleware has lost."""
        self._counter(topic, kind).lost += count

    def finish(self, notes: dict[str, str]) -> list[StreamReport]:
        """Write the queued messages and close the bag; raises RecordingError if that fails."""
        self._stop_thread()
        if self._broken:
            raise RecordingError(
                f"'{self.folder}' is not complete and is recovered at the next start: {self.failure}"
            )
        try:
            self._writer.finish({"task": self.task, **notes})
        except OSError as error:
            self._writer.abort()
            raise RecordingError(
                f"'{self.folder}' has no index and is recovered at the next start: {error}"
            ) from error
        return self.report()

    def discard(self) -> None:
        """Stop and delete the episode."""
        self._stop_thread()
        self._writer.discard()

    def report(self) -> list[StreamReport]:
        cause = self.failure or SLOW_DISK
        return [counter.report(cause) for _, counter in sorted(self._counters.items())]

    def _counter(self, topic: str, kind: StreamType) -> StreamCounter:
        if topic not in self._counters:
            self._counters[topic] = StreamCounter(topic, kind.stamped)
        return self._counters[topic]

    def _stop_thread(self) -> None:
        """Wait until the queued messages are written; those that are left after a disk failure count as dropped."""
        self._queue.put(None)
        self._thread.join(FINISH_S)
        if self._thread.is_alive():
            self.failure, self._broken = f"the disk has not accepted data for {FINISH_S:.0f} s", True
        with suppress(queue.Empty):
            while True:
                entry = self._queue.get_nowait()
                if entry is not None:
                    self._counters[entry[0]].dropped += 1

    def _write_all(self) -> None:
        try:
            self._write_until_stopped()
        except Exception as error:  # `failure` reports any error to the node
            is_full = isinstance(error, OSError) and error.errno in DISK_FULL
            self.failure = "the disk is full" if is_full else f"{type(error).__name__}: {error}"
            self._broken = True
            with suppress(OSError):
                self._writer.abort()

    def _write_until_stopped(self) -> None:
        flush_due_s = time.monotonic() + self._flush_s
        while not self.failure:
            try:
                entry = self._queue.get(timeout=max(0.0, flush_due_s - time.monotonic()))
                if entry is None:
                    return
                self._write(*entry)
            except queue.Empty:
                pass
            if time.monotonic() >= flush_due_s:
                self._writer.flush()
                self._check_space()
                flush_due_s = time.monotonic() + self._flush_s

    def _write(self, topic: str, kind: StreamType, receive_ns: int, data: bytes) -> None:
        self._writer.add_topic(topic, kind)
        self._writer.write(topic, receive_ns, data)
        with self._lock:
            self._queued_bytes -= len(data)

    def _check_space(self) -> None:
        """Stop while there is space for the index."""
        free = shutil.disk_usage(self.folder).free
        if free < self._min_free_bytes:
            self.failure = (
                f"the disk is nearly full, {free / 1e6:.0f} MB are free, "
                f"min_free_mb={self._min_free_bytes / 1e6:.0f}"
            )
