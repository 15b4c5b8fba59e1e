# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads a URDF: links, joints, limits and primitive shapes.

The source of limits (robot.py) and of the simulated cameras (simulation/). Only plain URDF: expand xacro first. Meshes,
inertias and transmissions are ignored, and <mimic> is not applied: such a joint is treated like any other.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

Vector = tuple[float, float, float]
Colour = tuple[float, float, float, float]

JOINT_TYPES = ("revolute", "continuous", "prismatic", "fixed", "floating", "planar")
LIMITED_TYPES = ("revolute", "prismatic")  # those for which URDF demands <limit>
ZERO: Vector = (0.0, 0.0, 0.0)
DEFAULT_RGBA: Colour = (0.7, 0.7, 0.7, 1.0)  # for a visual without a material


class UrdfError(ValueError):
    """The robot description cannot be used; the message names the file, the element and the remedy."""


@dataclass(frozen=True)
class Box:
    """A box centred on its origin; full edge lengths in metres."""

    size: Vector


@dataclass(frozen=True)
class Cylinder:
    """A cylinder centred on its origin, its axis along z; metres."""

    radius: float
    length: float


@dataclass(frozen=True)
class Sphere:
    """A sphere centred on its origin; metres."""

    radius: float


Shape = Box | Cylinder | Sphere


@dataclass(frozen=True)
class UrdfVisual:
    """One coloured shape; its origin is in the frame of the link (metres, radians; rpy about fixed axes)."""

    origin_xyz: Vector
    origin_rpy: Vector
    shape: Shape
    rgba: Colour  # each 0 .. 1


@dataclass(frozen=True)
class UrdfLink:
    """A rigid body and its primitive visuals; mesh visuals are left out."""

    name: str
    visuals: tuple[UrdfVisual, ...]


@dataclass(frozen=True)
class UrdfJoint:
    """How `child` moves in `parent`: at zero the child's frame lies at the origin (metres, radians)."""

    name: str
    type: str
    parent: str
    child: str
    origin_xyz: Vector
    origin_rpy: Vector
    axis: Vector  # of unit length, in the joint's frame
    lower: float | None  # rad (or m); None where absent
    upper: float | None
    velocity: float | None  # rad/s (or m/s)

    @property
    def is_movable(self) -> bool:
        return self.type != "fixed"


