# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Limits on the length of source files and functions; command lines are short and imported by nothing."""

from __future__ import annotations

import ast

from .test_import_map import FILES, GRAPH, PACKAGE, ROOT

FILE_LINES, TOOL_LINES, FUNCTION_LINES = 350, 149, 60
PATHS = {str(path.relative_to(ROOT / PACKAGE)): path for path in FILES}
LINES = {name: len(path.read_text().splitlines()) for name, path in PATHS.items()}


def test_no_file_is_too_long():
    limits = {name: TOOL_LINES if name.startswith("tools/") else FILE_LINES for name in LINES}
    assert {name: lines for name, lines in LINES.items() if lines > limits[name]} == {}


def test_no_function_is_too_long():
    functions = {
        f"{name}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for name, path in PATHS.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert {name: lines for name, lines in functions.items() if lines > FUNCTION_LINES} == {}


def test_no_file_imports_a_command_line():
    assert [
        f"{name} imports {imported}"
        for name, names in GRAPH.items()
        for imported in names
        if imported.startswith("tools.")
    ] == []
