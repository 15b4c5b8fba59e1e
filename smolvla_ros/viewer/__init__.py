# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded episodes as a web page: a list with the faulty ones first, and a player of cameras and joints."""
