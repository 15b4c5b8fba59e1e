# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Vision-language models answer: a tiny random one of transformers' own classes, and one behind an address."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from smolvla_ros.curation.endpoint import KEY, Endpoint
from smolvla_ros.curation.model_loading import open_model
from smolvla_ros.curation.vision_language_model import ModelError, ModelSettings, Question

from .answer_server import answer_server

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 48, 3), np.uint8)
TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{{ '<image>' if part['type'] == 'image' else part['text'] }} {% endfor %}{% endfor %}"
)
WORDS = ["<pad>", "<unk>", "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
WORDS += [
    "what",
    "does",
    "the",
    "arm",
    "do",
    "pick",
    "up",
    "push",
    "open",
    "cube",
    "drawer",
    "red",
    "blue",
    "task",
]


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as save_pretrained writes it: a random Idefics3, of which SmolVLM is a kind, with its processor."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("tiny")
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words,
        model_input_names=["input_ids", "attention_mask"],
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<end_of_utterance>",
    )
    size = {"longest_edge": 32}
    images = transformers.Idefics3ImageProcessor(size=size, max_image_size=size, do_image_splitting=False)
    transformers.Idefics3Processor(
        images, tokenizer, image_seq_len=4, chat_template=TEMPLATE
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.Idefics3Config(
        text_config={
            "model_type": "llama",
            "vocab_size": len(WORDS),
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "pad_token_id": 0,
        },
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 8,
        },
        scale_factor=2,
        image_token_id=WORDS.index("<image>"),
        pad_token_id=0,
    )
    transformers.Idefics3ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def test_answers_of_a_batch_are_those_of_single_questions(tiny_model: Path) -> None:
    model = open_model(ModelSettings(model=str(tiny_model), device="cpu", max_tokens=5))
    questions = [
        Question([IMAGE], "what does the arm do"),
        Question([IMAGE[::-1], IMAGE], "push the red cube or open the blue drawer"),
    ]
    answers = model.answer(questions)
    assert answers == [answer for question in questions for answer in model.answer([question])]
    assert all(set(answer.split()) <= {*WORDS} for answer in answers) and answers != ["", ""]


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    with pytest.raises(ModelError, match=f"model '{tmp_path}' cannot be loaded"):
        open_model(ModelSettings(model=str(tmp_path)))


def test_an_endpoint_gets_image_text_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []
    monkeypatch.setenv(KEY, "secret")
    with answer_server(lambda request: seen.append(request) or "Push the cube") as url:
        model = open_model(ModelSettings(url=url, model="small", max_tokens=7))
        assert model.answer([Question([IMAGE], "What?")] * 2) == ["Push the cube"] * 2
    request = seen[0]
    image, text = request["messages"][0]["content"]
    kind, _, data = image["image_url"]["url"].partition(";base64,")
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert kind == "data:image/jpeg" and picture is not None and picture.shape == IMAGE.shape
    assert text == {"type": "text", "text": "What?"} and request["max_tokens"] == 7
    assert (request["path"], request["model"], request["key"]) == (
        "/v1/chat/completions",
        "small",
        "Bearer secret",
    )


@pytest.mark.parametrize(("answer", "message"), [(404, "404 Not Found"), (503, "503 Service Unavailable")])
def test_a_failure_of_the_endpoint_is_named(answer: int, message: str) -> None:
    with answer_server(lambda _: answer) as url, pytest.raises(ModelError, match=message):
        Endpoint(url, "small", 7).answer([Question([IMAGE], "What?")])


def test_an_address_without_a_server_is_named() -> None:
    with answer_server(lambda _: "") as url:
        pass
    with pytest.raises(ModelError, match="is the server running"):
        Endpoint(url, "small", 7).answer([Question([], "What?")])
    with pytest.raises(ModelError, match="'localhost' is no address"):
        Endpoint("localhost", "small", 7)
