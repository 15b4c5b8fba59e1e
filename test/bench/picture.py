# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make the picture of the README: the arm carries the cube that an instruction names to the box.

python test/bench/picture.py --output docs/task.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from smolvla_ros.robot import RobotSpec
from smolvla_ros.simulation.expert import Expert
from smolvla_ros.simulation.layout_boxes import layout_boxes
from smolvla_ros.simulation.pinhole import SceneCamera
from smolvla_ros.simulation.render import Scene
from smolvla_ros.simulation.tasks.instruction import random_task
from smolvla_ros.simulation.tasks.pick_place import PickPlace
from smolvla_ros.simulation.tasks.task import is_lifted
from smolvla_ros.simulation.world import World
from smolvla_ros.urdf import Urdf

ROOT = Path(__file__).parents[2]
VIEWS = ("top", "wrist")
LONGEST_S = 20.0
PERIOD_S = 1.0 / 30.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1, help="of the layout (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "task.jpg")
    options = parser.parse_args()
    robot = RobotSpec.load(ROOT / "config" / "so100.yaml")
    urdf = Urdf.load(robot.urdf_path)
    layout, task = random_task("pick_place", options.seed)
    assert isinstance(task, PickPlace)
    world, expert = World(robot.urdf_path, layout), Expert(urdf)
    while world.time_s < LONGEST_S:
        state = world.state()
        x_m, y_m, _ = state.cube_position(task.cube)
        if is_lifted(state, task.cube) and task.tray.contains(x_m, y_m):
            break
        world.command(expert.targets(state, task))
        world.step(PERIOD_S)
    scene = Scene(urdf, layout_boxes(layout), seed=options.seed)
    positions = dict(zip(robot.joint_names, world.positions_rad.tolist(), strict=True))
    figure, axes = plt.subplots(1, len(VIEWS), figsize=(10.0, 4.1), layout="constrained")
    for axis, name in zip(axes, VIEWS, strict=True):
        spec = robot.camera(name)
        camera = SceneCamera(spec.frame_id, spec.width, spec.height)
        axis.imshow(scene.render(positions, camera, world.cube_poses()))
        axis.set_title(name)
        axis.axis("off")
    figure.suptitle(f"“{task.instruction}”")
    figure.savefig(options.output, dpi=100, pil_kwargs={"quality": 88})


if __name__ == "__main__":
    main()
