# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Matches the robot's cameras with the images of a checkpoint, and suggests lines for the robot file.

SmolVLA distinguishes cameras by their order only, so with a camera under the wrong key the arm moves wrongly without an
error. Names must match exactly; similar names are only suggested.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smolvla_ros.finding import Finding
from smolvla_ros.robot import CameraSpec, RobotSpec

# Common names of the same view, in the order in which SmolVLA was trained to see them: the paper's OBS_IMAGE_1 (from
# above), _2 (on the wrist), _3 (further ones); LeRobot's base checkpoint (camera1, or image in its first
# revision); its tutorials and data sets (laptop and phone, top, front, up, side). Lower case.
VIEWS = (
    (
        "top",
        "up",
        "above",
        "overhead",
        "cam_high",
        "front",
        "laptop",
        "obs_image_1",
        "camera1",
        "image",
        "image1",
    ),
    ("wrist", "cam_wrist", "hand", "gripper", "phone", "obs_image_2", "camera2", "image2"),
    ("side", "left", "right", "obs_image_3", "camera3", "image3"),
)
ALIKE = 0.6  # difflib's ratio from which two names count as similar
IMAGE_TOPIC, COMPRESSED = (
    "image_raw",
    "compressed",
)  # in the namespace of the camera; the second is the default


@dataclass(frozen=True)
class CameraMatch:
    """The checkpoint's names of the robot's cameras, and the problem with them, if any."""

    image_keys: Mapping[str, str]  # robot camera -> the checkpoint's image key, in the checkpoint's order
    finding: Finding | None = None


def match_cameras(
    checkpoint: str,
    image_keys: Sequence[str],
    robot: RobotSpec,
    chosen: Sequence[str] = (),
    renames: Mapping[str, str] | None = None,
) -> CameraMatch:
    """Robot cameras for the short `image_keys` of `checkpoint`; raises RobotSpecError for an unknown `chosen` camera.

    Every image needs a camera, unless the cameras are `chosen` by name: leaving out a camera that the policy was
    trained with must be explicit. `renames`: names that the checkpoint's own processors rename to its keys.
    """
    candidates = robot.select_cameras(chosen) if chosen else robot.cameras
    by_key = {camera.image_key: camera for camera in candidates}
    matched = {by_key[key].name: key for key in image_keys if key in by_key}
    unknown = [key for key in by_key if key not in image_keys] if chosen else []
    missing = [key for key in image_keys if key not in by_key]
    if not (unknown if chosen else missing):
        return CameraMatch(matched)
    free = [camera for camera in candidates if camera.name not in matched]
    have = ", ".join(f"{camera.name} ({camera.image_key})" for camera in candidates)
    message = (
        f"checkpoint '{checkpoint}' sees {', '.join(image_keys)}; robot '{robot.name}' has {have}. "
        f"Without a partner: {', '.join(unknown or missing)}"
    )
    remedy = _remedy(suggest_cameras(missing, free, renames or {}), matched)
    return CameraMatch(matched, Finding("error", "cameras", message, remedy))


def suggest_cameras(
    image_keys: Sequence[str], cameras: Sequence[CameraSpec], renames: Mapping[str, str]
) -> dict[str, CameraSpec]:
    """A likely camera for each image key, by the strongest reason; keys without one are left out."""
    suggested: dict[str, CameraSpec] = {}
    for reason in (_renamed, _same, _same_view, _alike):
        for key in image_keys:
            free = [camera for camera in cameras if camera not in suggested.values()]
            names = [(name, camera) for camera in free for name in (camera.name, camera.image_key)]
            partner = next((camera for name, camera in names if reason(key, name, renames)), None)
            if key not in suggested and partner is not None:
                suggested[key] = partner
    return suggested


def _renamed(key: str, name: str, renames: Mapping[str, str]) -> bool:
    return renames.get(name) == key


def _same(key: str, name: str, _renames: Mapping[str, str]) -> bool:
    return key.lower() == name.lower()


def _same_view(key: str, name: str, _renames: Mapping[str, str]) -> bool:
    return view_index(key) is not None and view_index(key) == view_index(name)


def _alike(key: str, name: str, _renames: Mapping[str, str]) -> bool:
    return difflib.SequenceMatcher(None, key.lower(), name.lower()).ratio() >= ALIKE


def view_index(name: str) -> int | None:
    """The index in VIEWS of a camera or image with this name; None if unknown."""
    return next((index for index, names in enumerate(VIEWS) if name.lower() in names), None)


def _remedy(suggested: Mapping[str, CameraSpec], matched: Mapping[str, str]) -> str:
    lines = [
        f"  - {{name: {camera.name}, image_key: {key}, width: {camera.width}, height: {camera.height}, "
        f"rate_hz: {camera.rate_hz}, frame_id: {camera.frame_id}}}"
        for key, camera in suggested.items()
    ]
    remedies = []
    if lines:
        remedies.append(
            "If these are the same views, write under `cameras:` of the robot file\n" + "\n".join(lines)
        )
    else:
        remedies.append("Set `image_key` of the camera with that view in the robot file")
    if matched:
        remedies.append(
            f"or run it with fewer images than it was trained on, `policy_cameras:={','.join(matched)}` (parameter "
            "`cameras` of the policy node), and test that"
        )
    return "\n".join(remedies)


@dataclass(frozen=True)
class TopicMatch:
    """The image topic of each matched camera, and the problem with the given ones, if any."""

    topics: Mapping[str, str]  # robot camera -> topic
    finding: Finding | None = None


def match_topics(image_keys: Mapping[str, str], robot: RobotSpec, given: Mapping[str, str]) -> TopicMatch:
    """Topics of the cameras in `image_keys` (camera -> key): the default ones, or those `given` by camera or key."""
    topics = {camera: f"{camera}/{IMAGE_TOPIC}/{COMPRESSED}" for camera in image_keys}
    if not given:
        return TopicMatch(topics)
    by_name = {name: camera for camera, key in image_keys.items() for name in (key, camera)}
    fed = {by_name[name]: topic for name, topic in given.items() if name in by_name}
    topics.update({camera: _remapped(camera, topic) for camera, topic in fed.items()})
    unknown = [name for name in given if name not in by_name]
    unfed = [robot.camera(camera) for camera in image_keys if camera not in fed]
    shared = sorted({topic for topic in fed.values() if list(fed.values()).count(topic) > 1})
    problems = [
        *([f"no camera or image in use is called {', '.join(unknown)}"] if unknown else []),
        *(
            [f"no topic feeds {', '.join(f'{c.name} ({image_keys[c.name]})' for c in unfed)}"]
            if unfed
            else []
        ),
        *([f"{', '.join(shared)} would feed two cameras"] if shared else []),
    ]
    if not problems:
        return TopicMatch(topics)
    likely = suggest_cameras(unknown, unfed, {})
    remedy = f"Give one topic for each of {', '.join(image_keys.values())}"
    if likely:
        lines = " ".join(f"{image_keys[camera.name]}={given[name]}" for name, camera in likely.items())
        remedy = f"If these are the same views, write {lines}"
    return TopicMatch(topics, Finding("error", "topics", "; ".join(problems), remedy))


def _remapped(camera: str, topic: str) -> str:
    """The topic, with the node's arguments for it unless it is the default one."""
    base = topic.removesuffix(f"/{COMPRESSED}")
    if base.strip("/") == f"{camera}/{IMAGE_TOPIC}":
        return topic
    own = f"{camera}/{IMAGE_TOPIC}" + topic.removeprefix(base)
    return f"{topic} (-r {own}:={topic}{'' if topic != base else ' -p image_transport:=raw'})"
