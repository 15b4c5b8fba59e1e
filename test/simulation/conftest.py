# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the driver's tests: an emulated arm on a clock."""

from ..arm.conftest import calibration, clock, emulated  # noqa: F401
