# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Installs the Python part by pip, without ROS; nodes/ needs the messages that CMakeLists.txt builds.

Version and description come from package.xml, the programs from executables.txt, the extras from wheels/python.txt:
each is written only there.
"""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_namespace_packages, setup

root = Path(__file__).parent
package = ElementTree.parse(root / "package.xml").getroot()
programs = [
    line.split() for line in (root / "executables.txt").read_text().splitlines() if not line.startswith("#")
]
name = package.findtext("name")


def shared(folder: str) -> tuple[str, list[str]]:
    """The files of a folder, for the same place as in a ROS installation."""
    return f"share/{name}/{folder}", [
        str(p.relative_to(root)) for p in (root / folder).iterdir() if p.is_file()
    ]


def extras() -> dict[str, list[str]]:
    """The named sections of wheels/python.txt, torch, and what is only used where it is installed."""
    found: dict[str, list[str]] = {
        "policy": ["torch"],
        "rerun": ["rerun-sdk"],
        "cluster": ["ray[serve]>=2.60"],
    }
    section = ""
    for line in (root / "wheels/python.txt").read_text().splitlines():
        if line.startswith("# ["):
            section = line[3:].partition("]")[0]
        elif section and line and not line.startswith("#"):
            requirement, _, comment = line.partition("#")
            pinned = comment.strip().startswith("exactly")
            found.setdefault(section, []).append(requirement.strip() if pinned else line.partition("==")[0])
    return found


setup(
    name=name,
    version=package.findtext("version"),
    description=package.findtext("description"),
    license=package.findtext("license"),
    python_requires=">=3.10",
    packages=find_namespace_packages(include=[f"{name}*"]),
    package_data={f"{name}.viewer": ["*.css", "*.html", "*.js"], f"{name}.console": ["console.*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{name}"]),
        (f"share/{name}", ["package.xml"]),
        shared("checkpoints/so100_tabletop"),
        shared("checkpoints/so100_tabletop/vlm"),
        shared("config"),
        shared("config/rviz"),
        shared("launch"),
        shared("urdf"),
    ],
    entry_points={
        "console_scripts": [
            f"smolvla-{program.replace('_', '-')}={module}:main" for program, module in programs
        ],
        "gymnasium.envs": [f"{name}={name}.simulation.environments:register_environments"],
    },
    install_requires=["numpy", "opencv-python-headless", "PyYAML", "rich"],
    extras_require=extras(),
)
