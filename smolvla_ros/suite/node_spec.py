# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How one program of the suite is started: executable, names, parameters, arguments.

launching.py starts it through launch_ros, processes.py as a plain process; both read the same NodeSpec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from smolvla_ros.share import PACKAGE, share_folder


@dataclass(frozen=True)
class NodeSpec:
    """One program of the suite. `parameters` win over `parameter_files`, later files over earlier ones."""

    executable: str
    name: str
    namespace: str = "/"  # absolute
    parameters: Mapping[str, Any] = field(default_factory=dict)
    parameter_files: tuple[Path, ...] = ()
    remaps: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    package: str = PACKAGE
    is_ros: bool = True  # False: a program that does not understand --ros-args
    log_level: str = ""
    after: str = ""  # it starts when the program of this name has printed a line
    needed: bool = True  # the suite ends when this program has ended and is not restarted
    restarts: bool = False  # it is restarted after a crash
    # it is stopped before all other programs: the arm holds, or moves to its rest pose
    holds_arm: bool = False
    stop_timeout_s: float = 0.0  # how long it may take to stop; 0: the usual time-out

    @property
    def full_name(self) -> str:
        return f"{self.namespace.rstrip('/')}/{self.name}"

    @property
    def label(self) -> str:
        """A name for logs and files, such as top_camera or arm."""
        return self.full_name.strip("/").replace("/", "_")


def node_arguments(spec: NodeSpec) -> dict[str, Any]:
    """Keyword arguments of launch_ros.actions.Node; parameter files are paths, the node's own parameters a mapping."""
    own = [dict(spec.parameters)] if spec.parameters else []
    return {
        "package": spec.package,
        "executable": spec.executable,
        "name": spec.name,
        "namespace": spec.namespace,
        "parameters": [*spec.parameter_files, *own],
        "remappings": list(spec.remaps),
        "arguments": list(spec.arguments),
        "ros_arguments": [
            *("--enclave", spec.full_name),  # whose keys it has, where SROS 2 is enabled
            *(("--log-level", spec.log_level) if spec.log_level else ()),
        ],
    }


def command_line(spec: NodeSpec, program: list[str], parameter_file: Path) -> list[str]:
    """The command line of `program` as launch_ros composes it; `parameter_file` holds the `parameter_text`."""
    line = [*program, *spec.arguments]
    if not spec.is_ros:
        return line
    given = node_arguments(spec)
    line += ["--ros-args", *given["ros_arguments"]]
    line += ["-r", f"__node:={spec.name}", "-r", f"__ns:={spec.namespace}"]
    for parameters in given["parameters"]:
        line += ["--params-file", str(parameter_file if isinstance(parameters, dict) else parameters)]
    for source, target in given["remappings"]:
        line += ["-r", f"{source}:={target}"]
    return line


def parameter_text(spec: NodeSpec) -> str:
    """The node's own parameters as a parameter file.

    A file under the node's full name and not `-p name:=value`: rcl files the latter under `/**`, where it
    loses to any params_file that names the node.
    """
    return yaml.safe_dump({spec.full_name: {"ros__parameters": dict(spec.parameters)}}, sort_keys=False)


def main_module(spec: NodeSpec) -> str:
    """The module with the main() of a program of this package, from executables.txt."""
    lines = (share_folder() / "executables.txt").read_text(encoding="utf-8").splitlines()
    modules = dict(line.split() for line in lines if line and not line.startswith("#"))
    return modules[spec.executable]
