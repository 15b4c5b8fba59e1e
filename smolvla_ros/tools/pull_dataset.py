# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Download a LeRobot dataset (v3.0) from the Hugging Face Hub.

    pull_dataset USER/NAME --output my_dataset

The folder appears when it is complete; if the download is interrupted, the same command continues.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from smolvla_ros.dataset.hub import hub, pull_dataset
from smolvla_ros.suite.command_line import exit_on_errors


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pull_dataset",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 done, 1 the hub or the dataset cannot be used, 2 the command line is wrong.",
    )
    parser.add_argument("name", metavar="USER/NAME", help="its name on the hub")
    parser.add_argument("--output", type=Path, required=True, help="folder for the dataset")
    parser.add_argument("--revision", help="branch, tag or commit; default: main")
    return parser


@exit_on_errors("pull_dataset", interrupted="stopped; run the same command again to continue")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    dataset = pull_dataset(hub(), options.name, options.output, options.revision)
    print(
        f"{options.output}: {len(dataset.episodes)} episodes, {dataset.info['total_frames']} frames, "
        f"{len(dataset.tasks)} tasks, images {', '.join(dataset.image_keys)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
