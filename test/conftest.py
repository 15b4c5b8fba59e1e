# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How often the tests try what depends on the moment."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kills", type=int, default=4, help="how many times each program is killed at a random moment"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`kill` counts the random moments at which a test kills something."""
    if "kill" in metafunc.fixturenames:
        metafunc.parametrize("kill", range(metafunc.config.getoption("kills")))
