# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Opens the vision-language model that settings choose."""

from __future__ import annotations

from smolvla_ros.curation.endpoint import Endpoint
from smolvla_ros.curation.vision_language_model import ModelSettings, VisionLanguageModel


def open_model(settings: ModelSettings) -> VisionLanguageModel:
    """Load or connect to the model; raises ModelError."""
    if settings.url:
        return Endpoint(settings.url, settings.model, settings.max_tokens)
    from smolvla_ros.curation.transformers_model import TransformersModel  # imports torch

    return TransformersModel(settings.model, settings.device, settings.max_tokens)
