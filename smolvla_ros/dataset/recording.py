# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An episode on its way to disk: an MCAP rosbag that can be read up to its last flush, whatever happens.

One folder an episode, in rosbag2's layout: `<name>/<name>.mcap` with the message definitions inside, and
`metadata.yaml`, which is written last: a folder without it was not finished, and `recover` finishes it. While its
writer lives, the file is locked, so that nobody recovers what is still being written.
Messages are stored as they came off the wire, none is decoded.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from rosbags.highlevel import AnyReader
from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
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

EPISODE = re.compile(r"episode_(\d+)")  # what the recorder calls the folders of its episodes
METADATA = "metadata.yaml"
BAG_INFORMATION = "rosbag2_bagfile_information"
MAGIC = b"\x89MCAP0\r\n"
RECORD_HEADER = struct.Struct("<BQ")  # opcode and length, mcap.dev/spec
FOOTER, DATA_END = 0x02, 0x0F
# A file may end without an index; readers then scan it. Data end with no checksum, footer with no summary.
UNINDEXED_END = (
    RECORD_HEADER.pack(DATA_END, 4) + bytes(4) + RECORD_HEADER.pack(FOOTER, 20) + bytes(20) + MAGIC
)
RECOVERING = ".recovering"


class RecordingError(RuntimeError):
    """An episode cannot be written, marked or recovered; the message names its folder and why."""


@dataclass(frozen=True)
class StreamType:
    """What a topic carries. `stamped`: its messages begin with a std_msgs/Header."""

    msgtype: str
    stamped: bool
    qos: tuple[Qos, ...] = ()


class MessageTypes:
    """Message definitions for bags: ROS 2's common interfaces, others as `definition(type)` reads their text."""

    def __init__(self, definition: Callable[[str], str]) -> None:
        self.store = get_typestore(Stores.ROS2_JAZZY)
        self._definition = definition

    def add(self, msgtype: str) -> None:
        """Know a type and all that it is made of; raises what `definition` raises."""
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
        """Must come before the topic's first message; a topic that is known already changes nothing."""
        if topic in self._connections:
            return
        self._types.add(kind.msgtype)
        self._connections[topic] = self._writer.add_connection(
            topic, kind.msgtype, typestore=self._types.store, offered_qos_profiles=kind.qos
        )

    def write(self, topic: str, receive_ns: int, data: bytes) -> None:
        """Append one serialized message (CDR)."""
        self._writer.write(self._connections[topic], receive_ns, data)
        self.messages += 1

    def flush(self) -> None:
        """Have all that was written on disk, readable; what follows may be lost with the power."""
        if self._storage.chunk.msgs:
            self._storage.close_chunk()
        self._storage.bio.flush()
        os.fsync(self._storage.bio.fileno())

    def finish(self, notes: Mapping[str, str]) -> None:
        """Write index and metadata; `notes` become the bag's custom data. Without messages nothing is kept."""
        if not self.messages:
            self.remove()
            raise RecordingError(f"'{self.folder}': no message has arrived, so there is no episode")
        self.flush()
        for key, value in notes.items():
            self._writer.set_custom_data(key, value)
        self._writer.close()

    def abort(self) -> None:
        """Let go of the file as it is, for `recover`."""
        self._writer.abort()

    def remove(self) -> None:
        """Forget the episode."""
        try:
            self.abort()
        finally:
            shutil.rmtree(self.folder)


def _named_types(description: Any) -> Iterator[str]:
    """The message types in a field's description."""
    node, content = description
    if node == Nodetype.NAME:
        yield content
    elif node in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        yield from _named_types(content[0])


def offered_qos(history: int, depth: int, reliability: int, durability: int) -> tuple[Qos, ...]:
    """A publisher's quality of service, in rmw's numbers, for whoever plays the bag."""
    forever = QosTime(9223372036, 854775807)
    return (
        Qos(
            QosHistory(history),
            depth,
            QosReliability(reliability),
            QosDurability(durability),
            forever,
            forever,
            QosLiveliness.AUTOMATIC,
            forever,
            False,
        ),
    )


