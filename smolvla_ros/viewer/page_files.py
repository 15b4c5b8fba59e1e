# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the pictures, videos and curves of a page are: in the page itself, or as files beside it."""

from __future__ import annotations

import base64
import mimetypes
from dataclasses import dataclass, field
from pathlib import Path


class EmbeddedFiles:
    """Files that become a part of the page."""

    def add(self, data: bytes, suffix: str) -> str:
        """The address of a new file with this content, for the page; `suffix`: such as .mp4."""
        kind = mimetypes.types_map[suffix]
        return f"data:{kind};base64,{base64.b64encode(data).decode()}"

    def link(self, path: Path) -> str | None:
        """None: a large file is not copied into the page."""
        return None


@dataclass
class FolderFiles:
    """Files in the folder of the page."""

    folder: Path
    links: dict[Path, str] = field(default_factory=dict)
    count: int = 0

    def add(self, data: bytes, suffix: str) -> str:
        """As of EmbeddedFiles; raises OSError."""
        name = self._name(suffix)
        (self.folder / name).write_bytes(data)
        return name

    def link(self, path: Path) -> str | None:
        """The address of a file that exists already; raises OSError."""
        if path not in self.links:
            self.links[path] = self._name(path.suffix)
            (self.folder / self.links[path]).symlink_to(path.resolve())
        return self.links[path]

    def _name(self, suffix: str) -> str:
        self.count += 1
        return f"{self.count:05d}{suffix}"


PageFiles = EmbeddedFiles | FolderFiles
