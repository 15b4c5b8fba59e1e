# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rendered scene as a camera source: what a camera would see of an arm at the joint states it last heard of.

It stands here and not in `camera/` because it joins two rooms that do not know each other, `camera` and `scene`.
"""
