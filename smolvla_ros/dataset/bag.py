# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read and write rosbags without ROS, by the rosbags library: mcap and sqlite3, compressed with zstd or not.

Messages have the fields of their ROS class, so `wire.py` reads them like live ones. A type is decoded with the
definition in the bag, or with Jazzy's if the bag contains none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from smolvla_ros.dataset.errors import BagError

METADATA = "metadata.yaml"
STORAGES = (".mcap", ".db3")
IDL_SECTION = "=" * 80 + "\nIDL: "  # separates the IDL files in a schema of several


@dataclass(frozen=True, eq=False)
class RecordedMessage:
    """A serialized message of a bag."""

    topic: str
    type: str  # such as sensor_msgs/msg/JointState
    receive_ns: int  # when the recorder received it
    ordinal: int  # number of messages of its topic before it
    raw: bytes = field(repr=False)
    _decode: Callable[[bytes, str], Any] = field(repr=False)

    def decode(self) -> Any:
        """The message, with the fields of its ROS class; raises BagError."""
        try:
            return self._decode(self.raw, self.type)
        except BagError:
            raise
        except Exception as error:  # the decoder raises many types on damaged data
            raise BagError(
                f"{self.topic}: message {self.ordinal} is not a {self.type}: {_error_text(error)}; it is damaged"
            ) from error


class Bag:
    """A recording, opened with `with`: a rosbag2 folder or a single storage file."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = self.path.stem if self.path.is_file() else last_name(self.path)
        self.topics: dict[str, str] = {}  # topic -> type
        self.counts: dict[str, int] = {}  # topic -> messages
        self.custom_data: dict[str, str] = {}  # the recorder's notes in the metadata
        self._readers: list[Reader] = []
        self._stores: dict[str, Typestore] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Bag:
        try:
            with _bag_errors(self.path):
                for file in _storages(self.path):
                    reader = self._stack.enter_context(Reader(file))
                    self._readers.append(reader)
                    self.custom_data |= reader.storage.metadata.custom or {}
                    for connection in reader.connections:
                        self._add(connection)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _add(self, connection: Connection) -> None:
        topic, kind = connection.topic, connection.msgtype
        if self.topics.setdefault(topic, kind) != kind:
            raise BagError(
                f"bag '{self.path}': {topic} carries both {self.topics[topic]} and {kind}; record two topics"
            )
        self.counts[topic] = self.counts.get(topic, 0) + connection.msgcount

    def find(self, name: str) -> str | None:
        """The topic `name`, or the only one that ends in /`name` in a namespace; None if there is none.

        Raises BagError if several topics end in it.
        """
        name = name.strip("/")
        if f"/{name}" in self.topics:
            return f"/{name}"
        found = [topic for topic in self.topics if topic.endswith(f"/{name}")]
        if len(found) > 1:
            raise BagError(
                f"bag '{self.path}': {name} is ambiguous: {', '.join(found)}; give the full topic name"
            )
        return found[0] if found else None

    def require(self, name: str) -> str:
        """The topic as by `find`; raises BagError if there is none."""
        topic = self.find(name)
        if topic is None:
            known = ", ".join(sorted(self.topics)) or "no topics"
            raise BagError(f"bag '{self.path}' has no {name}; it has {known}")
        return topic

    def messages(self, topics: Iterable[str]) -> Iterator[RecordedMessage]:
        """The messages of these topics in order of arrival; raises BagError on damage."""
        wanted, ordinals = set(topics), dict.fromkeys(topics, 0)
        for reader in self._readers:
            connections = [c for c in reader.connections if c.topic in wanted]
            if not connections:
                continue
            with _bag_errors(self.path):
                for connection, receive_ns, raw in reader.messages(connections):
                    topic = connection.topic
                    yield RecordedMessage(
                        topic, connection.msgtype, receive_ns, ordinals[topic], raw, self._decode
                    )
                    ordinals[topic] += 1

    def _decode(self, raw: bytes, kind: str) -> Any:
        if kind not in self._stores:
            self._stores[kind] = self._store(kind)
        return self._stores[kind].deserialize_cdr(raw, kind)

    def _store(self, kind: str) -> Typestore:
        """The definitions for one type; each type has its own, so that a wrong definition affects no other type."""
        for connection in (c for reader in self._readers for c in reader.connections if c.msgtype == kind):
            definition = connection.msgdef
            if definition.format == MessageDefinitionFormat.NONE:
                continue
            store = get_typestore(Stores.EMPTY)
            if definition.format == MessageDefinitionFormat.MSG:
                store.register(get_types_from_msg(definition.data, kind))
            else:
                for section in definition.data.split(IDL_SECTION):
                    store.register(get_types_from_idl(section.partition("\n")[2] or section))
            return store
        store = get_typestore(Stores.ROS2_JAZZY)
        if kind not in store.fielddefs:
            raise BagError(
                f"bag '{self.path}': it does not contain the definition of {kind}, and ROS 2 Jazzy has no such type; "
                "record to mcap, which stores the definitions"
            )
        return store


class BagWriter:
    """Writes an mcap bag in rosbag2's layout, message definitions included; opened with `with`."""

    def __init__(self, path: str | Path, custom_data: Mapping[str, str] | None = None) -> None:
        self.path = Path(path)
        if self.path.exists():
            raise BagError(f"bag '{self.path}' exists already; remove it or use another name")
        self._store = get_typestore(Stores.ROS2_JAZZY)
        self._connections: dict[str, Connection] = {}
        self._writer = Writer(self.path, version=9, storage_plugin=StoragePlugin.MCAP)
        for key, value in (custom_data or {}).items():
            self._writer.set_custom_data(key, value)

    def __enter__(self) -> BagWriter:
        self._writer.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def message(self, kind: str, **fields: Any) -> Any:
        """A message of a type of ROS 2 Jazzy, such as `std_msgs/msg/String`."""
        return self._store.types[kind](**fields)

    def write(self, topic: str, message: Any, receive_ns: int) -> None:
        """Write a message that `message` made to a topic."""
        kind: str = message.__msgtype__
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, kind, typestore=self._store)
        self._writer.write(
            self._connections[topic], receive_ns, bytes(self._store.serialize_cdr(message, kind))
        )


