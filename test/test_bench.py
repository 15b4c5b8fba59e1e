# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks run, and the policy benchmark's model has the size of the real one; speed is not tested."""

from __future__ import annotations

import importlib
import json
import math
import os
import re
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from smolvla_ros.evaluation.results import TrialResult, append_results
from smolvla_ros.share import CHECKPOINT

from .package_files import GOLDEN, ROOT

BENCH = ROOT / "test" / "bench"


@pytest.fixture
def full_size(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("torch", reason="the model is a torch module")
    monkeypatch.syspath_prepend(BENCH)
    return importlib.import_module("contenders.full_size")


def run_bench(program: str, *arguments: str) -> str:
    """What a benchmark prints."""
    result = subprocess.run(
        [sys.executable, str(BENCH / program), *arguments],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def rows(table: str) -> dict[str, list[str]]:
    """First cell -> other cells, of the rows of all Markdown tables."""
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in table.splitlines()
        if line.startswith("|")
    ]
    return {row[0]: row[1:] for row in reversed(cells)}  # of rows with the same name the first one counts


def test_the_full_size_model_is_as_large_as_the_published_one(full_size: ModuleType) -> None:
    specs = full_size.tensor_specs()
    assert len(specs) == 500
    assert sum(math.prod(spec.shape) for spec in specs.values()) == 450_046_176
    size = sum(math.prod(spec.shape) * spec.dtype.itemsize for spec in specs.values())
    assert size / 1e6 == pytest.approx(906.64, abs=0.005)  # MB: bfloat16 with 3.27 million float32


def test_its_other_files_have_the_published_values(full_size: ModuleType, tmp_path: Path) -> None:
    full_size.write_files(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert [key for key in config["input_features"] if "images" in key] == [
        "observation.images.camera1",
        "observation.images.camera2",
        "observation.images.camera3",
    ]
    assert (config["num_vlm_layers"], config["resize_imgs_with_padding"]) == (16, [512, 512])
    backbone = json.loads((tmp_path / "vlm" / "config.json").read_text())
    assert (backbone["text_config"]["vocab_size"], backbone["scale_factor"]) == (49280, 4)


@pytest.mark.slow
def test_the_policy_benchmark_compares_the_types_on_any_checkpoint() -> None:
    options = [
        "--no-lerobot",
        *["--cameras", "2", "--runs", "1", "--warmup", "0", "--dtypes", "float32", "native"],
    ]
    options += ["--checkpoint", str(GOLDEN / "era_b"), "--backbone", str(GOLDEN / "vlm"), "--device", "cpu"]
    output = run_bench("policy.py", *options)
    assert "LeRobot is left out" in output
    found = rows(output)
    *stages, total, fastest, largest, mean = map(float, found["ours float32"])
    assert all(stage > 0 for stage in stages) and sum(stages) < total + 0.5  # ms, rounded
    assert fastest == total  # with one round
    assert largest == mean == 0
    *_, largest, mean = map(float, found["ours native"])
    assert 0 < mean <= largest < 0.2  # standard deviations; the tolerance of the golden data


@pytest.mark.slow
def test_the_executor_benchmark_compares_fusions_and_lerobots_client(tmp_path: Path) -> None:
    options = ["--latencies", "0.3", "--cycles", "1", "--seconds", "8", "--minutes", "0", "--seeds", "1"]
    options += ["--fusions", "replace", "--trace-latencies", "0.4", "--jobs", "1"]
    run_bench("executor.py", *options, "--out", str(tmp_path))
    assert (tmp_path / "executor.png").stat().st_size > 10_000
    found = json.loads((tmp_path / "executor.json").read_text())
    [loop], [traced] = found["whole_loop"].values(), found["same_chunks"].values()
    assert loop["sync"]["starved_s_per_minute"] > 5.0 > loop["smooth"]["starved_s_per_minute"] == 0.0
    assert loop["smooth"]["seconds"] < loop["sync"]["seconds"]
    assert traced["smooth"]["command_seam_jerk_rms"] < traced["replace"]["command_seam_jerk_rms"] / 3.0
    assert traced["smooth"]["command_seam_jerk_rms"] < traced["LeRobot"]["command_seam_jerk_rms"] / 5.0
    assert traced["smooth"]["tracking_rms"] < traced["LeRobot"]["tracking_rms"]


@pytest.mark.slow
def test_the_bus_benchmark_finds_no_wrong_values_with_packet_faults() -> None:
    pytest.importorskip("rclpy", reason="it runs the arm node")
    output = run_bench("bus.py", *["--seconds", "1", "--rate", "50", "--shares", "0.05"])
    found = rows(output)
    for fault in ("lost", "corrupt", "truncated", "late", "echoed"):
        _, complete, wrong, goals, lost, *_ = map(float, found[f"5 % {fault}"])
        assert complete > 50 and wrong == 0
        assert goals > 0 and lost == 0
    for line in ("all good", "2.5 % lost, 2.5 % corrupt"):
        rate_hz, *_, wrong = map(float, found[line])
        assert rate_hz > 5 and wrong == 0


@pytest.mark.slow
def test_the_console_benchmark_stops_the_arm_and_shows_it_to_ten_pages() -> None:
    pytest.importorskip("rclpy", reason="it runs the suite")
    found = rows(run_bench("console.py", "--presses", "2", "--seconds", "1", "--cycles", "1"))
    assert all(0 <= float(found[pages][0]) < 100 for pages in ("0", "1", "10"))  # % of a core
    assert float(found["0"][2]) == 0 < float(found["1"][2])  # images/s
    last_command_ms, stopped_ms = (
        float(cells[0]) for name, cells in found.items() if name.startswith("the ")
    )
    assert 0 <= last_command_ms < 500 and 0 < stopped_ms < 500


def test_the_conversion_benchmark_measures_the_memory_of_all_processes(tmp_path: Path) -> None:
    printed = run_bench(
        "convert.py", "--seconds", "1", "--cameras", "3", "--jobs", "1", "--folder", str(tmp_path)
    )
    assert "1 s of 3 x 640x480" in printed and "images camera1, camera2, camera3" in printed
    found = re.search(r"memory of all processes (\d+) MB", printed)
    assert found and 50 < int(found[1]) < 2000 and not list(tmp_path.iterdir())


def test_the_result_tables_do_not_run_known_episodes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(BENCH)
    tables = importlib.import_module("result_tables")
    path = tmp_path / "results.jsonl"
    fusions = tables.TABLES["Fusions, pick_place, latency 0.2 s"]
    for number, conditions in enumerate(fusions.values()):
        result = TrialResult(
            seed=tables.SEED,
            instruction="Pick up the red cube",
            said="Pick up the red cube",
            success=number % 2 == 0,
            score=1.0,
            time_s=3.0,
            wrong_object=None,
            dropped=False,
            stuck=False,
            hit_table=False,
            reached={},
            chunks=1,
            starved_periods=0,
            periods=1,
            roughness=0.0,
            conditions=asdict(conditions),
        )
        append_results(path, [result])
    before = path.read_text()
    arguments = ["result_tables.py", "--table", "Fusions", "--episodes", "1", "--results", str(path)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert tables.main() == 0
    shares = [
        cells[0].split(" %")[0] for name, cells in rows(capsys.readouterr().out).items() if name in fusions
    ]
    assert sorted(shares) == ["0.0", "0.0", "100.0", "100.0", "100.0"]
    assert path.read_text() == before


@pytest.mark.slow
def test_the_solver_benchmark_measures_the_distance_from_the_converged_flow() -> None:
    output = run_bench("solvers.py", "--observations", "1", "--noise-scale", "1")
    assert "so100_tabletop, 1 observations" in output
    *_, sixteen = map(float, rows(output)["euler"])
    *_, by_midpoint = map(float, filter(None, rows(output)["midpoint"]))
    assert 0 < by_midpoint < sixteen < 1


@pytest.mark.slow
def test_the_start_up_benchmark_times_every_stage_of_a_fresh_process() -> None:
    words = ["--measure", "float32", str(time.time()), "--checkpoint", CHECKPOINT]
    seconds = json.loads(run_bench("start_up.py", *words))
    stages = ("python and torch", "checkpoint", "first chunk")
    assert seconds["total"] == pytest.approx(sum(seconds[stage] for stage in stages))
    assert all(value > 0 for value in seconds.values())


@pytest.mark.slow
def test_the_benchmark_of_looking_ahead_compares_equal_chunks() -> None:
    words = ["--checkpoints", CHECKPOINT, "--dtypes", "float32", "--runs", "2"]
    dtype, *figures = rows(run_bench("look_ahead.py", *words))[CHECKPOINT]
    assert dtype == "float32" and all(float(figure) > 0 for figure in figures)


@pytest.mark.slow
def test_the_gpu_benchmark_computes_the_policys_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="the model is a torch module")
    monkeypatch.syspath_prepend(BENCH)
    from smolvla_ros.policy import SmolVLA

    gpu = importlib.import_module("gpu")
    model = SmolVLA.from_pretrained(CHECKPOINT, "cpu", "float32")
    given = gpu.Buffers.random(model, 2, 2)
    given.state[:, model.state_dim :] = 0.0
    with torch.inference_mode():
        found = gpu.Program(model, given, "eager").chunk()[..., : model.action_dim]
    for index, actions in enumerate(found):
        images = dict(zip(model.image_keys, (image[index].numpy() for image in given.images), strict=True))
        state = model.processors.state.unnormalize(given.state[index, : model.state_dim])
        chunk = model.predict_chunk(images, state.numpy(), gpu.TASK, noise=given.noise[index].numpy())
        expected = model.processors.action.normalize(torch.from_numpy(chunk))
        torch.testing.assert_close(actions, expected, atol=1e-4, rtol=0)


def test_the_scaling_model_agrees_with_queueing_theory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCH)
    scaling = importlib.import_module("scaling")
    rate_hz, service_s = 7.0, 0.1
    draw = np.random.default_rng(0)
    wait_s, waits_s = 0.0, []
    for gap_s in draw.exponential(1.0 / rate_hz, 200_000):  # Lindley's recursion
        wait_s = max(0.0, wait_s + service_s - gap_s)
        waits_s.append(wait_s)
    assert scaling.mean_wait_s(rate_hz, service_s) == pytest.approx(np.mean(waits_s), rel=0.05)
    bound_s = scaling.wait_bound_s(rate_hz, service_s, 0.01)
    p99_s = float(np.percentile(waits_s, 99))
    assert p99_s <= bound_s <= 1.3 * p99_s
    assert scaling.wait_bound_s(10.0, service_s, 0.01) == math.inf == scaling.mean_wait_s(10.0, service_s)
    assert scaling.wait_bound_s(0.0, service_s, 0.01) == 0.0


def test_a_faster_server_and_a_lower_threshold_carry_more_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCH)
    scaling = importlib.import_module("scaling")

    def carried(durations_s: dict[int, float], threshold: float = 0.7) -> int:
        return int(scaling.arms_carried(scaling.Service("", "", durations_s), 50 / 30, threshold, 0.05))

    assert carried({1: 1.2}) == 0  # never in time
    assert carried({1: 0.51}) == 0  # more requests than it can answer
    assert carried({1: 0.49}) == 1
    assert 1 < carried({1: 0.1}) < carried({1: 0.05}) < 0.5 / 0.04
    assert carried({1: 0.1}) < carried({1: 0.1, 8: 0.2}) and carried({1: 0.1}) < carried({1: 0.1}, 0.5)
    at_most = scaling.arms_at_most(scaling.Service("", "", {1: 0.1, 8: 0.2}), 50 / 30, 0.7, 0.05)
    assert at_most == 8 * int((0.7 * 50 / 30 - 0.05) / 0.2)
    assert len(run_bench("scaling.py", "--service", "another=1:60,4:90").splitlines()) == 2 + 6


