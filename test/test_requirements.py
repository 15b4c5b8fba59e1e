# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One list of Python requirements (wheels/python.txt), complete, which documentation, setup.py and make install."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from xml.etree import ElementTree

from .package_files import ROOT

APART = {"torch"}  # installed separately, from a chosen index (Makefile, docs/getting_started.md)
OPTIONAL = {"rerun": "rerun-sdk", "ray": "ray"}  # imported where it is installed -> what to install
FROM_ROS = {"numpy", "opencv-python-headless"}  # or from ros-jazzy.txt
SETUP = (
    "import json, runpy, setuptools\n"
    "setuptools.setup = lambda **given: print(json.dumps(given['extras_require']))\n"
    "runpy.run_path('setup.py')"
)


def listed(file: str) -> dict[str, str]:
    """Name, normalised as by PyPI -> version."""
    lines = (
        line.partition("#")[0].partition(";")[0].strip() for line in (ROOT / file).read_text().splitlines()
    )
    return {normalized(line.split("==")[0]): line.split("==")[1] for line in lines if line}


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> set[str]:
    """The top-level names of all imports of the package, nested imports included."""
    found: set[str] = set()
    for path in (ROOT / "smolvla_ros").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"smolvla_ros"}


def test_all_imported_packages_are_listed_or_part_of_ros() -> None:
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    of_ros = {entry.text for kind in ("depend", "exec_depend") for entry in package.iter(kind)}
    known = set(listed("wheels/python.txt")) | APART | FROM_ROS
    distributions = packages_distributions()
    missing = {
        name
        for name in imported() - of_ros - OPTIONAL.keys()
        if not known & {normalized(distribution) for distribution in distributions.get(name, [])}
    }
    assert missing == set()


def test_the_documented_workstation_installs_the_list() -> None:
    [command] = re.findall(
        r"^pip install (.*numpy<2.*)$", (ROOT / "docs/getting_started.md").read_text(), re.M
    )
    assert command == "'numpy<2' torch -r src/smolvla_ros/wheels/python.txt"


def test_pip_is_told_to_install_a_checkout_as_no_index_has_this_package() -> None:
    texts = [*ROOT.glob("docs/*.md"), ROOT / "README.md", *ROOT.glob("smolvla_ros/**/*.py")]
    told = [(path.name, found) for path in texts for found in re.findall(r"pip install.*", path.read_text())]
    assert [one for one in told if re.search(r"[ '\"]smolvla_ros\[", one[1])] == []


def test_make_installs_the_list() -> None:
    assert re.search(r"^REQUIREMENTS := wheels/python.txt ", (ROOT / "Makefile").read_text(), re.M)


def test_the_extras_are_sections_of_the_list() -> None:
    done = subprocess.run([sys.executable, "-c", SETUP], cwd=ROOT, capture_output=True, text=True, check=True)
    extras = json.loads(done.stdout)
    versions = listed("wheels/python.txt")
    assert set(extras) == {
        "arm",
        "cluster",
        "console",
        "dataset",
        "gymnasium",
        "plot",
        "policy",
        "rerun",
        "server",
        "simulation",
        "training",
    }
    names = {
        normalized(re.split("[=>[]", requirement)[0]) for group in extras.values() for requirement in group
    }
    apart = APART | set(OPTIONAL.values())
    assert names - apart <= set(versions) and names >= apart
    unpinned = {"av", "huggingface-hub", "Jinja2", "pyarrow", "tqdm"}
    assert {*unpinned, f"rosbags=={versions['rosbags']}"} == set(extras["dataset"])
    direct = {"pyyaml", *names}
    assert {"feetech-servo-sdk", "pyserial", "matplotlib", "tokenizers"} <= direct
