# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checks whether this Python and this machine can build the package; lists everything that is missing, with the remedy.

Any Python 3 can run it, so that it can report a version that is too old.
"""

import os
import shutil
import sys
import sysconfig

missing = []
if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    missing.append(
        "a Python from 3.10 to 3.13, for which ROS 2 Jazzy has wheels: {} is {}.{}.\n"
        "    Choose another one: make setup PYTHON=python3.12".format(sys.executable, *sys.version_info[:2])
    )
else:
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        missing.append(
            "Python's venv and ensurepip modules.\n    On Debian and Ubuntu: apt install python3-venv"
        )
    if not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")):
        missing.append("Python's C headers (Python.h).\n    On Debian and Ubuntu: apt install python3-dev")
if not (os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")):
    missing.append("a C++ compiler, to build the messages with.\n    On Debian and Ubuntu: apt install g++")
if missing:
    sys.exit("To set up smolvla_ros, this machine lacks\n  " + "\n  ".join(missing))
