# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a small SmolVLA checkpoint in LeRobot's layout with random weights. It is not a trained policy."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from smolvla_ros.demo.checkpoint import write_demo_checkpoint


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="demo_checkpoint", description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write it")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights (default: %(default)s)")
    options = parser.parse_args(arguments)
    write_demo_checkpoint(options.folder, options.seed)
    print(
        f"Wrote {options.folder}. It is NOT a trained policy: it sweeps an arm slowly through one made-up motion."
    )


if __name__ == "__main__":
    main()
