# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Contact physics: the arm of a URDF, a table, cubes and a tray, in MuJoCo. No picture, no clock, no ROS.

Links, joints, limits, masses and inertias come from the URDF. The jaws collide with the boxes that are drawn, because
those leave the gap between the jaws free; other links with their collision boxes. The arm does not collide with itself.
Objects are held by friction alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from smolvla_ros.arrays import FloatArray
from smolvla_ros.simulation.layout import CUBE_M, Cube, Layout, Tray
from smolvla_ros.simulation.layout_boxes import tray_parts
from smolvla_ros.simulation.world_state import JAWS, TABLE, WorldState

TIME_STEP_S = 0.005
# Of the joint as the servo with its gears makes it: kg m^2, Nm s/rad.
ARMATURE, DAMPING = 0.028, 0.3
# A contact is computed between two bodies when a bit of the one's type is in the other's affinity.
ARM, OBJECT = 1, 2
JAW_FRICTION, TABLE_FRICTION = (1.2, 0.01, 5e-4), (0.8, 0.005, 5e-4)
CONTACT_SOLREF = (0.01, 1.0)  # s, damping ratio
SKY, LAMP = "sky", "lamp"


def time_step_for(period_s: float, longest_s: float = TIME_STEP_S) -> float:
    """The longest time step, at most `longest_s`, of which a whole number makes this period."""
    return period_s / math.ceil(period_s / longest_s - 1e-9)


class WorldError(ValueError):
    """An arm cannot be put into a world; the message says what it lacks."""


@dataclass(frozen=True)
class Drive:
    """What holds one joint: torque = stiffness (target - position) - damping velocity, limited."""

    stiffness: float  # Nm/rad
    damping: float  # Nm s/rad
    max_torque_nm: float

    @property
    def bias(self) -> tuple[float, float]:
        """MuJoCo's affine bias: torque for each rad of position and rad/s of speed."""
        return -self.stiffness, -self.damping

    @property
    def torque_range_nm(self) -> tuple[float, float]:
        return -self.max_torque_nm, self.max_torque_nm


# Those of an STS3215 as LeRobot sets it up: P_Coefficient 16, and half the torque for the gripper (world_servos.py).
ARM_DRIVE = Drive(30.7, 2.46, 2.94)
GRIPPER_DRIVE = Drive(30.7, 2.46, 1.47)


