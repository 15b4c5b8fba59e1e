# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure what a request costs through a proxy of Ray Serve, beside a plain policy server, one robot at each in turn.

Starts a Ray cluster of one node on this computer for it. Needs ray: pip install './smolvla_ros[cluster]'.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

import numpy as np
from policy_server import Server, ask

from smolvla_ros.image import encode_jpeg
from smolvla_ros.share import CHECKPOINT
from smolvla_ros.tools import policy_cluster

PORT = 50951


def overheads_ms(answers: list[tuple[float, Any]]) -> list[float]:
    """How long each request took beside waiting for its turn and inference, images included."""
    return [(duration_s - answer.waiting_s - answer.inference_s) * 1e3 for duration_s, answer in answers[1:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--checkpoint", default=CHECKPOINT)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each turn")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    options.device, options.backbone = "cpu", ""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster  # here: it reads the environment

    node = {"num_cpus": 2, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    server = Server(options, together=1)
    try:
        limits = ["--max-together", "1", "--device", "cpu", "--port", str(PORT), "--insecure"]
        assert policy_cluster.main([options.checkpoint, "--ray", cluster.address, *limits]) == 0
        picture = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
        images = {f"camera{number}": encode_jpeg(picture) for number in (1, 2)}
        addresses = {"plain server": server.address, "Ray Serve": f"127.0.0.1:{PORT}"}
        found: dict[str, list[float]] = {name: [] for name in addresses}
        for _ in range(options.turns):
            for name, address in addresses.items():
                answers: list[Any] = []
                ask(address, images, time.monotonic() + options.seconds, answers)
                found[name] += overheads_ms(answers)
    finally:
        server.close()
        cluster.shutdown()
    print("| server | requests | beside inference p50 (ms) | p99 (ms) |\n|---|--:|--:|--:|")
    for name, values in found.items():
        p50, p99 = np.percentile(values, (50, 99))
        print(f"| {name} | {len(values)} | {p50:.1f} | {p99:.1f} |")


if __name__ == "__main__":
    main()
