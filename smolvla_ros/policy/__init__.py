# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Policies: observation in, chunk of actions out.

`SmolVLA` is looked up on first use, so that importing this package does not import torch.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smolvla_ros.policy.smolvla.smolvla_policy import SmolVLA

__all__ = ["SmolVLA"]

# Read when torch is loaded. Its threads spin while they wait for each other, by default for milliseconds, which on
# cores that are shared with cameras and control loops made a chunk four times slower. Some microseconds are enough to
# bridge the gaps between operations; with none at all, a step of the flow took twice as long on idle cores.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def __getattr__(name: str) -> Any:
    if name == "SmolVLA":
        from smolvla_ros.policy.smolvla.smolvla_policy import SmolVLA

        return SmolVLA
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
