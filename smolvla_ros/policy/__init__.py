# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Policies: from an observation to a chunk of actions.

`SmolVLA` is imported on first use, so that importing this package does not import torch.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smolvla_ros.policy.smolvla.smolvla_policy import SmolVLA

__all__ = ["SmolVLA"]

# Read when torch is loaded. Its waiting threads spin, by default for milliseconds, which made a chunk four times slower
# on cores shared with cameras and control loops. Some microseconds of spinning cover the time between operations;
# without any, a step of the flow took twice as long on idle cores.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def __getattr__(name: str) -> Any:
    if name == "SmolVLA":
        from smolvla_ros.policy.smolvla.smolvla_policy import SmolVLA

        return SmolVLA
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
