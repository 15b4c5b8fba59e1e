# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`record_keys` on a pseudo-terminal, with a real recorder node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger

from smolvla_ros.dataset.bag import Bag
from smolvla_ros.nodes import recorder_client, topics
from smolvla_ros.nodes.recorder_client import RecorderClient


def test_a_request_that_the_recorder_never_answers_is_told_and_given_up(
    observer: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Node("server")  # it is never spun
    server.create_service(Trigger, "recorder/start", lambda _, response: response)
    recorder = RecorderClient(observer)

    def pressed(key: str) -> str:
        recorder.press(key)
        return capsys.readouterr().out

    observer.until(lambda: "no service" not in pressed(" "), "the service")
    assert pressed("d") == "discard: ignored, start is not answered yet\n"
    monkeypatch.setattr(recorder_client, "ANSWER_S", 0.0)
    assert "discard: there is no service recorder/discard" in pressed("d")
    server.destroy_node()


def test_keys_start_end_mark_and_discard_episodes(
    observer: Any, start: Any, on_terminal: Any, tmp_path: Path
) -> None:
    start("nodes.recorder_node", output=tmp_path, min_free_mb=1.0, task="wipe the table")
    terminal = on_terminal("tools.record_keys")
    said = observer.publisher(topics.TASK)
    observer.until(said.get_subscription_count, "the recorder")
    observer.until(lambda: "space: begin" in terminal.read(), "the keys")
    observer.spin(2.0)  # until record_keys has discovered the services, which cannot be observed
    for key, words in (
        (" ", "recording episode_000000: 'wipe the table'"),
        ("s", "episode_000000: "),
        (" ", "recording episode_000001"),
        ("r", "episode_000001 is discarded; recording episode_000001"),
        ("d", "episode_000001 is discarded\r\n"),
        ("f", "there is no episode to mark as failure"),
    ):
        terminal.press(key)
        observer.until(lambda words=words: words in terminal.read(), words)
        said.publish(String(data="wipe the table"))
        observer.spin(0.3)
    terminal.press("q")
    assert terminal.wait(10.0) == 0
    assert [path.name for path in tmp_path.glob("episode*")] == ["episode_000000"]
    with Bag(tmp_path / "episode_000000") as bag:
        assert bag.custom_data["outcome"] == "success"
