# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How well a policy does its tasks: trials in the stepped world or judged by a person, and what they add up to."""
