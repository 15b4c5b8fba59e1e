# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`make demo`: runs the whole suite as processes over real DDS, shows its status, and saves figures and plots.

By default in the simulated world, where a checkpoint that comes with the package does one instructed task after the
other. Another instruction can be typed meanwhile. With a port, cameras, a calibration and a checkpoint on hardware,
where the arm moves only after a confirmation.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from smolvla_ros.demo.plan import (
    TASK,
    DemoPlan,
    make_plan,
    set_environment,
)
from smolvla_ros.demo.run import DemoRun, Interrupted
from smolvla_ros.nodes.fast_dds import fast_dds_settings
from smolvla_ros.share import CHECKPOINT
from smolvla_ros.suite import programs
from smolvla_ros.suite.command_line import ROBOT, add_options, exit_on_errors
from smolvla_ros.suite.network import who_can_reach
from smolvla_ros.suite.parameter_files import unknown_parameters


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="demo",
        description="Run the whole suite, in a simulated world or on your arm (--port). Without --checkpoint "
        f"{CHECKPOINT} does the tasks of the world, which comes with the package; or --policy expert.",
    )
    add_options(
        parser, *ROBOT, "port", "cameras", "checkpoint", "policy", "policy_cameras", "device", "params_file"
    )
    parser.add_argument(
        "--task", default="", help=f"instruction (default: those of the world; of a real arm '{TASK}')"
    )
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="how long; 0: until Ctrl-C (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the world, and of the sensors' noise")
    parser.add_argument("--yes", action="store_true", help="a real arm: move it without asking")
    parser.add_argument(
        "--out", type=Path, default=Path("build/demo"), help="folder for results (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    if not 0.0 <= options.seconds < float("inf"):
        parser.error(f"--seconds {options.seconds}: must be 0 or more")
    return options


def prepare(options: argparse.Namespace) -> DemoPlan:
    """Make the results folder and the environment; raises errors of this package."""
    plan = make_plan(options)
    plan.folder.mkdir(parents=True, exist_ok=True)
    set_environment(plan.folder)
    warnings = unknown_parameters(options.params_file, programs.suite_nodes(plan.options))
    print("\n".join([plan.title, *warnings]))
    print(who_can_reach({**os.environ, **fast_dds_settings(os.environ)}))
    domain = os.environ["ROS_DOMAIN_ID"]
    print(f"to see its topics in another terminal: export ROS_DOMAIN_ID={domain}", flush=True)
    return plan


@exit_on_errors("demo", interrupted="interrupted before the demo had started")
def main(arguments: Sequence[str] | None = None) -> int:
    """0: success; 1: a problem, which was printed; 130: interrupted before the demo had started."""
    plan = prepare(parse_arguments(arguments))
    try:
        summary = DemoRun(plan).run()
    except Interrupted as error:
        raise KeyboardInterrupt from error
    print()
    print(summary.to_text())
    saved = ", ".join(sorted(file.name for file in plan.folder.iterdir() if file.suffix in (".png", ".json")))
    print(f"{'saved':<14}{saved} in {plan.folder}")
    print(f"{'logs':<14}{plan.folder / 'logs'}")
    return 1 if summary.problems else 0


if __name__ == "__main__":
    sys.exit(main())