def mark(folder: Path, notes: Mapping[str, str]) -> None:
    """Add notes to the custom data of a finished episode."""
    file = folder / METADATA
    try:
        metadata = yaml.safe_load(file.read_text(encoding="utf-8"))
        information = metadata[BAG_INFORMATION]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise RecordingError(f"'{folder}' is no finished episode: {error}") from error
    information["custom_data"] = {**(information.get("custom_data") or {}), **notes}
    _save(file, metadata)


def _save(file: Path, metadata: Any) -> None:
    """All of it or nothing: a folder with half a metadata.yaml would count as finished."""
    changed = file.with_suffix(".yaml.tmp")
    text = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=2**31)
    changed.write_text(text, encoding="utf-8")
    changed.replace(file)


def unfinished(output: Path) -> list[Path]:
    """Episodes of a recorder under `output` that have no end, oldest first; what others left there is none."""
    return sorted(
        folder
        for folder in output.iterdir()
        if EPISODE.fullmatch(folder.name)
        and (folder / f"{folder.name}.mcap").is_file()
        and not (folder / METADATA).exists()
    )


def recover(folder: Path) -> int:
    """Finish an episode that was cut off, with all whole records of its file; returns how many messages it has.

    An episode that holds none is removed, and 0 returned. The file is mended and then written anew beside it, with
    index and metadata; only then does the new one take its place, so being cut off here again loses nothing.
    Raises RecordingError, with the file as it is, when a living process writes it, it is no MCAP file or it is damaged.
    """
    file = folder / f"{folder.name}.mcap"
    rewritten = folder.with_name(folder.name + RECOVERING)
    shutil.rmtree(rewritten, ignore_errors=True)
    try:
        _mend(file)
        count, last_ns = _rewrite(file, rewritten)
    except Exception as error:  # damaged bytes fail in the reader's own ways
        shutil.rmtree(rewritten, ignore_errors=True)
        raise RecordingError(f"'{folder}' cannot be recovered: {error}") from error
    if count:
        bag = rewritten / f"{rewritten.name}.mcap"
        bag.replace(file)
        metadata = yaml.safe_load((rewritten / METADATA).read_text(encoding="utf-8"))
        information = metadata[BAG_INFORMATION]
        information["relative_file_paths"] = [file.name]
        information["files"][0]["path"] = file.name
        information["custom_data"] = {
            "recovered": json.dumps({"messages": count, "last_message_ns": last_ns})
        }
        _save(folder / METADATA, metadata)
    else:
        shutil.rmtree(folder)
    shutil.rmtree(rewritten, ignore_errors=True)
    return count


def _rewrite(file: Path, folder: Path) -> tuple[int, int]:
    """A mended file into a bag of its own: messages, and the time of the last one."""
    count, last_ns = 0, 0
    if file.stat().st_size <= len(UNINDEXED_END):
        return count, last_ns
    with AnyReader([file]) as reader, Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {
            known.id: writer.add_connection(
                known.topic,
                known.msgtype,
                typestore=reader.typestore,
                offered_qos_profiles=cast(ConnectionExtRosbag2, known.ext).offered_qos_profiles,
            )
            for known in reader.connections
        }
        for known, receive_ns, data in reader.messages():
            writer.write(connections[known.id], receive_ns, data)
            count, last_ns = count + 1, max(last_ns, receive_ns)
    return count, last_ns


def _mend(file: Path) -> None:
    """Cut an MCAP file after its last whole record of data, and end it as the format asks.

    Raises RecordingError when it is none or when its writer lives, OSError when it cannot be written.
    """
    with file.open("r+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecordingError("a living process is writing it") from None
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        start = stream.read(len(MAGIC))
        if not MAGIC.startswith(start):
            raise RecordingError(f"{file.name} is no MCAP file; move it out of the recorder's folder")
        if start != MAGIC:
            stream.truncate(0)
            return
        end = stream.tell()
        while len(header := stream.read(RECORD_HEADER.size)) == RECORD_HEADER.size:
            opcode, length = RECORD_HEADER.unpack(header)
            if opcode in (0, DATA_END, FOOTER) or end + RECORD_HEADER.size + length > size:
                break
            end = stream.seek(length, os.SEEK_CUR)
        if end == len(MAGIC):  # not even the header of the file
            stream.truncate(0)
            return
        stream.truncate(end)
        stream.seek(end)
        stream.write(UNINDEXED_END)
