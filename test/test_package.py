# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The installed package: messages beside modules, programs with a main(), one version."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ament_index_python.packages import get_package_prefix, get_package_share_directory

from .conftest import PROGRAMS
from .package_files import ROOT


def python(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.parametrize("inside", [True, False], ids=["in the checkout", "elsewhere"])
def test_messages_and_modules_come_from_one_package(inside, tmp_path):
    result = python(
        "from smolvla_ros.msg import ActionChunk; from smolvla_ros import chunk; print(chunk.__file__)",
        ROOT if inside else tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(str(ROOT)) or not inside


@pytest.mark.node
@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_is_installed_and_has_its_main(program):
    assert callable(importlib.import_module(PROGRAMS[program]).main)
    assert os.access(Path(get_package_prefix("smolvla_ros"), "lib/smolvla_ros", program), os.X_OK)


@pytest.mark.parametrize("folder", ["config", "launch", "urdf"])
def test_the_files_that_nodes_read_are_installed(folder):
    installed = Path(get_package_share_directory("smolvla_ros"), folder)
    assert (
        {p.name for p in installed.iterdir()}
        >= {p.name for p in (ROOT / folder).iterdir() if p.is_file()}
        != set()
    )


def test_make_links_new_files_of_all_folders_that_cmake_installs():
    [installed] = re.findall(
        r"install\(DIRECTORY (.*) DESTINATION share", (ROOT / "CMakeLists.txt").read_text()
    )
    [watched] = re.findall(r"@find smolvla_ros (.*) -name __pycache__", (ROOT / "Makefile").read_text())
    assert set(watched.split()) == set(installed.split())


def test_make_refuses_a_path_with_a_space(tmp_path):
    folder = tmp_path / "my robot"
    folder.mkdir()
    (folder / "Makefile").symlink_to(ROOT / "Makefile")
    done = subprocess.run(["make", "-n", "setup"], cwd=folder, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "my robot' has a space" in done.stderr


def test_version_is_that_of_package_xml():
    version = ElementTree.parse(ROOT / "package.xml").findtext("version")
    result = subprocess.run(
        [sys.executable, "setup.py", "--version"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.stdout.split()[-1] == version
    assert re.search(
        rf"^(Forthcoming|{re.escape(version)} \(.*\))$", (ROOT / "CHANGELOG.rst").read_text(), re.M
    )
