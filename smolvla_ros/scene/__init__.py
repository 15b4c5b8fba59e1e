# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the arm looks like to a camera: where its links are, and a picture of them on a table."""