class World:
    """The physical world of one episode; `step` lets time pass. Positions in the URDF's root frame, m and rad."""

    def __init__(self, urdf_path: Path, layout: Layout, time_step_s: float = TIME_STEP_S) -> None:
        self.layout = layout
        self.model = build_model(urdf_path, layout, time_step_s)
        self.data = mujoco.MjData(self.model)
        self.joint_names = tuple(self.model.joint(actuator.trnid[0]).name for actuator in self._actuators())
        self._joints = [self.model.joint(name).id for name in self.joint_names]
        self._q, self._v = self.model.jnt_qposadr[self._joints], self.model.jnt_dofadr[self._joints]
        self._cubes = {cube.name: self.model.body(cube.name).id for cube in layout.cubes}
        self._names = [self.model.body(body).name for body in range(self.model.nbody)]
        self._gripper = self.model.body(JAWS[0]).id
        self.place_arm(layout.start_rad)

    @property
    def time_s(self) -> float:
        return float(self.data.time)

    @property
    def time_step_s(self) -> float:
        return float(self.model.opt.timestep)

    @property
    def positions_rad(self) -> FloatArray:
        """Shape (joints,)."""
        values: FloatArray = self.data.qpos[self._q].copy()
        return values

    @property
    def velocities_rad_s(self) -> FloatArray:
        values: FloatArray = self.data.qvel[self._v].copy()
        return values

    @property
    def torques_nm(self) -> FloatArray:
        """What the drives exert on the joints."""
        values: FloatArray = self.data.actuator_force.copy()
        return values

    @property
    def targets_rad(self) -> FloatArray:
        """Where the drives hold the joints, (joints,)."""
        values: FloatArray = self.data.ctrl.copy()
        return values

    def state(self) -> WorldState:
        """The present moment."""
        return WorldState(
            self.time_s,
            self.layout,
            self.positions_rad,
            self.velocities_rad_s,
            self._pose(self._gripper),
            self.cube_poses(),
            self._contacts(),
        )

    def command(self, targets_rad: Sequence[float] | FloatArray) -> None:
        """Where the drives hold the joints from now on; shape (joints,)."""
        self.data.ctrl[:] = targets_rad

    def cube_poses(self) -> dict[str, FloatArray]:
        """Name -> pose (4, 4) of every cube."""
        return {name: self._pose(body) for name, body in self._cubes.items()}

    def place_arm(self, positions_rad: Sequence[float] | FloatArray) -> None:
        """Put the arm into its first pose, before time passes; shape (joints,)."""
        self.data.qpos[self._q] = positions_rad
        self.data.ctrl[:] = positions_rad
        mujoco.mj_forward(self.model, self.data)

    def push(self, cube: str, speed_m_s: tuple[float, float]) -> None:
        """Knock a cube, so that it slides at this speed (x, y) until friction stops it."""
        first = self.model.joint(cube).dofadr[0]
        self.data.qvel[first : first + 2] = speed_m_s

    def set_stops(self, joint: int, lower_rad: float, upper_rad: float) -> None:
        """Narrow the range in which a joint can turn."""
        low, high = self.model.jnt_range[self._joints[joint]]
        self.model.jnt_range[self._joints[joint]] = max(low, lower_rad), min(high, upper_rad)

    def set_drive(self, joint: int, drive: Drive) -> None:
        """Another stiffness, damping and limit for one joint; without any of them it is limp."""
        self.model.actuator_gainprm[joint, 0] = drive.stiffness
        self.model.actuator_biasprm[joint, 1:3] = drive.bias
        self.model.actuator_forcerange[joint] = drive.torque_range_nm

    def step(self, duration_s: float) -> None:
        """Let time pass, in whole time steps."""
        steps = round(duration_s / self.model.opt.timestep)
        mujoco.mj_step(self.model, self.data, steps)

    def save(self) -> FloatArray:
        """The whole state, for `restore`."""
        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        state = np.empty(mujoco.mj_stateSize(self.model, kind))
        mujoco.mj_getState(self.model, self.data, state, kind)
        return state

    def restore(self, state: FloatArray) -> None:
        mujoco.mj_setState(self.model, self.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        mujoco.mj_forward(self.model, self.data)

    def _contacts(self) -> dict[str, frozenset[str]]:
        """Name of each body -> names of the bodies that it touches."""
        touching: dict[str, set[str]] = {name: set() for name in self._names}
        bodies = self.model.geom_bodyid[self.data.contact.geom]
        for first, second in bodies.tolist():
            touching[self._names[first]].add(self._names[second])
            touching[self._names[second]].add(self._names[first])
        return {name: frozenset(others) for name, others in touching.items()}

    def _actuators(self) -> list[mujoco._structs._MjModelActuatorViews]:
        return [self.model.actuator(index) for index in range(self.model.nu)]

    def _pose(self, body: int) -> FloatArray:
        pose = np.eye(4)
        pose[:3, :3] = self.data.xmat[body].reshape(3, 3)
        pose[:3, 3] = self.data.xpos[body]
        return pose


def build_model(urdf_path: Path, layout: Layout, time_step_s: float) -> mujoco.MjModel:
    """The compiled model of an arm and a layout. Raises WorldError for an arm without the jaws of an SO-100."""
    text = urdf_path.read_text(encoding="utf-8")
    head, robot, rest = text.partition("<robot ")
    name, _, body = rest.partition(">")
    options = '<mujoco><compiler discardvisual="false" fusestatic="false"/></mujoco>'
    spec = mujoco.MjSpec.from_string(f"{head}{robot}{name}>{options}{body}")
    if missing := set(JAWS) - {link.name for link in spec.bodies}:
        raise WorldError(
            f"{urdf_path} has no link {' or '.join(sorted(missing))}, which grasp in a simulated world"
        )
    _set_options(spec, time_step_s)
    _set_contacts(spec)
    for joint in spec.joints:
        drive = GRIPPER_DRIVE if joint.name == "gripper" else ARM_DRIVE
        joint.armature, joint.damping = ARMATURE, DAMPING
        _add_drive(spec, joint.name, drive)
    floor = spec.worldbody.add_geom(
        name=f"{TABLE}_plane", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1.0, 1.0, 0.1]
    )
    _make_object(floor, TABLE_FRICTION)
    _add_sky_and_lamp(spec)
    for tray in layout.trays:
        _add_tray(spec, tray)
    for cube in layout.cubes:
        _add_cube(spec, cube)
    return spec.compile()


