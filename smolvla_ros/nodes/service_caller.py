# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Service calls whose responses arrive while the node is spun."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.node import Node


class ServiceCaller:
    """Clients of the services `prefix`/name; `types`: name -> service type."""

    def __init__(self, node: Node, prefix: str, types: Mapping[str, Any]) -> None:
        self._types = types
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
