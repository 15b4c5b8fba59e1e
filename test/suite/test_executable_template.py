# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The file that `ros2 run` starts (cmake/executable.in), with a module that gets Ctrl-C at a certain moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TEMPLATE = Path(__file__).parents[2] / "cmake" / "executable.in"
CTRL_C = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"


def run(folder: Path, module: str, sigint: signal.Handlers) -> subprocess.CompletedProcess[str]:
    """Run the executable of a module that has this text."""
    (folder / "interrupted_module.py").write_text(module)
    program = folder / "program"
    filled = TEMPLATE.read_text().replace("@module@", "interrupted_module")
    program.write_text(filled.replace("@Python3_EXECUTABLE@", sys.executable))
    program.chmod(0o755)
    return subprocess.run(
        [program],
        env={**os.environ, "PYTHONPATH": str(folder)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, sigint),
        capture_output=True,
        text=True,
        check=False,
    )


def test_ctrl_c_during_the_import_ends_the_program_without_a_traceback(tmp_path: Path) -> None:
    ended = run(tmp_path, f"{CTRL_C}\ndef main(): print('runs')\n", signal.SIG_DFL)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


def test_ctrl_c_in_the_program_reaches_it(tmp_path: Path) -> None:
    main = f"def main():\n    try:\n        {CTRL_C}\n    except KeyboardInterrupt:\n        return 7\n"
    assert run(tmp_path, main, signal.SIG_DFL).returncode == 7


@pytest.mark.parametrize("when", ["the import", "main"])
def test_a_program_that_was_started_without_ctrl_c_ignores_it(tmp_path: Path, when: str) -> None:
    module = (
        f"{CTRL_C}\ndef main(): return 5\n"
        if when == "the import"
        else f"def main():\n    {CTRL_C}\n    return 5\n"
    )
    assert run(tmp_path, module, signal.SIG_IGN).returncode == 5
