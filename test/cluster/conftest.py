# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A Ray cluster of two nodes on this computer, with a core each; tests that need it skip where ray is not installed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

OBJECT_STORE_BYTES = 80 * 2**20


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    pytest.importorskip("ray", reason="needs ray: pip install './smolvla_ros[cluster]'")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    for name in ("HTTP", "GRPC"):  # of the second node's proxy, as both nodes have one address
        os.environ[f"RAY_SERVE_WORKER_PROXY_{name}_PORT"] = str(free_port())
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": OBJECT_STORE_BYTES}
    started = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    started.add_node(**node)
    yield started
    started.shutdown()
