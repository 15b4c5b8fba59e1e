# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording that a test may change."""

from pathlib import Path

import pytest

from ..sample_bags import record


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return record(tmp_path / "bag")
