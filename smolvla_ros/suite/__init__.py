# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which programs make up the suite, what a person may choose about them, and how they are started and ended."""
