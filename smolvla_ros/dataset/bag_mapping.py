# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag hold the cameras, the state and the action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class BagMapping:
    """The topics to read; names without a leading slash are found in any namespace."""

    cameras: Mapping[str, str | None] | None = None  # as in BagTopics.find
    state: str = "joint_states"
    action: str = "joint_commands"


OWN_TOPICS = BagMapping()  # the topics of this package
