# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Loading a checkpoint keeps its weights in memory once, in the types in which they compute."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from smolvla_ros.policy.checkpoint.config import BackboneConfig, SmolVLAConfig
from smolvla_ros.policy.checkpoint.files import Json
from smolvla_ros.policy.smolvla.network import Network
from smolvla_ros.policy.smolvla.weights import checkpoint_name

from .conftest import GOLDEN

WIDER = {"hidden_size": 480, "intermediate_size": 3840, "num_attention_heads": 24, "num_key_value_heads": 8}
# The first, small model loads what every process needs once: libraries, allocators, tokenizers. The peak is read
# from /proc because getrusage counts what the parent had before the fork.
CODE = """
import sys
from smolvla_ros.policy import SmolVLA
from smolvla_ros.policy.smolvla.acceleration import weights_bytes

def kilobytes(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))

assert "transformers" not in sys.modules  # until a checkpoint is loaded
small, large, vlm, dtype = sys.argv[1:]
SmolVLA.from_pretrained(small, device="cpu", dtype=dtype, backbone=vlm)
before = kilobytes("VmRSS")
policy = SmolVLA.from_pretrained(large, device="cpu", dtype=dtype)
print((kilobytes("VmHWM") - before) * 1024 / weights_bytes(policy.network))
"""


@pytest.fixture(scope="module")
def wider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden checkpoint with a wider language model, without its weights."""
    folder = tmp_path_factory.mktemp("wider") / "checkpoint"
    shutil.copytree(GOLDEN / "era_b", folder, ignore=shutil.ignore_patterns("model.safetensors"))
    shutil.copytree(GOLDEN / "vlm", folder / "vlm")
    path = folder / "vlm" / "config.json"
    backbone = json.loads(path.read_text())
    backbone["text_config"].update(WIDER)
    path.write_text(json.dumps(backbone))
    return folder


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="memory in use is read from /proc")
@pytest.mark.parametrize(("stored", "dtype"), [(torch.bfloat16, "float32"), (torch.float32, "native")])
def test_peak_memory_is_little_more_than_the_weights(stored: torch.dtype, dtype: str, wider: Path) -> None:
    config = SmolVLAConfig.from_json(Json.load(wider / "config.json"))
    with torch.device("meta"):
        network = Network(config, BackboneConfig.from_json(Json.load(wider / "vlm" / "config.json"), config))
    weights = {
        checkpoint_name(name): torch.ones(parameter.shape, dtype=stored)
        for name, parameter in network.named_parameters()
    }
    assert sum(weight.nbytes for weight in weights.values()) > 60e6
    save_file(weights, wider / "model.safetensors")
    arguments = [str(path) for path in (GOLDEN / "era_b", wider, GOLDEN / "vlm")]
    # With an empty cache the first policy imports transformers, which then does not count as memory of the second one.
    environment = os.environ | {"XDG_CACHE_HOME": str(wider.parent / "cache" / dtype)}
    command = [sys.executable, "-c", CODE, *arguments, dtype]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert 0.95 < float(run.stdout) < 1.3
