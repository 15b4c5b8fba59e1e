# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of policy node, executor and console that a checkpoint brings along, in node_parameters.yaml.

They take the place of the defaults; a params_file and options of a command line take precedence over them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from smolvla_ros.share import NODE_PARAMETERS, shipped_checkpoint


class CheckpointParametersError(ValueError):
    """The file of a checkpoint is not one of node parameters."""


def parameter_file(checkpoint: str) -> Path | None:
    """The file of a checkpoint folder, else of one that comes with the package; None if it has none."""
    if not checkpoint:
        return None
    folder = Path(checkpoint).expanduser()
    if not folder.exists():
        folder = shipped_checkpoint(checkpoint) or folder
    file = folder / NODE_PARAMETERS
    return file.resolve() if file.is_file() else None


def checkpoint_parameters(checkpoint: str) -> dict[str, Any]:
    """Name -> value; empty for a checkpoint without the file. Raises CheckpointParametersError."""
    file = parameter_file(checkpoint)
    if file is None:
        return {}
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))["/**"]["ros__parameters"]
        return dict(values)
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise CheckpointParametersError(
            f"'{file}' is no file of node parameters (/**: ros__parameters: ...); correct or remove it"
        ) from error
