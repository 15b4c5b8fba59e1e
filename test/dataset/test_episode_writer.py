# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finished episodes are complete; interrupted ones are recovered up to their last flush."""

from __future__ import annotations

import fcntl
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from smolvla_ros.dataset.bag import Bag
from smolvla_ros.dataset.episode_recovery import recover_episode, unfinished_episodes
from smolvla_ros.dataset.episode_writer import (
    EpisodeWriter,
    MessageTypes,
    StreamType,
    add_custom_data,
    offered_qos,
)
from smolvla_ros.dataset.errors import RecordingError
from smolvla_ros.dataset.output_lock import LOCK_FILE, OutputLock

ROOT = Path(__file__).parents[2]
STRING = StreamType("std_msgs/msg/String", stamped=False, qos=offered_qos(1, 10, 1, 2))
CHUNK = StreamType("smolvla_ros/msg/ActionChunk", stamped=True)
WRITE = """
import sys
from pathlib import Path
sys.path.insert(0, "test/dataset")
from test_episode_writer import STRING, TYPES, text
from smolvla_ros.dataset.episode_writer import EpisodeWriter
for episode in range(1000):
    writer = EpisodeWriter(Path(sys.argv[1]) / f"episode_{episode:06d}", TYPES)
    writer.add_topic("/said", STRING)
    for index in range(200):
        writer.write("/said", index + 1, text(f"{index} {'x' * 5000}"))
        if index % 20 == 19:
            writer.flush()
            print(f"{episode} {index + 1}", flush=True)
    writer.finish({"task": "pick up the red cube"})
    print(f"{episode} finished", flush=True)
"""


def definition(msgtype: str) -> str:
    return (ROOT / "msg" / f"{msgtype.rsplit('/', 1)[-1]}.msg").read_text()


TYPES = MessageTypes(definition)


def text(words: str) -> bytes:
    """A serialized std_msgs/String."""
    data = words.encode() + b"\0"
    return b"\0\1\0\0" + len(data).to_bytes(4, "little") + data


def write(folder: Path, count: int = 50) -> EpisodeWriter:
    writer = EpisodeWriter(folder, TYPES)
    writer.add_topic("/said", STRING)
    for index in range(count):
        writer.write("/said", 1_000 + index, text(f"würfel {index}"))
    return writer


def said(folder: Path) -> list[str]:
    with Bag(folder) as bag:
        return [message.decode().data for message in bag.messages(["/said"])]


def test_a_finished_episode_is_a_rosbag_with_definitions_custom_data_and_qos(tmp_path: Path) -> None:
    writer = write(tmp_path / "episode_000000")
    writer.add_topic("/action_chunk", CHUNK)
    writer.finish({"task": "Würfel aufheben"})
    add_custom_data(tmp_path / "episode_000000", {"outcome": "success"})
    assert said(tmp_path / "episode_000000") == [f"würfel {index}" for index in range(50)]
    with Bag(tmp_path / "episode_000000") as bag:
        assert bag.custom_data == {"task": "Würfel aufheben", "outcome": "success"}
        assert bag.topics == {"/said": "std_msgs/msg/String", "/action_chunk": "smolvla_ros/msg/ActionChunk"}
    metadata = (tmp_path / "episode_000000" / "metadata.yaml").read_text()
    assert "reliability: reliable" in metadata and "storage_identifier: mcap" in metadata
    assert b"float64[] positions" in (tmp_path / "episode_000000" / "episode_000000.mcap").read_bytes()
    assert unfinished_episodes(tmp_path) == []


def test_an_episode_without_messages_is_removed(tmp_path: Path) -> None:
    writer = write(tmp_path / "episode_000000", count=0)
    with pytest.raises(RecordingError, match="no message"):
        writer.finish({})
    assert list(tmp_path.iterdir()) == []


def test_a_file_truncated_anywhere_is_recovered_up_to_a_flush(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / "whole", TYPES)
    writer.add_topic("/said", STRING)
    flushed = [writer._storage.bio.tell()]
    for index in range(40):
        writer.write("/said", 1_000 + index, text(f"{index}"))
        if index % 10 == 9:
            writer.flush()
            flushed.append(writer._storage.bio.tell())
    writer.finish({})
    whole = (tmp_path / "whole" / "whole.mcap").read_bytes()
    rng = random.Random(0)
    for cut in (0, 5, 8, flushed[1] - 1, flushed[1], *rng.sample(range(len(whole)), 20)):
        folder = tmp_path / "episode_000000"
        folder.mkdir()
        (folder / "episode_000000.mcap").write_bytes(whole[:cut])
        assert unfinished_episodes(tmp_path) == [folder]
        at_least = 10 * sum(end <= cut for end in flushed[1:])
        count = recover_episode(folder)
        assert count >= at_least
        if count:
            assert said(folder) == [str(index) for index in range(count)]
            with Bag(folder) as bag:
                assert json.loads(bag.custom_data["recovered"])["messages"] == count
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
        assert not folder.exists()
        assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_an_episode_whose_metadata_a_power_failure_left_empty_is_recovered(tmp_path: Path) -> None:
    folder = tmp_path / "episode_000000"
    write(folder).finish({})
    (folder / "metadata.yaml").write_text("")
    assert unfinished_episodes(tmp_path) == [folder]
    assert recover_episode(folder) == 50
    assert said(folder) == [f"würfel {index}" for index in range(50)] and unfinished_episodes(tmp_path) == []


