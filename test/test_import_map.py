# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who may know whom, and which heavy thing lives where: read from all import statements, nested ones too."""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "smolvla_ros"

# Everything imports only from floors below its own, and a room also from itself.
FLOORS = (
    {"units", "image", "urdf", "settings", "stop_signals"},
    {"robot"},
    {"observation", "chunk"},
    {"wire"},
    {"camera", "policy", "execution", "arm", "scene", "dataset"},
    {"suite_options"},
    {"nodes"},
    {"program"},
    {"suite"},
    {"tools"},
)

MESSAGES = ("builtin_interfaces", "rcl_interfaces", "std_srvs", "smolvla_ros.msg")
HEAVY = {  # what: (its packages, where alone they may be imported)
    "rclpy and messages": (
        ("rclpy", "cv_bridge", "message_filters", "*_msgs", *MESSAGES),
        (
            "nodes/",
            "tools/demo_observer.py",
            "tools/jog.py",
            "tools/play_dataset.py",
            "tools/record_keys.py",
            "tools/watch.py",
        ),
    ),
    "launch": (("launch", "launch_ros", "ament_index_python"), ("nodes/", "tools/launching.py")),
    "torch": (
        ("torch", "torchvision", "transformers", "tokenizers", "safetensors", "huggingface_hub"),
        ("policy/", "tools/demo_checkpoint.py", "tools/demo_layout.py"),
    ),
    "serial ports": (("serial", "scservo_sdk", "pty"), ("arm/feetech.py", "arm/emulated.py")),
    "terminals": (("termios", "tty"), ("arm/", "tools/terminal.py")),
    "clocks and threads": (
        ("time", "threading", "asyncio", "concurrent", "multiprocessing", "sched", "queue"),
        ("nodes/", "camera/", "arm/", "tools/", "policy/side_by_side.py"),
    ),
    "recordings": (("rosbags", "pyarrow", "av", "pandas"), ("dataset/",)),
    "drawing": (("matplotlib",), ("tools/",)),
}
WITHOUT_TORCH = (
    "policy/policy.py",
    "policy/scripted.py",
    "policy/robot_policy.py",
    "policy/preflight.py",
    "policy/camera_names.py",
    "policy/unit_evidence.py",
    "policy/pose.py",
    "policy/finding.py",
)


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


def room(path: Path) -> str:
    """The room or top-level file of the package that a file is in."""
    return path.relative_to(ROOT / PACKAGE).parts[0].removesuffix(".py")


def belongs(name: str, packages: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of these packages or lies in one; `*` stands for text without a dot."""
    parts = name.split(".")
    return any(fnmatch(".".join(parts[: package.count(".") + 1]), package) for package in packages)


FILES = sorted(p for p in (ROOT / PACKAGE).rglob("*.py") if p != ROOT / PACKAGE / "__init__.py")
IMPORTS = {str(p.relative_to(ROOT / PACKAGE)): imports(p) for p in FILES}


def test_every_file_has_a_floor():
    assert set(map(room, FILES)) <= set().union(*FLOORS)


def test_imports_point_downwards():
    assert [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in FILES
        for name in IMPORTS[str(path.relative_to(ROOT / PACKAGE))]
        if name.startswith(f"{PACKAGE}.")
        and place(name) not in (room(path), "msg")
        and floor(place(name)) >= floor(room(path))
    ] == []


def test_heavy_packages_are_imported_only_where_the_map_says():
    assert [
        f"{file} imports {name} ({what})"
        for what, (packages, homes) in HEAVY.items()
        for file, names in IMPORTS.items()
        if not file.startswith(homes) or (what == "torch" and file in WITHOUT_TORCH)
        for name in names
        if belongs(name, packages)
    ] == []