@dataclass(frozen=True)
class Urdf:
    """A robot description; links and joints by name, in the order of the file."""

    name: str
    links: dict[str, UrdfLink]
    joints: dict[str, UrdfJoint]

    @property
    def root(self) -> str:
        """The link without a parent."""
        children = {joint.child for joint in self.joints.values()}
        return next(name for name in self.links if name not in children)

    @classmethod
    def load(cls, path: str | Path) -> Urdf:
        """Read and check a URDF file; raises UrdfError."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise UrdfError(f"URDF '{path}' cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UrdfError(f"URDF '{path}' is not UTF-8 text: {error}") from error
        return cls.from_xml(text, str(path))

    @classmethod
    def from_xml(cls, text: str, source: str = "URDF") -> Urdf:
        """Parse and check a description, such as the parameter robot_description; errors name `source`."""
        try:
            robot = ET.fromstring(text)
        except ET.ParseError as error:
            raise UrdfError(f"{source}: not valid XML: {error}") from error
        if robot.tag != "robot":
            raise UrdfError(f"{source}: the outermost element is <{robot.tag}>, a URDF starts with <robot>")
        if any(element.tag.startswith("{http://") and "xacro" in element.tag for element in robot.iter()):
            raise UrdfError(
                f"{source}: holds xacro macros; expand them first: xacro in.urdf.xacro > out.urdf"
            )
        materials = _materials(robot, source)
        links = [_link(element, materials, source) for element in robot.findall("link")]
        joints = [_joint(element, source) for element in robot.findall("joint")]
        _check_unique("link", (link.name for link in links), source)
        _check_unique("joint", (joint.name for joint in joints), source)
        urdf = cls(
            name=robot.get("name", ""),
            links={link.name: link for link in links},
            joints={joint.name: joint for joint in joints},
        )
        _check_tree(urdf, source)
        return urdf


def _link(element: ET.Element, materials: dict[str, Colour], source: str) -> UrdfLink:
    name = _attribute(element, "name", f"{source}: <link>")
    where = f"{source}: link '{name}'"
    visuals = []
    for visual in element.findall("visual"):
        shape = _shape(visual.find("geometry"), where)
        if shape is not None:
            xyz, rpy = _origin(visual, where)
            visuals.append(UrdfVisual(xyz, rpy, shape, _rgba(visual.find("material"), materials, where)))
    return UrdfLink(name, tuple(visuals))


def _joint(element: ET.Element, source: str) -> UrdfJoint:
    name = _attribute(element, "name", f"{source}: <joint>")
    where = f"{source}: joint '{name}'"
    joint_type = _attribute(element, "type", where)
    if joint_type not in JOINT_TYPES:
        raise UrdfError(f"{where}: type '{joint_type}' is not one of {', '.join(JOINT_TYPES)}")
    limit = element.find("limit")
    if limit is None and joint_type in LIMITED_TYPES:
        raise UrdfError(f"{where}: a {joint_type} joint needs <limit lower= upper= effort= velocity=>")
    xyz, rpy = _origin(element, where)
    return UrdfJoint(
        name=name,
        type=joint_type,
        parent=_attribute(_child(element, "parent", where), "link", f"{where}: <parent>"),
        child=_attribute(_child(element, "child", where), "link", f"{where}: <child>"),
        origin_xyz=xyz,
        origin_rpy=rpy,
        axis=_axis(element, joint_type, where),
        lower=_optional_number(limit, "lower", where),
        upper=_optional_number(limit, "upper", where),
        velocity=_optional_number(limit, "velocity", where),
    )


def _axis(joint: ET.Element, joint_type: str, where: str) -> Vector:
    element = joint.find("axis")
    if element is None:
        return (1.0, 0.0, 0.0)  # the default in URDF
    x, y, z = _vector(element, "xyz", (1.0, 0.0, 0.0), f"{where}: <axis>")
    length = math.sqrt(x * x + y * y + z * z)
    if length > 0.0:
        return (x / length, y / length, z / length)
    if joint_type in ("fixed", "floating"):
        return (1.0, 0.0, 0.0)  # not used there, and exporters write zeros
    raise UrdfError(f"{where}: <axis xyz> must not be zero")


def _shape(geometry: ET.Element | None, where: str) -> Shape | None:
    """The primitive, or None for a mesh."""
    if geometry is None or len(geometry) == 0:
        raise UrdfError(f"{where}: <visual> needs <geometry> with a shape in it")
    element = geometry[0]
    where = f"{where}: <{element.tag}>"
    if element.tag == "mesh":
        return None
    if element.tag == "box":
        return Box(_positive_vector(element, where))
    if element.tag == "cylinder":
        return Cylinder(_positive(element, "radius", where), _positive(element, "length", where))
    if element.tag == "sphere":
        return Sphere(_positive(element, "radius", where))
    raise UrdfError(f"{where}: not a shape of URDF (box, cylinder, sphere, mesh)")


def _materials(robot: ET.Element, source: str) -> dict[str, Colour]:
    """Colours by name; those defined inside a visual are global, as in URDF."""
    colours = {}
    for element in robot.iter("material"):
        name, colour = element.get("name"), element.find("color")
        if name and colour is not None:
            colours[name] = _colour(colour, f"{source}: material '{name}'")
    return colours


def _rgba(material: ET.Element | None, colours: dict[str, Colour], where: str) -> Colour:
    if material is None:
        return DEFAULT_RGBA
    colour = material.find("color")
    if colour is not None:
        return _colour(colour, f"{where}: <material>")
    if material.find("texture") is not None:
        return DEFAULT_RGBA
    name = _attribute(material, "name", f"{where}: <material>")
    if name not in colours:
        raise UrdfError(f"{where}: material '{name}' is not defined (known: {', '.join(colours) or 'none'})")
    return colours[name]


def _colour(element: ET.Element, where: str) -> Colour:
    where = f"{where}: <color>"
    values = _numbers(_attribute(element, "rgba", where), 4, "rgba", where)
    return (values[0], values[1], values[2], values[3])


def _origin(element: ET.Element, where: str) -> tuple[Vector, Vector]:
    origin = element.find("origin")
    if origin is None:
        return ZERO, ZERO
    where = f"{where}: <origin>"
    return _vector(origin, "xyz", ZERO, where), _vector(origin, "rpy", ZERO, where)


def _child(element: ET.Element, tag: str, where: str) -> ET.Element:
    child = element.find(tag)
    if child is None:
        raise UrdfError(f"{where}: <{tag}> is missing")
    return child


def _attribute(element: ET.Element, name: str, where: str) -> str:
    value = element.get(name)
    if not value:
        raise UrdfError(f"{where}: attribute '{name}' is missing")
    return value


def _numbers(text: str, count: int, name: str, where: str) -> list[float]:
    try:
        values = [float(word) for word in text.split()]
    except ValueError as error:
        raise UrdfError(f'{where}: {name}="{text}" must be numbers') from error
    if len(values) != count or not all(math.isfinite(value) for value in values):
        raise UrdfError(f'{where}: {name}="{text}" must be {count} finite number{"s" if count > 1 else ""}')
    return values


def _vector(element: ET.Element, name: str, default: Vector, where: str) -> Vector:
    text = element.get(name)
    if text is None:
        return default
    values = _numbers(text, 3, name, where)
    return (values[0], values[1], values[2])


def _positive_vector(element: ET.Element, where: str) -> Vector:
    values = _numbers(_attribute(element, "size", where), 3, "size", where)
    if min(values) <= 0.0:
        raise UrdfError(f"{where}: size must be above 0, got {values}")
    return (values[0], values[1], values[2])


def _positive(element: ET.Element, name: str, where: str) -> float:
    value = _numbers(_attribute(element, name, where), 1, name, where)[0]
    if value <= 0.0:
        raise UrdfError(f"{where}: {name} must be above 0, got {value}")
    return value


def _optional_number(element: ET.Element | None, name: str, where: str) -> float | None:
    text = None if element is None else element.get(name)
    return None if text is None else _numbers(text, 1, name, f"{where}: <limit>")[0]


def _check_unique(what: str, names: Iterable[str], source: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UrdfError(f"{source}: {what} '{name}' is defined more than once")
        seen.add(name)


def _check_tree(urdf: Urdf, source: str) -> None:
    """Every joint joins known links, every link has at most one parent, and one root reaches them all."""
    if not urdf.links:
        raise UrdfError(f"{source}: has no <link>")
    parent_of: dict[str, str] = {}
    for joint in urdf.joints.values():
        for role, link in (("parent", joint.parent), ("child", joint.child)):
            if link not in urdf.links:
                raise UrdfError(f"{source}: joint '{joint.name}': {role} link '{link}' is not defined")
        if joint.child in parent_of:
            raise UrdfError(
                f"{source}: link '{joint.child}' is the child of two joints, the second is '{joint.name}'; "
                "a URDF is a tree"
            )
        parent_of[joint.child] = joint.parent
    for link in urdf.links:
        ancestors: list[str] = []
        while link in parent_of:
            if link in ancestors:
                raise UrdfError(f"{source}: the links {' <- '.join([*ancestors, link])} form a cycle")
            ancestors.append(link)
            link = parent_of[link]
    roots = [name for name in urdf.links if name not in parent_of]
    if len(roots) != 1:
        raise UrdfError(f"{source}: {len(roots)} root links ({', '.join(roots)}); join them with a joint")
