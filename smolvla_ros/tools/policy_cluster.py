# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Serve a checkpoint by many replicas in a Ray cluster, to robots for which one policy_server is not enough.

    policy_cluster my_checkpoint --replicas 4 --gpus 1 --insecure

Ends when all replicas serve; they go on. The same command with another checkpoint or other options replaces them a
few at a time. `serve status` shows them, `serve shutdown` ends them. Robots use it like a policy_server. Needs no ROS.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from smolvla_ros.nodes.policy_loading import load_model, load_spec
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.policy.preflight.preflight import Expectations
from smolvla_ros.ray_cluster import AUTO
from smolvla_ros.remote.access import AccessError
from smolvla_ros.remote.cluster import ClusterSettings, Loaded, deploy
from smolvla_ros.suite.command_line import (
    CHECKPOINT,
    UsageError,
    add_options,
    add_settings,
    exit_on_errors,
    policy_config,
    settings_of,
)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="policy_cluster",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 it serves, 1 checkpoint or cluster cannot be used, 2 the command line is wrong.",
    )
    parser.add_argument("checkpoint", help="LeRobot checkpoint folder, the same on all nodes, or hub id")
    parser.add_argument(
        "--ray", default=AUTO, metavar="ADDRESS", help="of the cluster, host:port; %(default)s"
    )
    add_options(parser, *CHECKPOINT, of=PolicyConfig)
    add_settings(parser, ClusterSettings)
    return parser


def with_absolute_paths(config: PolicyConfig) -> PolicyConfig:
    """A config for replicas, which run in other working folders than this program."""
    given = {name: getattr(config, name) for name in ("checkpoint", "backbone", "stats")}
    paths = {name: Path(text).expanduser() for name, text in given.items() if text}
    found: dict[str, Any] = {name: str(path.absolute()) for name, path in paths.items() if path.exists()}
    return replace(config, **found)


def load(config: PolicyConfig) -> Loaded:
    """The checkpoint, in a replica."""
    spec = load_spec(config)
    return load_model(spec, config), Expectations.of(spec), spec.digest()


@exit_on_errors("policy_cluster")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    settings = settings_of(options, ClusterSettings)
    config = with_absolute_paths(policy_config(options))
    try:
        settings.check()
    except AccessError as error:
        raise UsageError(str(error)) from error
    name = load_spec(config).name  # errors of the checkpoint are found here
    addresses = deploy(partial(load, config), settings, options.ray)
    print(f"'{name}' at {', '.join(addresses)}, without TLS and token; it goes on, end it by: serve shutdown")
    return 0


if __name__ == "__main__":
    sys.exit(main())
