# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who commands the arm, live and in recordings."""

from __future__ import annotations

import enum


class Authority(str, enum.Enum):
    """The values are those of the topic `control_authority`."""

    NONE = "none"  # no command is sent
    POLICY = "policy"
    OPERATOR = "operator"  # a person
