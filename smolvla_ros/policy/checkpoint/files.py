# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files of a checkpoint: locating, and reading with checks.

A checkpoint is a folder, or a repository of the Hugging Face Hub, as LeRobot saves it. JSON values are
checked for their type where they are read. Tensors are read from safetensors in blocks, so that the model is never in
memory twice. Pickle files are never opened. The values are interpreted in the other files of this folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open

from smolvla_ros.share import CHECKPOINT, shipped_checkpoint

T = TypeVar("T")

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
HUB_FILES = ["*.json", "*.safetensors"]  # of the top folder: a state file may have any name
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# The types that weights and statistics have, as safetensors names them.
FLOATS = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
BLOCK_BYTES = 4 << 20
_REQUIRED = object()


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message names the file, the key, the value and the remedy."""


@dataclass(frozen=True)
class Checkpoint:
    """A folder with a checkpoint's files, and its name for logs and messages."""

    folder: Path
    name: str

    @classmethod
    def locate(cls, checkpoint: str | Path, revision: str | None = None) -> Checkpoint:
        """A local folder or the name of a shipped checkpoint (both without network access), or a Hub id such as
        `lerobot/smolvla_base`."""
        folder = Path(checkpoint).expanduser()
        if not folder.exists():
            folder = shipped_checkpoint(str(checkpoint)) or folder
        if folder.is_dir():
            if revision is not None:
                raise CheckpointError(
                    f"{folder} is a local folder: it has no revision {revision!r}; leave revision out"
                )
            return cls(folder, _folder_name(folder.resolve()))
        if folder.exists():
            raise CheckpointError(
                f"{folder} is a file; give the folder that holds config.json and {WEIGHTS_FILE}"
            )
        if not HUB_ID.fullmatch(str(checkpoint)):
            raise CheckpointError(
                f"no such folder: {folder}; give a checkpoint folder, a Hub id 'owner/name' or {CHECKPOINT}"
            )
        folder = download(str(checkpoint), revision, HUB_FILES)
        commit = folder.name  # as the Hub's cache names it
        return cls(folder, f"{checkpoint}@{commit[:8]}")

    def file(self, name: str, remedy: str) -> Path:
        """The path of a file in the folder; raises CheckpointError if it is missing or the name is a path."""
        if name != Path(name).name or name in ("", ".", ".."):
            raise CheckpointError(
                f"{self.folder} refers to {name!r}: only a plain file name inside it is allowed"
            )
        path = self.folder / name
        if path.suffix in PICKLE_SUFFIXES:
            raise CheckpointError(
                f"{path} is a pickle file, which can run code when opened; only safetensors is read"
            )
        if not path.is_file():
            raise CheckpointError(f"{path} is missing; {remedy}")
        return path

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def json(self, name: str, remedy: str) -> Json:
        return Json.load(self.file(name, remedy))

    def weights_file(self, name: str = WEIGHTS_FILE) -> Path:
        if not self.has(name):
            pickles = sorted(p.name for p in self.folder.iterdir() if p.suffix in PICKLE_SUFFIXES)
            if pickles:
                raise CheckpointError(
                    f"{self.folder} has no {name} but {', '.join(pickles)}: pickle files can run "
                    f"code when opened and are not read; save the checkpoint as safetensors"
                )
        return self.file(name, "copy the whole folder that LeRobot saved ('pretrained_model')")


def _folder_name(folder: Path) -> str:
    """`<run>@<step>` for the trainer's <run>/checkpoints/<step>/pretrained_model, else the last part."""
    parts = folder.parts
    if parts[-1] == "pretrained_model" and len(parts) >= 5 and parts[-3] == "checkpoints":
        return f"{parts[-4]}@{parts[-2]}"
    return folder.name


