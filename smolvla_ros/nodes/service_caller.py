# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Service calls whose responses arrive while the node is spun."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.node import Node

Wait = Callable[[Callable[[], Any], float], bool]  # `ClientNode.spin_until`


class ServiceCaller:
    """Clients of the services `prefix`/name; `types`: name -> service type."""

    def __init__(self, node: Node, prefix: str, types: Mapping[str, Any]) -> None:
        self._prefix, self._types = prefix, types
        self._clients = {name: node.create_client(kind, f"{prefix}/{name}") for name, kind in types.items()}

    def is_ready(self, name: str) -> bool:
        return bool(self._clients[name].service_is_ready())

    def call(self, name: str, on_response: Callable[[Any], None], **fields: Any) -> bool:
        """Send a request with these fields; returns False, without sending, while the service does not exist."""
        if not self.is_ready(name):
            return False
        future = self._clients[name].call_async(self._types[name].Request(**fields))
        future.add_done_callback(lambda done: on_response(done.result()))
        return True

    def ask(self, name: str, wait: Wait, timeout_s: float, **fields: Any) -> tuple[bool, str]:
        """Call a service with success and message, and wait; returns both, or False and why there is no response."""
        responses: list[Any] = []
        if not wait(lambda: self.call(name, responses.append, **fields), timeout_s):
            return False, f"there is no service {self._prefix}/{name}"
        if not wait(lambda: responses, timeout_s):
            return False, f"{self._prefix}/{name} has not answered after {timeout_s:.0f} s"
        return bool(responses[0].success), str(responses[0].message)
