# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`record_keys` on a terminal of its own, beside a real recorder node: one key, one step."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from std_msgs.msg import String

from smolvla_ros.dataset.bag import Bag
from smolvla_ros.nodes import topics

ROOT = Path(__file__).parents[2]


def test_keys_begin_end_mark_and_discard_episodes(observer: Any, start: Any, tmp_path: Path) -> None:
    start(
        "nodes.recorder_node",
        robot="config/so100.yaml",
        output=tmp_path,
        min_free_mb=1.0,
        task="wipe the table",
    )
    master, terminal = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "smolvla_ros.tools.record_keys"],
        stdin=terminal, stdout=terminal, stderr=terminal, cwd=ROOT, start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    shown = ""

    def shows(words: str) -> bool:
        nonlocal shown
        while select.select([master], [], [], 0.0)[0]:
            shown += os.read(master, 65536).decode()
        return words in shown

    try:
        said = observer.publisher(topics.TASK)
        observer.until(said.get_subscription_count, "the recorder")
        observer.until(lambda: shows("space: begin"), "the keys")
        observer.spin(2.0)  # for the keys to find the services; only they could tell
        for key, words in (
            (" ", "recording episode_000000: 'wipe the table'"),
            ("s", "episode_000000: "),
            (" ", "recording episode_000001"),
            ("r", "episode_000001 is discarded; recording episode_000001"),
            ("d", "episode_000001 is discarded\r\n"),
            ("f", "there is no episode to mark as failure"),
        ):
            os.write(master, key.encode())
            observer.until(lambda words=words: shows(words), words)
            said.publish(String(data="wipe the table"))
            observer.spin(0.3)
        os.write(master, b"q")
        assert program.wait(10.0) == 0
    finally:
        program.kill()
        program.wait()
        os.close(master)
    assert [path.name for path in tmp_path.glob("episode*")] == ["episode_000000"]
    with Bag(tmp_path / "episode_000000") as bag:
        assert bag.custom_data["outcome"] == "success"
