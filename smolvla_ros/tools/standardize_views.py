# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Name the cameras of LeRobot datasets (v3.0) by their view, as the SmolVLA paper did: top, wrist, side.

    standardize_views my_dataset --output renamed                     # camera1 (top), camera2 (wrist), camera3 (side)
    standardize_views first second --output renamed --view phone=side --yes

A view is told by the camera's name, by its motion with the arm, or, with --ask, by a vision-language model.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from smolvla_ros.curation.camera_views import ViewProposal, new_camera_names, propose_views
from smolvla_ros.curation.dataset_images import spread_over_dataset, thumbnails
from smolvla_ros.curation.image_motion import camera_motion
from smolvla_ros.curation.model_loading import open_model
from smolvla_ros.curation.view_question import ask_view
from smolvla_ros.curation.vision_language_model import ModelSettings, VisionLanguageModel
from smolvla_ros.dataset.edited_dataset import write_edited
from smolvla_ros.dataset.edits import Edits, edited_clips
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.suite.command_line import UsageError, add_settings, exit_on_errors, positive_int, settings_of
from smolvla_ros.terminal.prompt import Prompt
from smolvla_ros.text_table import align_columns
from smolvla_ros.viewer.page_files import EmbeddedFiles
from smolvla_ros.viewer.table_page import Row, table_page

HEAD = ("dataset", "camera", "view", "new name", "because")
SHOWN = 6  # images of a camera


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="standardize_views",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 done, 1 a view is not known, or not written, 2 the command line is wrong.",
    )
    add = parser.add_argument
    add("inputs", nargs="+", type=Path, metavar="DATASET", help="dataset folder")
    add(
        "--output",
        type=Path,
        required=True,
        help="folder of the new dataset; of several: the folder of their folders",
    )
    add(
        "--view",
        nargs="+",
        default=[],
        metavar="CAMERA=VIEW",
        help="top, wrist or side, in all these datasets",
    )
    add("--by-view", action="store_true", help="name cameras top, wrist, side, not camera1, camera2, camera3")
    add(
        "--html",
        type=Path,
        metavar="FILE",
        help="the proposal as a page with pictures; default: OUTPUT.views.html",
    )
    add("--yes", action="store_true", help="write without asking")
    add("--ask", action="store_true", help="ask a model where neither name nor motion tells")
    add("--jobs", type=positive_int, default=os.cpu_count() or 1, help="processes that copy; %(default)s")
    add_settings(parser, ModelSettings)
    return parser


def given_views(options: argparse.Namespace, dataset: LeRobotDataset) -> dict[str, str]:
    """Those of --view that are of this dataset's cameras, if there are several datasets. Raises UsageError."""
    views = dict(text.partition("=")[::2] for text in options.view)
    if not all(views.values()):
        raise UsageError("--view: expected CAMERA=VIEW, such as phone=side")
    several = len(options.inputs) > 1
    return {camera: view for camera, view in views.items() if not several or camera in dataset.image_keys}


def propose(
    options: argparse.Namespace, dataset: LeRobotDataset, model: VisionLanguageModel | None
) -> list[ViewProposal]:
    """Raises DataError, ModelError, UsageError."""
    keys = dataset.image_keys
    motions = {camera: camera_motion(dataset, camera) for camera in keys}
    ask = partial(ask_view, model, dataset) if model else None
    return propose_views(keys, motions, given_views(options, dataset), ask)


def rows_of(dataset: LeRobotDataset, proposals: Sequence[ViewProposal], names: dict[str, str]) -> list[Row]:
    """A row of the table for each camera. Raises DataError."""
    places = spread_over_dataset(dataset, SHOWN)
    return [
        Row(
            (
                dataset.root.name,
                each.camera,
                each.view or "?",
                names.get(each.camera, each.camera),
                "; ".join(filter(None, (each.reason, each.doubt))),
            ),
            thumbnails(dataset, [each.camera], places),
            "ok" if each.view and not each.doubt else "warning" if each.view else "error",
        )
        for each in proposals
    ]


@exit_on_errors("standardize_views")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    datasets = [LeRobotDataset.load(path) for path in options.inputs]
    if len({dataset.root.name for dataset in datasets}) < len(datasets):
        raise UsageError("two inputs have the same name; give their folders different names")
    model = open_model(settings_of(options, ModelSettings)) if options.ask else None
    rows: list[Row] = []
    renames: dict[LeRobotDataset, dict[str, str]] = {}
    unknown = 0
    for dataset in tqdm(datasets, "views", unit=" datasets", disable=None, leave=False):
        proposals = propose(options, dataset, model)
        names = new_camera_names(proposals, options.by_view)
        rows += rows_of(dataset, proposals, names)
        if any(not proposal.view for proposal in proposals):
            unknown += 1
        elif names:
            renames[dataset] = names
    print("\n".join(align_columns([HEAD, *(row.cells for row in rows)])))
    html = options.html or options.output.with_name(f"{options.output.name}.views.html")
    summary = f"{len(renames)} of {len(datasets)} datasets to rename, {unknown} with an unknown view (--view)"
    html.write_text(table_page("Camera views", summary, HEAD, rows, EmbeddedFiles()), encoding="utf-8")
    print(f"{summary}\npage: {html}")
    if renames and not (options.yes or Prompt().confirm(f"Write {options.output}?")):
        return 1
    for dataset, names in renames.items():
        edits = Edits(cameras=names)
        output = options.output / dataset.root.name if len(datasets) > 1 else options.output
        write_edited({"": edited_clips([dataset], edits)}, [dataset], edits, output, options.jobs)
        print(f"dataset: {output}")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
