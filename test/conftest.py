# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time limits of tests, the selection of --fast, and the number of repetitions of tests with random kills."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))
import watchdog  # noqa: E402

ROOT = Path(__file__).parents[1]
PROGRAMS = dict(
    line.split() for line in (ROOT / "executables.txt").read_text().splitlines() if not line.startswith("#")
)  # of the package: name -> module
WATCHDOG = pytest.StashKey[watchdog.Watchdog]()
NOT_FAST_MODULES = ("rclpy", "torch", "transformers")
NOT_FAST_FOLDERS = ("nodes", "policy", "training")  # their conftest.py imports these

# The duration of one example depends on the machine.
settings.register_profile("untimed", settings.default, deadline=None)
settings.load_profile("untimed")


def installed(program: str) -> str:
    """The file that `ros2 run smolvla_ros PROGRAM` starts."""
    from ament_index_python.packages import get_package_prefix

    return f"{get_package_prefix('smolvla_ros')}/lib/smolvla_ros/{program}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kills", type=int, help="how many times each program is killed at a random moment (4, some 1)"
    )
    parser.addoption(
        "--fast", action="store_true", help="only tests that need neither ROS nor torch nor seconds"
    )
    parser.addini("test_limit_s", "a test that runs for longer is ended together with its processes")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "node: starts nodes of the suite")
    config.addinivalue_line("markers", "slow: takes seconds")
    config.addinivalue_line("markers", "kills(n): without --kills, the test is repeated n times instead of 4")
    if config.getoption("fast"):
        for name in NOT_FAST_MODULES:
            sys.modules[name] = None  # type: ignore[assignment]  # an import of it raises ImportError


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With --fast leave out the folders in which every test needs ROS or torch."""
    folders = {Path(__file__).parent / name for name in NOT_FAST_FOLDERS}
    return True if config.getoption("fast") and collection_path in folders else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is in nodes/; with --fast leave out what is marked."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent / "nodes"):
            item.add_marker("node")
    if config.getoption("fast"):
        left_out = [item for item in items if any(map(item.get_closest_marker, ("node", "slow")))]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the watchdog in the process that runs tests: pytest, or with pytest-xdist each of its workers."""
    config = session.config
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        capture = config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():  # it writes to the terminal
            config.stash[WATCHDOG] = watchdog.start_for_tests()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if WATCHDOG in session.config.stash:
        session.config.stash[WATCHDOG].close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    dog = item.config.stash[WATCHDOG]
    dog.begin(item.nodeid, float(item.config.getini("test_limit_s")))
    try:
        return (yield)
    finally:
        dog.end()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`kill`: the number of a repetition in which a test kills a process at a random time."""
    if "kill" in metafunc.fixturenames:
        metafunc.parametrize("kill", range(number_of_kills(metafunc.config, metafunc.definition)))


def number_of_kills(config: pytest.Config, test: pytest.Item) -> int:
    """--kills, or what the test's marker says, or 4."""
    marked = test.get_closest_marker("kills")
    number: int = config.getoption("kills") or (marked.args[0] if marked else 4)
    return number


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How many times a test kills a process."""
    return number_of_kills(request.config, request.node)


@pytest.fixture
def sighup_has_default_action() -> Iterator[None]:
    """In this process and the programs it starts SIGHUP has its default action, under nohup too."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(autouse=True)
def check_scheduling() -> Iterator[None]:
    """Check that no test leaves this process with real-time priority, under which later tests would fail."""
    yield
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