def test_the_fleet_benchmark_counts_what_an_arm_has_published(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rclpy", reason="it runs nodes")
    pytest.importorskip("grpc", reason="needs the extra `server`")
    monkeypatch.syspath_prepend(BENCH)
    fleet = importlib.import_module("fleet")
    second = 10**9
    arm = fleet.Arm("left", None)
    arm.commands_ns = [round(number * second / 30) for number in range(91)]
    arm.commands_ns[50] += 5_000_000
    arm.chunks = [(number * second, number * second - 200_000_000) for number in range(1, 4)]
    state = SimpleNamespace(chunks_accepted=1, starved_periods=0, request_latency_p50=0.1)
    later = SimpleNamespace(chunks_accepted=7, starved_periods=9, request_latency_p50=0.15)
    arm.states = [(0, state), (3 * second, later)]
    found = arm.figures(0, 3 * second)
    assert (found.chunks_per_s, found.starved) == (2.0, 0.1)
    assert found.age_p50_ms == found.age_p99_ms == pytest.approx(200.0)
    assert found.latency_ms == 150.0 and 4.0 < found.period_error_ms <= 5.001
    assert fleet.recovered_s(arm, second) == pytest.approx(1.0)
    assert fleet.recovered_s(arm, 3 * second) is None
    assert (fleet.ratio([2.0, 1.0]), fleet.ratio([1.0, 0.0])) == ("2.00", "none")
