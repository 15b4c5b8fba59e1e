# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The views for Foxglove, PlotJuggler and RViz name topics and fields that the running suite has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from smolvla_ros.nodes.topics import message_class
from smolvla_ros.share import PACKAGE
from smolvla_ros.suite.options import SuiteOptions
from smolvla_ros.suite.processes import Processes
from smolvla_ros.suite.programs import suite_nodes

from ..package_files import ROBOT, ROOT

CONFIG = ROOT / "config"
SUITE = SuiteOptions(sim=True, policy="scripted", console="false", camera_rate_hz=1.0)
OTHERS = {"/robot_description": "robot_state_publisher"}  # topics of programs of other packages
PATH = re.compile(r"(/[\w/]+)((?:\.\w+|\[[\d:]+\])*)")  # a topic, and the path to a field of its messages


def foxglove_paths() -> set[str]:
    """All texts of the layout that are message paths or topics."""
    layout = json.loads((CONFIG / "foxglove_layout.json").read_text())
    return {text for text in _texts(layout["configById"]) if PATH.fullmatch(text)}


def plotjuggler_paths() -> set[str]:
    """The curves as message paths, and the topics that are subscribed to."""
    root = ElementTree.parse(CONFIG / "plotjuggler_layout.xml").getroot()
    topics = root.find(".//selected_topics").attrib["value"].split(";")
    found = set(topics)
    for curve in root.iter("curve"):
        [topic] = [topic for topic in topics if curve.attrib["name"].startswith(f"{topic}/")]
        *joint, field = curve.attrib["name"].removeprefix(f"{topic}/").split("/")
        found.add(f"{topic}.{field}" + "".join(f"[{ROBOT.joint_names.index(name)}]" for name in joint))
    return found


def rviz_paths() -> set[str]:
    """The topics of the displays."""
    config = yaml.safe_load((CONFIG / "rviz" / "so100.rviz").read_text())
    displays = config["Visualization Manager"]["Displays"]
    topics = [value["Value"] for display in displays for key, value in display.items() if "Topic" in key]
    return {f"/{topic}" for topic in topics}


def _texts(value: Any) -> Iterator[str]:
    """All texts in nested dictionaries and lists, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts([*value, *value.values()])
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)


def field_exists(message_type: Any, path: str) -> bool:
    """Whether messages have the field of a path, such as .points[:].positions[0]."""
    for name, index in re.findall(r"\.(\w+)((?:\[[\d:]+\])?)", path):
        kind = message_type.get_fields_and_field_types().get(name, "")
        is_sequence = kind.startswith("sequence<")
        if not kind or bool(index) is not is_sequence:
            return False
        inner = kind.removeprefix("sequence<").removesuffix(">")
        message_type = message_class(inner.replace("/", "/msg/")) if "/" in inner else None
    return True


@pytest.mark.slow
def test_the_suite_publishes_what_the_views_show(observer: Any, tmp_path: Path) -> None:
    specs = suite_nodes(SUITE)
    paths = foxglove_paths() | plotjuggler_paths() | rviz_paths()
    matches = [match for path in sorted(paths) if (match := PATH.fullmatch(path))]
    topics = {match[1] for match in matches}
    assert set(OTHERS) <= topics and set(OTHERS.values()) <= {spec.executable for spec in specs}
    processes = Processes(tmp_path)

    def is_published(topic: str) -> bool:
        processes.check()
        return observer.node.count_publishers(topic) > 0

    try:
        for spec in specs:
            if spec.package == PACKAGE:
                processes.start(spec)
        for topic in topics - set(OTHERS):
            observer.until(lambda topic=topic: is_published(topic), topic, 60.0)
        types = dict(observer.node.get_topic_names_and_types())
    finally:
        processes.stop()
        for log in sorted(tmp_path.rglob("*.log")):  # shown by pytest if the test fails
            print(f"--- {log.name}\n{log.read_text()}")
    for match in matches:
        if match[1] not in OTHERS:
            [kind] = types[match[1]]
            assert field_exists(message_class(kind), match[2]), match[0]


def test_every_joint_and_camera_is_shown() -> None:
    for path in ("/joint_states.position[{}]", "/joint_commands.position[{}]"):
        wanted = {path.format(index) for index in range(len(ROBOT.joint_names))}
        assert wanted <= foxglove_paths() and wanted <= plotjuggler_paths()
    assert {"/top/image_raw/compressed", "/wrist/image_raw/compressed"} <= foxglove_paths()


def test_the_panels_of_the_foxglove_layout_are_those_that_it_configures() -> None:
    layout = json.loads((CONFIG / "foxglove_layout.json").read_text())
    panels = {text for text in _texts(layout["layout"]) if "!" in text}
    assert panels == set(layout["configById"])