def _add_sky_and_lamp(spec: mujoco.MjSpec) -> None:
    """What only MujocoScene needs, which gives them their colours and direction."""
    spec.add_texture(
        name=SKY,
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        width=8,
        height=48,
    )
    spec.worldbody.add_light(
        name=LAMP, type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=[0.0, 0.0, 1.0], castshadow=True
    )


def _set_options(spec: mujoco.MjSpec, time_step_s: float) -> None:
    spec.option.timestep = time_step_s
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC  # with impratio: objects do not slip out of a grasp
    spec.option.impratio = 10.0


def _set_contacts(spec: mujoco.MjSpec) -> None:
    """Which shapes of the arm collide: URDF's collision shapes (group 0), of the jaws the visual ones (group 1)."""
    for geom in spec.geoms:
        is_jaw = geom.parent.name in JAWS
        collides = geom.group == (1 if is_jaw else 0)
        geom.contype, geom.conaffinity = (ARM, OBJECT) if collides else (0, 0)
        if is_jaw and collides:
            geom.friction, geom.solref, geom.condim = JAW_FRICTION, CONTACT_SOLREF, 4


def _add_drive(spec: mujoco.MjSpec, joint: str, drive: Drive) -> None:
    actuator = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    actuator.gainprm[0] = drive.stiffness
    actuator.biasprm[1:3] = drive.bias
    actuator.forcelimited = True
    actuator.forcerange = drive.torque_range_nm


def _make_object(geom: mujoco.MjsGeom, friction: tuple[float, float, float]) -> None:
    geom.contype, geom.conaffinity = OBJECT, ARM | OBJECT
    geom.friction, geom.solref, geom.condim = friction, CONTACT_SOLREF, 4


def _add_body(spec: mujoco.MjSpec, of: Cube | Tray, height_m: float) -> mujoco.MjsBody:
    """A body where an object of the layout is, its frame at this height above the table."""
    half_yaw = of.yaw_rad / 2
    return spec.worldbody.add_body(
        name=of.name, pos=[of.x_m, of.y_m, height_m], quat=[np.cos(half_yaw), 0.0, 0.0, np.sin(half_yaw)]
    )


def _add_cube(spec: mujoco.MjSpec, cube: Cube) -> None:
    half = CUBE_M / 2
    body = _add_body(spec, cube, half)
    body.add_freejoint(name=cube.name)
    geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[half, half, half], mass=cube.mass_kg)
    _make_object(geom, (cube.friction, 0.005, 5e-4))


def _add_tray(spec: mujoco.MjSpec, tray: Tray) -> None:
    body = _add_body(spec, tray, 0.0)
    for centre, (x, y, z) in tray_parts():
        geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=centre, size=[x / 2, y / 2, z / 2])
        _make_object(geom, TABLE_FRICTION)
