# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the page says is parsed strictly; hostile text of any kind raises one typed error."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smolvla_ros.console import messages
from smolvla_ros.console.messages import KINDS, MAX_MESSAGE, MessageError, parse


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"say": "stop"}', messages.Stop()),
        ('{"say": "take_control", "name": "Anna"}', messages.TakeControl("Anna")),
        ('{"say": "arm", "on": true}', messages.Arm(True)),
        ('{"say": "set_task", "task": "Nimm den roten Würfel"}', messages.SetTask("Nimm den roten Würfel")),
        ('{"say": "record", "verb": "success"}', messages.Record("success")),
        (
            '{"say": "tune", "fusion": "smooth", "trigger": "auto", "threshold": 1}',
            messages.Tune("smooth", "auto", 1.0),
        ),
        ('{"say": "take_over", "on": true}', messages.TakeOver(True)),
        ('{"say": "move_to", "positions": [0.5, -1]}', messages.MoveTo([0.5, -1.0])),
        ('{"say": "begin_trial"}', messages.BeginTrial()),
        (
            '{"say": "judge_trial", "success": false, "stages": ["grasped"], "failures": ["stuck"]}',
            messages.JudgeTrial(False, ["grasped"], ["stuck"]),
        ),
    ],
)
def test_a_message_becomes_a_value(text: str, message: object) -> None:
    assert parse(text) == message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not valid JSON"),
        ("[" * MAX_MESSAGE, "not valid JSON"),
        ("[" * (MAX_MESSAGE + 1), "more than"),
        ("[]", "does not say one of stop,"),
        ('{"say": ["stop"]}', "does not say"),
        ('{"say": "shutdown"}', "does not say"),
        ('{"say": "arm"}', "arm: its values must be on"),
        ('{"say": "stop", "on": true}', "stop: its values must be none"),
        ('{"say": "arm", "on": 1}', "arm: on must be a bool"),
        ('{"say": "set_task", "task": "a\\nb"}', "printable"),
        ('{"say": "set_task", "task": "\\ud800"}', "printable"),
        ('{"say": "set_task", "task": "' + "x" * 301 + '"}', "at most 300"),
        ('{"say": "record", "verb": "format"}', "none of start"),
        ('{"say": "tune", "fusion": "smooth", "trigger": "auto", "threshold": 1e999}', "threshold: inf"),
        ('{"say": "tune", "fusion": "smooth", "trigger": "auto", "threshold": NaN}', "not valid JSON"),
        ('{"say": "judge_trial", "success": true, "stages": {}, "failures": []}', "stages must be a list"),
        (
            '{"say": "judge_trial", "success": true, "stages": [1], "failures": []}',
            "each entry must be a str",
        ),
        ('{"say": "judge_trial", "success": true, "stages": ["a\\nb"], "failures": []}', "printable"),
        (
            '{"say": "judge_trial", "success": true, "stages": [], "failures": ["fun"]}',
            "none of wrong_object",
        ),
        (
            '{"say": "judge_trial", "success": true, "failures": [], "stages": [' + '"a",' * 12 + '"a"]}',
            "more than 12 entries",
        ),
        ('{"say": "move_to", "positions": [1e999]}', "finite number"),
        ('{"say": "move_to", "positions": ["0"]}', "finite number"),
        ('{"say": "move_to", "positions": [' + "0," * 32 + "0]}", "more than 32 entries"),
        ('{"say": "tune", "fusion": "x", "trigger": "auto", "threshold": 0.5}', "'x' is not one of"),
    ],
)
def test_an_error_says_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(MessageError, match=words):
        parse(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = "on task name verb fusion trigger threshold success stages failures positions __class__"
FIELDS = st.sampled_from(NAMES.split())
OBJECTS = st.builds(
    lambda kind, values: json.dumps({"say": kind, **values}),
    st.sampled_from([*KINDS]) | VALUES,
    st.dictionaries(FIELDS, VALUES, max_size=3),
)


@given(st.one_of(OBJECTS, st.text(), VALUES.map(json.dumps)))
@settings(max_examples=300)
def test_any_text_is_a_message_or_one_typed_error(text: str) -> None:
    with suppress(MessageError):
        assert isinstance(parse(text), tuple(KINDS.values()))
