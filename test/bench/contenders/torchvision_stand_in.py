# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Importing this puts empty modules in place of torchvision where it is missing; LeRobot imports it, but what runs here
does not use it, and it is not available for every torch."""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from unittest.mock import MagicMock

PARTS = ("", ".io", ".transforms", ".transforms.functional", ".transforms.v2", ".transforms.v2.functional")
if importlib.util.find_spec("torchvision") is None:
    for part in PARTS:
        name = f"torchvision{part}"
        sys.modules[name] = MagicMock(__path__=[], __spec__=ModuleSpec(name, None))
