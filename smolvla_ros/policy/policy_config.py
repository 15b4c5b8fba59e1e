# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The settings of a policy, of which node parameters, launch arguments and command line options are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smolvla_ros.policy.guidance_settings import SCHEDULES, GuidanceSettings
from smolvla_ros.policy.preflight.pose import DEFAULT_MAX_SIGMA
from smolvla_ros.policy.preflight.unit_evidence import CONFIRMABLE
from smolvla_ros.policy.smolvla.flow_solver import SOLVERS
from smolvla_ros.settings import Settings, setting
from smolvla_ros.share import CHECKPOINT

WITHOUT_CHECKPOINT = ("scripted", "expert")  # policies that need none


@dataclass(frozen=True)
class PolicyConfig(Settings):
    """Parameters of the policy node."""

    robot: str = setting("", "robot file (config/so100.yaml): joints, cameras, rate and units")
    policy: str = setting(
        "smolvla", "which policy answers", choices=("smolvla", "remote", *WITHOUT_CHECKPOINT), reloads=True
    )
    checkpoint: str = setting(
        "",
        f"SmolVLA checkpoint: a LeRobot folder (pretrained_model), a hub id, or {CHECKPOINT} for the simulated world",
        reloads=True,
    )
    server: str = setting(
        "",
        "policy:=remote: host:port of the policy server; several, separated by commas: the others stand by",
        reloads=True,
    )
    credentials: str = setting(
        "",
        "policy:=remote: folder with ca.pem, and token or client.pem and client.key; empty: for a server on this "
        "computer; insecure: for another one, neither encrypted nor protected",
        reloads=True,
    )
    server_timeout_s: float = setting(
        1.0,
        "policy:=remote: a server that gives no chunk in this time is left for the next one (s)",
        bounds=(0.05, 60.0),
        reloads=True,
    )
    revision: str = setting("", "revision of a hub id; empty: its newest", reloads=True)
    backbone: str = setting(
        "", "folder with the VLM's config and tokenizer; empty: what the checkpoint names", reloads=True
    )
    dataset: str = setting(
        "", "whose statistics to take, of a checkpoint that has those of several datasets", reloads=True
    )
    stats: str = setting(
        "", "the training dataset's meta/stats.json, for statistics that the checkpoint lacks", reloads=True
    )
    normalization: str = setting(
        "checkpoint",
        "identity: the policy was trained on values that were not normalised",
        choices=("checkpoint", "identity"),
        reloads=True,
    )
    device: str = setting("auto", "torch device: cpu, cuda, cuda:1, mps ...", reloads=True)
    dtype: str = setting(
        "auto",
        "number format of the model",
        choices=("auto", "float32", "bfloat16", "int8", "native"),
        reloads=True,
    )
    compile: str = setting(
        "auto",
        "whether to run torch.compile on the model, which takes minutes; auto: on CUDA",
        choices=("auto", "on", "off"),
        reloads=True,
    )
    threads: int = setting(
        0,
        "CPU threads of the model; 0: torch's default, one for a network of less than 50 million parameters",
        bounds=(0, 256),
    )
    noise_scale: float = setting(
        1.0,
        "size of the noise that becomes a chunk, relative to training; 0: none, so that successive chunks agree",
        bounds=(0.0, 1.0),
        reloads=True,
    )
    solver: str = setting(
        "euler",
        "how the flow from noise to actions is integrated; heun and midpoint evaluate it twice in a step",
        choices=tuple(SOLVERS),
        reloads=True,
    )
    num_steps: int = setting(
        0, "steps from noise to actions; 0: as many as the checkpoint says", bounds=(0, 1000), reloads=True
    )
    time_spacing: float = setting(
        1.0,
        "1: equal steps; above: smaller ones towards the actions, where the flow changes most",
        bounds=(0.5, 3.0),
        reloads=True,
    )
    niceness: int = setting(
        10, "niceness of the inference threads, so that other nodes get the CPU first", bounds=(0, 19)
    )
    calibration: str = setting(
        "",
        "LeRobot calibration JSON of the arm, for the gripper's 0..100 and joints in -100..100",
        reloads=True,
    )
    cameras: tuple[str, ...] = setting(
        (), "robot cameras to use; empty: one for each image of the checkpoint", reloads=True
    )
    units: str = setting(
        "",
        "what the arm joints of the checkpoint, or the dataset, are in, if you know; empty: as the robot file says",
        choices=("", *CONFIRMABLE),
        reloads=True,
    )
    max_pose_sigma: float = setting(
        DEFAULT_MAX_SIGMA,
        "the first chunk is refused while the pose is further than this from the poses of the training data, in "
        "standard deviations; 0: never",
        bounds=(0.0, 1000.0),
        live=True,
    )
    image_transport: str = setting(
        "compressed", "which image topic to subscribe to", choices=("compressed", "raw")
    )
    sync_slop_s: float = setting(
        0.05,
        "largest difference between the stamps of the images and joint states of one observation (s)",
        bounds=(0.001, 1.0),
    )
    max_observation_age_s: float = setting(
        0.5, "older images or joint states are not used (s)", bounds=(0.01, 60.0), live=True
    )
    chunk_rate_hz: float = setting(
        0.0,
        "chunks published without a request, for the newest task (Hz); 0: only on request",
        bounds=(0.0, 100.0),
    )
    looks_ahead: bool = setting(
        False,
        "whether images are encoded before the executor asks, where its requests come regularly: they are answered "
        "sooner, from an observation that is older by as much; on this computer's own SmolVLA, not compiled",
        live=True,
    )
    rtc: bool = setting(
        False,
        "real-time chunking: a new chunk continues what is executed while it is inferred; use with the executor's "
        "`fusion: replace`",
        live=True,
    )
    rtc_execution_horizon: int = setting(
        GuidanceSettings.execution_horizon,
        "how many actions of a chunk are guided towards the present plan",
        bounds=(1, 1000),
        live=True,
    )
    rtc_schedule: str = setting(
        GuidanceSettings.schedule,
        "how the guidance decreases after the inference delay",
        choices=SCHEDULES,
        live=True,
    )
    rtc_max_guidance_weight: float = setting(
        GuidanceSettings.max_weight, "upper limit of the guidance weight", bounds=(0.0, 100.0), live=True
    )
    latency_s: float = setting(0.0, "scripted policy only: simulated inference time (s)", bounds=(0.0, 10.0))

    def checkpoint_options(self) -> dict[str, Any]:
        """Keyword arguments of `CheckpointSpec.load`; None: not given."""
        return {
            "backbone": self.backbone or None,
            "revision": self.revision or None,
            "dataset": self.dataset or None,
            "stats": self.stats or None,
            "normalization": None if self.normalization == "checkpoint" else self.normalization,
        }
