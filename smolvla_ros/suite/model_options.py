# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Command line options that choose a vision-language model, for the tools that ask one."""

from __future__ import annotations

import argparse
from dataclasses import fields

from smolvla_ros.curation.vision_language_model import ModelSettings
from smolvla_ros.suite.command_line import add_options

NAMES = tuple(entry.name for entry in fields(ModelSettings))


def add_model_options(parser: argparse.ArgumentParser) -> None:
    add_options(parser, *NAMES, of=ModelSettings)


def model_settings(options: argparse.Namespace) -> ModelSettings:
    """Raises SettingError."""
    return ModelSettings(**{name: getattr(options, name) for name in NAMES})
