# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A table as a web page: a row for each thing that was looked at, with a picture, marked by what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from smolvla_ros.html_page import page_template
from smolvla_ros.viewer.page_files import PageFiles

STYLE = Path(__file__).with_name("page.css")
PAGE = page_template("""\
{% extends "frame" %}
{% block style %}
{{ style }}
table { border-collapse: collapse; width: 100% }
td, th { padding: .5em 1em; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
td { white-space: pre-line }
tr.error td:first-child { border-left: 5px solid var(--error) }
tr.warning td:first-child { border-left: 5px solid var(--warning) }
td img { max-width: 100%; min-width: min(20em, 40vw); border-radius: 3px }
{% endblock %}
{% block body %}
<header><h1>{{ name }}</h1><p>{{ summary }}</p></header>
<table>
<tr>{% for title in head %}<th>{{ title }}</th>{% endfor %}</tr>
{% for row, picture in rows %}
<tr class="{{ row.severity }}"><td>{% if picture %}<img src="{{ picture }}" alt="" loading="lazy">{% endif %}</td>
{% for cell in row.cells %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table>
{% endblock %}
""")


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    cells: Sequence[str]
    picture: bytes | None = None  # JPEG
    severity: str = "ok"  # error, warning or ok


def table_page(name: str, summary: str, head: Sequence[str], rows: Sequence[Row], files: PageFiles) -> str:
    """The page as HTML; `head`: titles of the cells, which the picture precedes. Raises OSError."""
    return PAGE.render(
        name=name,
        summary=summary,
        head=["", *head],
        rows=[(row, files.add(row.picture, ".jpg") if row.picture else None) for row in rows],
        style=Markup(STYLE.read_text(encoding="utf-8")),
    )
