# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write an episode as an MCAP rosbag that stays readable up to its last flush after a crash.

Each episode is a folder in rosbag2's layout: `<name>/<name>.mcap` with the message definitions inside, and
`metadata.yaml`, which is written last. A folder without it is unfinished; episode_recovery.py finishes it. The writer
locks the file, so that an episode is not recovered while it is written. Messages are stored serialized, as received.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from rosbags.interfaces import (
    Connection,
    Nodetype,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from smolvla_ros.dataset.errors import RecordingError

METADATA = "metadata.yaml"
BAG_INFORMATION = "rosbag2_bagfile_information"


@dataclass(frozen=True)
class StreamType:
    """The type of a topic. `stamped`: its messages begin with a std_msgs/Header."""

    msgtype: str
    stamped: bool
    qos: tuple[Qos, ...] = ()


class MessageTypes:
    """Message definitions for bags: ROS 2's common interfaces, and others whose text `definition(type)` returns."""

    def __init__(self, definition: Callable[[str], str]) -> None:
        self.store = get_typestore(Stores.ROS2_JAZZY)
        self._definition = definition

    def add(self, msgtype: str) -> None:
        """Add a type and the types of its fields; raises what `definition` raises."""
        if msgtype in self.store.fielddefs:
            return
        found = get_types_from_msg(self._definition(msgtype), msgtype)
        for _, fields in found.values():
            for _, description in fields:
                for part in _named_types(description):
                    if part not in found:
                        self.add(part)
        self.store.register(found)


class EpisodeWriter:
    """Writes serialized messages into a new bag folder."""

    def __init__(self, folder: Path, types: MessageTypes) -> None:
        self.folder = folder
        self.messages = 0
        self._types = types
        self._connections: dict[str, Connection] = {}
        try:
            self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
            self._writer.open()
        except WriterError as error:
            raise RecordingError(f"'{folder}' cannot be written: {error}") from error
        self._storage = cast(McapWriter, self._writer.storage)
        fcntl.flock(self._storage.bio, fcntl.LOCK_EX)
        self._storage.bio.flush()

    def add_topic(self, topic: str, kind: StreamType) -> None:
        """Add a topic, before its first message is written; does nothing for a topic that was added already."""
        if topic in self._connections:
            return
        self._types.add(kind.msgtype)
        self._connections[topic] = self._writer.add_connection(
            topic, kind.msgtype, typestore=self._types.store, offered_qos_profiles=kind.qos
        )

    def write(self, topic: str, receive_ns: int, data: bytes) -> None:
        """Append a serialized message (CDR)."""
        self._writer.write(self._connections[topic], receive_ns, data)
        self.messages += 1

    def flush(self) -> None:
        """Write all messages so far to disk, readable even if the power fails afterwards."""
        if self._storage.chunk.msgs:
            self._storage.close_chunk()
        self._storage.bio.flush()
        os.fsync(self._storage.bio.fileno())

    def finish(self, custom_data: Mapping[str, str]) -> None:
        """Write index and metadata; raises RecordingError, and removes the folder, if there are no messages."""
        if not self.messages:
            self.discard()
            raise RecordingError(f"'{self.folder}': no message has arrived, so no episode is kept")
        self.flush()
        for key, value in custom_data.items():
            self._writer.set_custom_data(key, value)
        self._writer.close()
        for file in self.folder.iterdir():  # or they would be empty or cut off where the power fails soon
            with file.open("rb") as written:
                os.fsync(written.fileno())

    def abort(self) -> None:
        """Close the file without index and metadata; `recover_episode` adds them."""
        self._writer.abort()

    def discard(self) -> None:
        """Remove the episode's folder."""
        try:
            self.abort()
        finally:
            shutil.rmtree(self.folder)


def _named_types(description: Any) -> Iterator[str]:
    """The message types that the description of a field names."""
    node, content = description
    if node == Nodetype.NAME:
        yield content
    elif node in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        yield from _named_types(content[0])


def offered_qos(history: int, depth: int, reliability: int, durability: int) -> tuple[Qos, ...]:
    """A publisher's quality of service for the bag's metadata, from rmw's numbers."""
    infinite = QosTime(9223372036, 854775807)
    return (
        Qos(
            QosHistory(history),
            depth,
            QosReliability(reliability),
            QosDurability(durability),
            infinite,
            infinite,
            QosLiveliness.AUTOMATIC,
            infinite,
            False,
        ),
    )


def add_custom_data(folder: Path, custom_data: Mapping[str, str]) -> None:
    """Add entries to the custom data of a finished episode; raises RecordingError."""
    file = folder / METADATA
    try:
        metadata = yaml.safe_load(file.read_text(encoding="utf-8"))
        information = metadata[BAG_INFORMATION]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise RecordingError(f"'{folder}' is not a finished episode: {error}") from error
    information["custom_data"] = {**(information.get("custom_data") or {}), **custom_data}
    save_metadata(file, metadata)


def save_metadata(file: Path, metadata: Any) -> None:
    """Replace the file in one step: a folder with a partly written metadata.yaml would count as finished."""
    changed = file.with_suffix(".yaml.tmp")
    text = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=2**31)
    changed.write_text(text, encoding="utf-8")
    changed.replace(file)
