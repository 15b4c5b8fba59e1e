# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every node is a lifecycle node with described parameters, and can be activated and cleaned up repeatedly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import GetState
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters, ListParameters

from smolvla_ros.nodes import topics

from ..package_files import CALIBRATION_FILE

OWN = ("use_sim_time", "start_type_description_service", "qos_overrides")  # rclpy's own parameters
UP = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
DOWN = (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)

Make = Callable[[Any, Any, Path], dict[str, Any]]


def camera(_observer: Any, _arm: Any, folder: Path) -> dict[str, Any]:
    cv2.imwrite(str(folder / "grey.png"), np.full((48, 64, 3), 90, np.uint8))
    return {"camera": "top", "source": "folder", "device": folder}


def arm(_observer: Any, emulated_arm: Any, _folder: Path) -> dict[str, Any]:
    return {"port": emulated_arm[0], "calibration": CALIBRATION_FILE}


NODES: dict[str, Make] = {
    "camera": camera,
    "arm": arm,
    "policy": lambda *_: {"policy": "scripted"},
    "executor": lambda *_: {},
}


@pytest.fixture(params=NODES)
def node(request: Any, observer: Any, start_new_interpreter: Any, emulated_arm: Any, tmp_path: Path) -> str:
    """The name of a node that is unconfigured."""
    name: str = request.param
    folder = tmp_path / "data"
    folder.mkdir()
    parameters = NODES[name](observer, emulated_arm, folder)
    start_new_interpreter(f"nodes.{name}_node", autostart=False, **parameters)
    return name


def state(observer: Any, node: str) -> str:
    return str(observer.call(GetState, f"{node}/get_state", GetState.Request()).current_state.label)


def test_without_autostart_it_is_unconfigured_and_can_be_activated_twice(observer: Any, node: str) -> None:
    diagnostics = observer.collect(topics.DIAGNOSTICS)
    assert state(observer, node) == "unconfigured"
    for _ in range(2):
        assert [observer.change_state(node, transition) for transition in UP] == [True, True]
        assert state(observer, node) == "active"
        assert [observer.change_state(node, transition) for transition in DOWN] == [True, True]
        assert state(observer, node) == "unconfigured"
    observer.until(
        lambda: any(s.hardware_id == f"/{node}" for m in diagnostics for s in m.status), "diagnostics"
    )


def test_every_parameter_has_a_description(observer: Any, node: str) -> None:
    names = observer.call(ListParameters, f"{node}/list_parameters", ListParameters.Request()).result.names
    ours = [name for name in names if not name.startswith(OWN)]
    assert "autostart" in ours and "robot" in ours
    request = DescribeParameters.Request(names=ours)
    for descriptor in observer.call(DescribeParameters, f"{node}/describe_parameters", request).descriptors:
        assert descriptor.description, descriptor.name
        if descriptor.type == ParameterType.PARAMETER_DOUBLE:
            assert descriptor.floating_point_range, descriptor.name
