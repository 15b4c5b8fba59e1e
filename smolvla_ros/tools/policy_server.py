# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Serve a checkpoint to robots on this or other computers, which need neither torch nor a GPU.

    policy_server my_checkpoint
    policy_server my_checkpoint --address 0.0.0.0:50051 --credentials my_credentials

On the robot: ros2 launch smolvla_ros so100.launch.py policy:=remote server:=HOST:50051 credentials:=...
Needs no ROS.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence

from smolvla_ros.nodes.policy_loading import load_model, load_spec
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.policy.preflight.preflight import Expectations
from smolvla_ros.remote.access import AccessError, server_credentials
from smolvla_ros.remote.server import PolicyServer, ServerSettings
from smolvla_ros.stop_signals import recorded_stop_signals
from smolvla_ros.suite.command_line import (
    CHECKPOINT,
    UsageError,
    add_options,
    add_settings,
    exit_on_errors,
    policy_config,
    settings_of,
)

WAKE_PERIOD_S = 0.2  # a stop signal is handled within this time


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="policy_server",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 ended by Ctrl-C or SIGTERM, 1 the checkpoint cannot be used, 2 the command line is wrong.",
    )
    parser.add_argument("checkpoint", help="LeRobot checkpoint folder or hub id")
    add_options(parser, *CHECKPOINT, of=PolicyConfig)
    add_settings(parser, ServerSettings)
    return parser


@exit_on_errors("policy_server")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = settings_of(options, ServerSettings)
    config = policy_config(options)
    try:  # before the checkpoint is loaded
        server_credentials(settings.address, settings.credentials, settings.insecure)
    except AccessError as error:
        raise UsageError(str(error)) from error
    spec = load_spec(config)
    with recorded_stop_signals() as stop:
        server = PolicyServer(load_model(spec, config), Expectations.of(spec), spec.digest(), settings)
        server.start()
        host = settings.address.rpartition(":")[0]
        print(f"'{spec.name}' at {host}:{server.port}; Ctrl-C ends", flush=True)
        while not stop:
            time.sleep(WAKE_PERIOD_S)
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
