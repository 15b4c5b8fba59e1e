# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo: starts the whole suite, records what it publishes, and writes a summary."""
