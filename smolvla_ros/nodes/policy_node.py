# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy on ROS: synchronized images and joint states in, an ActionChunk out for every chunk request.

Callbacks only keep the newest messages; one thread infers, so nothing waits for the model. The latest request
wins: one that arrives while the model thinks is answered next, those between are forgotten. A request waits for an
observation that is fit to act on, and the log says what is wrong with the ones at hand.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections import deque
from dataclasses import dataclass
from typing import Any

import message_filters
import numpy as np

import smolvla_ros.msg as msg
from smolvla_ros.chunk import ActionChunk, ChunkRequest
from smolvla_ros.image import ImageError
from smolvla_ros.nodes import topics
from smolvla_ros.nodes.messages import action_chunk_msg
from smolvla_ros.nodes.running import run
from smolvla_ros.nodes.suite_node import OK, WARN, Health, SuiteNode, load_robot
from smolvla_ros.observation import NANOSECONDS, Observation, ObservationError, what_keeps_apart
from smolvla_ros.policy.policy import Policy, PolicyError
from smolvla_ros.policy.robot_policy import RobotPolicy
from smolvla_ros.policy.scripted import ScriptedPolicy
from smolvla_ros.settings import check_settings, setting
from smolvla_ros.units import load_calibration
from smolvla_ros.wire import WireError, frame_from_msg, joints_from_msg, nanoseconds, request_from_msg

SYNC_QUEUE_SIZE = (
    30  # messages kept a stream while waiting for partners: 1 s of camera, 0.6 s of joints at 50 Hz
)
COMPLAINT_PERIOD_S = 2.0
LATENCY_WINDOW = 50


@dataclass(frozen=True)
class PolicyConfig:
    """Parameters of the policy node."""

    robot: str = setting("", "robot file (config/so100.yaml): joints, cameras, rate and units")
    policy: str = setting("smolvla", "which policy answers", choices=("smolvla", "scripted"))
    checkpoint: str = setting("", "SmolVLA checkpoint: a LeRobot folder (pretrained_model) or a hub id")
    revision: str = setting("", "revision of a hub id; empty takes its newest")
    backbone: str = setting(
        "", "folder with the VLM's config and tokenizer; empty takes what the checkpoint names"
    )
    device: str = setting("auto", "torch device: auto, cpu, cuda, cuda:1, mps ...")
    dtype: str = setting(
        "auto", "number format of the model", choices=("auto", "float32", "bfloat16", "native")
    )
    threads: int = setting(0, "CPU threads of the model; 0 leaves it to torch", minimum=0, maximum=256)
    niceness: int = setting(
        10, "how far inference steps back for the other nodes when cores are short", minimum=0, maximum=19
    )
    calibration: str = setting(
        "", "LeRobot calibration JSON of the arm, for the gripper's 0..100 and joints in -100..100"
    )
    cameras: tuple[str, ...] = setting(
        (), "robot cameras to use; empty: one for each image of the checkpoint"
    )
    image_transport: str = setting("compressed", "which image topic to read", choices=("compressed", "raw"))
    sync_slop_s: float = setting(
        0.05, "largest distance of images and joint states taken together (s)", minimum=0.001, maximum=1.0
    )
    max_observation_age_s: float = setting(
        0.5, "older images or joint states are not acted on (s)", minimum=0.01, maximum=60.0, live=True
    )
    latency_s: float = setting(
        0.0, "scripted policy only: pretended inference time (s)", minimum=0.0, maximum=10.0
    )

    def __post_init__(self) -> None:
        check_settings(self)


