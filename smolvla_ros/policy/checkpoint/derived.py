# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Texts that transformers derives from files, kept on disk: importing transformers takes seconds, reading a file none.

A kept text is used for the same bytes and the same versions of the libraries only. It is written under another name
and then renamed, and begins with its own hash, so that a file that was cut off or changed is derived anew. The folder,
`smolvla_ros` in the user's cache folder, may be deleted at any time; where it cannot be written, or for a user without
a home folder, nothing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("transformers", "tokenizers")


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/smolvla_ros, if that is an absolute path, else ~/.cache/smolvla_ros.

    Raises RuntimeError for a user without a home folder.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".cache") / "smolvla_ros"


def derived(kind: str, sources: Sequence[bytes], derive: Callable[[], str]) -> str:
    """`derive()`, or its result of an earlier time for the same sources; raises what `derive` raises.

    sources: all that the result depends on, beside the versions of the libraries. kind: what is derived.
    """
    parts = [kind.encode(), *(f"{name} {version(name)}".encode() for name in LIBRARIES), *sources]
    name = f"{kind}-{_digest(b''.join(hashlib.sha256(part).digest() for part in parts))}"
    try:
        path = cache_folder() / name
    except RuntimeError:
        return derive()
    kept = _read(path)
    if kept is None:
        kept = derive()
        with contextlib.suppress(OSError):
            _write(path, kept)
    return kept


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> str | None:
    """The text of a file of `_write`; None if there is none, or not all of it."""
    try:
        digest, _, text = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    return text.decode("utf-8") if digest.decode("ascii", "replace") == _digest(text) else None


def _write(path: Path, text: str) -> None:
    data = text.encode("utf-8")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix="unfinished-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_digest(data).encode() + b"\n" + data)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
