# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which camera of a dataset sees from the top, from the wrist and from the side: by its name, its motion, or a model.

The paper renamed the cameras of all datasets to OBS_IMAGE_1 (top), _2 (wrist) and _3 (side), further ones in their
order; its base checkpoint now calls them camera1, camera2, camera3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from smolvla_ros.curation.image_motion import CameraMotion
from smolvla_ros.dataset.errors import DatasetError

VIEWS = ("top", "wrist", "side")  # in the order of camera1, camera2, camera3
WORDS = {
    "top": "top up above overhead high bird birdseye ceiling head topdown",
    "wrist": "wrist gripper hand handeye eih eef ego effector jaw",
    "side": "side left right front lateral profile",
}  # words of names; others, such as laptop, phone, webcam or cam0, say nothing about the view
VIEW_OF_WORD = {word: view for view, words in WORDS.items() for word in words.split()}
# Numbers say something only as the names that the paper and its base checkpoint use.
NUMBERED = re.compile(r"(?:obs_image_?|camera)([123])", re.I)


@dataclass(frozen=True)
class ViewProposal:
    """The view of a camera. An empty one is not known: a person has to say it."""

    camera: str
    view: str
    reason: str  # for people
    doubt: str = ""  # what speaks against it


def view_of_name(camera: str) -> str:
    """The view that a camera's name says; empty if it says none, or several."""
    words = re.findall(r"[A-Z]?[a-z]+", camera)
    views = {VIEW_OF_WORD[word.lower()] for word in words if word.lower() in VIEW_OF_WORD}
    if "wrist" in views:  # left_wrist
        return "wrist"
    return views.pop() if len(views) == 1 else ""


def propose_views(
    cameras: Sequence[str],
    motions: Mapping[str, CameraMotion],
    given: Mapping[str, str],
    ask: Callable[[str], str] | None = None,
) -> list[ViewProposal]:
    """The view of each camera. `given`: camera -> view, by a person. `ask`: a model's answer for a camera, a view or
    empty; None: there is no model. Raises DatasetError for an unknown camera or view."""
    for camera, view in given.items():
        if camera not in cameras or view not in VIEWS:
            raise DatasetError(
                f"'{camera}={view}': the cameras are {', '.join(cameras)}, the views {', '.join(VIEWS)}"
            )
    proposals = [_proposal(camera, motions[camera], given.get(camera, ""), ask) for camera in cameras]
    return _last_one_left(_without_repetition(_exchanged(proposals, motions)))


def _proposal(
    camera: str, motion: CameraMotion, given: str, ask: Callable[[str], str] | None
) -> ViewProposal:
    measured = f"{motion.changed:.0%} of its image changes with the arm"
    if given:
        return ViewProposal(camera, given, "given")
    named, on_arm = view_of_name(camera), motion.is_on_arm
    if named and (on_arm is None or on_arm == (named == "wrist")):
        return ViewProposal(camera, named, "its name")
    doubt = f"its name says {named}, but {measured}" if named else ""
    if on_arm:
        return ViewProposal(camera, "wrist", measured, doubt)
    answer = ask(camera) if ask else ""
    if answer and not (answer == "wrist" and on_arm is False):
        return ViewProposal(camera, answer, "the model's answer", doubt)
    numbered = NUMBERED.fullmatch(camera)
    view = VIEWS[int(numbered[1]) - 1] if numbered else ""
    if view and (on_arm is None or view != "wrist"):
        return ViewProposal(camera, view, "its number", doubt)
    return ViewProposal(
        camera, "", "not known", doubt or f"neither its name nor its motion tells ({measured})"
    )


def _exchanged(proposals: list[ViewProposal], motions: Mapping[str, CameraMotion]) -> list[ViewProposal]:
    """With the view of the camera that is named wrist but stands still: that which the one on the arm is named."""
    moving = [p for p in proposals if p.view == "wrist" and p.doubt]
    still = [
        p for p in proposals if view_of_name(p.camera) == "wrist" and motions[p.camera].is_on_arm is False
    ]
    if len(moving) != 1 or len(still) != 1 or still[0].view:
        return proposals
    view = view_of_name(moving[0].camera)
    return [
        replace(p, view=view, reason=f"exchanged with {moving[0].camera}") if p is still[0] else p
        for p in proposals
    ]


def _without_repetition(proposals: list[ViewProposal]) -> list[ViewProposal]:
    """Of several cameras with one view the first one has it, unless a later one was given by a person."""
    taken: dict[str, str] = {}
    for proposal in sorted(proposals, key=lambda each: each.reason != "given"):
        taken.setdefault(proposal.view, proposal.camera)
    return [
        replace(proposal, view="", doubt=f"{taken[proposal.view]} is the {proposal.view} view already")
        if proposal.view and taken[proposal.view] != proposal.camera
        else proposal
        for proposal in proposals
    ]


def _last_one_left(proposals: list[ViewProposal]) -> list[ViewProposal]:
    """With the third of three views for the only camera that is not known."""
    unknown = [proposal for proposal in proposals if not proposal.view]
    free = set(VIEWS) - {proposal.view for proposal in proposals}
    if len(proposals) != len(VIEWS) or len(unknown) != 1 or "wrist" in free or len(free) != 1:
        return proposals
    view = free.pop()
    return [
        replace(each, view=view, reason="the only view that is left") if each is unknown[0] else each
        for each in proposals
    ]


def new_camera_names(proposals: Sequence[ViewProposal], by_view: bool = False) -> dict[str, str]:
    """Camera -> new name of those that change: camera1 .. 3 (top, wrist, side) or, with `by_view`, these words.

    Cameras without a view are numbered after these, in their order, or keep their names.
    """
    names = {}
    number = len(VIEWS)
    for proposal in proposals:
        if proposal.view:
            name = proposal.view if by_view else f"camera{VIEWS.index(proposal.view) + 1}"
        else:
            number += 1
            name = proposal.camera if by_view else f"camera{number}"
        names[proposal.camera] = name
    return {old: new for old, new in names.items() if old != new}
