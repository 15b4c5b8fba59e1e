# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses, forces and arrays become features of their own, in a form that LeRobot reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import yaml

from smolvla_ros.dataset.bag import BagWriter
from smolvla_ros.dataset.bag_mapping import BagMapping, MappingError
from smolvla_ros.dataset.errors import EpisodeError

from ..sample_bags import LAG_NS, ROBOT, START_NS, Entry, conversion, header, record, run

MAP = {
    "vectors": {
        "ee_pose": {"topic": "/tool_pose"},
        "force": {"topic": "/wrench"},
        "pressure": {"topic": "/pressure", "names": ["finger"]},
    }
}
PERIOD_NS = 20_000_000


def vectors(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
    """Message k of each topic has the values k, k + 1, ...; those of the array arrive without a stamp."""
    more: list[Entry] = []
    for k in range(51):
        stamp_ns = START_NS + k * PERIOD_NS
        at, top = stamp_ns + LAG_NS, header(bag, stamp_ns)
        point = bag.message("geometry_msgs/msg/Point", x=k, y=k + 1, z=k + 2)
        turn = bag.message("geometry_msgs/msg/Quaternion", x=k + 3, y=k + 4, z=k + 5, w=k + 6)
        pose = bag.message("geometry_msgs/msg/Pose", position=point, orientation=turn)
        more.append(("/tool_pose", bag.message("geometry_msgs/msg/PoseStamped", header=top, pose=pose), at))
        force = bag.message("geometry_msgs/msg/Vector3", x=k, y=k + 1, z=k + 2)
        torque = bag.message("geometry_msgs/msg/Vector3", x=k + 3, y=k + 4, z=k + 5)
        wrench = bag.message("geometry_msgs/msg/Wrench", force=force, torque=torque)
        more.append(
            ("/wrench", bag.message("geometry_msgs/msg/WrenchStamped", header=top, wrench=wrench), at)
        )
        layout = bag.message("std_msgs/msg/MultiArrayLayout", dim=[], data_offset=0)
        data = np.array([k], np.float64)
        more.append(
            ("/pressure", bag.message("std_msgs/msg/Float64MultiArray", layout=layout, data=data), at)
        )
    return entries + more


def mapping(folder: Path, data: Any) -> BagMapping:
    path = folder / "map.yaml"
    path.write_text(yaml.safe_dump(data))
    return BagMapping.load(path, ROBOT)


def test_vectors_become_features_with_named_values_and_statistics(tmp_path: Path) -> None:
    bag = record(tmp_path / "bag", edit=vectors)
    dataset = run(conversion([bag], tmp_path / "data", mapping=mapping(tmp_path, MAP)))
    rows = dataset.columns(
        0, ["observation.ee_pose", "observation.force", "observation.pressure", "frame_index"]
    )
    newest = np.round(rows["observation.force"][:, 0]).astype(int)
    assert np.array_equal(newest[:3], [0, 1, 3]) and newest[-1] >= 49
    assert np.array_equal(rows["observation.ee_pose"], newest[:, None] + np.arange(7))
    assert np.array_equal(rows["observation.force"], newest[:, None] + np.arange(6))
    late = newest - np.round(rows["observation.pressure"])
    assert set(late) <= {0, 1}  # of an array, the arrival counts
    features = dataset.features
    assert features["observation.ee_pose"]["names"] == ["x", "y", "z", "qx", "qy", "qz", "qw"]
    assert features["observation.force"] == {
        "dtype": "float32",
        "shape": [6],
        "names": ["fx", "fy", "fz", "tx", "ty", "tz"],
    }
    assert features["observation.pressure"]["names"] == ["finger"]
    assert np.allclose(dataset.stats["observation.force"]["mean"], newest.mean() + np.arange(6))
    [table] = (tmp_path / "data" / "data").rglob("*.parquet")
    schema = pyarrow.parquet.read_schema(table)
    assert str(schema.field("observation.pressure").type) == "float"  # LeRobot's form of one value
    assert str(schema.field("observation.force").type).startswith("fixed_size_list")


def test_the_bags_of_a_dataset_have_the_same_vectors(tmp_path: Path) -> None:
    """The second bag has another number of values."""

    def wider(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
        changed = vectors(bag, entries)
        for topic, message, _ in changed:
            if topic == "/pressure":
                message.data = np.zeros(2)
        return changed

    bags = [record(tmp_path / "a", edit=vectors), record(tmp_path / "b", edit=wider)]
    with pytest.raises(
        EpisodeError, match=r"/pressure \(vector 'pressure'\), message 0: it has 2 values, not 1"
    ):
        run(conversion(bags, tmp_path / "data", mapping=mapping(tmp_path, MAP)))


@pytest.mark.parametrize(
    "vector, message",
    [
        ({"topic": "/nowhere"}, "has no /nowhere"),
        ({"topic": "/pressure"}, "give a name for each of its values"),
        ({"topic": "/wrench", "names": ["a"]}, "have names already"),
        ({"topic": "/top/image_raw/compressed"}, "is a sensor_msgs/msg/CompressedImage, not a geometry_msgs"),
    ],
)
def test_topics_that_cannot_be_vectors_are_refused(tmp_path: Path, vector: Any, message: str) -> None:
    bag = record(tmp_path / "bag", edit=vectors)
    work = conversion([bag], tmp_path / "data", mapping=mapping(tmp_path, {"vectors": {"force": vector}}))
    with pytest.raises(Exception, match=message):
        run(work)


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    def edit(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
        changed = vectors(bag, entries)
        changed[-1][1].data[0] = np.nan
        return changed

    bag = record(tmp_path / "bag", edit=edit)
    with pytest.raises(EpisodeError, match="message 50: .nan. is not finite"):
        run(conversion([bag], tmp_path / "data", mapping=mapping(tmp_path, MAP)))


@pytest.mark.parametrize(
    "data, message",
    [
        ({"state": {"topic": "/x"}}, "'state' cannot be the name"),
        ({"images": {"topic": "/x"}}, "'images' cannot be the name"),
        ({"a": {"topic": "/x", "names": ["b", "b"]}}, "expected a list of different names"),
        ({"a": {"topic": "/x"}, "b": {"topic": "/x"}}, "a topic can be one vector only"),
    ],
)
def test_a_wrong_mapping_of_vectors_is_refused(tmp_path: Path, data: Any, message: str) -> None:
    with pytest.raises(MappingError, match=message):
        mapping(tmp_path, {"vectors": data})


def test_an_interrupted_conversion_with_vectors_continues(tmp_path: Path) -> None:
    bag = record(tmp_path / "bag", edit=vectors)
    work = conversion([bag], tmp_path / "data", mapping=mapping(tmp_path, MAP))
    assert work.prepare()
    work.align_bag(0)
    dataset = run(work)
    assert json.loads((dataset.root / "meta" / "stats.json").read_text())["observation.ee_pose"]["count"] == [
        31
    ]
