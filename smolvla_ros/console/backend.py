# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the console's server needs of the robot; `nodes/console_node.py` has it."""

from __future__ import annotations

from typing import Any, Protocol

from smolvla_ros.console.messages import Action


class Backend(Protocol):
    """The robot. Its methods are called in the thread of the server and return at once."""

    def page_facts(self) -> dict[str, Any]:
        """What does not change while it runs, for the page: names of cameras and joints, choices, suggestions."""

    def watch(self, is_watched: bool) -> None:
        """Called when the first viewer has come, and when the last one has left: only between them show anything."""

    def execute(self, action: Action) -> None:
        """Carry out an action; what became of it is shown with the status."""
