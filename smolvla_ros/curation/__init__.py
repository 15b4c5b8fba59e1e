# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the SmolVLA paper (2506.01844, section 3.2) does to community datasets: choice, views, wording."""
