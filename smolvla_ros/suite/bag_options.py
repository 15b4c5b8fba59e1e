# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Command line options that say where a bag holds what, for the tools that read bags."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from smolvla_ros.dataset.bag_mapping import OWN_TOPICS, BagMapping
from smolvla_ros.robot import RobotSpec


def add_bag_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--map", type=Path, metavar="YAML", help="topics, joints and units of another robot's bags")
    add(
        "--cameras",
        nargs="+",
        metavar="NAME[=TOPIC]",
        help="cameras of the robot; default: all that were recorded",
    )
    add("--state", metavar="TOPIC", help=f"observation.state; {OWN_TOPICS.state.name}")
    add("--action", metavar="TOPIC", help=f"action; {OWN_TOPICS.action.name}")
    add("--task", help="instruction of all bags; default: the recorded one")
    add(
        "--time",
        choices=("header", "receive"),
        default="header",
        help="header stamps or times of arrival; %(default)s",
    )


def bag_mapping(options: argparse.Namespace, robot: RobotSpec) -> BagMapping:
    """The mapping of --map, changed by the other options of `add_bag_options`; raises MappingError, OSError."""
    mapping = BagMapping.load(options.map, robot) if options.map else OWN_TOPICS
    if options.cameras is not None:
        named = {name: topic or None for name, _, topic in (text.partition("=") for text in options.cameras)}
        mapping = replace(
            mapping,
            cameras={name: topic or (mapping.cameras or {}).get(name) for name, topic in named.items()},
        )
    if options.state:
        mapping = replace(mapping, state=replace(mapping.state, name=options.state, arms={}))
    if options.action:
        mapping = replace(mapping, action=replace(mapping.action, name=options.action, arms={}))
    return mapping
