# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What transformers makes of files is kept, and used only if whole and of the same files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from smolvla_ros.policy.checkpoint.derived import cache_folder, derived

from ..package_files import CHECKPOINT


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache_folder()


def test_a_text_is_derived_once_for_the_same_sources(folder: Path) -> None:
    assert derived("text", [b"a", b"b"], lambda: "first") == "first"
    assert derived("text", [b"a", b"b"], lambda: "second") == "first"
    assert derived("text", [b"ab"], lambda: "third") == "third"
    assert derived("other", [b"a", b"b"], lambda: "fourth") == "fourth"


def test_a_file_that_was_cut_off_or_changed_is_derived_anew(folder: Path) -> None:
    for damaged in (b"", b"first", None):
        derived("text", [b"a"], lambda: "first")
        [path] = folder.iterdir()
        path.write_bytes(path.read_bytes()[:-1] if damaged is None else damaged)
        assert derived("text", [b"a"], lambda: "second") == "second"
        assert derived("text", [b"a"], lambda: "third") == "second"
        path.unlink()


def test_where_nothing_can_be_written_the_text_is_derived_each_time(folder: Path) -> None:
    folder.write_text("a file, where the folder should be")
    assert [derived("text", [b"a"], lambda text=text: text) for text in ("first", "second")] == [
        "first",
        "second",
    ]


def test_a_user_without_a_home_folder_derives_the_text_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "~")  # what is found where the user is in no list of users
    assert [derived("text", [b"a"], lambda text=text: text) for text in ("first", "second")] == [
        "first",
        "second",
    ]


@pytest.mark.parametrize("given", ["", "relative", "~/elsewhere"])
def test_a_cache_folder_that_is_no_absolute_path_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert cache_folder() == tmp_path / ".cache" / "smolvla_ros"


def test_a_checkpoint_is_loaded_a_second_time_without_transformers() -> None:
    program = (
        "import sys; from smolvla_ros.policy import SmolVLA; "
        f"SmolVLA.from_pretrained({str(CHECKPOINT)!r}, 'cpu', 'float32'); print('transformers' in sys.modules)"
    )
    found = [
        subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert [text.strip() for text in found] == ["True", "False"]
