# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The programs of the suite, their options, and how they are started, supervised and stopped."""
