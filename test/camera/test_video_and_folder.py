# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Videos and image folders as cameras: order, loop, rate, and rejected files."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from smolvla_ros.arrays import ImageArray
from smolvla_ros.camera.folder import ImageFolder
from smolvla_ros.camera.source import CameraError
from smolvla_ros.camera.video import VideoFile
from smolvla_ros.image import encode_png

COLOURS = [(220, 30, 30), (30, 220, 30), (30, 30, 220), (220, 220, 30)]


def one_two_three() -> itertools.count[int]:
    return itertools.count(1000)


def film(path: Path, rate_hz: float = 25.0, frames: int = len(COLOURS)) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate_hz, (64, 48))
    assert writer.isOpened()
    for rgb in COLOURS[:frames]:
        writer.write(np.full((48, 64, 3), rgb[::-1], np.uint8))
    writer.release()
    return path


def picture(path: Path, rgb: tuple[int, int, int], width: int = 8) -> None:
    path.write_bytes(encode_png(np.full((6, width, 3), rgb, np.uint8)))


def nearest(image: ImageArray) -> int:
    """Which of COLOURS the middle of a picture is."""
    middle = image[image.shape[0] // 2, image.shape[1] // 2].astype(int)
    return int(np.abs(np.array(COLOURS) - middle).sum(axis=1).argmin())


def test_a_film_shows_its_frames_in_rgb_stamped_by_the_clock_given(tmp_path: Path) -> None:
    clock = one_two_three()
    source = VideoFile("top", film(tmp_path / "a.avi"), lambda: next(clock), rate_hz=500.0, loop=False)
    frames = [source.read() for _ in COLOURS]
    assert [nearest(frame.image) for frame in frames if frame] == [0, 1, 2, 3]
    assert [(frame.camera, frame.stamp_ns) for frame in frames if frame] == [
        ("top", 1000 + k) for k in range(4)
    ]
    assert source.read() is None


def test_a_film_starts_again_at_its_end(tmp_path: Path) -> None:
    source = VideoFile("top", film(tmp_path / "a.avi"), time.time_ns, rate_hz=500.0)
    shown = [nearest(frame.image) for frame in (source.read() for _ in range(10)) if frame]
    assert shown == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


def test_a_film_runs_at_its_own_rate(tmp_path: Path) -> None:
    source = VideoFile("top", film(tmp_path / "a.avi", rate_hz=25.0), time.monotonic_ns)
    assert source.rate_hz == 25.0
    stamps = [frame.stamp_ns for frame in (source.read() for _ in range(4)) if frame]
    assert stamps[-1] - stamps[0] >= 0.119e9


def test_a_closed_film_gives_nothing_more(tmp_path: Path) -> None:
    source = VideoFile("top", film(tmp_path / "a.avi"), time.time_ns, rate_hz=500.0)
    source.close()
    source.close()
    assert source.read() is None


def test_files_that_are_no_videos_are_rejected(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("no film", encoding="utf-8")
    for path, message in [
        (tmp_path / "gone.mp4", "camera 'top': video '.*gone.mp4' does not exist"),
        (tmp_path, "is not a file; for a folder use ImageFolder"),
        (text, "notes.mp4' cannot be opened as a video"),
    ]:
        with pytest.raises(CameraError, match=message):
            VideoFile("top", path, time.time_ns)


@pytest.mark.parametrize("loop", [True, False])
def test_a_video_whose_frames_do_not_decode_is_rejected(tmp_path: Path, loop: bool) -> None:
    whole = bytearray(film(tmp_path / "a.avi").read_bytes())
    frame = whole.index(b"00dc")
    while frame >= 0 and frame < whole.index(b"idx1"):
        size = int.from_bytes(whole[frame + 4 : frame + 8], "little")
        whole[frame + 8 : frame + 8 + size] = bytes(size)
        frame = whole.find(b"00dc", frame + 8 + size)
    broken = tmp_path / "b.avi"
    broken.write_bytes(whole)
    source = VideoFile("top", broken, time.time_ns, rate_hz=500.0, loop=loop)
    with pytest.raises(CameraError, match="camera 'top': video '.*b.avi' opens but holds no frame"):
        source.read()


def test_a_folder_shows_its_pictures_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number, rgb in zip((1, 2, 10, 11), COLOURS, strict=True):
        picture(tmp_path / f"frame_{number}.png", rgb)
    (tmp_path / "notes.txt").write_text("not a picture", encoding="utf-8")
    clock = one_two_three()
    source = ImageFolder("wrist", tmp_path, lambda: next(clock), rate_hz=500.0)
    frames = [frame for frame in (source.read() for _ in range(6)) if frame]
    assert [nearest(frame.image) for frame in frames] == [0, 1, 2, 3, 0, 1]
    assert [frame.stamp_ns for frame in frames] == [1000 + k for k in range(6)]


def test_a_folder_without_a_loop_ends_and_a_closed_one_too(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", COLOURS[0])
    source = ImageFolder("wrist", tmp_path, time.time_ns, rate_hz=500.0, loop=False)
    assert source.read() is not None
    assert source.read() is None
    endless = ImageFolder("wrist", tmp_path, time.time_ns, rate_hz=500.0)
    endless.close()
    assert endless.read() is None


def test_pictures_of_different_sizes_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", COLOURS[0])
    picture(tmp_path / "b.png", COLOURS[1], width=9)
    source = ImageFolder("wrist", tmp_path, time.time_ns, rate_hz=500.0)
    source.read()
    with pytest.raises(CameraError, match="camera 'wrist': '.*b.png' is 9x6, the pictures before it 8x6"):
        source.read()


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff half")
    with pytest.raises(CameraError, match="'.*a.jpg': JPEG image is truncated"):
        ImageFolder("wrist", tmp_path, time.time_ns, rate_hz=500.0).read()


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="no .jpg, .jpeg, .png picture in"):
        ImageFolder("wrist", tmp_path, time.time_ns, rate_hz=30.0)
    with pytest.raises(CameraError, match="gone' is not a folder of pictures"):
        ImageFolder("wrist", tmp_path / "gone", time.time_ns, rate_hz=30.0)
