# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Replay a recorded bag to a policy, as the policy node would see it, and compare its actions with the recorded ones.

    replay_policy episodes/episode_000007 <checkpoint> --calibration my_arm.json --plot replay.png

Every --every seconds the policy predicts a chunk from the observation of that time; each action is compared with the
command that was recorded for the same time. Needs ROS's Python packages, but no running robot.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from smolvla_ros.dataset.bag import Bag
from smolvla_ros.dataset.bag_mapping import OWN_TOPICS, BagMapping, JointTopic
from smolvla_ros.dataset.errors import BagError
from smolvla_ros.dataset.mapped_bag import MappedBag
from smolvla_ros.dataset.replay import RecordedCommands, ReplayedChunk, comparison_lines
from smolvla_ros.nodes.bag_replay import ObservedTopics, observations
from smolvla_ros.nodes.policy_loading import load_policy
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.policy.policy import Policy
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.robot import RobotSpec
from smolvla_ros.share import find_robot_file
from smolvla_ros.suite.command_line import ROBOT, add_options, exit_on_errors, load_robot, policy_config


class _PrintingLogger:
    """The part of a node's logger that loading a policy uses."""

    def info(self, text: str) -> None:
        print(text, file=sys.stderr)

    warning = info


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="replay_policy",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 done, 1 the bag or the checkpoint cannot be used, 2 the command line is wrong.",
    )
    add = parser.add_argument
    add("bag", type=Path, help="rosbag2 folder or file")
    add("checkpoint", help="LeRobot checkpoint folder or hub id, or `scripted`")
    add_options(parser, *ROBOT, "revision", "dataset", "stats", "backbone", "device", "dtype")
    add_options(parser, "cameras", of=PolicyConfig)
    add(
        "--transport",
        choices=("compressed", "raw"),
        default="compressed",
        help="image topics to read; %(default)s",
    )
    add("--map", type=Path, metavar="YAML", help="topics, joints and units of another robot's bag")
    add("--action", metavar="TOPIC", help=f"recorded commands; {OWN_TOPICS.action.name}")
    add("--task", default="", help="instruction; default: the recorded one")
    add("--every", type=float, default=0.5, metavar="S", help="seconds between predictions; %(default)s")
    add("--plot", type=Path, metavar="FILE", help="save a plot of each joint")
    return parser


def replay(
    bag: Bag,
    observed: ObservedTopics,
    policy: Policy,
    robot: RobotSpec,
    commands: RecordedCommands,
    options: argparse.Namespace,
) -> list[ReplayedChunk]:
    """The policy's chunks in the order of the recording; raises BagError, ImageError, WireError, PolicyError."""
    step_ns = round(NANOSECONDS / policy.rate_hz)
    chunks = []
    for observation in observations(bag, observed, robot.joint_names, options.every, task=options.task):
        started_s = time.monotonic()
        predicted = policy.infer(observation)
        inference_s = time.monotonic() - started_s
        times_ns = observation.stamp_ns + np.arange(len(predicted), dtype=np.int64) * step_ns
        chunks.append(ReplayedChunk(times_ns, predicted, commands.at(times_ns), inference_s))
    return chunks


def observed_topics(mapping: BagMapping, cameras: Sequence[str], transport: str) -> ObservedTopics:
    """The topics with what the policy observes: those of the mapping, and of this package for cameras not in it."""
    own = {name: f"{name}/image_raw{'/compressed' if transport == 'compressed' else ''}" for name in cameras}
    mapped = {name: topic for name, topic in (mapping.cameras or {}).items() if topic and name in own}
    return ObservedTopics({**own, **mapped}, mapping.state.name, mapping.task)


@exit_on_errors("replay_policy")
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    robot = load_robot(options)
    kind = "scripted" if options.checkpoint == "scripted" else "smolvla"
    config = policy_config(options, robot=str(find_robot_file(options.robot)), policy=kind)
    mapping = BagMapping.load(options.map, robot) if options.map else OWN_TOPICS
    if options.action:
        mapping = replace(mapping, action=JointTopic(options.action))
    with MappedBag(options.bag, robot, mapping) as bag:
        commands = RecordedCommands.read(bag, mapping.action.name, robot.joint_names)
        policy = load_policy(config, robot, _PrintingLogger())
        observed = observed_topics(mapping, policy.cameras, options.transport)
        chunks = replay(bag, observed, policy, robot, commands, options)
        if not chunks:
            raise BagError(
                f"bag '{bag.path}': its images and joint states are never within 0.05 s of each other"
            )
        print("\n".join(comparison_lines(chunks, robot)))
        if options.plot:
            from smolvla_ros.dataset.replay_plot import save_replay_plot  # here: needs matplotlib

            save_replay_plot(options.plot, chunks, commands, robot, f"{policy.name} on {bag.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
