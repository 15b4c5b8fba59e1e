# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finish episodes whose recorder was killed: all whole records of their file are kept."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import yaml
from rosbags.highlevel import AnyReader
from rosbags.interfaces import ConnectionExtRosbag2
from rosbags.rosbag2 import StoragePlugin, Writer

from smolvla_ros.dataset.episode_writer import BAG_INFORMATION, METADATA, save_metadata
from smolvla_ros.dataset.errors import RecordingError

EPISODE = re.compile(r"episode_(\d+)")  # the folder names that the recorder uses
RECOVERING = ".recovering"
MAGIC = b"\x89MCAP0\r\n"
RECORD_HEADER = struct.Struct("<BQ")  # opcode and length, mcap.dev/spec
FOOTER, DATA_END = 0x02, 0x0F
# A file may end without an index; readers then scan it. Data end without checksum, footer without summary.
UNINDEXED_END = (
    RECORD_HEADER.pack(DATA_END, 4) + bytes(4) + RECORD_HEADER.pack(FOOTER, 20) + bytes(20) + MAGIC
)


def unfinished_episodes(output: Path) -> list[Path]:
    """The folders of unfinished episodes in `output`, oldest first; other files and folders are ignored."""
    return sorted(
        folder
        for folder in output.iterdir()
        if EPISODE.fullmatch(folder.name)
        and (folder / f"{folder.name}.mcap").is_file()
        and not _has_content(folder / METADATA)
    )


def _has_content(file: Path) -> bool:
    """Whether there is a file that is not empty; a power failure leaves empty what was not on the disk yet."""
    return file.exists() and file.stat().st_size > 0


def recover_episode(folder: Path, keep_free_bytes: int = 0) -> int:
    """Finish an episode and return its number of messages; an episode without messages is removed.

    The file is repaired, then copied with index and metadata into a folder beside it, and replaced by the copy: if this
    is interrupted too, nothing is lost. Raises RecordingError, and leaves the file unchanged, when a running process
    writes it, when it is not an MCAP file, when it is damaged, and when the copy would not leave `keep_free_bytes`.
    """
    file = folder / f"{folder.name}.mcap"
    rewritten = folder.with_name(folder.name + RECOVERING)
    shutil.rmtree(rewritten, ignore_errors=True)
    try:
        _check_space(file, keep_free_bytes)
        _repair(file)
        count, last_ns = _copy_with_index(file, rewritten)
        if count:
            _replace_by_copy(file, rewritten, {"messages": count, "last_message_ns": last_ns})
        else:
            shutil.rmtree(folder)
    except Exception as error:  # the reader raises many types on damaged data
        raise RecordingError(f"'{folder}' cannot be recovered: {error}") from error
    finally:
        shutil.rmtree(rewritten, ignore_errors=True)
    return count


def _check_space(file: Path, keep_free_bytes: int) -> None:
    size, free = file.stat().st_size, shutil.disk_usage(file).free
    if free < size + keep_free_bytes:
        raise RecordingError(
            f"its copy takes {size / 1e6:.0f} MB, {free / 1e6:.0f} MB are free and {keep_free_bytes / 1e6:.0f} MB must "
            "stay free; free some, and start the recorder again"
        )


def _replace_by_copy(file: Path, copy: Path, recovered: Mapping[str, int]) -> None:
    """Replace the file of an episode by that in the folder of its copy, then write the metadata of the copy."""
    (copy / f"{copy.name}.mcap").replace(file)
    metadata = yaml.safe_load((copy / METADATA).read_text(encoding="utf-8"))
    information = metadata[BAG_INFORMATION]
    information["relative_file_paths"] = [file.name]
    information["files"][0]["path"] = file.name
    information["custom_data"] = {"recovered": json.dumps(recovered)}
    save_metadata(file.with_name(METADATA), metadata)


def _copy_with_index(file: Path, folder: Path) -> tuple[int, int]:
    """Copy the messages of a repaired file to a new bag; returns their number and the time of the last one, ns."""
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


def _repair(file: Path) -> None:
    """Truncate an MCAP file after its last whole data record and append the end that the format requires.

    Raises RecordingError when it is not an MCAP file or its writer is running, OSError when it cannot be written.
    """
    with file.open("r+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecordingError("a running process is writing it") from None
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        start = stream.read(len(MAGIC))
        if not MAGIC.startswith(start):
            raise RecordingError(f"{file.name} is not an MCAP file; move it out of the recorder's folder")
        if start != MAGIC:
            stream.truncate(0)
            return
        end = stream.tell()
        while len(header := stream.read(RECORD_HEADER.size)) == RECORD_HEADER.size:
            opcode, length = RECORD_HEADER.unpack(header)
            if opcode in (0, DATA_END, FOOTER) or end + RECORD_HEADER.size + length > size:
                break
            end = stream.seek(length, os.SEEK_CUR)
        if end == len(MAGIC):  # the file's header record is incomplete
            stream.truncate(0)
            return
        stream.truncate(end)
        stream.seek(end)
        stream.write(UNINDEXED_END)
