# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is said at the start about who can reach the nodes."""

from __future__ import annotations

import pytest

from smolvla_ros.nodes.fast_dds import PROFILE, RANGE, fast_dds_settings
from smolvla_ros.suite import network

CYCLONE = {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}


@pytest.mark.parametrize(
    ("environment", "asked", "words", "others"),
    [
        ({}, "", ["only programs of this computer"], ["precedence"]),
        ({"ROS_DOMAIN_ID": "7"}, "lan", ["OPEN", "eth7 (192.168.1.5)", "ROS_DOMAIN_ID=7"], ["precedence"]),
        ({RANGE: "SUBNET"}, "", ["OPEN", "ROS_DOMAIN_ID=0", f"{RANGE}=SUBNET"], ["precedence"]),
        ({RANGE: "SUBNET"}, "local", ["OPEN", f"{RANGE} takes precedence over network:=local"], []),
        ({RANGE: "LOCALHOST"}, "lan", ["only programs of this computer", "precedence over network:=lan"], []),
        ({PROFILE: "/home/me/mine.xml"}, "lan", ["/home/me/mine.xml"], ["OPEN"]),
        (CYCLONE, "", ["only programs of this computer"], []),
        (CYCLONE | {RANGE: "SUBNET"}, "", ["OPEN"], []),
    ],
)
def test_who_can_reach_the_nodes_is_said(
    environment: dict[str, str],
    asked: str,
    words: list[str],
    others: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network, "addresses", lambda: ["eth7 (192.168.1.5)"])
    said = network.who_can_reach(environment | fast_dds_settings(environment, asked or "local"), asked)
    assert all(word in said for word in words), said
    assert not any(word in said for word in others), said


def test_the_loopback_interface_is_not_an_address_to_reach_this_computer_by() -> None:
    assert not any("127." in text for text in network.addresses())
