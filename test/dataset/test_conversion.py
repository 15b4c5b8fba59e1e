# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conversion of bags to datasets: samples, units, tables, and continuing after an interruption."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest

from smolvla_ros.dataset.alignment import AlignmentSettings, align_streams
from smolvla_ros.dataset.bag import Bag, BagWriter
from smolvla_ros.dataset.bag_export import write_bag
from smolvla_ros.dataset.bag_topics import BagTopics
from smolvla_ros.dataset.conversion import WORK_FOLDER
from smolvla_ros.dataset.episode_writer import add_custom_data
from smolvla_ros.dataset.errors import BagError, DatasetError, EpisodeError
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.tools.bag_to_lerobot import conversion as command
from smolvla_ros.tools.bag_to_lerobot import parser
from smolvla_ros.units import CalibrationError

from ..package_files import CALIBRATION_FILE, ROOT
from ..sample_bags import CALIBRATION, ROBOT, START_NS, conversion, image, positions, record, run

RANDOM = np.random.default_rng(0)


def lerobot(rad):
    """Positions in rad converted to the float32 values of a dataset."""
    units = ROBOT.units(CALIBRATION)
    return np.array([unit.rad_to_lerobot(value) for unit, value in zip(units, rad, strict=True)], np.float32)


def parquet_bytes(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.parquet"))}


def test_each_row_holds_the_newest_samples_at_its_tick_in_lerobot_units(bag, tmp_path):
    dataset = run(conversion([bag], tmp_path / "data", fps=20))
    frames = dataset.frames(0)
    assert len(frames.state) == 21 and frames.tasks == ["Pick up the red cube"] * 21
    for k in range(21):
        newest = np.floor(k / 20 * 50 + 1e-6) / 50  # joints come at 50 Hz
        assert np.array_equal(frames.state[k], lerobot(positions(newest)))
        assert np.array_equal(frames.action[k], lerobot(positions(newest + 0.1)))
    assert np.allclose(frames.timestamp, np.arange(21) / 20, atol=1e-6)


def test_no_sample_comes_from_the_future(tmp_path):
    late = record(tmp_path / "bag", cameras={"top": 7.0}, seconds=2.0)
    dataset = run(conversion([late], tmp_path / "data", fps=30))
    greys = [round(float(image.mean())) for image in dataset.images(0, "camera1")]
    expected = [int(np.floor(k / 30 * 7 + 1e-6)) for k in range(len(greys))]
    assert max(abs(grey - now) for grey, now in zip(greys, expected, strict=True)) <= 1  # codec
    assert len(greys) == 61


def test_images_that_arrive_close_to_the_ticks_are_each_used_once(tmp_path):
    def add_jitter(bag, entries):
        jitter = np.random.default_rng(0)
        for _, message, _ in entries:
            if hasattr(message, "format"):
                message.header.stamp.nanosec += int(jitter.uniform(0.0, 4e6))
        return entries

    shaky = record(tmp_path / "bag", cameras={"top": 30.0, "wrist": 30.0}, seconds=3.0, edit=add_jitter)
    with Bag(shaky) as bag:
        episode = align_streams(bag, ROBOT, BagTopics.find(bag, ROBOT), AlignmentSettings(30))
    for ordinals in episode.ordinals.values():
        assert len(ordinals) >= 89 and (np.diff(ordinals) == 1).all()


def test_receive_time_aligns_by_arrival(tmp_path):
    def delay_states(bag, entries):
        return [(t, m, at + 200_000_000 if t == "/joint_states" else at) for t, m, at in entries]

    bag = record(tmp_path / "bag", seconds=2.0, edit=delay_states)
    header, receive = (
        run(conversion([bag], tmp_path / clock, alignment=AlignmentSettings(30, clock))).frames(0).state
        for clock in ("header", "receive")
    )
    # by arrival the joints are 0.2 s later than the images, so the episode starts 0.2 s later
    assert len(header) == 61 and len(receive) == 55
    assert np.array_equal(receive[0], header[0])


def test_several_bags_and_tasks_become_episodes(tmp_path):
    bags = [
        record(tmp_path / f"bag{i}", task=task)
        for i, task in enumerate(["Put it down", "キューブを取る", "Put it down"])
    ]
    dataset = run(conversion(bags, tmp_path / "data"))
    assert dataset.tasks == ("Put it down", "キューブを取る")
    assert [dataset.frames(i).task_index[0] for i in range(3)] == [0, 1, 0]
    assert [row["dataset_from_index"] for row in dataset.episodes] == [0, 31, 62]
    assert [
        round(row["videos/observation.images.camera1/to_timestamp"] * 30) for row in dataset.episodes
    ] == [31, 62, 93]
    for episode in range(3):
        greys = [round(float(image.mean())) for image in dataset.images(episode, "camera2")]
        assert max(abs(grey - k) for k, grey in enumerate(greys)) <= 2  # codec


def test_a_task_may_change_within_an_episode(tmp_path):
    def change(bag, entries):
        return [
            *entries,
            ("/active_task", bag.message("std_msgs/msg/String", data="Open it"), START_NS + 500_000_000),
        ]

    frames = run(conversion([record(tmp_path / "bag", edit=change)], tmp_path / "data")).frames(0)
    assert frames.tasks == ["Pick up the red cube"] * 15 + ["Open it"] * 16


def test_the_marks_of_the_recorder_are_the_outcomes_of_the_dataset(tmp_path):
    bags = [record(tmp_path / name, seconds=0.2) for name in ("marked", "unmarked")]
    add_custom_data(bags[0], {"outcome": "failure"})
    assert run(conversion(bags, tmp_path / "data")).outcomes == ("failure", "")


@pytest.mark.slow
def test_appending_gives_the_rows_of_converting_at_once(tmp_path):
    bags = [record(tmp_path / f"bag{i}", seconds=0.5 + i / 4, task=f"Do {i}") for i in range(3)]
    at_once = run(conversion(bags, tmp_path / "once"))
    run(conversion(bags[:1], tmp_path / "data"))
    before = (tmp_path / "data" / "data" / "chunk-000" / "file-000.parquet").read_bytes()
    dataset = run(conversion(bags[1:], tmp_path / "data"), append=True)
    assert (tmp_path / "data" / "data" / "chunk-000" / "file-000.parquet").read_bytes() == before
    assert dataset.tasks == at_once.tasks and dataset.info["splits"] == {"train": "0:3"}
    for i in range(3):
        one, other = at_once.frames(i), dataset.frames(i)
        assert all(
            np.array_equal(getattr(one, name), getattr(other, name)) for name in ("state", "action", "index")
        )
        assert one.tasks == other.tasks
        images = zip(at_once.images(i, "camera1"), dataset.images(i, "camera1"), strict=True)
        assert all(np.array_equal(a, b) for a, b in images)
    for name, values in at_once.stats.items():
        for key in ("min", "max", "mean", "std", "count"):
            assert np.allclose(values[key], dataset.stats[name][key]), (name, key)


def test_an_existing_dataset_is_changed_only_by_append(bag, tmp_path):
    work = conversion([bag], tmp_path / "data")
    run(work)
    with pytest.raises(DatasetError, match="exists; use --append"):
        work.prepare()
    with pytest.raises(DatasetError, match="has 30 fps, these episodes 10"):
        run(conversion([bag], tmp_path / "data", fps=10), append=True)


def test_a_gripper_needs_a_calibration(bag, tmp_path):
    with pytest.raises(CalibrationError, match="gripper"):
        conversion([bag], tmp_path / "data", calibration=None).prepare()


@pytest.mark.slow
def test_converting_to_bags_and_back_gives_the_same_rows(tmp_path):
    bags = [record(tmp_path / f"bag{i}", task=f"Do {i}", seconds=0.7) for i in range(2)]
    first = run(conversion(bags, tmp_path / "first"))
    again = [tmp_path / "again" / str(i) for i in range(2)]
    for i in range(2):
        write_bag(first, i, again[i], ROBOT, CALIBRATION, START_NS)
    second = run(conversion(again, tmp_path / "second"))
    with Bag(again[0]) as bag:  # `ros2 bag play` must not publish /joint_commands, which the arm executes
        cameras = {f"/{name}/image_raw/compressed" for name in ("top", "wrist")}
        assert set(bag.topics) == {"/active_task", "/joint_states", "/dataset/joint_commands", *cameras}
    assert first.tasks == second.tasks
    for i in range(2):
        one, other = first.frames(i), second.frames(i)
        for name in ("state", "action", "timestamp", "frame_index", "index", "task_index", "tasks"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_tables_have_lerobots_layout(bag, tmp_path):
    run(conversion([bag], tmp_path / "data"))
    theirs = Path(__file__).parents[1] / "data" / "lerobot" / "video"
    for table in (
        "data/chunk-000/file-000.parquet",
        "meta/tasks.parquet",
        "meta/episodes/chunk-000/file-000.parquet",
    ):
        our, their = (parquet.read_schema(root / table) for root in (tmp_path / "data", theirs))
        for name in their.names:
            ours = name.replace("images.front", "images.camera1")
            expected = str(their.field(name).type).replace("large_string", "string")
            assert str(our.field(ours).type) == expected, (table, name)
    assert parquet.read_schema(tmp_path / "data" / "meta" / "tasks.parquet").metadata[b"pandas"]
    ours, expected = (
        json.loads((root / "meta" / "info.json").read_text()) for root in (tmp_path / "data", theirs)
    )
    assert sorted(ours) == sorted([*expected, "smolvla_ros"])


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, "test")
from sample_bags import conversion, run
import smolvla_ros.dataset.conversion, smolvla_ros.dataset.lerobot_writer
left = int(sys.argv[1])
whole = os.replace
def replace(*paths):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    whole(*paths)
os.replace = replace
run(conversion([Path(p) for p in sys.argv[3:]], Path(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Two short bags, and the tables of the dataset that is converted from them."""
    folder = tmp_path_factory.mktemp("short")
    bags = [record(folder / f"bag{i}", seconds=0.4, task=f"Do {i}") for i in range(2)]
    run(conversion(bags, folder / "whole"))
    return bags, parquet_bytes(folder / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 2, 4, 7, 10, 12, 15])  # files that are renamed before the kill
def test_killed_at_any_moment_the_same_command_gives_the_same_bytes(short, tmp_path, steps):
    bags, whole = short
    arguments = [str(steps), str(tmp_path / "data"), *map(str, bags)]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, check=False, timeout=60)
    assert killed.returncode == -9
    assert (tmp_path / "data" / WORK_FOLDER).exists()
    work = conversion(bags, tmp_path / "data")
    finished = sorted((tmp_path / "data" / WORK_FOLDER).glob("episode-*/*.parquet"))
    times = [path.stat().st_mtime_ns for path in finished]
    assert work.prepare()
    assert [path.stat().st_mtime_ns for path in finished] == times
    run(work)
    assert parquet_bytes(tmp_path / "data") == whole
    assert not (tmp_path / "data" / WORK_FOLDER).exists()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """Two bags, the dataset that the command converts them to, and the time it takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    for i in range(2):
        record(folder / "bags" / str(i), seconds=1.0, task=f"Do {i}")
    began = time.monotonic()
    subprocess.run(command_line(folder / "bags", folder / "data"), check=True)
    return folder, time.monotonic() - began


def command_line(bags: Path, output: Path) -> list[str]:
    arguments = ("--output", output, "--calibration", CALIBRATION_FILE, "--jobs", "2")
    program = (sys.executable, "-m", "smolvla_ros.tools.bag_to_lerobot")
    return [str(argument) for argument in (*program, bags, *arguments)]


@pytest.mark.slow
def test_after_kill_9_of_all_processes_the_same_command_gives_the_same_bytes(undisturbed, tmp_path, kill):
    folder, duration_s = undisturbed
    again = command_line(folder / "bags", tmp_path / "data")
    killed = subprocess.Popen(again, start_new_session=True)
    time.sleep(random.Random(kill).uniform(0.0, duration_s))
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    done = subprocess.run(again, check=False, capture_output=True, text=True)
    complete = done.returncode == 1 and "exists; use --append" in done.stderr
    assert done.returncode == 0 or complete, done.stderr  # it was killed after its last step
    assert parquet_bytes(tmp_path / "data") == parquet_bytes(folder / "data")
    assert not (tmp_path / "data" / WORK_FOLDER).exists()


def test_an_interrupted_conversion_is_not_mixed_with_another(tmp_path):
    bags = [record(tmp_path / f"bag{i}", seconds=0.4) for i in range(2)]
    work = conversion(bags, tmp_path / "data")
    work.prepare()
    for index in range(2):
        work.align_bag(index)
    work.encode_video(*work.pending_videos(work.pieces(range(2)))[0])
    with pytest.raises(DatasetError, match="another interrupted conversion, of 2 bags"):
        conversion(bags[:1], tmp_path / "data").prepare()


def test_after_an_error_the_options_may_change(bag, tmp_path):
    work = conversion([bag], tmp_path / "data", alignment=AlignmentSettings(30, max_state_age_s=0.001))
    with pytest.raises(EpisodeError, match="has no messages for"):
        run(work)
    assert len(run(conversion([bag], tmp_path / "data")).frames(0).state) == 31


def test_bags_are_selected_by_outcome(tmp_path):
    for name, notes in (("a", {"outcome": "failure"}), ("b", {"outcome": "success"}), ("c", {})):
        with BagWriter(tmp_path / "bags" / name, notes):
            pass
    options = [str(tmp_path / "bags"), "--output", str(tmp_path / "data"), "--outcome"]
    assert command(parser().parse_args([*options, "success"])).bags == (tmp_path / "bags" / "b",)
    with pytest.raises(BagError, match="no bag is marked 'good'; the marks are"):
        command(parser().parse_args([*options, "good"]))


def tool(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a tool, which must succeed."""
    program = [sys.executable, "-m", f"smolvla_ros.tools.{name}", *map(str, arguments)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_the_command_lines_convert_to_a_dataset_and_back_without_depth_images(tmp_path):
    def fill(bag, entries):
        picture = image(bag, START_NS, RANDOM.integers(0, 255, (24, 32, 3), np.uint8)).data
        for _, message, _ in entries:
            if hasattr(message, "format"):
                message.data = picture
        return entries

    record(tmp_path / "bags" / "one", seconds=0.4, edit=fill)
    data, again = tmp_path / "data", tmp_path / "again"
    calibration = ["--calibration", CALIBRATION_FILE]
    tool("bag_to_lerobot", tmp_path / "bags", "--output", data, "--jobs", 1, *calibration)
    assert len(LeRobotDataset.load(data).frames(0).state) == 13
    info = json.loads((data / "meta" / "info.json").read_text())
    info["features"]["observation.images.camera2"]["info"]["video.is_depth_map"] = True
    (data / "meta" / "info.json").write_text(json.dumps(info))
    done = tool("lerobot_to_bag", data, "--output", again, *calibration)
    assert done.stderr == "lerobot_to_bag: depth images are left out: camera2\n"
    assert "actions are on /dataset/joint_commands" in done.stdout
    with Bag(again / "episode_000000") as bag:
        assert [topic for topic in bag.topics if "image" in topic] == ["/top/image_raw/compressed"]
    done = tool("check_dataset", data, *calibration)
    assert "warning depth images: camera2\n        they are left out." in done.stdout
