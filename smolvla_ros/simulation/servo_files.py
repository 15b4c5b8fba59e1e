# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of an emulated arm: the link to its port, and the EEPROM of its servos."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from smolvla_ros.arm.registers import TABLE_SIZE
from smolvla_ros.simulation.servo import EmulatedServo


def make_link(path: Path | None, port: str) -> None:
    """Link `path` to the port; an existing link is replaced, another file raises FileExistsError."""
    if path is None:
        return
    if path.exists() and not path.is_symlink():
        raise FileExistsError(f"link to the port: {path} exists and is not a symbolic link")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.symlink_to(port)
    temporary.replace(path)


def remove_stale_link(path: Path | None) -> None:
    """Remove the link of a killed arm: its port no longer exists, or belongs to another program."""
    if path is not None and path.is_symlink():
        path.unlink()


def remove_link(path: Path | None, port: str) -> None:
    """Remove the link unless it points to the port of another arm."""
    if path is not None and path.is_symlink() and os.readlink(path) == port:
        path.unlink()


class EepromFile:
    """The EEPROM of servos in a JSON file, by name in hexadecimal; it is loaded at construction."""

    def __init__(self, path: Path, servos: Mapping[str, EmulatedServo]) -> None:
        self._path = path
        self._servos = servos
        self._saved: dict[str, str] = {}
        if path.exists():
            self._saved = json.loads(path.read_text())
        for name, text in self._saved.items():
            memory = bytes.fromhex(text)
            if name not in servos or len(memory) != TABLE_SIZE:
                raise OSError(f"memory {path}: '{name}' is not a servo of this arm; remove the file")
            servos[name].lasting = memory

    def save_changes(self) -> None:
        """Write the file if the EEPROM of a servo has changed."""
        memory = {name: servo.lasting.hex() for name, servo in self._servos.items()}
        if memory != self._saved:
            self._path.write_text(json.dumps(memory, indent=4) + "\n")
            self._saved = memory