def download(hub_id: str, revision: str | None, patterns: list[str]) -> Path:
    """The folder with the matching files of a Hub repository's top folder, downloaded or cached."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(hub_id, revision=revision, allow_patterns=patterns, ignore_patterns="*/*")
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        at = f" at revision {revision!r}" if revision else ""
        raise CheckpointError(
            f"could not get {hub_id!r}{at} from the Hugging Face Hub or its cache ({error}); check the "
            f"name and the network, log in if it is private, or give a local folder"
        ) from error


@dataclass(frozen=True)
class Json:
    """An object of a JSON file whose members are checked as they are read; `where` names it in errors."""

    where: str
    values: Mapping[str, Any]

    @classmethod
    def load(cls, path: Path) -> Json:
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{path} is not valid JSON ({error}); copy the file again") from error
        if not isinstance(values, dict):
            raise CheckpointError(f"{path} holds a {type(values).__name__}, expected a JSON object")
        return cls(str(path), values)

    def get(self, key: str, kind: type[T], default: Any = _REQUIRED) -> T:
        """The value of `key`, which must be a `kind`; whole numbers pass for floats, not booleans."""
        value = self.values.get(key, default)
        if value is _REQUIRED:
            raise CheckpointError(f"{self.where}: {key!r} is missing")
        if value is default and value is None:
            return value  # type: ignore[return-value]  # an optional value asked for with default=None
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)  # type: ignore[return-value]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise CheckpointError(f"{self.where}: {key!r} is {value!r}, expected {kind.__name__}")
        return value

    def positive(self, key: str, default: Any = _REQUIRED) -> int:
        value = self.get(key, int, default)
        if value <= 0:
            raise CheckpointError(f"{self.where}: {key!r} is {value}, expected a number above 0")
        return value

    def object(self, key: str, default: Any = _REQUIRED) -> Json:
        return Json(f"{self.where}, {key}", self.get(key, dict, default))

    def objects(self, key: str) -> list[Json]:
        found = []
        for index, values in enumerate(self.get(key, list)):
            if not isinstance(values, dict):
                raise CheckpointError(f"{self.where}: {key}[{index}] is {values!r}, expected a JSON object")
            found.append(Json(f"{self.where}, {key}[{index}]", values))
        return found

    def require(self, key: str, only: Any, default: Any, why: str) -> None:
        """Raise CheckpointError if `key` has another value than `only`."""
        value = self.values.get(key, default)
        if value != only:
            raise CheckpointError(f"{self.where}: {key!r} is {value!r}, only {only!r} is supported: {why}")


class TensorFile:
    """An open safetensors file. `keys` are without `_orig_mod`, which torch.compile adds.

    Tensors are read BLOCK_BYTES at a time, not memory-mapped: pages of a mapped file count as memory of the process, so
    the model would count twice. Header and length were checked by safetensors (`open_tensors`).
    """

    def __init__(self, path: Path, file: BufferedReader) -> None:
        self.path = path
        self._file = file
        self._block = bytearray(BLOCK_BYTES)
        header_bytes = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_bytes))
        self._data_start = 8 + header_bytes
        self._entries: dict[str, Mapping[str, Any]] = {}
        for stored, entry in header.items():
            if stored == "__metadata__":
                continue
            key = ".".join(part for part in stored.split(".") if part != "_orig_mod")
            if key in self._entries:
                raise CheckpointError(f"{path} holds {key!r} twice, once as {stored!r}; copy the file again")
            self._entries[key] = entry

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._entries)

    def shape(self, key: str) -> tuple[int, ...]:
        return tuple(self._entries[key]["shape"])

    def is_float(self, key: str) -> bool:
        return self._entries[key]["dtype"] in FLOATS

    def check_type(self, key: str) -> torch.dtype:
        stored = self._entries[key]["dtype"]
        if not self.is_float(key):
            raise CheckpointError(
                f"{self.path}: {key!r} is stored as {stored}, expected one of {', '.join(FLOATS)}"
            )
        return FLOATS[stored]

    def read(self, key: str) -> torch.Tensor:
        """A tensor in float32."""
        tensor = torch.empty(self.shape(key), dtype=torch.float32)
        self.copy(key, tensor)
        return tensor

    def copy(self, key: str, target: torch.Tensor) -> None:
        """Copy a tensor into a contiguous one of the same shape, of any type and device."""
        dtype = self.check_type(key)
        self._file.seek(self._data_start + self._entries[key]["data_offsets"][0])
        flat = target.view(-1)
        values = BLOCK_BYTES // dtype.itemsize
        for start in range(0, flat.numel(), values):
            part = flat[start : start + values]
            block = memoryview(self._block)[: part.numel() * dtype.itemsize]
            if self._file.readinto(block) != block.nbytes:
                raise CheckpointError(f"{self.path} became shorter while it was read; load it again")
            part.copy_(torch.frombuffer(block, dtype=dtype))


@contextmanager
def open_tensors(path: Path) -> Iterator[TensorFile]:
    try:
        with safe_open(path, framework="pt"):  # checks that header and length agree
            pass
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is damaged or not a safetensors file ({error}); copy it again"
        ) from error
    with path.open("rb") as file:
        yield TensorFile(path, file)
