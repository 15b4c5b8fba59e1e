# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Command line options that name the topics of a bag, for all tools that read bags."""

from __future__ import annotations

import argparse

from smolvla_ros.dataset.bag_mapping import OWN_TOPICS, BagMapping


def add_bag_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--cameras",
        nargs="+",
        metavar="NAME[=TOPIC]",
        help="cameras of the robot; default: all that were recorded",
    )
    add("--state", metavar="TOPIC", default=OWN_TOPICS.state, help="observation.state; %(default)s")
    add("--action", metavar="TOPIC", default=OWN_TOPICS.action, help="action; %(default)s")
    add(
        "--time",
        choices=("header", "receive"),
        default="header",
        help="header stamps or times of arrival; %(default)s",
    )


def bag_mapping(options: argparse.Namespace) -> BagMapping:
    """The topics that the options of `add_bag_options` name."""
    cameras = None
    if options.cameras is not None:
        cameras = {
            name: topic or None for name, _, topic in (text.partition("=") for text in options.cameras)
        }
    return BagMapping(cameras, options.state, options.action)
