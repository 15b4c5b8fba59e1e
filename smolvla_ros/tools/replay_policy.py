# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a policy would have done, against what was done: a recorded bag through the policy node's own code.

    replay_policy episodes/episode_000007 <checkpoint> --calibration my_arm.json --plot replay.png

Every --every seconds the policy answers from what it would have seen then; the chunk is compared, action by action,
with the commands that were recorded for the same moments. Needs ROS's Python packages, but no running robot.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from smolvla_ros.dataset.bag import Bag
from smolvla_ros.dataset.errors import BagError
from smolvla_ros.image import ImageError
from smolvla_ros.nodes.bag_replay import RecordedCommands, observations, recorded_commands
from smolvla_ros.nodes.policy_loading import load_policy
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.policy.policy import Policy, PolicyError
from smolvla_ros.policy.policy_config import PolicyConfig
from smolvla_ros.robot import RobotSpec, RobotSpecError
from smolvla_ros.settings import SettingError
from smolvla_ros.share import InstallationError, find_robot_file
from smolvla_ros.suite.command_line import ROBOT, add_options, load_robot, policy_config
from smolvla_ros.units import CalibrationError
from smolvla_ros.wire import WireError

FloatArray = npt.NDArray[np.float64]
DRAWN_CHUNKS = 12  # more would hide what was recorded


@dataclass(frozen=True, eq=False)
class Answer:
    """A chunk and what was recorded for the same moments: times (steps,) ns, positions (steps, joints) rad."""

    due_ns: npt.NDArray[np.int64]
    predicted_rad: FloatArray
    recorded_rad: FloatArray  # NaN where there is no command
    duration_s: float

    @property
    def errors_rad(self) -> FloatArray:
        return np.abs(self.predicted_rad - self.recorded_rad)


class _Printed:
    """The part of a node's logger that loading a policy uses."""

    def info(self, text: str) -> None:
        print(text, file=sys.stderr)

    warning = info


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="replay_policy",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit code: 0 done, 1 the bag or the checkpoint is unfit, 2 the command line is wrong.",
    )
    add = parser.add_argument
    add("bag", type=Path, help="rosbag2 folder or file")
    add("checkpoint", help="LeRobot checkpoint folder or hub id, or the word scripted")
    add_options(parser, *ROBOT, "revision", "dataset", "stats", "backbone", "device", "dtype")
    add_options(parser, "cameras", of=PolicyConfig)
    add(
        "--transport", choices=("compressed", "raw"), default="compressed", help="images to read; %(default)s"
    )
    add("--action", default="joint_commands", metavar="TOPIC", help="what was done; %(default)s")
    add("--task", default="", help="instruction; without: the recorded one")
    add("--every", type=float, default=0.5, metavar="S", help="seconds between answers; %(default)s")
    add("--plot", type=Path, metavar="FILE", help="write a picture, joint by joint")
    return parser


def replay(
    bag: Bag, policy: Policy, robot: RobotSpec, actions: RecordedCommands, options: argparse.Namespace
) -> list[Answer]:
    """The policy's answers, in the order of the recording; raises what reading the bag does, and PolicyError."""
    step_ns = round(NANOSECONDS / robot.rate_hz)
    answers = []
    for observation in observations(
        bag,
        policy.cameras,
        robot.joint_names,
        options.every,
        image_transport=options.transport,
        task=options.task,
    ):
        started_s = time.monotonic()
        predicted = policy.infer(observation)
        duration_s = time.monotonic() - started_s
        due_ns = observation.stamp_ns + np.arange(len(predicted), dtype=np.int64) * step_ns
        answers.append(Answer(due_ns, predicted, actions.at(due_ns), duration_s))
    return answers


def table(answers: list[Answer], robot: RobotSpec) -> list[str]:
    """Mean error of every joint, over the chunk and at its first action, and the latency."""
    errors = np.concatenate([answer.errors_rad for answer in answers])
    first = np.stack([answer.errors_rad[0] for answer in answers])
    compared = ~np.isnan(errors).any(axis=1)
    if not compared.any():
        return ["nothing was commanded when the chunks were due"]
    rows = [("joint", "mean (rad)", "95 % (rad)", "first action (rad)")]
    for index, joint in enumerate(robot.joints):
        column = errors[compared, index]
        start = first[:, index][~np.isnan(first[:, index])]
        rows.append(
            (
                joint.name,
                f"{column.mean():.4f}",
                f"{np.percentile(column, 95):.4f}",
                f"{start.mean():.4f}" if len(start) else "-",
            )
        )
    overall = errors[compared]
    rows.append(
        ("all", f"{overall.mean():.4f}", f"{np.percentile(overall, 95):.4f}", f"{np.nanmean(first):.4f}")
    )
    latencies_s = [answer.duration_s for answer in answers]
    return [
        *(f"{name:16}{mean:>12}{high:>12}{start:>20}" for name, mean, high, start in rows),
        f"{len(answers)} chunks, {int(compared.sum())} actions compared; inference p50 "
        f"{np.percentile(latencies_s, 50):.3f} s, p95 {np.percentile(latencies_s, 95):.3f} s",
    ]


def save_plot(
    path: Path, answers: list[Answer], actions: RecordedCommands, robot: RobotSpec, title: str
) -> None:
    """One row a joint: what was recorded, and some of the chunks over it, in degrees; raises OSError."""
    import matplotlib

    matplotlib.use("Agg")  # no display
    from matplotlib import pyplot

    figure, rows = pyplot.subplots(
        len(robot.joints), 1, sharex=True, squeeze=False, figsize=(12, 11), layout="constrained"
    )
    figure.suptitle(title)
    start_ns = int(actions.stamps_ns[0])
    shown = answers[:: max(1, -(-len(answers) // DRAWN_CHUNKS))]
    for index, (joint, [axes]) in enumerate(zip(robot.joints, rows)):
        axes.plot(
            (actions.stamps_ns - start_ns) / NANOSECONDS,
            np.degrees(actions.positions_rad[:, index]),
            color="black",
            linewidth=1,
            label="recorded",
        )
        for number, answer in enumerate(shown):
            axes.plot(
                (answer.due_ns - start_ns) / NANOSECONDS,
                np.degrees(answer.predicted_rad[:, index]),
                linewidth=1,
                alpha=0.8,
                label="predicted" if number == 0 else None,
            )
        axes.set_ylabel(joint.name, fontsize=8)
    rows[0][0].legend(fontsize=8)
    rows[-1][0].set_xlabel("s")
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        robot = load_robot(options)
        kind = "scripted" if options.checkpoint == "scripted" else "smolvla"
        config = policy_config(options, robot=str(find_robot_file(options.robot)), policy=kind)
    except (RobotSpecError, InstallationError, SettingError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        with Bag(options.bag) as bag:
            actions = recorded_commands(bag, options.action, robot.joint_names)
            policy = load_policy(config, robot, _Printed())
            answers = replay(bag, policy, robot, actions, options)
            if not answers:
                raise BagError(f"bag '{bag.path}': its images and joint states never come within 0.05 s")
            print("\n".join(table(answers, robot)))
            if options.plot:
                save_plot(options.plot, answers, actions, robot, f"{policy.name} on {bag.name}")
    except (BagError, ImageError, WireError, PolicyError, CalibrationError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
