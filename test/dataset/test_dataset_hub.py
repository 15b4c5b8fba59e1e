# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Datasets go to a hub and come back the same, private, once only, and with a card that says what is known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from huggingface_hub import HfApi, constants

from smolvla_ros.dataset.dataset_card import dataset_card
from smolvla_ros.dataset.errors import DatasetError, HubError
from smolvla_ros.dataset.hub import pull_dataset, push_dataset
from smolvla_ros.dataset.lerobot_format import VERSION
from smolvla_ros.dataset.lerobot_reader import LeRobotDataset
from smolvla_ros.finding import Finding
from smolvla_ros.tools.push_dataset import main as push_dataset_command

from ..package_files import CALIBRATION_FILE
from ..training.small_dataset import write_small_dataset
from .hub_server import TOKEN, Hub, hub_server

NAME = "somebody/bar"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with hub_server() as server:
        yield server


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return HfApi(hub.endpoint, TOKEN)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_dataset(tmp_path_factory.mktemp("data") / "bar", [5, 4])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_dataset_comes_back_from_the_hub_as_it_was(hub, api, folder, tmp_path):
    assert push_dataset(api, folder, NAME, "# Card\n") == f"{hub.endpoint}/datasets/{NAME}"
    repository = hub.repositories[NAME]
    assert repository.private and repository.tags == {VERSION}
    assert repository.files == {**contents(folder), "README.md": b"# Card\n"}
    pulled = pull_dataset(api, NAME, tmp_path / "new")
    assert contents(pulled.root) == repository.files
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_an_interrupted_upload_continues_and_is_not_seen_before(hub, api, folder):
    videos = sorted(folder.glob("videos/*/*/*.mp4"))
    hub.refused = hashlib.sha256(videos[-1].read_bytes()).hexdigest()
    with pytest.raises(HubError, match=f"'{NAME}' at {hub.endpoint}: .*; log in"):
        push_dataset(api, folder, NAME, "")
    assert hub.sent and not hub.repositories[NAME].files
    hub.refused = ""
    push_dataset(api, folder, NAME, "")
    assert set(hub.sent.values()) == {1}


def test_a_smaller_dataset_replaces_a_larger_one(hub, api, folder):
    push_dataset(api, folder, NAME, "")
    hub.repositories[NAME].files["data/chunk-000/file-001.parquet"] = b"old"
    hub.repositories[NAME].files["notes.txt"] = b"by hand"
    push_dataset(api, folder, NAME, "")
    assert set(hub.repositories[NAME].files) == {*contents(folder), "README.md", "notes.txt"}


def test_a_public_dataset_is_not_replaced_unless_asked_for(hub, api, folder):
    push_dataset(api, folder, NAME, "", private=False)
    with pytest.raises(HubError, match=f"'{NAME}' is public on the hub; give --public"):
        push_dataset(api, folder, NAME, "")


def test_a_private_dataset_is_not_said_to_be_public(hub, api, folder):
    push_dataset(api, folder, NAME, "")
    with pytest.raises(HubError, match=f"'{NAME}' is private on the hub; make it public .*{NAME}/settings"):
        push_dataset(api, folder, NAME, "", private=False)


def test_an_interrupted_download_continues_and_leaves_no_half_dataset(hub, api, folder, tmp_path):
    push_dataset(api, folder, NAME, "")
    [rows] = folder.glob("data/*/*.parquet")
    hub.refused = str(rows.relative_to(folder))
    with pytest.raises(HubError):
        pull_dataset(api, NAME, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    hub.refused = ""
    pull_dataset(api, NAME, tmp_path / "new")
    assert set(hub.fetched.values()) == {1}
    with pytest.raises(DatasetError, match="new' exists"):
        pull_dataset(api, NAME, tmp_path / "new")


def test_what_the_hub_refuses_has_a_remedy(hub, api, folder, tmp_path):
    with pytest.raises(HubError, match="'somebody/else' at .*; check the name"):
        pull_dataset(api, "somebody/else", tmp_path / "new")
    with pytest.raises(HubError, match="; log in with a token"):
        push_dataset(HfApi(hub.endpoint, "hf_wrong"), folder, NAME, "")
    with pytest.raises(HubError, match="; give a name such as USER/NAME"):
        push_dataset(api, folder, "a/b/c", "")
    with pytest.raises(HubError, match="; check the network"):
        pull_dataset(HfApi("http://127.0.0.1:9", TOKEN), NAME, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_repository_without_dataset_is_named_before_its_files_are_fetched(hub, api, tmp_path):
    api.create_repo(NAME, repo_type="dataset")
    hub.repositories[NAME].files |= {"meta/info.json": b'{"codebase_version": "v2.1"}', "data/large": b""}
    with pytest.raises(DatasetError, match="has version v2.1, expected v3.0"):
        pull_dataset(api, NAME, tmp_path / "new")
    assert hub.fetched == {"meta/info.json": 1}


def test_the_card_says_what_is_known_and_guesses_no_licence(folder):
    dataset = LeRobotDataset.load(folder)
    findings = [Finding("warning", "task", "it is <vague>", where="'Move | it'")]
    card = dataset_card(dataset, NAME, findings)
    header, text = card.split("---\n")[1], card.split("---\n", 2)[2]
    assert yaml.safe_load(header) == {
        "task_categories": ["robotics"],
        "tags": ["LeRobot"],
        "configs": [{"config_name": "default", "data_files": "data/*/*.parquet"}],
    }
    for part in (
        "| robot | so100_follower |",
        "| frames | 9 at 10 fps, 0.0 minutes |",
        "| outcomes | 2 not known |",
        "| camera1 | 64x48 | h264 |",
        "gripper.pos; units not known",
        "| Move the bar 1 | 1 |",
        "- warning: task ('Move &#124; it'): it is &lt;vague>",
        f'LeRobotDataset("{NAME}")',
    ):
        assert part in text
    assert "licen" not in card.lower()
    assert (
        yaml.safe_load(dataset_card(dataset, NAME, [], "cc-by-4.0").split("---\n")[1])["license"]
        == "cc-by-4.0"
    )


def test_the_command_shows_the_card_with_what_the_checks_find(folder, capsys):
    words = [str(folder), NAME, "--dry-run", "--calibration", str(CALIBRATION_FILE)]
    assert push_dataset_command(words) == 0
    assert "\n- warning: " in capsys.readouterr().out
