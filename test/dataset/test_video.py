# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frame k of a video is at exactly k / fps, also after concatenation."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from smolvla_ros.dataset.errors import EncoderError, VideoError
from smolvla_ros.dataset.video import (
    CODECS,
    Encoder,
    check_encoder,
    concatenate_videos,
    cut_video,
    decode_video,
    encode_video,
    key_frames,
    stream_header,
)


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


def has_nvenc():
    try:
        check_encoder("h264_nvenc")
    except VideoError:
        return False
    return True


@pytest.mark.skipif(has_nvenc(), reason="this computer has a GPU that encodes")
def test_an_encoder_of_a_gpu_that_is_missing_is_named(tmp_path):
    with pytest.raises(VideoError, match="'h264_nvenc' cannot be used.*choose another --codec"):
        check_encoder("h264_nvenc")
    with pytest.raises(EncoderError, match="'h264_nvenc' does not start for .*give fewer --jobs"):
        encode_video(tmp_path / "a.mp4", greys(10, 4), 30, "h264_nvenc")


def test_an_encoder_that_ffmpeg_was_built_without_is_named(monkeypatch):
    monkeypatch.setitem(CODECS, "h264_nvenc", Encoder("h264_of_nobody", {}, "h264"))
    with pytest.raises(VideoError, match="'h264_nvenc' cannot be used.*built without it"):
        check_encoder("h264_nvenc")


@pytest.mark.skipif(not has_nvenc(), reason="needs a GPU that encodes")
def test_a_gpu_writes_h264_with_every_second_frame_a_key_frame(tmp_path):
    images = [image.repeat(6, 0).repeat(6, 1) for image in greys(10, 9)]  # as large as its encoder demands
    encode_video(tmp_path / "a.mp4", images, 30, "h264_nvenc")
    assert stream_header(tmp_path / "a.mp4").startswith(b"h264 384x288 ")
    found = [round(float(image.mean())) for image in decode_video(tmp_path / "a.mp4", 0.0, 9, 30)]
    assert max(abs(grey - 10 - 3 * k) for k, grey in enumerate(found)) <= 2
    assert key_frames(tmp_path / "a.mp4", 0, 9, 30) == {0, 2, 4, 6, 8}


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_software_encoders_can_be_used_on_every_computer(codec):
    check_encoder(codec)


def test_images_of_a_size_that_the_encoder_does_not_take_are_named(tmp_path):
    images = [np.zeros((16, 20_000, 3), np.uint8)]
    with pytest.raises(EncoderError, match="'libx264' does not start for images of 20000x16"):
        encode_video(tmp_path / "v.mp4", images, 30, "h264")


def test_a_video_without_frames_raises_an_error(tmp_path):
    with pytest.raises(VideoError, match="no frames"):
        encode_video(tmp_path / "none.mp4", [], 30, "h264")


def test_reading_more_frames_than_exist_raises_an_error(tmp_path):
    encode_video(tmp_path / "a.mp4", greys(10, 4), 30, "h264")
    with pytest.raises(VideoError, match="ends after 2 of 3 frames"):
        list(decode_video(tmp_path / "a.mp4", 2 / 30, 3, 30))


def encode(path, encoder, **options):
    """12 images as by `greys`, a key frame for every 6."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(encoder, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 6
        for image in greys(50, 12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


@pytest.mark.parametrize("first, count", [(0, 12), (6, 6), (0, 3), (2, 5)])
@pytest.mark.parametrize("b_frames", ["0", "2"])
def test_a_cut_begins_at_zero_with_its_first_frame(tmp_path, first, count, b_frames):
    encode(tmp_path / "a.mp4", "libx264", bf=b_frames, crf="20")
    cut_video(tmp_path / "a.mp4", tmp_path / "cut.mp4", first, count, 30)
    images = list(decode_video(tmp_path / "cut.mp4", 0.0, count, 30))
    expected = list(decode_video(tmp_path / "a.mp4", first / 30, count, 30))
    error = np.abs(np.array(images, int) - np.array(expected, int))
    is_copied = first % 6 == 0 and (b_frames == "0" or (first + count) % 6 == 0)
    assert error.max() == 0 if is_copied else 0 < error.max() <= 4
    with av.open(str(tmp_path / "cut.mp4")) as container:
        assert container.streams.video[0].frames == count
        assert [round(frame.time * 30) for frame in container.decode(video=0)] == list(range(count))


def test_a_cut_that_needs_an_encoder_that_is_missing_is_refused(tmp_path):
    encode(tmp_path / "a.mp4", "mpeg4", sc_threshold="1000000000")
    assert cut_video(tmp_path / "a.mp4", tmp_path / "cut.mp4", 0, 6, 30) == "mpeg4"
    with pytest.raises(VideoError, match="as mpeg4 .only as h264, av1.; cut at a key frame"):
        cut_video(tmp_path / "a.mp4", tmp_path / "cut.mp4", 1, 4, 30)
