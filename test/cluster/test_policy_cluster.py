# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy served by Ray on two nodes: the chunks of the local policy, dead replicas, another checkpoint."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

pytest.importorskip("grpc", reason="needs the extra `server`")

from smolvla_ros.image import encode_png
from smolvla_ros.nodes.policy_loading import load_model, load_spec
from smolvla_ros.policy.chunk_inputs import ChunkInputs
from smolvla_ros.policy.policy import PolicyError, PolicyUnavailableError
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.remote.client import RemoteModel
from smolvla_ros.remote.cluster import ClusterSettings, room_for_replicas
from smolvla_ros.tools import policy_cluster

from ..package_files import CHECKPOINT
from .conftest import free_port

PICTURE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
SMALL = PolicyConfig(checkpoint=str(CHECKPOINT), device="cpu", threads=1)
MORE_REPLICAS_S = 90.0  # Ray Serve waits for 30 s before it starts more replicas
OTHER = "another checkpoint is served now"
PORT_TEXT = "keep other computers away by a firewall or a network of their own, and give --insecure"


def test_without_insecure_nothing_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    assert policy_cluster.main([str(CHECKPOINT)]) == 2
    assert PORT_TEXT in capsys.readouterr().err


def test_replicas_find_what_is_in_the_working_folder_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    given = PolicyConfig(checkpoint="mine", backbone="owner/name", dtype="bfloat16")
    config = policy_cluster.with_absolute_paths(given)
    assert (config.checkpoint, config.backbone, config.stats) == (str(tmp_path / "mine"), "owner/name", "")
    assert config.dtype == "bfloat16"


def test_replicas_for_which_there_is_no_room_are_counted() -> None:
    nodes = [
        {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0}},
        {"Alive": True, "Resources": {"CPU": 4.0}},
        {"Alive": False, "Resources": {}},
    ]
    for cpus, gpus, room in ((1.0, 0.0, 12), (1.0, 1.0, 2), (1.0, 0.5, 4), (6.0, 0.5, 1), (0.0, 4.0, 0)):
        assert room_for_replicas(nodes, ClusterSettings(cpus=cpus, gpus=gpus)) == room
    assert room_for_replicas(nodes, ClusterSettings(cpus=0.0, replicas=3)) == 3


def end_serve(cluster: Any) -> None:
    from ray import serve

    from smolvla_ros.ray_cluster import ray_connection

    with ray_connection(cluster.address):
        serve.shutdown()


@pytest.fixture(scope="module")
def serve(cluster: Any) -> Iterator[Callable[..., str]]:
    """`serve(checkpoint, *options)`: the address of a checkpoint that two replicas serve."""
    port = free_port()

    def start(checkpoint: Path, *options: str) -> str:
        fixed = ("--ray", cluster.address, "--port", str(port), "--insecure", "--replicas", "2")
        limits = ("--cpus", "0.5", "--threads", "1", "--device", "cpu", "--max-together", "1")
        assert policy_cluster.main([str(checkpoint), *fixed, *limits, *options]) == 0
        return f"127.0.0.1:{port}"

    yield start
    end_serve(cluster)


@pytest.fixture(scope="module")
def served(serve: Callable[..., str]) -> str:
    return serve(CHECKPOINT)


def asked(remote: RemoteModel) -> Any:
    images = dict.fromkeys(remote.image_keys, encode_png(PICTURE))
    return remote.predict_chunk(images, np.zeros(remote.state_dim, np.float32), "pick up the cube")


class Load:
    """Clients that ask all the time, each with its next request when it has the outcome of the last."""

    def __init__(self, address: str, clients: int = 3) -> None:
        self.answers, self.errors, self.sent = 0, list[str](), 0
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=partial(self._ask, address)) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60.0)
        assert not any(thread.is_alive() for thread in self._threads)

    def wait_for(self, answers: int) -> None:
        deadline_s, wanted = time.monotonic() + 60.0, self.answers + answers
        while self.answers < wanted:
            assert time.monotonic() < deadline_s, self.errors
            time.sleep(0.02)

    def _ask(self, address: str) -> None:
        remote = RemoteModel([address], timeout_s=20.0)
        while not self._stop.is_set():
            with self._lock:
                self.sent += 1
            try:
                asked(remote)
                with self._lock:
                    self.answers += 1
            except (PolicyError, PolicyUnavailableError) as error:
                with self._lock:
                    self.errors.append(str(error))
                time.sleep(0.05)


def replica_processes() -> list[int]:
    """Those of the cluster of this test, whose nodes are started by this process."""
    descendants = psutil.Process().children(recursive=True)
    return [process.pid for process in descendants if "ServeReplica:policy" in " ".join(process.cmdline())]


@pytest.mark.slow
def test_chunks_are_the_local_ones_bit_for_bit(served: str) -> None:
    remote = RemoteModel([served], timeout_s=20.0)
    model = load_model(load_spec(SMALL), SMALL)
    for seed in range(2):
        state = np.zeros(remote.state_dim, np.float32)
        inputs = ChunkInputs(dict.fromkeys(remote.image_keys, PICTURE), state, "pick up the cube", seed)
        assert np.array_equal(asked(remote), model.predict_chunks([inputs])[0])


@pytest.mark.slow
def test_each_request_is_answered_or_refused_while_a_replica_is_killed(served: str) -> None:
    processes = replica_processes()
    assert len(processes) == 2
    with Load(served) as load:
        load.wait_for(5)
        os.kill(processes[0], signal.SIGKILL)
        load.wait_for(20)
    assert load.answers + len(load.errors) == load.sent
    assert all("no chunk from" in error for error in load.errors), load.errors
    assert len(load.errors) <= 6, load.errors


@pytest.mark.slow
def test_another_checkpoint_replaces_the_first_without_a_lost_request(
    serve: Callable[..., str], served: str, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in CHECKPOINT.iterdir():
        (other / file.name).symlink_to(file)
    content = bytearray((CHECKPOINT / "model.safetensors").read_bytes())
    content[-4] ^= 1  # the smallest difference in one number
    (other / "model.safetensors").unlink()
    (other / "model.safetensors").write_bytes(content)
    first = RemoteModel([served], timeout_s=20.0)
    with Load(served) as load:
        load.wait_for(5)
        serve(other)
    assert load.answers + len(load.errors) == load.sent
    assert all(OTHER in error for error in load.errors), load.errors
    with pytest.raises(PolicyUnavailableError, match=OTHER):
        asked(first)
    assert asked(RemoteModel([served], timeout_s=20.0)).shape[1] == first.action_dim


@pytest.mark.slow
def test_a_second_replica_is_started_while_requests_wait(serve: Callable[..., str], cluster: Any) -> None:
    end_serve(cluster)  # what served before had two
    address = serve(CHECKPOINT, "--replicas", "1", "--max-replicas", "2", "--busy-requests", "1")
    assert len(replica_processes()) == 1
    deadline_s = time.monotonic() + MORE_REPLICAS_S
    with Load(address, clients=4) as load:
        while len(replica_processes()) < 2:
            assert time.monotonic() < deadline_s
            time.sleep(0.5)
        load.wait_for(5)
    assert not load.errors
