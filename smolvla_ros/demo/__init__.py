# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo: the whole suite at work, observed, recorded and summarised."""
