# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frame k of a video is at exactly k / fps, also after concatenation."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from smolvla_ros.dataset.errors import VideoError
from smolvla_ros.dataset.video import concatenate_videos, decode_video, encode_video


def greys(first: int, count: int):
    return [np.full((48, 64, 3), first + 3 * k, np.uint8) for k in range(count)]


@pytest.mark.parametrize("codec", ["h264", "av1"])
@pytest.mark.parametrize("fps", [7, 30])
def test_concatenated_videos_keep_the_time_of_every_frame(tmp_path, codec, fps):
    encode_video(tmp_path / "a.mp4", greys(10, 11), fps, codec)
    encode_video(tmp_path / "b.mp4", greys(100, 6), fps, codec)
    concatenate_videos(tmp_path / "c.mp4", [(tmp_path / "a.mp4", 11), (tmp_path / "b.mp4", 6)], fps)
    with av.open(str(tmp_path / "c.mp4")) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert [frame.pts * stream.time_base for frame in frames] == [Fraction(k, fps) for k in range(17)]
        assert all(frame.key_frame for frame in frames[::2][:5])
        assert stream.codec_context.pix_fmt == "yuv420p"
    second = [round(float(image.mean())) for image in decode_video(tmp_path / "c.mp4", 11 / fps, 6, fps)]
    assert max(abs(grey - 100 - 3 * k) for k, grey in enumerate(second)) <= 2


def test_a_video_without_frames_raises_an_error(tmp_path):
    with pytest.raises(VideoError, match="no frames"):
        encode_video(tmp_path / "none.mp4", [], 30, "h264")


def test_reading_more_frames_than_exist_raises_an_error(tmp_path):
    encode_video(tmp_path / "a.mp4", greys(10, 4), 30, "h264")
    with pytest.raises(VideoError, match="ends after 2 of 3 frames"):
        list(decode_video(tmp_path / "a.mp4", 2 / 30, 3, 30))
