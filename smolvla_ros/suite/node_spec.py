# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One program of the suite: how it is started, and what follows when it ends by itself.

launching.py starts it through launch_ros, processes.py as a plain process; both take names, parameters and arguments
from here and obey the same `Supervisor`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from smolvla_ros.share import PACKAGE, share_folder

REFUSED = (
    1  # exit code of a node that could not be configured (nodes/running.py); it would say the same again
)
STEADY_S = 10.0  # a program that has run for so long was started with success
MAX_QUICK_ENDS = 5  # in a row, before a program is not started again
RESTART_DELAY_S = 2.0


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
    is_ros: bool = True  # False: a plain program that knows no --ros-args
    log_level: str = ""
    after: str = ""  # start when the program of this name has printed its first line
    needed: bool = True  # to move the arm: when it is lost for good, the suite ends
    restarts: bool = False  # after a crash it is started again
    holds_arm: bool = False  # when the suite ends, it ends before the others: the arm holds, or goes to rest
    end_s: float = 0.0  # it may take so long to end; 0: as long as any program

    @property
    def full_name(self) -> str:
        return f"{self.namespace.rstrip('/')}/{self.name}"

    @property
    def label(self) -> str:
        """A name for logs and files: top_camera, arm ..."""
        return self.full_name.strip("/").replace("/", "_")


class Reaction(Enum):
    """What follows when a program has ended by itself, in words."""

    RESTART = f"it is started again in {RESTART_DELAY_S:.0f} s"
    LEAVE = "the suite goes on without it"
    END = "the suite cannot go on without it and ends"


class Supervisor:
    """Decides what follows when programs end by themselves; knows how often each ended soon after its start."""

    def __init__(self) -> None:
        self._quick_ends: Counter[str] = Counter()

    def ended(self, spec: NodeSpec, exit_code: int, ran_s: float) -> Reaction:
        """The program has ended after `ran_s`. A negative exit code is the number of the signal that ended it.

        Exit code 0 means that somebody asked it to end: one that is not needed then stays away.
        """
        self._quick_ends[spec.label] = self._quick_ends[spec.label] + 1 if ran_s < STEADY_S else 0
        hopeless = exit_code == REFUSED or self._quick_ends[spec.label] > MAX_QUICK_ENDS
        if spec.restarts and not hopeless and (spec.needed or exit_code != 0):
            return Reaction.RESTART
        return Reaction.END if spec.needed else Reaction.LEAVE


def report(spec: NodeSpec, exit_code: int, reaction: Reaction) -> str:
    """One line for the log."""
    return f"{spec.label} has ended (exit code {exit_code}); {reaction.value}"


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
        "ros_arguments": ["--log-level", spec.log_level] if spec.log_level else [],
    }


def command(spec: NodeSpec, program: list[str], parameter_file: Path) -> list[str]:
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


def module(spec: NodeSpec) -> str:
    """The module with the main() of a program of this package, from executables.txt."""
    lines = (share_folder() / "executables.txt").read_text(encoding="utf-8").splitlines()
    modules = dict(line.split() for line in lines if line and not line.startswith("#"))
    return modules[spec.executable]
