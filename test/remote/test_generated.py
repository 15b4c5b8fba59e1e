# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""policy_pb2.py is generated from policy.proto."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..package_files import ROOT

FILE = "smolvla_ros/remote/policy.proto"


def descriptor(folder: Path) -> list[str]:
    """The line of the generated file that holds the schema; the others depend on the generator's version."""
    lines = (folder / FILE.replace(".proto", "_pb2.py")).read_text().splitlines()
    return [line for line in lines if line.startswith("DESCRIPTOR = ")]


def test_the_generated_file_is_that_of_the_schema(tmp_path: Path) -> None:
    protoc = pytest.importorskip("grpc_tools.protoc", reason="needs grpcio-tools")
    assert protoc.main(["protoc", f"-I{ROOT}", f"--python_out={tmp_path}", FILE]) == 0
    assert descriptor(tmp_path) == descriptor(ROOT) != []
