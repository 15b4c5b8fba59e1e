# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where frames come from: a USB camera, a video file, a folder of pictures; all with the same two methods."""
