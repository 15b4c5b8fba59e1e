# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The storages of `ros2 bag record`: sqlite3 and mcap, with and without zstd, with and without definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from smolvla_ros.dataset.bag import Bag, BagWriter
from smolvla_ros.dataset.errors import BagError

from ..sample_bags import conversion, record, run


def copy(source: Path, target: Path, storage: StoragePlugin, compression: CompressionMode) -> Path:
    """Copy a bag to another storage."""
    store = get_typestore(Stores.ROS2_JAZZY)
    writer = Writer(target, version=8, storage_plugin=storage)
    writer.set_compression(compression, CompressionFormat.ZSTD)
    with Bag(source) as bag, writer:
        connections = {
            topic: writer.add_connection(topic, kind, typestore=store) for topic, kind in bag.topics.items()
        }
        for recorded in bag.messages(bag.topics):
            writer.write(connections[recorded.topic], recorded.receive_ns, recorded.raw)
    return target


@pytest.mark.parametrize("storage", list(StoragePlugin))
@pytest.mark.parametrize("compression", list(CompressionMode))
def test_every_storage_gives_the_same_dataset(tmp_path, storage, compression):
    if storage == StoragePlugin.SQLITE3 and compression == CompressionMode.STORAGE:
        pytest.skip("sqlite3 has no compression of its own")
    plain = record(tmp_path / "bag", seconds=0.3)
    other = copy(plain, tmp_path / "other", storage, compression)
    one, two = (run(conversion([path], tmp_path / f"data_{path.name}")) for path in (plain, other))
    assert np.array_equal(one.frames(0).state, two.frames(0).state)
    assert all(
        np.array_equal(a, b) for a, b in zip(one.images(0, "camera1"), two.images(0, "camera1"), strict=True)
    )


def test_messages_are_in_order_of_arrival_and_counted_by_topic(tmp_path):
    with BagWriter(tmp_path / "bag", {"outcome": "success"}) as writer:
        for k in range(5):
            writer.write(f"/{'ab'[k % 2]}", writer.message("std_msgs/msg/String", data=str(k)), 100 - 10 * k)
    with Bag(tmp_path / "bag") as bag:
        assert bag.topics == {"/a": "std_msgs/msg/String", "/b": "std_msgs/msg/String"}
        assert bag.counts == {"/a": 3, "/b": 2} and bag.custom_data == {"outcome": "success"}
        got = [(r.topic, r.ordinal, r.receive_ns, r.decode().data) for r in bag.messages(["/a", "/b"])]
    assert got == [
        ("/a", 0, 60, "4"),
        ("/b", 0, 70, "3"),
        ("/a", 1, 80, "2"),
        ("/b", 1, 90, "1"),
        ("/a", 2, 100, "0"),
    ]


def test_a_bag_is_not_overwritten(tmp_path):
    with BagWriter(tmp_path / "bag"):
        pass
    with pytest.raises(BagError, match="exists already"):
        BagWriter(tmp_path / "bag")
