# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page in a headless Chromium, from one file and from the server: plays, filters, keys, narrow and wide screens."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from smolvla_ros.tools.view_dataset import main

from .. import sample_bags
from ..dataset.test_executor_record import executor_messages
from ..package_files import CALIBRATION_FILE
from ..sample_bags import conversion, run
from ..tools.test_check_dataset import record
from .chromium import CHROMIUM, Chromium

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs an installed Chromium: apt-get install chromium"),
    pytest.mark.slow,
]
SHOWN = "videos.length && videos.every(v => v.readyState >= 2 && !v.seeking)"
CURVES = "figures.every(figure => figure.querySelector('path.state').getAttribute('d').length > 100)"
FAULT_S = 29 / 30  # the last image that changed
TASK = " Put the cube  in the box"  # a browser shows it without some of the spaces
FIRST_SHOWN = "shownButtons()[0].querySelector('strong').textContent"


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three episodes, of which the last one has a camera that freezes."""
    folder = tmp_path_factory.mktemp("bags")
    for name in ("one", "two"):
        record(folder / name)
    record(folder / "zero", frozen=True, task=TASK)
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def test_a_page_in_one_file_is_played_and_filtered_by_keys(
    bags: Path, browser: Chromium, tmp_path: Path
) -> None:
    assert main([str(bags), "--html", str(tmp_path / "page.html")]) == 0
    browser.resize(1920, 1080)
    browser.open((tmp_path / "page.html").as_uri())
    browser.wait_for(f"{SHOWN} && {CURVES}")
    assert browser.value("byId('title').textContent") == "zero"
    assert "frozen camera" in browser.value("byId('findings').textContent")
    left = browser.value("document.querySelector('.track .marks i').style.left")
    assert float(left.rstrip("%")) == pytest.approx(100 * FAULT_S / 3.98, abs=0.1)
    browser.value("document.querySelector('#findings button').click()")
    browser.wait_for(f"{SHOWN} && Math.abs(videos[0].currentTime - {FAULT_S}) < 0.01")
    browser.value("document.activeElement.blur()")
    browser.press("ArrowRight", 39)
    assert browser.value("time_s") == pytest.approx(FAULT_S + 1 / 30, abs=1e-3)
    browser.press(" ", 32)
    browser.wait_for("time_s > 1.5 && Math.abs(videos[0].currentTime - time_s) < 0.2")
    browser.press(" ", 32)
    assert browser.value("clock_ms === null && videos[0].paused")
    browser.press("ArrowDown", 40)
    assert browser.value("byId('title').textContent") == "one"
    browser.value(f"byId('filters').task.value = {TASK!r}; filter()")
    assert browser.value("byId('count').textContent") == "1 of 3" and browser.value(FIRST_SHOWN) == "zero"


@pytest.mark.parametrize("width", [390, 1920])
def test_nothing_is_wider_than_the_screen(width: int, bags: Path, browser: Chromium, tmp_path: Path) -> None:
    assert main([str(bags / "zero"), "--html", str(tmp_path / "page.html")]) == 0
    browser.resize(width, 844, dark=True)
    browser.open((tmp_path / "page.html").as_uri())
    browser.wait_for(CURVES)
    assert browser.value("document.documentElement.scrollWidth") == width
    assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"


def test_a_served_dataset_plays_the_part_of_the_video_that_is_the_episode(
    bags: Path, browser: Chromium, tmp_path: Path
) -> None:
    run(conversion([bags / name for name in ("one", "two", "zero")], tmp_path / "data"))
    command = [sys.executable, "-m", "smolvla_ros.tools.view_dataset", str(tmp_path / "data")]
    program = subprocess.Popen([*command, "--calibration", CALIBRATION_FILE], stdout=subprocess.PIPE)
    try:
        assert program.stdout
        address = re.search(r"http://[\d.:]+/", program.stdout.readline().decode())
        assert address
        browser.open(address[0])
        browser.wait_for(f"{SHOWN} && {CURVES}")
        assert browser.value("byId('title').textContent") == "episode 2"
        begin_s = browser.value("videos[0].from_s")
        assert begin_s > 7 and browser.value("videos[0].currentTime") == pytest.approx(begin_s, abs=0.01)
        browser.value("seek(3)")
        browser.wait_for(f"{SHOWN} && Math.abs(videos[0].currentTime - {begin_s} - 3) < 0.01")
        program.send_signal(signal.SIGINT)
        assert program.wait(20) == 0
    finally:
        program.kill()
        program.communicate()


@pytest.mark.parametrize("width", [390, 1920])
def test_the_state_of_the_executor_is_a_band_and_the_plan_is_ahead(
    width: int, browser: Chromium, tmp_path: Path
) -> None:
    bag = sample_bags.record(tmp_path / "bag", cameras={"top": 30.0}, edit=executor_messages)
    assert main([str(bag), "--html", str(tmp_path / "page.html")]) == 0
    browser.resize(width, 844)
    browser.open((tmp_path / "page.html").as_uri())
    browser.wait_for("byId('executor').children.length === 2")
    assert browser.value("[...byId('executor').children].map(one => one.textContent)") == ["armed", "holding"]
    band = "byId('executor').children[1].getBoundingClientRect()"
    track = "byId('executor').getBoundingClientRect()"
    share = browser.value(f"({band}.left - {track}.left) / {track}.width")
    assert share == pytest.approx(0.5 / browser.value("episode.duration_s"), abs=0.01)
    browser.value("seek(0.25)")
    assert browser.value("byId('spell').textContent") == "armed"
    drawn = browser.value("figures.map(figure => figure.querySelector('path.plan').getAttribute('d'))")
    first_x = [float(re.match(r"M([\d.]+) ", one)[1]) for one in drawn]  # type: ignore[index]
    assert first_x == pytest.approx([200 / browser.value("episode.duration_s")] * 6, abs=1)
    browser.value("seek(0.6)")
    assert browser.value("byId('spell').textContent") == "holding: no chunk"
    assert browser.value("figures.every(figure => !figure.querySelector('path.plan').getAttribute('d'))")
    assert browser.value("document.documentElement.scrollWidth") == width


def test_where_no_executor_was_recorded_there_is_no_band(
    bags: Path, browser: Chromium, tmp_path: Path
) -> None:
    assert main([str(bags / "one"), "--html", str(tmp_path / "page.html")]) == 0
    browser.open((tmp_path / "page.html").as_uri())
    browser.wait_for(CURVES)
    assert browser.value("byId('executor').hidden && byId('plan_legend').hidden")
