# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""No program of the package shows a traceback, or a fault of its own, for any command line or file."""

from __future__ import annotations

import argparse
import importlib
import json
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..conftest import PROGRAMS

INPUTS = 60  # for each program
# The words of a command line that ends soon, because what it names is broken: {} is one of the files of `broken`.
COMMANDS = {
    "bag_to_lerobot": "{} --output {new} --jobs 1",
    "lerobot_to_bag": "{} --output {new}",
    "edit_dataset": "{} --output {new}",
    "push_dataset": "{} somebody/something",
    "pull_dataset": "somebody/something --output {file}",
    "check_dataset": "{}",
    "view_dataset": "{}",
    "check_checkpoint": "{}",
    "policy_server": "{}",
    "policy_cluster": "{} --insecure --ray 127.0.0.1:9",
    "security_policy": "sim:=true robot:={}",
    "curate": "{}",
    "standardize_views": "{} --output {new}",
    "annotate_tasks": "{} --output {new}",
    "replay_policy": "{} scripted",
    "play_dataset": "{}",
    "train": "{} --output {new} --checkpoint {}",
    "evaluate": "--score {}",
    "make_demonstrations": "--task touch --output {file}",
    "make_small_checkpoint": "{file}",
    "so100_calibrate": "--port {} --id none",
    "so100_setup_motors": "--port {} --yes",
    "demo": "--out {file}",
    "jog": "",
    "watch": "",
    "record_keys": "",
}
VALUES = (
    "",
    "0",
    "-1",
    "nan",
    "1e999",
    "x",
    "=",
    "a=b=c",
    "camera=",
    "{}",
    "{file}",
    "nowhere.json",
    "/",
    "\u2603" * 300,
)
CONTENTS = {
    "empty": b"",
    "noise": bytes(range(256)) * 40,
    "text": b"no data\n",
    "null.json": b"null",
    "list.json": b"[1, 2]",
    "cut.json": b'{"shoulder_pan": {',
    "numbers.json": b'{"shoulder_pan": 3, "fps": "x"}',
    "nested.yaml": b"joints: [1, {a: }]\ncameras: 5\nname: []\n",
    "bad.yaml": b"a: [b\n\t- c",
}


def folders(root: Path) -> Iterator[Path]:
    """Folders that look like bags, datasets and checkpoints, with files of `CONTENTS` in them."""
    names = {
        "bag": ("metadata.yaml", "bag.mcap"),
        "sqlite": ("metadata.yaml", "bag.db3"),
        "unfinished": ("bag.mcap",),
        "dataset": (
            "meta/info.json",
            "meta/stats.json",
            "meta/tasks.parquet",
            "meta/episodes/chunk-000/file-000.parquet",
            "data/chunk-000/file-000.parquet",
        ),
        "checkpoint": ("config.json", "model.safetensors", "policy_preprocessor.json", "train_config.json"),
    }
    for kind, files in names.items():
        for content, data in CONTENTS.items():
            folder = root / f"{kind}_{content}"
            for name in files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data)
            yield folder
    for name, info in (
        ("without_episodes", {"total_episodes": 1}),
        ("text_for_numbers", {"total_episodes": "many", "fps": "fast"}),
        ("wrong_features", {"total_episodes": 0, "features": [1]}),
    ):
        whole = {"codebase_version": "v3.0", "fps": 30, "total_frames": 0, "data_path": "d", "features": {}}
        (root / name / "meta").mkdir(parents=True)
        (root / name / "meta" / "info.json").write_text(json.dumps({**whole, **info}))
        yield root / name
    (root / "nothing").mkdir()
    yield root / "nothing"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files and folders that no program can read."""
    root = tmp_path_factory.mktemp("broken")
    for name, data in CONTENTS.items():
        (root / name).write_bytes(data)
    return [*(root / name for name in CONTENTS), root / "nowhere", *folders(root)]


def command_lines(program: str, options: list[argparse.Action], broken: list[Path]) -> Iterator[list[str]]:
    """INPUTS command lines: each with another file, every second one with a wrong or strange option too."""
    rng = random.Random(program)
    flags = [action.option_strings[-1] for action in options if action.option_strings]
    given = COMMANDS[program].split()  # with a later, valid value the program would do its work
    flags = [flag for flag in flags if flag not in ("--help", *given)] or ["--option"]
    files = [path for path in broken if path.is_file()]
    for number in range(INPUTS):
        words = COMMANDS[program].split()
        if number % 2:
            words += [rng.choice(flags), *(rng.choice(VALUES) for _ in range(rng.choice((0, 1, 1, 1, 2))))]
        yield [
            word.replace("{}", str(broken[number % len(broken)]))
            .replace("{file}", str(rng.choice(files)))
            .replace("{new}", str(broken[0].parent / "output"))
            for word in words
        ]


def test_every_program_with_a_command_line_is_here() -> None:
    assert set(COMMANDS) == {name for name, module in PROGRAMS.items() if ".tools." in module}


@pytest.mark.parametrize("program", COMMANDS)
def test_broken_input_gives_a_message_and_an_exit_code(
    program: str, broken: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        tool = importlib.import_module(f"smolvla_ros.tools.{program}")
    except ImportError as error:
        pytest.skip(str(error))
    monkeypatch.chdir(broken[0].parent)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(sys, "argv", [program])
    options = tool.parser()._actions if hasattr(tool, "parser") else []
    faults = []
    for words in command_lines(program, options, broken):
        try:
            code = tool.main(words)
        except SystemExit as ended:  # of argparse
            code = ended.code
        shown = capsys.readouterr()
        has_message = shown.err.startswith((program, "usage: ")) or "error" in shown.out
        if code not in (1, 2) or not has_message or "Traceback" in shown.err:
            faults.append((" ".join(words), code, shown.err))
        shutil.rmtree(broken[0].parent / "output", ignore_errors=True)
    assert faults == []
