# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A vision-language model behind an OpenAI-compatible address, such as that of vLLM, llama.cpp or a cloud."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from smolvla_ros.curation.vision_language_model import ModelError, Question
from smolvla_ros.image import encode_jpeg

TIMEOUT_S = 300.0
KEY = "OPENAI_API_KEY"  # environment variable with the key of the endpoint, if it needs one


class Endpoint:
    """Sends each question as one request, those of a batch at the same time."""

    def __init__(self, url: str, model: str, max_tokens: int) -> None:
        """`url`: up to /v1. Raises ModelError."""
        if not url.startswith(("http://", "https://")):
            raise ModelError(f"--url '{url}' is no address; give one such as http://localhost:8000/v1")
        self._url, self._model, self._max_tokens = f"{url.rstrip('/')}/chat/completions", model, max_tokens

    def answer(self, questions: Sequence[Question]) -> list[str]:
        """As of VisionLanguageModel."""
        with ThreadPoolExecutor(max(1, len(questions))) as pool:
            return list(pool.map(self._answer, questions))

    def _answer(self, question: Question) -> str:
        content: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{_base64_jpeg(image)}"}}
            for image in question.images
        ]
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": [*content, {"type": "text", "text": question.text}]}],
            "max_tokens": self._max_tokens,
            "temperature": 0.0,
        }
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        request = Request(self._url, json.dumps(body).encode(), headers)
        try:
            with urlopen(request, timeout=TIMEOUT_S) as response:
                return str(json.load(response)["choices"][0]["message"]["content"] or "")
        except HTTPError as error:
            text = error.read(300).decode(errors="replace")
            raise ModelError(
                f"{self._url}: {error.code} {error.reason}: {text}; check --model and {KEY}"
            ) from error
        except (OSError, HTTPException) as error:
            raise ModelError(
                f"{self._url}: {error}; is the server running? The same command continues"
            ) from error
        except (ValueError, LookupError, TypeError) as error:
            raise ModelError(
                f"{self._url}: its answer is not that of an OpenAI-compatible server: {error}"
            ) from error


def _base64_jpeg(image: Any) -> str:
    return base64.b64encode(encode_jpeg(image)).decode()
