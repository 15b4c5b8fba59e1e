# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which file may import which, and where large packages may be imported: all import statements, nested ones too."""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from graphlib import TopologicalSorter
from pathlib import Path

from .package_files import ROOT

PACKAGE = "smolvla_ros"

# A file imports only from its own room and from the rooms and files of the lines above it.
FLOORS = (
    {"arrays", "ray_cluster"},
    {
        "units",
        "image",
        "urdf",
        "settings",
        "stop_signals",
        "worker_pool",
        "share",
        "finding",
        "text_table",
        "feature_statistics",
        "html_page",
        "http_access",
    },
    {"robot"},
    {"observation", "chunk", "authority"},
    {"wire"},
    {"camera", "execution", "arm", "dataset", "policy/policy"},
    {"simulation", "terminal", "viewer", "policy/guidance_settings", "policy/scripted"},
    {"policy/chunk_inputs"},
    {"policy/checkpoint"},
    {"policy/smolvla"},
    {"policy/preflight"},
    {"policy/robot_policy", "policy"},
    {"curation"},
    {"training", "evaluation", "remote"},
    {"console"},
    {"node_configs"},
    {"nodes"},
    {"suite"},
    {"demo", "evaluation/live_trials"},
    {"tools"},
)
MESSAGES = ("builtin_interfaces", "rcl_interfaces", "std_srvs", "smolvla_ros.msg")
HEAVY = {  # what: (its packages, where alone they may be imported)
    "rclpy and messages": (
        ("rclpy", "cv_bridge", "message_filters", "*_msgs", *MESSAGES),
        ("nodes/", "demo/observer.py", "evaluation/live_trials.py"),
    ),
    "launch": (("launch", "launch_ros", "ament_index_python"), ("nodes/", "suite/launching.py")),
    "torch": (
        ("torch", "torchvision", "transformers", "tokenizers", "safetensors"),
        ("policy/", "training/", "curation/transformers_model.py"),
    ),
    "the hub": (("huggingface_hub",), ("policy/", "training/", "dataset/hub.py")),
    "trainers": (("accelerate", "peft"), ("training/",)),
    "gRPC": (("grpc", "grpc_health", "google", "PIL"), ("remote/",)),
    "serial ports": (("serial", "scservo_sdk", "pty"), ("arm/feetech.py", "simulation/emulated_arm.py")),
    "terminals": (("termios", "tty"), ("arm/feetech.py", "simulation/emulated_arm.py", "terminal/keys.py")),
    "clocks and threads": (
        ("time", "threading", "asyncio", "concurrent", "multiprocessing", "sched", "queue"),
        (
            *("camera/", "arm/", "nodes/", "tools/", "worker_pool.py", "ray_cluster.py"),
            *("dataset/parallel_steps.py", "dataset/read_ahead.py"),
            *("demo/", "suite/launching.py", "suite/processes.py"),
            *("console/server.py", "console/viewer.py", "console/connection_gate.py"),
            *("simulation/emulated_arm.py", "simulation/bus_process.py", "simulation/expert_policy.py"),
            "policy/smolvla/parallel.py",
            "curation/endpoint.py",
            "remote/",
            *(
                "evaluation/trials.py",
                "evaluation/live_trials.py",
                "training/small/recipe.py",
                "training/trainer.py",
            ),
        ),
    ),
    "recordings": (("rosbags", "pyarrow", "av", "pandas"), ("dataset/",)),
    "web servers": (("aiohttp",), ("console/server.py", "console/viewer.py")),
    "Rerun": (("rerun",), ("viewer/rerun_recording.py",)),
    "physics": (("mujoco",), ("simulation/world.py", "simulation/mujoco_scene.py")),
    "ray": (("ray",), ("ray_cluster.py", "remote/cluster.py")),
    "gymnasium": (("gymnasium",), ("simulation/environments.py", "simulation/tabletop_environment.py")),
    "drawing": (
        ("matplotlib",),
        (
            "dataset/replay_plot.py",
            "demo/plot.py",
            "evaluation/report.py",
            "training/loss_plot.py",
        ),
    ),
}
WITHOUT_TORCH = (
    "policy/policy.py",
    "policy/chunk_inputs.py",
    "policy/guidance_settings.py",
    "policy/policy_config.py",
    "policy/scripted.py",
    "policy/robot_policy.py",
    "policy/preflight/preflight.py",
    "policy/preflight/camera_names.py",
    "policy/preflight/unit_evidence.py",
    "policy/preflight/pose.py",
    "finding.py",
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


def module(path: Path) -> str:
    """The dotted name of a file, without the package; an __init__.py counts as its folder."""
    return ".".join(path.relative_to(ROOT / PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def room(name: str) -> str:
    """The room, or the file beside the rooms, that a dotted name without the package lies in."""
    parts = name.split(".")
    folders = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return next((folder for folder in folders if any(folder in names for names in FLOORS)), parts[0])


def floor(name: str) -> int:
    """The line of FLOORS that a room stands in."""
    [number] = [number for number, names in enumerate(FLOORS) if name in names]
    return number


def belongs(name: str, packages: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of these packages or lies in one; `*` stands for text without a dot."""
    parts = name.split(".")
    return any(fnmatch(".".join(parts[: package.count(".") + 1]), package) for package in packages)


FILES = sorted(
    p for p in (ROOT / PACKAGE).rglob("*.py") if p.parent != ROOT / PACKAGE or p.stem != "__init__"
)
IMPORTS = {str(p.relative_to(ROOT / PACKAGE)): imports(p) for p in FILES}
MODULES = {module(path) for path in FILES}


def imported_modules(path: Path) -> set[str]:
    """The files of this package that a file imports, as dotted names without the package."""
    names = {name.partition(".")[2] for name in imports(path) if name.startswith(f"{PACKAGE}.")}
    return {
        name if name in MODULES else name.rpartition(".")[0] for name in names if not name.startswith("msg")
    }


GRAPH = {module(path): imported_modules(path) for path in FILES}


def test_every_file_has_a_floor():
    assert {room(name) for name in MODULES} == set().union(*FLOORS)


def test_imports_point_downwards():
    assert [
        f"{name} imports {imported}"
        for name, names in GRAPH.items()
        for imported in names
        if room(imported) != room(name) and floor(room(imported)) >= floor(room(name))
    ] == []


def test_no_files_import_each_other_in_a_circle():
    TopologicalSorter({name: names - {name} for name, names in GRAPH.items()}).prepare()  # raises CycleError


def test_heavy_packages_are_imported_only_where_the_map_says():
    assert [
        f"{file} imports {name} ({what})"
        for what, (packages, homes) in HEAVY.items()
        for file, names in IMPORTS.items()
        if not file.startswith(homes) or (what == "torch" and file in WITHOUT_TORCH)
        for name in names
        if belongs(name, packages)
    ] == []


def test_the_console_loads_neither_physics_nor_plots():
    reached, new = set(), {"nodes.console_node"}
    while new:
        reached |= new
        new = set().union(*(GRAPH[name] for name in new)) - reached
    assert [
        f"{path} imports {name}"
        for path in FILES
        if module(path) in reached
        for name in imports(path)
        if belongs(name, (*HEAVY["physics"][0], *HEAVY["drawing"][0]))
    ] == []
