# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files that are installed with the package: checkpoints/, config/, urdf/, launch/ and executables.txt."""

from __future__ import annotations

from pathlib import Path

PACKAGE = "smolvla_ros"
CHECKPOINT = (
    "so100_tabletop"  # a small SmolVLA for the simulated world; see checkpoints/so100_tabletop/README.md
)


NODE_PARAMETERS = "node_parameters.yaml"  # of a checkpoint, see suite/checkpoint_parameters.py


class InstallationError(FileNotFoundError):
    """The files of the package are missing; the message says where they were expected."""


def share_folder() -> Path:
    """The checkout, or share/smolvla_ros as installed; raises InstallationError."""
    here = Path(__file__).parent
    for folder in (here.parent, *(above / "share" / PACKAGE for above in here.parents)):
        if (folder / "config" / "so100.yaml").is_file():
            return folder
    raise InstallationError(f"no share/{PACKAGE}/config/so100.yaml above {here}; install the package again")


def find_robot_file(robot: str) -> Path:
    """The path of a robot file, or of one of the package given by its name, such as so101; so100 for an empty name."""
    return Path(robot) if Path(robot).suffix else share_folder() / "config" / f"{robot or 'so100'}.yaml"


def shipped_checkpoint(name: str) -> Path | None:
    """The folder of a checkpoint that comes with the package, such as so100_tabletop; None if none has this name."""
    folder = share_folder() / "checkpoints" / name
    return folder if "/" not in name and (folder / "config.json").is_file() else None
