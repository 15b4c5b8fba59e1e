# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HTML pages from templates that fill the blocks `style` and `body` of one frame; their title is the value `name`."""

from __future__ import annotations

from jinja2 import DictLoader, Environment, Template

FRAME = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ name }}</title>
<style>
{% block style %}{% endblock %}
</style>
{% block body %}{% endblock %}
</html>
"""
_ENVIRONMENT = Environment(autoescape=True, trim_blocks=True, loader=DictLoader({"frame": FRAME}))


def page_template(text: str) -> Template:
    """The template of a page, which begins with {% extends "frame" %}; values are escaped."""
    return _ENVIRONMENT.from_string(text)
