# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks on the table: instructions, partial scores and success, as in the SmolVLA paper (arXiv 2506.01844)."""
