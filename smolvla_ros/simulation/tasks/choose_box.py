# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Put a cube into that one of two boxes whose colour is named: a PickPlace whose tray is in the words too.

It is not in the training of the shipped checkpoint: for fine-tuning it to something new.
"""

from __future__ import annotations

WORDINGS = (
    "Put the {} cube into the {} box",
    "Place the {} cube in the {} box",
    "Move the {} block to the {} box",
    "Drop the {} cube into the {} tray",
)
HELD_OUT_WORDINGS = ("Take the {} block and put it into the {} box", "Move the {} cube into the {} tray")
BOXES = ("red", "blue")
