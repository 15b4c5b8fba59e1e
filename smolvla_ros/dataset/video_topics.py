# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decode topics whose messages are packets of a video: foxglove_msgs/CompressedVideo, ffmpeg_image_transport.

Each packet is one image and refers to earlier ones only, so all packets are decoded in order, and a recording that
begins in the middle of a video has no images until its first key frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
from av.codec.context import Flags

from smolvla_ros.arrays import ImageArray
from smolvla_ros.dataset.errors import EpisodeError
from smolvla_ros.image import ImageError

COMPRESSED_VIDEO = "foxglove_msgs/msg/CompressedVideo"
FFMPEG_PACKET = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"
VIDEO_TYPES = (COMPRESSED_VIDEO, FFMPEG_PACKET)
# In the name of a format or an encoder, such as h264, libx264, hevc_nvenc -> FFmpeg's decoder.
DECODERS = {"264": "h264", "265": "hevc", "hevc": "hevc", "av1": "av1", "vp9": "vp9"}


@dataclass(frozen=True, eq=False)
class VideoImage:
    """An image of a video with the fields of a sensor_msgs/Image that `wire.frame_from_msg` reads."""

    header: Any
    frame: av.VideoFrame | None  # None: its packet cannot be decoded
    encoding: str = "rgb8"
    is_bigendian: int = 0

    @property
    def height(self) -> int:
        return self.frame.height if self.frame else 0

    @property
    def width(self) -> int:
        return self.frame.width if self.frame else 0

    @property
    def step(self) -> int:
        return 3 * self.width

    @property
    def data(self) -> ImageArray:
        """The pixels, contiguous; raises ImageError."""
        if self.frame is None:
            raise ImageError(
                "its video packet has no image: it is damaged, or the encoder delays images (set tune zerolatency)"
            )
        return self.frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


class VideoDecoder:
    """Decodes the packets of one topic in order of arrival."""

    def __init__(self, where: str) -> None:
        """`where`: the bag and topic, for messages."""
        self._where = where
        self._codec: Any = None
        self._has_begun = False

    def image(self, message: Any) -> VideoImage | None:
        """The image of a packet; None before the first key frame. Raises EpisodeError on an unknown codec."""
        is_foxglove = hasattr(message, "format")
        if self._codec is None:
            self._codec = self._create(str(message.format if is_foxglove else message.encoding))
        try:
            frames = self._codec.decode(av.Packet(bytes(message.data)))
        except av.FFmpegError:
            frames = []
        self._has_begun |= bool(frames)
        if not self._has_begun:
            return None
        header = SimpleNamespace(stamp=message.timestamp) if is_foxglove else message.header
        return VideoImage(header, frames[-1] if frames else None)

    def _create(self, name: str) -> Any:
        decoder = next((decoder for part, decoder in DECODERS.items() if part in name.lower()), None)
        if decoder is None:
            known = ", ".join(dict.fromkeys(DECODERS.values()))
            raise EpisodeError(f"{self._where} is video in '{name}', which is not read (known: {known})")
        codec = av.CodecContext.create(decoder, "r")
        codec.thread_count = 1
        codec.flags |= int(Flags.low_delay)
        return codec
