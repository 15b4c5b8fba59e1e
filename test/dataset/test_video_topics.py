# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras whose topics are video: each image is the right one, also when the recording begins in the middle."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from rosbags.typesys import get_types_from_msg

from smolvla_ros.dataset.bag import BagWriter
from smolvla_ros.dataset.bag_mapping import BagMapping
from smolvla_ros.dataset.errors import EpisodeError
from smolvla_ros.dataset.inspection import read_episodes
from smolvla_ros.dataset.video_topics import COMPRESSED_VIDEO, FFMPEG_PACKET

from ..sample_bags import CALIBRATION, LAG_NS, ROBOT, START_NS, Entry, conversion, header, record, run

TOPIC = "/top/video"
VIDEO = BagMapping(cameras={"top": TOPIC})
DEFINITIONS = {
    COMPRESSED_VIDEO: "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n",
    FFMPEG_PACKET: "std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\nuint8 flags\n"
    "bool is_bigendian\nuint8[] data\n",
}


def packets(count: int) -> list[bytes]:
    """H.264 of images with grey level 40 + 3 k, a key frame every 10."""
    codec: Any = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt, codec.gop_size = 64, 48, "yuv420p", 10
    codec.time_base, codec.options = (
        Fraction(1, 30),
        {"preset": "ultrafast", "tune": "zerolatency", "crf": "10"},
    )
    made = []
    for k in range(count):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 + 3 * k, np.uint8), format="rgb24")
        frame.pts = k
        made += [bytes(packet) for packet in codec.encode(frame)]
    return made


def video_bag(path: Path, kind: str, first: int = 0, damaged: int = -1, codec: str = "h264") -> Path:
    """A bag of 1 s whose camera has the packets from `first` on."""

    def edit(bag: BagWriter, entries: list[Entry]) -> list[Entry]:
        bag._store.register(get_types_from_msg(DEFINITIONS[kind], kind))
        kept = [entry for entry in entries if "image" not in entry[0]]
        for k, packet in enumerate(packets(31)[first:], first):
            stamp_ns = START_NS + int(k * 1e9 / 30)
            data = np.frombuffer(packet, np.uint8) if k != damaged else np.zeros(20, np.uint8)
            sent = header(bag, stamp_ns)
            if kind == COMPRESSED_VIDEO:
                message = bag.message(kind, timestamp=sent.stamp, frame_id="", data=data, format=codec)
            else:
                encoding = f"lib{codec.replace('h', 'x')}"
                rest = {"width": 64, "height": 48, "pts": k, "flags": 0, "is_bigendian": False}
                message = bag.message(kind, header=sent, encoding=encoding, data=data, **rest)
            kept.append((TOPIC, message, stamp_ns + LAG_NS))
        return kept

    return record(path, edit=edit)


@pytest.mark.parametrize("first", [0, 4], ids=["whole", "from the middle"])
@pytest.mark.parametrize("kind", DEFINITIONS)
def test_each_row_has_the_image_of_its_time(tmp_path: Path, kind: str, first: int) -> None:
    dataset = run(conversion([video_bag(tmp_path / "bag", kind, first)], tmp_path / "data", mapping=VIDEO))
    greys = [float(image.mean()) for image in dataset.images(0, "camera1")]
    begin = 10 if first else 0  # the first key frame
    assert len(greys) >= 30 - begin
    assert np.allclose(greys, 40 + 3 * np.arange(begin, begin + len(greys)), atol=2)


def test_the_doctor_looks_at_the_images_of_a_video(tmp_path: Path) -> None:
    bag = video_bag(tmp_path / "bag", COMPRESSED_VIDEO, damaged=15)
    [episode] = read_episodes(bag, ROBOT, ROBOT.units(CALIBRATION), VIDEO)
    top = episode.cameras["top"]
    assert len(top.times_s) == 31 and len(top.damage) == 1 and "video packet has no image" in top.damage[0]
    with pytest.raises(EpisodeError, match="image 15: its video packet has no image"):
        run(conversion([bag], tmp_path / "data", mapping=VIDEO))


def test_a_codec_that_is_not_read_is_named(tmp_path: Path) -> None:
    bag = video_bag(tmp_path / "bag", COMPRESSED_VIDEO, codec="mjpg")
    with pytest.raises(
        EpisodeError, match="/top/video is video in 'mjpg', which is not read .known: h264, hevc"
    ):
        run(conversion([bag], tmp_path / "data", mapping=VIDEO))
