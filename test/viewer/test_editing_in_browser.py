# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Edits that are chosen on the page, in a headless Chromium: written by the server, or shown as a command."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.tools.edit_dataset import main as edit_dataset
from smolvla_ros.tools.view_dataset import main
from smolvla_ros.viewer.editing import FOLDER_NAME

from ..sample_bags import conversion, record, run
from .chromium import CHROMIUM, Chromium

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs an installed Chromium: apt-get install chromium"),
    pytest.mark.slow,
]
RATE_HZ = 30
SELECT = "buttons[episodes.findIndex(({{number}}) => number === {})].click()"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four episodes of 31 rows."""
    folder = tmp_path_factory.mktemp("source")
    bags = [record(folder / f"bag_{k}", seconds=1.0, cameras={"top": 30.0}) for k in range(4)]
    run(conversion(bags, folder / "data"))
    return folder / "data"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def address(source: Path) -> Iterator[str]:
    """The page of the dataset, from a server."""
    command = [sys.executable, "-m", "smolvla_ros.tools.view_dataset", str(source)]
    program = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert program.stdout
        found = re.search(r"http://[\d.:]+/", program.stdout.readline().decode())
        assert found
        yield found[0]
    finally:
        program.terminate()
        program.communicate(timeout=20)


def select(browser: Chromium, number: int) -> None:
    browser.value(f"episode.number === {number} || ({SELECT.format(number)}, 0)")


def click(browser: Chromium, *buttons: str) -> None:
    for button in buttons:
        browser.value(f"byId('{button}').click()")


def choose_edits(browser: Chromium) -> None:
    """Leave out 1, cut and split 0, change the task of 2 and the outcomes of 0 and 2."""
    browser.wait_for("episodes.length === 4")
    select(browser, 1)
    click(browser, "drop")
    select(browser, 0)
    for frame, button in ((6, "begin"), (20, "end"), (12, "split")):
        browser.value(f"seek({frame} / {RATE_HZ})")
        click(browser, button)
    for number, task in ((0, ""), (2, 'Push it, it\'s "heavy"')):
        select(browser, number)
        browser.value(
            f"byId('task').value = {task!r}; byId('task').dispatchEvent(new Event('input'));"
            "byId('outcome').value = 'success'; byId('outcome').dispatchEvent(new Event('change'))"
        )


def check_edited(folder: Path) -> None:
    edited = LeRobotDataset.load(folder)
    lengths = [row["dataset_to_index"] - row["dataset_from_index"] for row in edited.episodes]
    whole = lengths[2]
    assert whole >= 30 and lengths == [6, 9, whole, whole]  # frames 6 to 11 and 12 to 20 of the first one
    tasks = [edited.frames(episode).tasks[0] for episode in range(4)]
    assert tasks[2] == 'Push it, it\'s "heavy"' and len({*tasks}) == 2
    assert list(edited.outcomes) == ["success", "success", "success", ""]


def digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


def test_the_server_writes_the_edits_of_the_page_as_a_new_dataset(
    source: Path, address: str, browser: Chromium
) -> None:
    before = digest(source)
    browser.resize(1920, 1080)
    browser.open(address)
    choose_edits(browser)
    browser.value("byId('folder').value = 'better'")
    click(browser, "write_it")
    browser.wait_for("!isWriting && byId('result').textContent")
    assert browser.value("byId('result').className") == "", browser.value("byId('result').textContent")
    assert "better: 4 episodes" in browser.value("byId('result').textContent")
    check_edited(source.parent / "better")
    assert digest(source) == before
    click(browser, "write_it")  # the folder is there already
    browser.wait_for("!isWriting && byId('result').className === 'finding error'")
    assert "exists" in browser.value("byId('result').textContent")


def test_a_page_in_one_file_shows_the_command_that_does_the_edits(
    source: Path, browser: Chromium, tmp_path: Path
) -> None:
    assert main([str(source), "--html", str(tmp_path / "page.html")]) == 0
    browser.resize(1920, 1080)
    browser.open((tmp_path / "page.html").as_uri())
    assert browser.value("byId('write_it')") is None and browser.value("byId('command').textContent") == ""
    choose_edits(browser)
    ros2, *words = shlex.split(browser.value("byId('command').textContent"))
    assert (ros2, *words[:4]) == ("ros2", "run", "smolvla_ros", "edit_dataset", str(source))
    place = words.index("--output") + 1
    assert words[place] == str(source.parent / "data_edited")
    assert edit_dataset([*words[3:place], str(tmp_path / "data"), *words[place + 1 :]]) == 0
    check_edited(tmp_path / "data")


def test_edits_are_taken_back_and_chosen_for_all_that_are_listed(
    source: Path, browser: Chromium, tmp_path: Path
) -> None:
    assert main([str(source), "--html", str(tmp_path / "page.html")]) == 0
    browser.open((tmp_path / "page.html").as_uri())
    browser.wait_for("episodes.length === 4")
    browser.value("buttons.forEach((button, index) => { button.parentElement.hidden = index > 0 })")
    click(browser, "keep_listed")
    assert browser.value("commandWords().join(' ')") == f"--keep {browser.value('episodes[0].number')}"
    click(browser, "undo_all", "drop_listed")
    assert browser.value("commandWords()") == ["--drop", str(browser.value("episodes[0].number"))]
    click(browser, "undo")
    assert browser.value("commandWords()") == []
    browser.value("seek(episode.duration_s)")
    click(browser, "end")  # the last frame is the end anyway
    assert browser.value("commandWords()") == []
    browser.value("seek(0.5)")
    click(browser, "split", "split")
    assert browser.value("commandWords()") == []


def test_enter_in_the_text_of_a_task_keeps_all_edits(source: Path, browser: Chromium, tmp_path: Path) -> None:
    assert main([str(source), "--html", str(tmp_path / "page.html")]) == 0
    browser.open((tmp_path / "page.html").as_uri())
    browser.wait_for("episodes.length === 4")
    click(browser, "drop")
    select(browser, 2)
    browser.value("byId('task').focus()")
    browser.press("x", 88)
    browser.press("\r", 13)
    time.sleep(0.3)  # the page would be loaded anew
    assert browser.value("commandWords().includes('2=x') && edits.filter(edit => edit.dropped).length") == 1


def test_the_page_takes_the_names_of_folders_that_the_server_takes(
    source: Path, browser: Chromium, tmp_path: Path
) -> None:
    assert main([str(source), "--html", str(tmp_path / "page.html")]) == 0
    browser.open((tmp_path / "page.html").as_uri())
    for name in ("better", "Würfel 2.1-b", "立方体_edited", "_b", ".hidden", "a/b", "a+b"):
        found = browser.value(f"byId('folder').value = {name!r}, byId('folder').checkValidity()")
        assert found == bool(FOLDER_NAME.fullmatch(name)), name


def test_frames_are_those_that_are_shown_where_the_times_of_the_dataset_are_rounded_down(
    source: Path, browser: Chromium, tmp_path: Path
) -> None:
    assert main([str(source), "--html", str(tmp_path / "page.html")]) == 0
    browser.open((tmp_path / "page.html").as_uri())
    browser.wait_for("episodes.length === 4")
    browser.value(f"episode.duration_s = Math.fround(35 / {RATE_HZ}); seek(episode.duration_s)")
    assert browser.value("shownFrame()") == 35
    browser.value(f"seek(34 / {RATE_HZ})")
    click(browser, "end")
    assert browser.value("selectedEdits().end") == 35  # one frame before the end


@pytest.mark.parametrize("width", [390, 1920])
def test_the_edits_fit_the_screen(width: int, address: str, browser: Chromium) -> None:
    browser.resize(width, 844)
    browser.open(address)
    choose_edits(browser)
    assert browser.value("document.documentElement.scrollWidth") == width


def test_bags_are_converted_before_they_are_edited(browser: Chromium, tmp_path: Path) -> None:
    record(tmp_path / "bag", seconds=1.0, cameras={"top": 30.0})
    assert main([str(tmp_path / "bag"), "--html", str(tmp_path / "page.html")]) == 0
    browser.open((tmp_path / "page.html").as_uri())
    browser.wait_for("episodes.length === 1")
    assert browser.value("byId('edit')") is None and browser.value("byId('write')") is None