def last_name(path: Path) -> str:
    """The name of a file or folder, also of "." and ".."."""
    return path.name if path.name not in ("", "..") else path.resolve().name


def find_bags(paths: Iterable[str | Path], outcome: str | None = None) -> list[Path]:
    """The bags in `paths`; for a folder that is not a bag, those in it by name, storage files of their own too.

    `outcome`: only those that the recorder marked with this outcome, and those that cannot be read, so that they are
    reported. Raises BagError.
    """
    bags: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise BagError(f"bag '{path}' does not exist")
        if path.is_file() or (path / METADATA).exists():
            bags.append(path)
            continue
        folders = [path, *(folder for folder in path.rglob("*") if folder.is_dir())]
        inside = sorted(bag for folder in folders for bag in _bags_in(folder))
        if not inside:
            raise BagError(
                f"'{path}' is not a bag and contains none: neither {METADATA} nor {' or '.join(STORAGES)} files"
            )
        bags += inside
    if outcome is None:
        return bags
    outcomes = {path: _outcome(path) for path in bags}
    chosen = [path for path in bags if outcomes[path] in (outcome, None)]
    if not chosen:
        raise BagError(
            f"no bag is marked '{outcome}'; the marks are {sorted(set(map(str, outcomes.values())))}"
        )
    return chosen


def _outcome(path: Path) -> str | None:
    """None: the bag cannot be read."""
    try:
        with Bag(path) as bag:
            return bag.custom_data.get("outcome", "")
    except BagError:
        return None


def _bags_in(folder: Path) -> list[Path]:
    """The folder if it is one bag, or the storage files in it, each of which is one."""
    if (folder / METADATA).exists():
        return [folder]
    files = _storage_files(folder)
    return [folder] if files and _are_parts(folder, files) else files


def _storage_files(folder: Path) -> list[Path]:
    """In the order in which they were written, if they are the parts of one bag: 9 before 10."""
    files = [entry for entry in folder.iterdir() if entry.suffix in STORAGES and entry.is_file()]
    are_parts = _are_parts(folder, files)
    return sorted(files, key=lambda file: (len(file.name) if are_parts else 0, file.name))


def _are_parts(folder: Path, files: Sequence[Path]) -> bool:
    """Whether files are one bag, whose recorder was killed before it wrote metadata: by their names, FOLDER_0, ..."""
    part = re.compile(rf"{re.escape(last_name(folder))}_\d+")
    return len(files) == 1 or all(part.fullmatch(file.stem) for file in files)


def _storages(path: Path) -> list[Path]:
    """The paths for rosbags: the folder, or its storage files if there is no metadata; raises BagError."""
    if not path.exists():
        raise BagError(f"bag '{path}' does not exist")
    if path.is_file() or (path / METADATA).exists():
        return [path]
    files = _storage_files(path)
    if not files:
        raise BagError(f"'{path}' is not a bag: neither {METADATA} nor {' or '.join(STORAGES)} files")
    if not _are_parts(path, files):
        raise BagError(
            f"'{path}' has several bags: {', '.join(file.name for file in files)}; name one of them"
        )
    return files


@contextmanager
def _bag_errors(path: Path) -> Iterator[None]:
    """Raise errors of the rosbags library, which have no common type, as BagError with the path."""
    try:
        yield
    except (BagError, OSError, MemoryError, GeneratorExit):
        raise
    except Exception as error:
        raise BagError(
            f"bag '{path}' cannot be read: {_error_text(error)} It is truncated or damaged; the recorder repairs "
            "its own bags when it starts, `ros2 bag reindex` or `mcap recover` may repair others"
        ) from error


def _error_text(error: Exception) -> str:
    return str(error) or type(error).__name__
