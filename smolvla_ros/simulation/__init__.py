# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for hardware: a servo bus on a pseudo-terminal, and rendered camera images of the arm."""
