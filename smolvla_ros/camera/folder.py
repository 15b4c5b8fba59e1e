# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera source from a folder of images: in the order of their names, at a given rate, in a loop.

For testing a policy with chosen images, or with a single constant one.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

from smolvla_ros.camera.source import CameraError, Pacer
from smolvla_ros.image import ImageError, decode_compressed
from smolvla_ros.observation import Frame

SUFFIXES = (".jpg", ".jpeg", ".png")


class ImageFolder:
    """The JPEG and PNG images of a folder, all of one size; stamped by `clock_ns` when they are due.

    Sorted with digits as numbers: frame_2 before frame_10.
    """

    def __init__(
        self,
        name: str,
        folder: str | Path,
        clock_ns: Callable[[], int],
        *,
        rate_hz: float,
        loop: bool = True,
    ) -> None:
        self.name = name
        self.folder = Path(folder)
        self._clock_ns = clock_ns
        self._loop = loop
        self._paths = self._list()
        self._next = 0
        self._size: tuple[int, int] | None = None  # (width, height) of the first image
        self._closed = threading.Event()
        self._pacer = Pacer(rate_hz, sleep_s=self._closed.wait)

    def read(self) -> Frame | None:
        """The next image when it is due; None after `close`, and after the last one without a loop."""
        if self._next >= len(self._paths) and not self._loop:
            return None
        if not self._closed.is_set():
            self._pacer.wait()
        if self._closed.is_set():
            return None
        path = self._paths[self._next % len(self._paths)]
        self._next += 1
        stamp_ns = self._clock_ns()
        try:
            image = decode_compressed(path.read_bytes())
        except OSError as error:
            raise CameraError(f"camera '{self.name}': '{path}' cannot be read: {error.strerror}") from error
        except ImageError as error:
            raise CameraError(f"camera '{self.name}': '{path}': {error}") from error
        size = (image.shape[1], image.shape[0])
        if self._size is None:
            self._size = size
        if size != self._size:
            raise CameraError(
                f"camera '{self.name}': '{path}' is {size[0]}x{size[1]}, the pictures before it "
                f"{self._size[0]}x{self._size[1]}; a camera has one size, so bring all pictures to it"
            )
        return Frame(self.name, stamp_ns, image)

    def close(self) -> None:
        """Stop; `read` then returns None."""
        self._closed.set()

    def _list(self) -> list[Path]:
        if not self.folder.is_dir():
            raise CameraError(f"camera '{self.name}': '{self.folder}' is not a folder of pictures")
        paths = [path for path in self.folder.iterdir() if path.suffix.lower() in SUFFIXES]
        if not paths:
            raise CameraError(f"camera '{self.name}': no {', '.join(SUFFIXES)} picture in '{self.folder}'")
        return sorted(paths, key=_natural_order)


def _natural_order(path: Path) -> list[tuple[int, str]]:
    return [(int(word), "") if word.isdigit() else (-1, word) for word in re.split(r"(\d+)", path.name)]
