# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The emulated arm as in the tests of its driver."""

from ..arm.conftest import calibration, clock, emulated  # noqa: F401
