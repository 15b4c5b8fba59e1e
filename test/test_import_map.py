# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who may know whom, and which heavy thing lives where: read from all import statements, nested ones too."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "smolvla_ros"

# Everything imports only from floors below its own, and a room also from itself.
FLOORS = (
    {"units", "image", "urdf", "settings"},
    {"robot"},
    {"observation", "chunk"},
    {"wire"},
    {"camera", "policy", "execution", "arm", "scene"},
    {"nodes"},
    {"tools"},
)

ROS = {
    "rclpy",
    "builtin_interfaces",
    "rcl_interfaces",
    "std_srvs",
    "cv_bridge",
    "message_filters",
    "ament_index_python",
}
DEVICES = ("arm/feetech.py", "arm/emulated.py")
HEAVY = {  # what -> where alone it may be imported
    "rclpy and messages": (lambda name: name in ROS or name.endswith("_msgs"), ("nodes/",)),
    "torch and its like": (
        lambda name: (
            name in {"torch", "torchvision", "transformers", "safetensors", "huggingface_hub", "tokenizers"}
        ),
        ("policy/",),
    ),
    "serial ports": (lambda name: name in {"serial", "scservo_sdk", "pty", "termios"}, DEVICES),
    "clocks and threads": (
        lambda name: (
            name in {"time", "threading", "asyncio", "concurrent", "multiprocessing", "sched", "queue"}
        ),
        ("nodes/", "camera/", "arm/", "tools/"),
    ),
}
WITHOUT_TORCH = ("policy/policy.py", "policy/scripted.py")


def imports(path: Path) -> set[str]:
    """The dotted names a file imports, relative ones made absolute; `from a import b` counts as a.b."""
    package = path.relative_to(ROOT).parent.parts
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def place(dotted: str) -> str:
    """The room or top-level file that a name inside the package belongs to."""
    return dotted.split(".")[1]


def floor(name: str) -> int:
    """How far up a room or top-level file stands."""
    [number] = [number for number, names in enumerate(FLOORS) if name in names]
    return number


FILES = sorted(p for p in (ROOT / PACKAGE).rglob("*.py") if p != ROOT / PACKAGE / "__init__.py")
each_file = pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT / PACKAGE)))


def test_every_file_has_a_floor():
    places = {p.relative_to(ROOT / PACKAGE).parts[0].removesuffix(".py") for p in FILES}
    assert places <= set().union(*FLOORS)


@each_file
def test_imports_point_downwards(path):
    own = path.relative_to(ROOT / PACKAGE).parts[0].removesuffix(".py")
    known = {place(name) for name in imports(path) if name.startswith(f"{PACKAGE}.")} - {own, "msg"}
    assert {other for other in known if floor(other) >= floor(own)} == set()


@each_file
def test_heavy_things_stay_where_they_belong(path):
    file = str(path.relative_to(ROOT / PACKAGE))
    for what, (is_heavy, homes) in HEAVY.items():
        if not file.startswith(homes):
            assert {name for name in imports(path) if is_heavy(name.split(".")[0])} == set(), what
    if file in WITHOUT_TORCH:
        assert not {name for name in imports(path) if HEAVY["torch and its like"][0](name.split(".")[0])}
    if not file.startswith("nodes/"):
        assert not {name for name in imports(path) if name.startswith(f"{PACKAGE}.msg")}
