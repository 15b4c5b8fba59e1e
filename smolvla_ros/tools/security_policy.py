# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Print a policy of SROS 2 for the programs that so100.launch.py starts with the same arguments.

    security_policy sim:=true > policy.xml
    security_policy port:=/dev/ttyACM0 calibration:=my_arm.json cameras:=top=/dev/video0 checkpoint:=... > policy.xml

docs/security.md says what to do with it. Needs no ROS.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from smolvla_ros.suite.access_rules import policy_text
from smolvla_ros.suite.command_line import UsageError, exit_on_errors
from smolvla_ros.suite.options import SuiteOptions, argument_warnings, launch_arguments
from smolvla_ros.suite.programs import load_robot, suite_nodes


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="security_policy", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("arguments", nargs="*", metavar="NAME:=VALUE", help="an argument of so100.launch.py")
    return parser


@exit_on_errors("security_policy")
def main(arguments: Sequence[str] | None = None) -> int:
    words = parser().parse_args(arguments).arguments
    if wrong := [word for word in words if ":=" not in word]:
        raise UsageError(f"'{wrong[0]}': expected NAME:=VALUE, such as sim:=true")
    names = [argument["name"] for argument in launch_arguments()]
    if warnings := argument_warnings(words, names, "so100.launch.py"):
        raise UsageError(warnings[0])
    options = SuiteOptions.from_text({name: value for name, _, value in (w.partition(":=") for w in words)})
    cameras = [camera.name for camera in load_robot(options).cameras]
    print(policy_text(suite_nodes(options), cameras), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
