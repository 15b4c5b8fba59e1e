# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Look at recorded episodes in a browser: cameras and joints in sync, what is wrong with them, the faulty ones first.

    view_dataset my_dataset --calibration my_arm.json
    view_dataset episodes --html episodes.html
    view_dataset episodes/episode_000007 --rrd episode.rrd

Needs neither ROS nor LeRobot.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import NoReturn

from smolvla_ros.dataset.errors import DatasetError
from smolvla_ros.stop_signals import handle_stop_signals
from smolvla_ros.suite.bag_options import add_bag_options
from smolvla_ros.suite.command_line import ROBOT, UsageError, add_options, exit_on_errors, new_file
from smolvla_ros.suite.data_checks import CheckedData, checked_data, editable_data
from smolvla_ros.viewer.editing import EditableData, Editor
from smolvla_ros.viewer.episode_page import page
from smolvla_ros.viewer.page_files import EmbeddedFiles, FolderFiles
from smolvla_ros.viewer.rerun_recording import rerun_package, save_recording
from smolvla_ros.viewer.server import page_server


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="view_dataset", description=(__doc__ or "").split("\n\n")[0])
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="PATH", help="dataset folders, bags, or folders of bags")
    add_options(parser, *ROBOT)
    add_bag_options(parser)
    saved = parser.add_mutually_exclusive_group()
    saved.add_argument(
        "--html", type=new_file, metavar="FILE", help="save the page in one file, instead of showing it"
    )
    saved.add_argument(
        "--rrd", type=new_file, metavar="FILE", help="save a recording for Rerun (rerun-sdk) instead"
    )
    add("--port", type=int, default=0, help="of the page on this computer; default: a free one")
    return parser


@exit_on_errors("view_dataset")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if not 0 <= options.port < 1 << 16:
        raise UsageError(f"--port: expected 0 to 65535, got {options.port}")
    if options.rrd:
        rerun_package()  # before the data are read
    data = checked_data(options, options.paths)
    if not data.episodes:
        raise DatasetError(data.report.errors[0].message)
    name = ", ".join(path.resolve().name for path in options.paths)
    if options.html:
        editable = editable_data(options.paths)
        text = page(name, data.report, data.episodes, data.robot, EmbeddedFiles(), editable)
        options.html.write_text(text, encoding="utf-8")
        print(f"page: {options.html}")
    elif options.rrd:
        save_recording(options.rrd, name, data.episodes, data.report.findings, data.robot)
        print(f"recording: {options.rrd}")
    else:
        serve(name, data, editable_data(options.paths), options.port)
    return 0


def serve(name: str, data: CheckedData, editable: EditableData | None, port: int) -> None:
    """Show the page until a stop signal, as of Ctrl-C."""
    handle_stop_signals(_interrupt)  # the folder is removed after all of them
    editing = closing(Editor(editable)) if editable else nullcontext()
    with tempfile.TemporaryDirectory(prefix="view_dataset_") as folder, editing as editor:
        files = FolderFiles(Path(folder))
        text = page(name, data.report, data.episodes, data.robot, files, editable)
        Path(folder, "index.html").write_text(text, encoding="utf-8")
        with page_server(Path(folder), port, editor) as server, suppress(KeyboardInterrupt):
            print(f"open http://127.0.0.1:{server.server_address[1]}/ in a browser; Ctrl-C ends", flush=True)
            server.serve_forever()


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