def test_an_interrupted_recovery_can_be_repeated(tmp_path: Path) -> None:
    folder = tmp_path / "episode_000000"
    writer = write(folder)
    writer.flush()
    writer.abort()
    leftover = tmp_path / "episode_000000.recovering"
    leftover.mkdir()
    (leftover / "episode_000000.recovering.mcap").write_bytes(b"half")
    assert unfinished_episodes(tmp_path) == [folder]
    assert recover_episode(folder) == 50
    assert said(folder)[-1] == "würfel 49" and not leftover.exists()


def test_an_episode_is_not_recovered_while_it_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "episode_000000"
    writer = write(folder)
    writer.flush()
    [file] = folder.iterdir()
    written = file.read_bytes()
    with pytest.raises(
        RecordingError, match="episode_000000' cannot be recovered: a running process is writing"
    ):
        recover_episode(folder)
    assert file.read_bytes() == written
    writer.finish({})
    assert len(said(folder)) == 50 and unfinished_episodes(tmp_path) == []


def test_without_room_for_its_copy_an_episode_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "episode_000000"
    writer = write(folder)
    writer.flush()
    writer.abort()
    [file] = folder.iterdir()
    file.write_bytes(file.read_bytes() + b"cut off")
    written = file.read_bytes()
    with pytest.raises(RecordingError, match="cannot be recovered: its copy takes .* MB are free"):
        recover_episode(folder, keep_free_bytes=10**18)
    assert file.read_bytes() == written and list(tmp_path.iterdir()) == [folder]
    assert recover_episode(folder) == 50


def test_an_error_at_the_end_of_a_recovery_is_named_and_it_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "episode_000000"
    writer = write(folder)
    writer.flush()
    writer.abort()
    (folder / "metadata.yaml.tmp").mkdir()  # so that metadata.yaml cannot be written
    with pytest.raises(RecordingError, match="cannot be recovered"):
        recover_episode(folder)
    (folder / "metadata.yaml.tmp").rmdir()
    assert recover_episode(folder) == 50


def test_a_folder_is_locked_on_a_full_disk_too(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).symlink_to("/dev/full")
    lock = OutputLock(tmp_path)
    with pytest.raises(BlockingIOError), (tmp_path / LOCK_FILE).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    lock.release()


def test_other_files_in_the_folder_are_not_changed(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("my_bag/my_bag_0.mcap", "other/other.mcap", "episode_9/notes.txt")]
    files.append(tmp_path / "episode_000007" / "episode_000007.mcap")
    for file in files:
        file.parent.mkdir()
        file.write_text("no recording of ours")
    (tmp_path / "episode_000008.mcap").touch()
    assert unfinished_episodes(tmp_path) == [tmp_path / "episode_000007"]
    with pytest.raises(RecordingError, match="episode_000007.mcap is not an MCAP file; move it out"):
        recover_episode(tmp_path / "episode_000007")
    assert all(file.read_text() == "no recording of ours" for file in files)


def test_a_damaged_episode_is_named_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "episode_000000"
    writer = write(folder)
    writer.flush()
    writer.abort()
    [file] = folder.iterdir()
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 100] = b"\xff" * 100
    file.write_bytes(content)
    with pytest.raises(RecordingError, match="episode_000000' cannot be recovered"):
        recover_episode(folder)
    assert file.exists() and [path.name for path in tmp_path.iterdir()] == ["episode_000000"]


def test_a_folder_has_one_recorder_at_a_time(tmp_path: Path) -> None:
    lock = OutputLock(tmp_path)
    with pytest.raises(RecordingError, match=rf"in use by another recorder \(process {os.getpid()}\)"):
        OutputLock(tmp_path)
    lock.release()
    OutputLock(tmp_path).release()


def test_kill_9_loses_neither_finished_episodes_nor_flushed_messages(tmp_path: Path, kill: int) -> None:
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path)], stdout=output, cwd=ROOT)
        while not log.read_text() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(random.Random(kill).uniform(0.0, 0.4))
        process.kill()
        process.wait()
    progress = [line.split() for line in log.read_text().splitlines()]
    finished = [int(episode) for episode, what in progress if what == "finished"]
    for episode in finished:
        assert len(said(tmp_path / f"episode_{episode:06d}")) == 200
    last = tmp_path / f"episode_{len(finished):06d}"
    flushed = max((int(what) for episode, what in progress if episode == str(len(finished))), default=0)
    if last in unfinished_episodes(tmp_path):
        count = recover_episode(last)
        assert count >= flushed
        assert not count or said(last)[-1].split()[0] == str(count - 1)
    assert unfinished_episodes(tmp_path) == []


def test_a_full_disk_loses_only_messages_that_did_not_fit(tmp_path: Path) -> None:
    """A limit on the file size replaces the full disk: a write fails midway."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    result = subprocess.run(
        [sys.executable, "-c", WRITE, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=limit,
    )
    assert result.returncode == 1 and "OSError" in result.stderr
    flushed = max(int(line.split()[1]) for line in result.stdout.splitlines())
    [folder] = unfinished_episodes(tmp_path)
    assert 0 < flushed <= recover_episode(folder) < 200
