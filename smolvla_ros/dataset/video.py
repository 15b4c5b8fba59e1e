# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encode, concatenate and decode mp4 files whose frame k is shown at exactly k / fps.

Every second frame is a key frame, so that training can seek quickly, and no frame refers to a later one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import dropwhile, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import av
import cv2
import numpy as np
from av.codec.codec import UnknownCodecError

from smolvla_ros.arrays import ImageArray
from smolvla_ros.dataset.errors import EncoderError, VideoError
from smolvla_ros.dataset.realtime_permission import without_realtime_permission

Codec = Literal["h264", "av1", "h264_nvenc"]


class Encoder(NamedTuple):
    """How FFmpeg writes a video."""

    name: str
    options: dict[str, str]
    codec: str  # that a dataset names, and a decoder


# Fast, little loss, and one thread for reproducible bytes; a GPU's bytes depend on its model and driver.
CODECS: dict[Codec, Encoder] = {
    "h264": Encoder("libx264", {"preset": "ultrafast", "crf": "20", "bf": "0", "threads": "1"}, "h264"),
    "av1": Encoder("libsvtav1", {"preset": "10", "crf": "30", "svtav1-params": "lp=1:pred-struct=1"}, "av1"),
    "h264_nvenc": Encoder("h264_nvenc", {"preset": "p1", "rc": "constqp", "qp": "20", "bf": "0"}, "h264"),
}
KEY_FRAME_INTERVAL = 2
# Every browser plays it.
PREVIEW = Encoder("libx264", {"preset": "veryfast", "crf": "28", "bf": "0", "threads": "1"}, "h264")
CODEC_HELP = "of the videos; h264_nvenc: h264 by a GPU of NVIDIA; %(default)s"
PIXEL_FORMAT = "yuv420p"
SMALLEST = (256, 256)  # width and height that every encoder accepts


def check_encoder(codec: Codec) -> None:
    """Raise VideoError if this computer cannot encode with it."""
    try:
        context: Any = av.CodecContext.create(CODECS[codec].name, "w")
        context.width, context.height = SMALLEST
        context.pix_fmt, context.time_base = PIXEL_FORMAT, Fraction(1, 30)
        with without_realtime_permission():
            context.open()
    except (av.FFmpegError, UnknownCodecError) as error:
        reason = error.strerror if isinstance(error, av.FFmpegError) else "FFmpeg was built without it"
        raise VideoError(
            f"encoder '{codec}' cannot be used on this computer: {reason}. It needs a GPU of NVIDIA and its driver; "
            "choose another --codec"
        ) from error


def encode_video(path: Path, images: Iterable[ImageArray], fps: int, codec: Codec) -> None:
    """Write RGB images (height, width, 3) of one size as an mp4; raises VideoError, EncoderError."""
    _encode(path, images, fps, CODECS[codec], KEY_FRAME_INTERVAL)


def encode_preview(path: Path, images: Iterable[ImageArray], fps: int) -> None:
    """Write a small mp4 to look at, with a key frame every second; raises VideoError, EncoderError."""
    _encode(path, images, fps, PREVIEW, fps)


def _encode(
    path: Path, images: Iterable[ImageArray], fps: int, encoder: Encoder, key_frame_interval: int
) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream: Any = None
        for index, image in enumerate(images):
            if stream is None:
                height, width = image.shape[:2]
                if height % 2 or width % 2:
                    raise VideoError(
                        f"images of {width}x{height} cannot be {PIXEL_FORMAT} video: width and height must be even; "
                        "set another image size in the camera driver"
                    )
                stream = container.add_stream(encoder.name, rate=fps, options=encoder.options)
                stream.width, stream.height, stream.pix_fmt = width, height, PIXEL_FORMAT
                stream.codec_context.gop_size = key_frame_interval
                stream.codec_context.time_base = Fraction(1, fps)
                _start(container, encoder, f"{width}x{height}")
            # 7 times as fast as FFmpeg's swscale
            pixels = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format=PIXEL_FORMAT)
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(frame))
        if stream is None:
            raise VideoError(f"video '{path}' would have no frames")
        container.mux(stream.encode())


def _start(container: av.container.OutputContainer, encoder: Encoder, size: str) -> None:
    try:
        with without_realtime_permission():
            container.start_encoding()
    except av.FFmpegError as error:
        raise EncoderError(
            f"encoder '{encoder.name}' does not start for images of {size}: {error.strerror}; choose another --codec "
            "or image size. A GPU encodes only some videos at a time, and no tiny ones: give fewer --jobs"
        ) from error


def concatenate_videos(path: Path, parts: Iterable[tuple[Path, int]], fps: int) -> None:
    """Concatenate videos with the same `stream_header` without encoding them again. `parts`: their files and numbers
    of frames."""
    with av.open(str(path), "w", format="mp4") as container:
        output: Any = None
        before = 0
        for part, count in parts:
            with av.open(str(part)) as source:
                stream = source.streams.video[0]
                if output is None:
                    output = container.add_stream_from_template(stream, opaque=True)
                _mux_shifted(source.demux(stream), before, fps, container, output)
            before += count


def stream_header(path: Path) -> bytes:
    """What an mp4 file states once for all its frames: videos with different ones cannot be in one file. Raises
    VideoError."""
    with _opened_at(path, 0, 1) as (_, stream):
        context = stream.codec_context
        return f"{context.codec.canonical_name} {context.width}x{context.height} ".encode() + (
            context.extradata or b""
        )


