# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Importing this puts stand-ins in place of torchvision and OpenCV where they are missing; import it before LeRobot.

LeRobot imports them, torchvision is not available for every torch, and what runs here uses of them only torchvision's
VideoReader, which is written here over PyAV.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import av
import torch


class StandIns(MetaPathFinder, Loader):
    """Finds every module of these packages: a mock."""

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if name.split(".")[0] in self._packages else None

    def create_module(self, spec: ModuleSpec) -> Any:
        return MagicMock(**{"io.VideoReader": VideoReader})

    def exec_module(self, module: ModuleType) -> None:
        """A mock has every attribute already."""


class VideoReader:
    """The part of torchvision.io.VideoReader that LeRobot 0.4 uses."""

    def __init__(self, path: str, _stream: str) -> None:
        self.container = av.open(path)

    def seek(self, time_s: float, keyframes_only: bool) -> None:
        """Go to the last key frame that is not later."""
        self.container.seek(int(time_s * av.time_base))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for frame in self.container.decode(video=0):
            image = torch.from_numpy(frame.to_ndarray(format="rgb24"))
            yield {"data": image.permute(2, 0, 1), "pts": frame.time}


MISSING = [name for name in ("torchvision", "cv2") if importlib.util.find_spec(name) is None]
sys.meta_path.append(StandIns(MISSING))
