# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Policies: observation in, chunk of actions out.

`SmolVLA` is looked up on first use, so that importing this package does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smolvla_ros.policy.smolvla import SmolVLA

__all__ = ["SmolVLA"]


def __getattr__(name: str) -> Any:
    if name == "SmolVLA":
        from smolvla_ros.policy.smolvla import SmolVLA

        return SmolVLA
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
