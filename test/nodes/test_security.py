# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""With SROS 2 enabled a node starts with its own keys alone, and does only what its policy allows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from smolvla_ros.tools import security_policy

from ..package_files import ROBOT_FILE, ROOT

PLUGIN = b"DDS:Auth:PKI-DH"  # named in libraries of Fast DDS that are built with security


def has_security() -> bool:
    """Whether Fast DDS of this environment can use keys."""
    folders = [*os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep), f"{sys.prefix}/lib"]
    libraries = [file for folder in filter(None, folders) for file in Path(folder).glob("libfastrtps.so*")]
    return any(PLUGIN in file.read_bytes() for file in libraries)


@pytest.fixture
def keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A keystore, made as docs/security.md says."""
    if not has_security():
        pytest.skip("Fast DDS of this environment is built without security")
    ros2 = shutil.which("ros2")
    if ros2 is None:
        pytest.skip("needs the command ros2 with sros2")
    assert security_policy.main(["sim:=true", "policy:=scripted"]) == 0
    (tmp_path / "policy.xml").write_text(capsys.readouterr().out)
    command = [ros2, "security", "generate_artifacts", "-k", "keys", "-p", "policy.xml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    if "security" in done.stderr and "invalid choice" in done.stderr:
        pytest.skip("needs sros2")
    assert done.returncode == 0, done.stderr
    return tmp_path / "keys"


def start_executor(keys: Path, node: str, enclave: str) -> tuple[int, str]:
    """Start an executor that ends at once or is stopped after a while; returns exit code and output."""
    security = {
        "ROS_SECURITY_KEYSTORE": str(keys),
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    }
    command = ["timeout", "-s", "INT", "15", sys.executable, "-m", "smolvla_ros.nodes.executor_node"]
    command += ["--ros-args", "-r", f"__node:={node}", "--enclave", enclave, "-p", f"robot:={ROBOT_FILE}"]
    done = subprocess.run(command, env=os.environ | security, capture_output=True, text=True, timeout=60.0)
    return done.returncode, done.stdout + done.stderr


def test_a_node_starts_with_its_own_keys_and_not_with_those_of_another(keys: Path) -> None:
    code, output = start_executor(keys, "executor", "/executor")
    assert ": active" in output, output
    code, output = start_executor(keys, "executor", "/nobody")
    assert code and ": active" not in output, output
    code, output = start_executor(keys, "executor", "/top/camera")  # which may not publish joint_commands
    assert code and ": active" not in output, output
