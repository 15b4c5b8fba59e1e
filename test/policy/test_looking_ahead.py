# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images that are encoded before a chunk is asked for change nothing but when they are encoded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.policy import PolicyError


@pytest.fixture
def encoded(policy: SmolVLA, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of images of each call that encodes some."""
    calls: list[int] = []
    encode = policy.network.encode_images

    def counted(images: Any) -> Any:
        calls.append(len(images))
        return encode(images)

    monkeypatch.setattr(policy.network, "encode_images", counted)
    return calls


def test_a_chunk_of_the_same_arrays_is_equal_bit_for_bit_and_encodes_nothing(
    policy: SmolVLA, observation: dict[str, Any], encoded: list[int]
) -> None:
    expected = policy.predict_chunk(**observation, seed=3)
    count = len(observation["images"])
    assert policy.look(observation["images"])
    assert encoded == [count, count]
    assert np.array_equal(policy.predict_chunk(**observation, seed=3), expected)
    assert encoded == [count, count]
    assert np.array_equal(policy.predict_chunk(**observation, seed=3), expected)  # kept for one chunk only
    assert encoded == [count] * 3


def test_other_arrays_or_cameras_are_encoded_anew(
    policy: SmolVLA, observation: dict[str, Any], encoded: list[int]
) -> None:
    images = observation["images"]
    others = {key: 255 - image for key, image in images.items()}
    first = dict(list(images.items())[:1])
    for asked in (others, first):
        given = {**observation, "images": asked}
        expected = policy.predict_chunk(**given, seed=3)
        policy.look(images)
        encoded.clear()
        assert np.array_equal(policy.predict_chunk(**given, seed=3), expected)
        assert encoded == [len(asked)]


def test_a_reset_forgets_the_images(policy: SmolVLA, observation: dict[str, Any], encoded: list[int]) -> None:
    policy.look(observation["images"])
    policy.reset()
    encoded.clear()
    policy.predict_chunk(**observation)
    assert len(encoded) == 1


def test_images_that_do_not_fit_are_refused(policy: SmolVLA, observation: dict[str, Any]) -> None:
    image = next(iter(observation["images"].values()))
    with pytest.raises(PolicyError, match="is unknown to"):
        policy.look({"elbow": image})
    with pytest.raises(PolicyError, match="expected RGB uint8"):
        policy.look({policy.image_keys[0]: image.astype(np.float32)})
