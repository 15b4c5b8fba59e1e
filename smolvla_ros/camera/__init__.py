# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sources of frames with the same interface: a USB camera, a video file, a folder of images."""
