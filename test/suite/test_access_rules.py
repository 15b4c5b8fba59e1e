# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy of SROS 2: an enclave for each program, with the names that it has after namespaces and remappings."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from smolvla_ros.suite import programs
from smolvla_ros.suite.access_rules import policy_text, rights_of
from smolvla_ros.suite.node_spec import node_arguments
from smolvla_ros.suite.options import SuiteError, SuiteOptions
from smolvla_ros.tools import security_policy

LEFT = SuiteOptions(sim=True, policy="scripted", record=True, namespace="left", cameras="top")
SPECS = programs.suite_nodes(LEFT)
POLICY = ElementTree.fromstring(policy_text(SPECS, ["top", "wrist"]))


def allowed(verb: str, name: str) -> set[str]:
    """The nodes that may do something."""
    return {
        str(profile.get("node"))
        for profile in POLICY.iter("profile")
        for rule in profile
        if rule.get(verb) == "ALLOW" and name in {entry.text for entry in rule}
    }


def test_every_program_has_the_enclave_that_it_is_started_with() -> None:
    paths = [context.get("path") for context in POLICY.iter("context")]
    assert paths == [spec.full_name for spec in SPECS]
    for spec in SPECS:
        words = node_arguments(spec)["ros_arguments"]
        assert words[words.index("--enclave") + 1] == spec.full_name


def test_few_may_command_the_arm_or_see_the_room() -> None:
    assert allowed("publish", "/left/joint_commands") == {"executor"}
    assert allowed("subscribe", "/left/joint_commands") == {"arm", "recorder", "console"}
    assert (
        allowed("request", "/left/executor/arm") == allowed("request", "/left/executor/stop") == {"console"}
    )
    assert allowed("reply", "/left/executor/arm") == {"executor"}
    assert allowed("publish", "/left/top/image_raw/compressed") == {"camera"}
    assert allowed("subscribe", "/left/top/image_raw/compressed") == {"policy", "recorder", "console"}
    assert allowed("publish", "/left/task") == {"console"}
    assert allowed("publish", "/left/operator_targets") == {"console"}
    assert not allowed("publish", "/joint_commands")


def test_remapped_names_are_those_of_the_target() -> None:
    [camera] = [spec for spec in SPECS if spec.executable == "camera_node"]
    subscribed = rights_of(camera, ["top"]).subscribe
    assert "/left/joint_states" in subscribed and "/left/top/joint_states" not in subscribed


def test_a_program_without_rules_is_an_error() -> None:
    with pytest.raises(SuiteError, match="no access rules are known for rviz2"):
        policy_text(programs.suite_nodes(replace(LEFT, rviz=True)), ["top"])


def test_the_program_prints_the_policy_of_launch_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sim:=true", "policy:=scripted", "record:=true", "namespace:=left", "cameras:=top"]
    assert security_policy.main(words) == 0
    printed = ElementTree.fromstring(capsys.readouterr().out)
    assert {context.get("path") for context in printed.iter("context")} == {spec.full_name for spec in SPECS}
    assert security_policy.main(["kameras:=top"]) == 2
    assert "did you mean 'cameras'" in capsys.readouterr().err
