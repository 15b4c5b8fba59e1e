# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What each program of the suite may publish, subscribe to, answer and call, and that as a policy of SROS 2.

Names are those of the nodes' code; a program's namespace and remappings make them absolute. `{camera}` stands for each
camera of the robot file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

from smolvla_ros.suite.node_spec import NodeSpec
from smolvla_ros.suite.options import SuiteError

VERSION = "0.2.0"  # of the format of SROS 2 policies
IMAGES = ("{camera}/image_raw", "{camera}/image_raw/compressed")
EXECUTOR = tuple(f"executor/{verb}" for verb in ("arm", "shadow", "take_over", "stop", "reset"))
RECORDER = tuple(
    f"recorder/{verb}" for verb in ("start", "stop", "success", "failure", "discard", "rerecord")
)


@dataclass(frozen=True)
class Rights:
    """Topics that a node publishes and subscribes to, services that it answers and calls."""

    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    reply: tuple[str, ...] = ()
    request: tuple[str, ...] = ()

    def __or__(self, other: Rights) -> Rights:
        return Rights(
            self.publish + other.publish,
            self.subscribe + other.subscribe,
            self.reply + other.reply,
            self.request + other.request,
        )


ANY_NODE = Rights(
    publish=("/rosout", "/parameter_events"),
    subscribe=("/clock",),
    reply=tuple(
        f"~/{name}"
        for name in (
            *("describe_parameters", "get_parameter_types", "get_parameters", "get_type_description"),
            *("list_parameters", "set_parameters", "set_parameters_atomically"),
        )
    ),
)
OWN_NODE = ANY_NODE | Rights(
    publish=("/diagnostics", "~/transition_event"),
    reply=tuple(
        f"~/{name}"
        for name in (
            *("change_state", "get_state", "get_available_states", "get_available_transitions"),
            "get_transition_graph",
        )
    ),
)
SHOWN = (  # what the recorder and the console may see
    "action_chunk",
    "active_task",
    "control_authority",
    "executor/plan",
    "executor/state",
    "joint_commands",
    "joint_states",
    "operator_targets",
    "refused_commander",
    "scene/task_progress",
    "servo_states",
    "task",
    "{camera}/image_raw/compressed",
)
RIGHTS = {
    "arm_node": Rights(("joint_states", "servo_states", "refused_commander"), ("joint_commands",)),
    "camera_node": Rights(
        ("image_raw", "image_raw/compressed", "camera_info"), ("joint_states", "scene/objects")
    ),
    "policy_node": Rights(
        ("action_chunk",),
        (*IMAGES, "active_task", "chunk_request", "joint_states", "scene/state", "task"),
    ),
    "executor_node": Rights(
        (
            *("active_task", "chunk_request", "control_authority", "executor/plan", "executor/state"),
            *("joint_commands", "joint_trajectory", "position_commands", "refused_commander"),
        ),
        ("action_chunk", "joint_states", "operator_targets", "refused_commander", "task"),
        EXECUTOR,
    ),
    "recorder_node": Rights(
        (),
        (
            *SHOWN,
            *("/diagnostics", "chunk_request", "joint_trajectory", "leader/joint_states"),
            *("position_commands", "scene/objects", "scene/state", "{camera}/camera_info"),
            "{camera}/image_raw",
        ),
        RECORDER,
    ),
    "simulated_world_node": Rights(
        ("scene/objects", "scene/state", "scene/task_progress"), ("active_task",), ("~/reset",)
    ),
    "teleop_node": Rights(
        ("joint_commands", "operator_targets"),
        ("control_authority", "joint_states", "leader/joint_states", "refused_commander"),
    ),
    "console_node": Rights(
        ("operator_targets", "task"),
        (*SHOWN, "/diagnostics", "/rosout"),
        (),
        (*EXECUTOR, *RECORDER, "executor/set_parameters_atomically"),
    ),
    # of another package, in C++ and without a lifecycle
    "robot_state_publisher": Rights(
        ("/tf", "/tf_static", "robot_description"), ("/parameter_events", "joint_states")
    ),
}


def rights_of(spec: NodeSpec, cameras: Iterable[str]) -> Rights:
    """The rights of a program with absolute names, sorted; `cameras`: of the robot. Raises SuiteError."""
    if spec.executable not in RIGHTS:
        raise SuiteError(f"no access rules are known for {spec.executable}; start it without security")
    general = OWN_NODE if spec.executable.endswith("_node") else ANY_NODE
    given = RIGHTS[spec.executable] | general
    cameras = tuple(cameras)

    def absolute(names: tuple[str, ...]) -> tuple[str, ...]:
        named = [name.format(camera=camera) for name in names for camera in cameras or ("",)]
        return tuple(sorted({_absolute(spec, name) for name in named}))

    return Rights(*map(absolute, (given.publish, given.subscribe, given.reply, given.request)))


def _absolute(spec: NodeSpec, name: str) -> str:
    remapped = dict(spec.remaps).get(name, name)
    if remapped.startswith("~/"):
        return f"{spec.full_name}/{remapped[2:]}"
    return remapped if remapped.startswith("/") else f"{spec.namespace.rstrip('/')}/{remapped}"


def policy_text(specs: Iterable[NodeSpec], cameras: Iterable[str]) -> str:
    """A policy of SROS 2 with an enclave for each program, named as its node; raises SuiteError."""
    cameras = tuple(cameras)
    policy = ElementTree.Element("policy", version=VERSION)
    contexts = ElementTree.SubElement(policy, "contexts")
    for spec in specs:
        rights = rights_of(spec, cameras)
        context = ElementTree.SubElement(contexts, "context", path=spec.full_name)
        profiles = ElementTree.SubElement(context, "profiles")
        profile = ElementTree.SubElement(profiles, "profile", ns=spec.namespace, node=spec.name)
        for kind, verb, names in (
            ("topic", "publish", rights.publish),
            ("topic", "subscribe", rights.subscribe),
            ("service", "reply", rights.reply),
            ("service", "request", rights.request),
        ):
            if names:
                rule = ElementTree.SubElement(profile, f"{kind}s", {verb: "ALLOW"})
                for name in names:
                    ElementTree.SubElement(rule, kind).text = name
    ElementTree.indent(policy)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(policy, encoding="unicode")}\n'
