# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make the small checkpoint from nothing: collect records in the stepped world and train on them, at the same time.

    make_small_checkpoint runs/small

Everything is in that folder. A run that was broken off goes on when the same command is given again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from smolvla_ros.share import share_folder
from smolvla_ros.suite.command_line import (
    add_options,
    add_settings,
    exit_on_errors,
    load_robot,
    settings_of,
)
from smolvla_ros.training.small.recipe import Recipe, run


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make_small_checkpoint",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 done, 1 the folder cannot be used, 2 the command line is wrong.",
    )
    parser.add_argument("folder", type=Path, help="of the run: records, log, checkpoint")
    add_settings(parser, Recipe)
    add_options(parser, "robot", "calibration")
    return parser


@exit_on_errors("make_small_checkpoint", interrupted="interrupted; the same command goes on from here")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    calibration = Path(options.calibration or share_folder() / "config" / "emulated_calibration.json")
    recipe = settings_of(options, Recipe)
    print(run(recipe, options.folder, load_robot(options), calibration))
    return 0


if __name__ == "__main__":
    sys.exit(main())