class PolicyNode(SuiteNode[PolicyConfig]):
    """Answers `chunk_request` with `action_chunk`."""

    def __init__(self, **options: Any) -> None:
        super().__init__("policy", PolicyConfig, **options)
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        self._endpoints: list[Any] = []
        self._chunk_publisher: Any = None

    def configure(self) -> None:
        self._robot = load_robot(self.config.robot)
        self._policy = self._load_policy()
        self._chunk_publisher = self.create_lifecycle_publisher(
            topics.ACTION_CHUNK.type, topics.ACTION_CHUNK.name, topics.ACTION_CHUNK.publish
        )
        self._chunk_id = 0
        self._latencies_s: deque[float] = deque(maxlen=LATENCY_WINDOW)
        self._complaint = ""
        self._complained_s = 0.0

    def _load_policy(self) -> Policy:
        config = self.config
        if config.policy == "scripted":
            return ScriptedPolicy(self._robot, config.cameras or tuple(c.name for c in self._robot.cameras))
        if not config.checkpoint:
            raise PolicyError("parameter `checkpoint` is empty; give a LeRobot checkpoint folder or a hub id")
        if config.threads:  # read by torch when it is first imported, which is below
            os.environ["OMP_NUM_THREADS"] = str(config.threads)
        from smolvla_ros.policy import SmolVLA  # here: a scripted policy runs where torch is not installed

        started = time.monotonic()
        self.get_logger().info(f"loading checkpoint '{config.checkpoint}'")
        model = SmolVLA.from_pretrained(
            config.checkpoint,
            device=config.device,
            dtype=config.dtype,
            backbone=config.backbone or None,
            revision=config.revision or None,
        )
        calibration = load_calibration(config.calibration) if config.calibration else None
        policy = RobotPolicy(model, self._robot, calibration, config.cameras)
        cameras = ", ".join(policy.cameras)
        self.get_logger().info(
            f"'{policy.name}' loaded in {time.monotonic() - started:.1f} s, cameras: {cameras}"
        )
        left_out = len(model.image_keys) - len(policy.cameras)
        if left_out:
            self.get_logger().warning(
                f"{left_out} of the checkpoint's {len(model.image_keys)} cameras are not used"
            )
        return policy

    def activate(self) -> None:
        with self._changed:
            self._request: ChunkRequest | None = None
            self._synchronized: tuple[Any, ...] | None = None
            self._newest_ns: dict[str, int | None] = dict.fromkeys((*self._policy.cameras, "joint_states"))
            self._stopping = False
        self._subscribe()
        self._worker = threading.Thread(target=self._infer_forever, name="inference")
        self._worker.start()

    def _subscribe(self) -> None:
        image = topics.IMAGE_COMPRESSED if self.config.image_transport == "compressed" else topics.IMAGE_RAW
        streams = [(image, f"{camera}/{image.name}") for camera in self._policy.cameras]
        streams.append((topics.JOINT_STATES, topics.JOINT_STATES.name))
        filters = [
            message_filters.Subscriber(self, topic.type, name, qos_profile=topic.subscribe)
            for topic, name in streams
        ]
        for name, entry in zip(self._newest_ns, filters, strict=True):
            entry.registerCallback(self._note, name)
        self._synchronizer = message_filters.ApproximateTimeSynchronizer(
            filters, SYNC_QUEUE_SIZE, self.config.sync_slop_s
        )
        self._synchronizer.registerCallback(self._on_synchronized)
        request = topics.CHUNK_REQUEST
        self._endpoints = [entry.sub for entry in filters]
        self._endpoints.append(
            self.create_subscription(request.type, request.name, self._on_request, request.subscribe)
        )

    def deactivate(self) -> None:
        for endpoint in self._endpoints:
            self.destroy_subscription(endpoint)
        self._endpoints = []
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._worker is not None:
            self._worker.join()
            self._worker = None

    def cleanup(self) -> None:
        if self._chunk_publisher is not None:
            self.destroy_lifecycle_publisher(self._chunk_publisher)
            self._chunk_publisher = None

    def diagnose(self) -> Health:
        if self._complaint and time.monotonic() - self._complained_s < COMPLAINT_PERIOD_S:
            return Health(WARN, self._complaint)
        values = {"policy": self._policy.name, "chunks": str(self._chunk_id)}
        if self._latencies_s:
            values["inference p50 (s)"] = f"{np.percentile(self._latencies_s, 50):.3f}"
            values["inference p95 (s)"] = f"{np.percentile(self._latencies_s, 95):.3f}"
        return Health(OK, "answering requests", values)

    # Callbacks keep, the thread works.

    def _note(self, message: Any, stream: str) -> None:
        self._newest_ns[stream] = nanoseconds(message.header.stamp)

    def _on_synchronized(self, *messages: Any) -> None:
        with self._changed:
            self._synchronized = messages
            self._changed.notify()

    def _on_request(self, message: msg.ChunkRequest) -> None:
        try:
            request = request_from_msg(message)
        except ValueError as error:
            self.get_logger().warning(f"chunk request refused: {error}")
            return
        with self._changed:
            self._request = request
            self._changed.notify()

    def _infer_forever(self) -> None:
        os.nice(self.config.niceness)  # on Linux of this thread alone, and of those that torch starts from it
        while True:
            with self._changed:
                while not self._stopping and self._request is None:
                    self._changed.wait()
                if self._stopping:
                    return
                request, synchronized = self._request, self._synchronized
            assert request is not None
            try:
                chunk = self._answer(request, synchronized)
            except (ObservationError, ImageError, WireError) as error:
                self._complain(str(error))
                self._wait_for_better(synchronized)
                continue
            except PolicyError as error:
                self._complain(str(error))
                chunk = None
            except Exception:  # the model failed: this request cannot be answered, the next one may
                self.get_logger().error(f"inference failed:\n{traceback.format_exc()}")
                self._complain("inference failed, see the log")
                chunk = None
            with self._changed:
                if self._request is request:
                    self._request = None
                if self._stopping:
                    return
            if chunk is not None:
                self._chunk_publisher.publish(action_chunk_msg(chunk, self.now_ns()))

    def _wait_for_better(self, synchronized: tuple[Any, ...] | None) -> None:
        """Until other messages are there, or for a while: what is too new may only need time."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._synchronized is not synchronized, timeout=0.1
            )

    def _answer(self, request: ChunkRequest, synchronized: tuple[Any, ...] | None) -> ActionChunk:
        now_ns = self.now_ns()
        max_age_s, slop_s = self.config.max_observation_age_s, self.config.sync_slop_s
        if synchronized is None or now_ns - _stamp_ns(synchronized) > max_age_s * NANOSECONDS:
            raise ObservationError(what_keeps_apart(dict(self._newest_ns), now_ns, max_age_s, slop_s))
        observation = self._observation(synchronized, request.task)
        observation.check_times(now_ns, max_age_s, max_skew_s=slop_s)
        started = time.monotonic()
        if self.config.policy == "scripted" and self.config.latency_s:
            time.sleep(self.config.latency_s)
        positions = self._policy.infer(observation)
        duration_s = time.monotonic() - started
        self._latencies_s.append(duration_s)
        self._chunk_id += 1
        step_duration_ns = round(NANOSECONDS / self._robot.rate_hz)
        return ActionChunk(
            positions=positions,
            joint_names=self._robot.joint_names,
            observation_stamp_ns=observation.stamp_ns,
            step_duration_ns=step_duration_ns,
            chunk_id=self._chunk_id,
            request_id=request.request_id,
            task=request.task,
            policy=self._policy.name,
            inference_duration_s=duration_s,
            expires_ns=observation.stamp_ns + len(positions) * step_duration_ns,
        )

    def _observation(self, synchronized: tuple[Any, ...], task: str) -> Observation:
        *images, joint_state = synchronized
        joints = joints_from_msg(joint_state, self._robot.joint_names)
        frames = {
            camera: frame_from_msg(image, camera)
            for camera, image in zip(self._policy.cameras, images, strict=True)
        }
        return Observation(frames, joints, task)

    def _complain(self, complaint: str) -> None:
        self.get_logger().warning(
            f"cannot answer the chunk request yet: {complaint}", throttle_duration_sec=COMPLAINT_PERIOD_S
        )
        self._complaint, self._complained_s = complaint, time.monotonic()


def _stamp_ns(synchronized: tuple[Any, ...]) -> int:
    """Of the oldest message of a set."""
    return min(nanoseconds(message.header.stamp) for message in synchronized)


def main() -> int:
    return run(PolicyNode)


if __name__ == "__main__":
    sys.exit(main())
