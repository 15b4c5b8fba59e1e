# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Registers the Gymnasium environments of this package, without loading them.

Installed by pip, `gymnasium.make("smolvla_ros/So100Tabletop-v0")` finds them; otherwise import this module first.
"""

from __future__ import annotations

try:
    from gymnasium.envs.registration import register, registry
except ModuleNotFoundError as error:
    if not (error.name or "").startswith("gymnasium"):
        raise
    raise ModuleNotFoundError(
        "Gymnasium is missing; install it: pip install gymnasium", name="gymnasium"
    ) from error

TABLETOP = "smolvla_ros/So100Tabletop-v0"


def register_environments() -> None:
    """Make the environments known to Gymnasium; does nothing the second time."""
    if TABLETOP not in registry:
        register(TABLETOP, entry_point="smolvla_ros.simulation.tabletop_environment:TabletopEnvironment")


register_environments()
