# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The camera node publishes the images of its source, and logs in one line why it cannot."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from lifecycle_msgs.msg import Transition

from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import joint_state_msg
from smolvla_ros.robot import Joints
from smolvla_ros.wire import frame_from_msg, header_stamp_ns, nanoseconds

from ..package_files import ROBOT


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of three images: red, green, blue."""
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(3):
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[:, :, 2 - index] = 255  # OpenCV writes BGR
        cv2.imwrite(str(folder / f"{index}.png"), picture)
    return folder


def test_raw_compressed_and_info_share_stamp_and_picture(observer: Any, start: Any, images: Path) -> None:
    raw, compressed, infos = (
        observer.collect(topic) for topic in (topics.IMAGE_RAW, topics.IMAGE_COMPRESSED, topics.CAMERA_INFO)
    )
    start("nodes.camera_node", camera="top", source="folder", device=images, rate_hz=20.0)
    observer.until(lambda: len(raw) >= 10 and len(compressed) >= 6 and infos, "images")

    sharp = {header_stamp_ns(message): frame_from_msg(message, "top").image for message in raw}
    lossy = {header_stamp_ns(message): frame_from_msg(message, "top").image for message in compressed}
    common = sorted(sharp.keys() & lossy.keys())
    assert len(common) >= 4
    for stamp in common:
        assert np.abs(sharp[stamp].astype(int) - lossy[stamp].astype(int)).max() <= 3
    colours = {tuple(sharp[stamp][0, 0]) for stamp in common}
    assert colours == {(255, 0, 0), (0, 255, 0), (0, 0, 255)}
    assert (infos[-1].width, infos[-1].height) == (64, 48)
    assert raw[0].header.frame_id == "top_camera_optical_frame"

    # stamps are acquisition times: they only grow, at the rate of the source
    stamps = [header_stamp_ns(message) for message in raw]
    assert stamps == sorted(set(stamps))
    assert 0 <= observer.now_ns() - stamps[-1] < 1_000_000_000
    assert np.median(np.diff(stamps)) == pytest.approx(50e6, rel=0.1)


def test_a_deactivated_camera_publishes_nothing_until_it_is_activated(
    observer: Any, start: Any, images: Path
) -> None:
    diagnostics = observer.collect(topics.DIAGNOSTICS)
    raw = observer.collect(topics.IMAGE_RAW)
    program = start("nodes.camera_node", camera="top", source="folder", device=images, rate_hz=20.0)
    observer.until(lambda: raw, "images")
    assert observer.change_state("camera", Transition.TRANSITION_DEACTIVATE)
    silent_from_ns = observer.now_ns()
    observer.until(lambda: diagnostics and diagnostics[-1].status[0].message == "inactive", "diagnostics")
    silent_until_ns = observer.now_ns()
    assert observer.change_state("camera", Transition.TRANSITION_ACTIVATE)
    observer.until(lambda: nanoseconds(raw[-1].header.stamp) > silent_until_ns, "images again")
    assert not [m for m in raw if silent_from_ns <= header_stamp_ns(m) <= silent_until_ns]
    observer.until(lambda: diagnostics[-1].status[0].message == "publishing", "a healthy camera")
    assert observer.node.count_publishers("image_raw/compressed") == 1  # though it has no subscriber
    # The images are smaller than the robot file says, which is logged once.
    assert program.output.count("frames are 64x48, the robot file says 640x480") == 1


def test_a_camera_stops_at_any_time_while_its_images_are_received(
    observer: Any, start_new_interpreter: Any, kill: int
) -> None:
    raw, compressed = observer.collect(topics.IMAGE_RAW), observer.collect(topics.IMAGE_COMPRESSED)
    program = start_new_interpreter("nodes.camera_node", camera="top", source="rendered")
    observer.until(lambda: raw and compressed, "images")
    observer.spin(random.Random(kill).uniform(0.0, 0.1))
    assert program.stop() == 0, program.output


def test_a_video_is_published_in_a_loop(observer: Any, start: Any, tmp_path: Path) -> None:
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (64, 48))
    for level in (0, 80, 160):
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    raw = observer.collect(topics.IMAGE_RAW)
    start("nodes.camera_node", camera="top", source="video", device=path)
    observer.until(lambda: len(raw) >= 9, "images")
    levels = [round(frame_from_msg(message, "top").image.mean() / 80) for message in raw[:9]]
    assert sorted(set(levels)) == [0, 1, 2]
    assert all((later - earlier) % 3 == 1 for earlier, later in zip(levels, levels[1:], strict=False))


def test_the_rendered_scene_follows_the_joint_states(observer: Any, start: Any) -> None:
    raw = observer.collect(topics.IMAGE_RAW)
    infos = observer.collect(topics.CAMERA_INFO)
    joint_states = observer.publisher(topics.JOINT_STATES)
    start("nodes.camera_node", camera="top", source="rendered")
    observer.until(lambda: joint_states.get_subscription_count() and len(raw) > 2, "images")
    before = frame_from_msg(raw[-1], "top").image.astype(int)
    pose = np.array([joint.middle_rad for joint in ROBOT.joints]) + 0.5 * np.eye(6)[0]

    def moved() -> bool:
        joints = Joints(observer.now_ns(), pose, np.zeros(6), np.zeros(6))
        joint_states.publish(joint_state_msg(ROBOT.joint_names, joints))
        return bool((np.abs(frame_from_msg(raw[-1], "top").image.astype(int) - before) > 60).sum() > 500)

    observer.until(moved, "the drawn arm to move")
    assert infos[-1].k[0] > 100


@pytest.mark.parametrize(
    ("camera", "source", "words"), [("tpo", "folder", "did you mean 'top'"), ("top", "usbb", "usbb")]
)
def test_an_unknown_camera_or_source_makes_the_node_exit(
    start: Any, camera: str, source: str, words: str
) -> None:
    program = start("nodes.camera_node", camera=camera, source=source, device="x")
    assert program.wait() == 1
    assert words in program.output and "Traceback" not in program.output


def test_a_camera_that_cannot_be_configured_is_explained_in_one_line(observer: Any, start: Any) -> None:
    program = start("nodes.camera_node", camera="top", autostart=False)
    for source, device, message in [
        ("usb", "/dev/video99", "/dev/video99 does not exist"),
        ("video", "absent.mp4", "video 'absent.mp4' does not exist"),
        ("folder", "absent", "'absent' is not a folder of pictures"),
        ("usb", "", "parameter `device` is empty; a usb camera needs one"),
    ]:
        assert observer.set_parameters("camera", source=source, device=device).successful
        assert not observer.change_state("camera", Transition.TRANSITION_CONFIGURE)
        assert message in program.output and "Traceback" not in program.output
