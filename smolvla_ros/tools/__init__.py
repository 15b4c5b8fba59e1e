# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Command lines: each file is a program, run with `python -m smolvla_ros.tools.<name>`."""
