# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""policy_server needs no ROS, and says what is wrong before it loads anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("grpc", reason="needs the extra `server`")

from smolvla_ros.tools import policy_server

from ..package_files import ROOT

WITHOUT_ROS = """
import sys
for name in ("rclpy", "std_msgs", "smolvla_ros.msg", "ament_index_python"):
    sys.modules[name] = None
from smolvla_ros.tools.policy_server import main
sys.exit(main(["nowhere"]))
"""


def test_it_runs_without_ros() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "AMENT_PREFIX_PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ROS], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and "nowhere" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--address", "0.0.0.0:50051"], "can be reached by other computers: give --credentials"),
        (["--address", "everywhere"], "expected host:port"),
        (["--credentials", "nowhere"], "'nowhere/server.key' cannot be read"),
        (["--max-together", "0"], "max_together: 0 is outside 1 .. 64"),
    ],
)
def test_a_wrong_command_line_is_named(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert policy_server.main([str(tmp_path), *arguments]) == 2
    assert text in capsys.readouterr().err
