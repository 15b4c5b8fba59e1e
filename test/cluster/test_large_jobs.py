# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Programs that map over episodes give the same on a Ray cluster as with processes; what is wrong with one is named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smolvla_ros.dataset.errors import EpisodeError
from smolvla_ros.ray_cluster import ClusterError, ray_connection
from smolvla_ros.tools import bag_to_lerobot, check_dataset, evaluate, make_demonstrations
from smolvla_ros.worker_pool import WorkerPoolError, submit_all, worker_pool

from ..package_files import CALIBRATION_FILE, ROOT
from ..sample_bags import record

WITHOUT_RAY = """
import sys
sys.modules["ray"] = None
from smolvla_ros.tools.bag_to_lerobot import main
sys.exit(main(sys.argv[1:]))
"""


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def bags(tmp_path: Path) -> Path:
    for i in range(3):
        record(tmp_path / "bags" / f"bag{i}", seconds=0.3, task=f"Do {i}")
    return tmp_path / "bags"


def convert(bags: Path, output: Path, *workers: str) -> int:
    options = ["--output", str(output), "--calibration", str(CALIBRATION_FILE)]
    return bag_to_lerobot.main([str(bags), *options, *workers])


def test_without_ray_the_package_to_install_is_named(bags: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_RAY, str(bags), "--output", str(tmp_path / "data")]
    done = subprocess.run(
        [*command, "--calibration", str(CALIBRATION_FILE), "--ray", "auto"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "ray is not installed: pip install './smolvla_ros[cluster]'" in done.stderr


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("127.0.0.1:9", "no Ray cluster answers at 127.0.0.1:9 .*ray start --head"),
        ("127.0.0.1:99999", "no Ray cluster answers"),
        ("somewhere", "expected auto or host:port"),
    ],
)
def test_a_wrong_address_is_named_at_once(address: str, text: str) -> None:
    pytest.importorskip("ray", reason="needs ray: pip install './smolvla_ros[cluster]'")
    with pytest.raises(ClusterError, match=text), ray_connection(address):
        raise AssertionError


@pytest.mark.slow
def test_a_conversion_and_a_check_on_ray_give_what_processes_give(
    bags: Path, tmp_path: Path, cluster: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(bags, tmp_path / "here", "--jobs", "1") == 0
    assert convert(bags, tmp_path / "there", "--ray", cluster.address) == 0
    assert files(tmp_path / "there") == files(tmp_path / "here")
    capsys.readouterr()
    options = [str(tmp_path / "here"), "--calibration", str(CALIBRATION_FILE)]
    reports = []
    for workers in ([], ["--jobs", "2"], ["--ray", cluster.address]):
        check_dataset.main([*options, *workers])
        reports.append(capsys.readouterr().out)
    assert "episode 2" in reports[0] or "3" in reports[0]
    assert reports[1] == reports[0] and reports[2] == reports[0]


@pytest.mark.slow
def test_an_evaluation_on_ray_gives_what_processes_give(tmp_path: Path, cluster: Any) -> None:
    pytest.importorskip("mujoco")
    found = []
    for workers in (["--jobs", "1"], ["--ray", cluster.address]):
        results = tmp_path / f"{workers[0]}.jsonl"
        assert evaluate.main(["expert", "--episodes", "2", "--results", str(results), *workers]) == 0
        found.append(sorted(results.read_text().splitlines()))
    assert found[0] == found[1] and len(found[0]) == 2 and json.loads(found[0][0])


@pytest.mark.slow
def test_demonstrations_on_ray_are_those_of_processes(tmp_path: Path, cluster: Any) -> None:
    pytest.importorskip("mujoco")
    options = ["--task", "touch", "--episodes", "2", "--image-size", "64x48"]
    for name, workers in (("here", ["--jobs", "1"]), ("there", ["--ray", cluster.address])):
        assert make_demonstrations.main([*options, "--output", str(tmp_path / name), *workers]) == 0
    assert files(tmp_path / "there") == files(tmp_path / "here")


def fail(index: int) -> int:
    if index == 1:
        raise EpisodeError("damaged")
    if index == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


@pytest.fixture
def sent(cluster: Any) -> Iterator[None]:
    """The functions of this file are sent to the cluster, which cannot import it."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.mark.usefixtures("sent")
def test_the_errors_of_steps_are_those_that_they_raised(cluster: Any) -> None:
    with worker_pool(1, cluster.address) as pool:
        here, damaged = submit_all(pool, fail, [(0,), (1,)])
        assert here.result(60.0) != os.getpid()
        error = damaged.exception(60.0)
    assert type(error) is EpisodeError and str(error) == "damaged"


@pytest.mark.slow
@pytest.mark.usefixtures("sent")
def test_a_step_whose_process_dies_again_and_again_is_named(cluster: Any) -> None:
    with pytest.raises(WorkerPoolError, match="died|crash|exit"), worker_pool(1, cluster.address) as pool:
        submit_all(pool, fail, [(2,)])[0].result(60.0)


def test_a_folder_that_a_node_does_not_have_is_named(cluster: Any, tmp_path: Path) -> None:
    expected = pytest.raises(ClusterError, match="does not have '.*/nowhere': all nodes need .* shared file")
    with expected, worker_pool(1, cluster.address, [tmp_path / "nowhere"]):
        raise AssertionError
