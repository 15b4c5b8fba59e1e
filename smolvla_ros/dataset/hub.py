# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Datasets to and from the Hugging Face Hub. What was interrupted continues: files that arrived are not sent again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
)

from smolvla_ros.dataset.errors import DatasetError, HubError
from smolvla_ros.dataset.lerobot_format import VERSION
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.dataset.output_lock import locked_folder

CARD = "README.md"
FILES = ["data/*", "meta/*", "videos/*"]  # of a dataset; * stands for slashes too


def hub() -> HfApi:
    """The hub of the environment: HF_ENDPOINT, HF_TOKEN, or as logged in."""
    return HfApi(library_name="smolvla_ros")


def push_dataset(api: HfApi, folder: Path, name: str, card: str, private: bool = True) -> str:
    """Upload a dataset folder in one commit, with this card unless it has its own; returns the address.

    A dataset of this name on the hub is replaced. `name`: NAME or USER/NAME. Raises HubError.
    """
    with _hub_errors(api, name):
        url = api.create_repo(name, private=private, repo_type="dataset", exist_ok=True)
        is_public = not api.dataset_info(url.repo_id).private
    if is_public and private:
        raise HubError(f"'{url.repo_id}' is public on the hub; give --public to replace it, or another name")
    if not (is_public or private):
        raise HubError(
            f"'{url.repo_id}' is private on the hub; make it public in its settings there ({url}/settings), or leave "
            "out --public"
        )
    with _hub_errors(api, name):
        api.upload_folder(
            repo_id=url.repo_id,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=[*FILES, CARD],
            delete_patterns=FILES,  # of an earlier, larger version
            commit_message="Upload dataset",
        )
        if not (folder / CARD).exists():
            api.upload_file(
                repo_id=url.repo_id,
                repo_type="dataset",
                path_or_fileobj=card.encode(),
                path_in_repo=CARD,
                commit_message="Describe the dataset",
            )
        with suppress(RevisionNotFoundError):
            api.delete_tag(url.repo_id, tag=VERSION, repo_type="dataset")
        api.create_tag(
            url.repo_id, tag=VERSION, repo_type="dataset"
        )  # LeRobot looks for the tag of its format
    return str(url)


def pull_dataset(api: HfApi, name: str, output: Path, revision: str | None = None) -> LeRobotDataset:
    """Download a dataset to a new folder, which appears when it is complete. Raises HubError, DatasetError.

    `revision`: branch, tag or commit; None: main.
    """
    output = output.resolve()
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise DatasetError(f"output '{output}' exists; give another folder")
    work = output.parent / f".{output.name}.download"
    with locked_folder(work):
        with _hub_errors(api, name):
            info = api.dataset_info(name, revision=revision)
        part = work / str(info.sha)
        for other in work.iterdir():
            if other != part:
                shutil.rmtree(other)  # of another revision
        for patterns in ("meta/*", None):
            with _hub_errors(api, name):
                api.snapshot_download(
                    name, repo_type="dataset", revision=info.sha, local_dir=part, allow_patterns=patterns
                )
            LeRobotDataset.load(part)  # after the tables: is it a dataset that can be read?
        # where the hub is not reached any more, snapshot_download returns what is there
        if missing := [f.rfilename for f in info.siblings or () if not (part / f.rfilename).exists()]:
            raise HubError(f"'{name}': {len(missing)} files are missing; the same command continues")
        shutil.rmtree(part / ".cache", ignore_errors=True)
        os.rename(part, output)
    return LeRobotDataset.load(output)


@contextmanager
def _hub_errors(api: HfApi, name: str) -> Iterator[None]:
    """Raise the errors of the library as HubError."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        is_general = isinstance(error, (RuntimeError, LocalEntryNotFoundError))
        cause = error.__cause__ if is_general and error.__cause__ else error
        lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
        message = lines[0] if lines else type(cause).__name__
        raise HubError(f"'{name}' at {api.endpoint}: {message}; {_remedy(cause)}") from error


def _remedy(error: BaseException) -> str:
    response = error.response if isinstance(error, HfHubHTTPError) else None
    status = response.status_code if response is not None else None
    if isinstance(error, HFValidationError):
        return "give a name such as USER/NAME"
    if isinstance(error, OfflineModeIsEnabled):
        return "unset HF_HUB_OFFLINE"
    if status in (401, 403) or isinstance(error, LocalTokenNotFoundError):
        return "log in with a token that has access to it: hf auth login, or HF_TOKEN"
    if status == 404:
        return "check the name and the revision"
    return "check the network; the same command continues"
