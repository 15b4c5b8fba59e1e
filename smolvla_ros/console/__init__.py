# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The operator's console: a web page that shows the suite and drives it, and the server behind it."""
