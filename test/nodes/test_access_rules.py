# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The access rules name what each running node publishes, subscribes to, answers and calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smolvla_ros.suite.access_rules import RIGHTS, Rights, rights_of
from smolvla_ros.suite.node_spec import NodeSpec

from ..package_files import CALIBRATION_FILE, ROBOT

CAMERAS = [camera.name for camera in ROBOT.cameras]
# What a node does only in some cases: while it is watched, for another policy or image transport, with another clock.
SOMETIMES = {
    "/clock",
    *(f"/{camera}/image_raw" for camera in CAMERAS),
    *(f"/{camera}/image_raw/compressed" for camera in CAMERAS),
}
WATCHES = ("recorder", "console")  # they subscribe to what others publish, while somebody wants it
Parameters = Callable[[Any, Path], dict[str, Any]]
NODES: dict[str, Parameters] = {
    "arm": lambda arm, _: {"port": arm[0]},
    "camera": lambda *_: {"camera": "top", "source": "rendered", "rate_hz": 1.0},
    "policy": lambda *_: {"policy": "expert", "chunk_rate_hz": 1.0},
    "executor": lambda *_: {"publish_joint_trajectory": True, "publish_position_commands": True},
    "recorder": lambda _, folder: {"output": folder / "episodes"},
    "simulated_world": lambda _, folder: {"calibration": CALIBRATION_FILE, "port": folder / "world"},
    "teleop": lambda *_: {"calibration": CALIBRATION_FILE, "leader_calibration": CALIBRATION_FILE},
    "console": lambda *_: {"port": 0},
}


def test_every_node_is_here() -> None:
    assert {f"{name}_node" for name in NODES} == {name for name in RIGHTS if name.endswith("_node")}


@pytest.mark.parametrize("name", NODES)
def test_the_rules_name_what_a_node_does(
    name: str, observer: Any, start: Any, emulated_arm: Any, tmp_path: Path
) -> None:
    if name in ("policy", "simulated_world"):
        pytest.importorskip("mujoco", reason="it needs physics")
    start(f"nodes.{name}_node", **NODES[name](emulated_arm, tmp_path)).wait_for("active", 60.0)
    observer.until(lambda: name in observer.node.get_node_names(), "the node in the graph")
    allowed = rights_of(NodeSpec(f"{name}_node", name), CAMERAS)

    def found() -> Rights:
        node = observer.node
        ways = (
            node.get_publisher_names_and_types_by_node,
            node.get_subscriber_names_and_types_by_node,
            node.get_service_names_and_types_by_node,
            node.get_client_names_and_types_by_node,
        )
        return Rights(*(tuple(sorted(topic for topic, _ in way(name, "/"))) for way in ways))

    def differences() -> list[tuple[str, set[str]]]:
        now = found()
        pairs = [
            (way, set(getattr(allowed, way)), set(getattr(now, way)))
            for way in ("publish", "subscribe", "reply", "request")
        ]
        not_allowed = [(f"{way}: not allowed", does - may) for way, may, does in pairs]
        unused = [
            (f"{way}: not used", may - does - SOMETIMES)
            for way, may, does in pairs
            if way != "subscribe" or name not in WATCHES
        ]
        return [(text, names) for text, names in (*not_allowed, *unused) if names]

    observer.spin_until(lambda: not differences(), 15.0)
    assert differences() == []