def cut_video(source: Path, path: Path, first: int, count: int, fps: int) -> str:
    """Write `count` frames from frame `first` of an mp4 to another one, which begins with them; returns its codec.

    They are copied if they can be decoded without other frames: if the first of them is a key frame, and the packets
    from there on are these frames. Otherwise they are encoded again. Raises VideoError.
    """
    with _opened_at(source, first, fps) as (container, stream):
        codec = str(stream.codec_context.codec.canonical_name)
        packets = list(islice(_packets_from(container, stream, first, fps), count))
        numbers = sorted(_number(packet, fps) for packet in packets)
        if packets and packets[0].is_keyframe and numbers == list(range(first, first + count)):
            with av.open(str(path), "w", format="mp4") as output:
                target = output.add_stream_from_template(stream, opaque=True)
                _mux_shifted(packets, -first, fps, output, target)
            return codec
    if codec not in CODECS:
        known = ", ".join(dict.fromkeys(encoder.codec for encoder in CODECS.values()))
        raise VideoError(
            f"video '{source}': frames from {first} on cannot be cut out without encoding them again, which is not "
            f"possible as {codec} (only as {known}); cut at a key frame, or keep the whole episode"
        )
    encode_video(path, decode_video(source, first / fps, count, fps), fps, codec)
    return codec


def decode_video(path: Path, first_s: float, count: int, fps: int) -> Iterator[ImageArray]:
    """`count` RGB images (height, width, 3) of an mp4, starting at `first_s`; raises VideoError."""
    start = round(first_s * fps)
    done = 0
    with _opened_at(path, start, fps) as (container, stream):
        for frame in container.decode(stream):
            assert frame.time is not None
            if done == count:
                break
            if round(frame.time * fps) < start:
                continue  # between the key frame and the first requested frame
            yield frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
            done += 1
    if done < count:
        raise VideoError(
            f"video '{path}' ends after {done} of {count} frames from {first_s:.3f} s; download it again"
        )


def key_frames(path: Path, first: int, count: int, fps: int) -> set[int]:
    """Which of `count` frames from frame `first` of an mp4 are key frames, counted from `first`; raises VideoError."""
    found: set[int] = set()
    with _opened_at(path, first, fps) as (container, stream):
        assert stream.time_base is not None
        for packet in container.demux(stream):
            if packet.pts is None or not packet.is_keyframe:
                continue
            index = round(packet.pts * stream.time_base * fps) - first
            if index >= count:
                break
            if index >= 0:
                found.add(index)
    return found


@contextmanager
def _opened_at(
    path: Path, frame: int, fps: int
) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """An mp4 and its video, at the key frame before this frame; FFmpeg's errors become VideoError."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.time_base is not None
            container.seek(int(Fraction(frame, fps) / stream.time_base), stream=stream)
            yield container, stream
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"video '{path}' cannot be read: {error}; download the dataset again") from error


def _packets_from(
    container: av.container.InputContainer, stream: av.VideoStream, first: int, fps: int
) -> Iterator[av.Packet[av.VideoStream]]:
    """The packets in the order of the file, from the one with frame `first` on."""
    packets = (packet for packet in container.demux(stream) if packet.pts is not None)
    return dropwhile(lambda packet: _number(packet, fps) != first, packets)


def _number(packet: av.Packet[av.VideoStream], fps: int) -> int:
    """The number in its file of the frame in a packet."""
    assert packet.pts is not None
    return round(packet.pts * packet.time_base * fps)


def _mux_shifted(
    packets: Iterable[av.Packet[av.VideoStream]],
    frames: int,
    fps: int,
    container: av.container.OutputContainer,
    output: av.VideoStream,
) -> None:
    """Write packets to `output`, later by a number of frames."""
    for packet in packets:
        if packet.pts is None or packet.dts is None:
            continue  # end of the file
        shift = int(Fraction(frames, fps) / packet.time_base)
        packet.pts += shift
        packet.dts += shift
        packet.stream = output
        container.mux(packet)


class VideoReader:
    """Random access to the frames of an mp4; the file stays open, and neighbouring frames are decoded once."""

    def __init__(self, path: Path, fps: int) -> None:
        """Raises VideoError."""
        self._path, self._fps = path, fps
        try:
            self._container = av.open(str(path))
        except (av.FFmpegError, OSError) as error:
            raise VideoError(f"video '{path}' cannot be read: {error}; download the dataset again") from error
        self._stream = self._container.streams.video[0]
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._next = (
            -KEY_FRAME_INTERVAL
        )  # the number of the frame that `_frames` gives next; at first it gives none

    def frame(self, index: int) -> ImageArray:
        """The RGB image (height, width, 3) that is shown at index / fps; raises VideoError."""
        try:
            if not 0 <= index - self._next < KEY_FRAME_INTERVAL:
                time_base = self._stream.time_base
                assert time_base is not None
                self._container.seek(int(Fraction(index, self._fps) / time_base), stream=self._stream)
                self._frames = self._container.decode(self._stream)
            for frame in self._frames:
                assert frame.time is not None
                self._next = round(frame.time * self._fps) + 1
                if self._next > index:
                    return frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
        except av.FFmpegError as error:
            raise VideoError(
                f"video '{self._path}' cannot be read: {error}; download the dataset again"
            ) from error
        raise VideoError(f"video '{self._path}' has no frame {index}; download the dataset again")

    def close(self) -> None:
        self._container.close()
