# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera on ROS: image_raw, image_raw/compressed and camera_info, with the time of acquisition as stamp.

A thread reads the source and publishes; formats without a subscriber are not converted. The thread ends, and the device
or file is closed, before the node is inactive, so that nothing is published while publishers are destroyed. (If the
node's own thread published, frames would be 1 ms later at the median and 6 ms at the 95th percentile on busy cores.)
For each camera there is one such node, in its own namespace.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
from rclpy.serialization import deserialize_message

from smolvla_ros.camera.capture import Capture
from smolvla_ros.camera.folder import ImageFolder
from smolvla_ros.camera.source import CameraError, CameraSource, ReopeningSource, size_notice
from smolvla_ros.camera.usb import UsbCamera
from smolvla_ros.camera.video import VideoFile
from smolvla_ros.node_configs import CameraConfig
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import camera_info_msg, compressed_image_msg, image_msg
from smolvla_ros.nodes.rendered_camera import RenderedCamera
from smolvla_ros.nodes.run_node import run_node
from smolvla_ros.nodes.scene_messages import boxes_from_msg
from smolvla_ros.nodes.suite_node import ERROR, OK, WARN, Health, SuiteNode, load_robot
from smolvla_ros.observation import Frame
from smolvla_ros.robot import CameraSpec
from smolvla_ros.simulation.appearance import random_appearance
from smolvla_ros.wire import WireError, joints_from_msg


class CameraNode(SuiteNode[CameraConfig]):
    """Publishes one camera."""

    def __init__(self, **options: Any) -> None:
        super().__init__("camera", CameraConfig, **options)
        self._source: CameraSource | None = None
        self._capture: Capture | None = None
        self._scene_subscriptions: list[Any] = []
        self._newest: dict[str, bytes] = {}  # topic of a rendered scene -> message that is not drawn yet
        self._frames = 0
        self._failure = ""
        self._size_checked = False

    def configure(self) -> None:
        config = self.config
        if not config.camera:
            raise CameraError("parameter `camera` is empty; give this camera's name in the robot file")
        # Cameras share the CPU with inference; more threads of OpenCV would slow both down.
        cv2.setNumThreads(1)
        self._robot = load_robot(config.robot)
        self._spec = self._robot.camera(config.camera)
        self._size_checked = False
        self._source = self._open(self._spec)
        self._raw, self._compressed, self._info = (
            self.add_publisher(topic)
            for topic in (topics.IMAGE_RAW, topics.IMAGE_COMPRESSED, topics.CAMERA_INFO)
        )
        self.get_logger().info(f"camera '{config.camera}' from {config.source} {config.device}".rstrip())

    def _open(self, spec: CameraSpec) -> CameraSource:
        config = self.config
        rate_hz = config.rate_hz or spec.rate_hz
        if config.source == "rendered":
            rendered = RenderedCamera(
                self._robot,
                spec,
                rate_hz,
                config.seed,
                self.now_ns,
                self._prepare_image,
                random_appearance(config.seed, config.appearance),
            )
            self._scene_subscriptions = [
                self.create_subscription(
                    topic.type, topic.name, self._keep_newest(topic.name), topics.NEWEST, raw=True
                )
                for topic in (topics.JOINT_STATES, topics.SCENE_OBJECTS)
            ]
            return rendered
        if not config.device:
            raise CameraError(f"parameter `device` is empty; a {config.source} camera needs one")
        if config.source == "video":
            return VideoFile(spec.name, config.device, self.now_ns, rate_hz=config.rate_hz or None)
        if config.source == "folder":
            return ImageFolder(spec.name, config.device, self.now_ns, rate_hz=rate_hz)
        open_usb = partial(self._open_usb, spec, rate_hz)
        # a device that is missing at the start is an error; one that is lost later is waited for
        return ReopeningSource(open_usb, opened=open_usb())

    def _open_usb(self, spec: CameraSpec, rate_hz: float) -> UsbCamera:
        device = self.config.device
        camera = UsbCamera(
            spec.name,
            int(device) if device.isdigit() else device,
            self.now_ns,
            width=spec.width,
            height=spec.height,
            rate_hz=rate_hz,
        )
        if camera.notice:
            self.get_logger().warning(camera.notice)
        return camera

    def activate(self) -> None:
        self._failure = ""
        if self._source is None:
            self._source = self._open(self._spec)
        self._capture = Capture(self._source, self._on_frame, self._on_error)

    def deactivate(self) -> None:
        if self._capture is not None:
            self._capture.stop()
            self._capture = None
        self._close_source()

    def cleanup(self) -> None:
        self._close_source()

    def _close_source(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None
        for subscription in self._scene_subscriptions:
            self.destroy_subscription(subscription)
        self._scene_subscriptions = []

    def diagnose(self) -> Health:
        frames, self._frames = self._frames, 0
        values = {
            "frames in the last second": str(frames),
            "source": f"{self.config.source} {self.config.device}",
        }
        if self._failure:
            return Health(ERROR, self._failure, values)
        if not frames and isinstance(self._source, RenderedCamera) and not self._is_watched():
            return Health(OK, "nobody subscribes, so nothing is rendered", values)
        return Health(OK if frames else WARN, "publishing" if frames else "no frame for a second", values)

    def _is_watched(self) -> bool:
        return any(topic.get_subscription_count() for topic in (self._raw, self._compressed, self._info))

    def _keep_newest(self, name: str) -> Callable[[bytes], None]:
        def keep(message: bytes) -> None:
            self._newest[name] = message

        return keep

    def _prepare_image(self, rendered: RenderedCamera) -> bool:
        """Take over the newest messages before an image is rendered; returns whether somebody receives it."""
        if not self._is_watched():
            return False
        for topic, take_over in (
            (topics.JOINT_STATES, self._on_joint_states),
            (topics.SCENE_OBJECTS, self._on_scene_objects),
        ):
            data = self._newest.pop(topic.name, None)
            if data is None:
                continue
            try:
                message = deserialize_message(data, topic.type)
            except RuntimeError as error:  # RMWError: not all of its bytes have come
                self.get_logger().warning(f"{topic.name} refused: {error}", throttle_duration_sec=2.0)
                continue
            take_over(rendered, message)
        return True

    def _on_joint_states(self, rendered: RenderedCamera, message: Any) -> None:
        try:
            joints = joints_from_msg(message, self._robot.joint_names)
        except WireError as error:
            self.get_logger().warning(f"joint states refused: {error}", throttle_duration_sec=2.0)
            return
        rendered.move(joints.positions_rad)

    def _on_scene_objects(self, rendered: RenderedCamera, message: Any) -> None:
        try:
            rendered.show(boxes_from_msg(message))
        except WireError as error:
            self.get_logger().warning(f"scene objects refused: {error}", throttle_duration_sec=2.0)

    def _on_frame(self, frame: Frame) -> None:
        self._failure = ""
        self._check_size(frame)
        self._publish(frame)

    def _on_error(self, error: CameraError) -> None:
        self._failure = str(error)
        self.get_logger().error(f"camera '{self.config.camera}': {error}", throttle_duration_sec=5.0)

    def _check_size(self, frame: Frame) -> None:
        """Log once if frames have another size than the robot file says."""
        if self._size_checked:
            return
        self._size_checked = True
        notice = size_notice(frame, self._spec.width, self._spec.height)
        if notice:
            self.get_logger().warning(notice)

    def _publish(self, frame: Frame) -> None:
        self._frames += 1
        frame_id = self._spec.frame_id
        if self._raw.get_subscription_count():
            self._raw.publish(image_msg(frame, frame_id))
        if self._compressed.get_subscription_count():
            self._compressed.publish(compressed_image_msg(frame, frame_id, self.config.jpeg_quality))
        if self._info.get_subscription_count():
            matrix = self._source.camera_matrix if isinstance(self._source, RenderedCamera) else None
            self._info.publish(camera_info_msg(frame, frame_id, matrix))


def main() -> int:
    return run_node(CameraNode)


if __name__ == "__main__":
    sys.exit(main())
