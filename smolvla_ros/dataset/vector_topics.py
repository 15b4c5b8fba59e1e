# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read topics that become vectors of their own in a dataset, such as the pose of the gripper and forces.

A message without a header is stamped with the time of its arrival. Values are as they were recorded: metres, unit
quaternions, newtons and newton metres for the types of geometry_msgs (REP-103).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from smolvla_ros.dataset.bag import RecordedMessage
from smolvla_ros.dataset.errors import EpisodeError
from smolvla_ros.dataset.joint_topics import ARRAYS, header, translated
from smolvla_ros.wire import header_stamp_ns


def _pose(message: Any) -> list[float]:
    place, turn = message.pose.position, message.pose.orientation
    return [place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w]


def _wrench(message: Any) -> list[float]:
    force, torque = message.wrench.force, message.wrench.torque
    return [force.x, force.y, force.z, torque.x, torque.y, torque.z]


# Type -> names of the values, and how they are read.
STAMPED: dict[str, tuple[tuple[str, ...], Callable[[Any], list[float]]]] = {
    "geometry_msgs/msg/PoseStamped": (("x", "y", "z", "qx", "qy", "qz", "qw"), _pose),
    "geometry_msgs/msg/WrenchStamped": (("fx", "fy", "fz", "tx", "ty", "tz"), _wrench),
}


@dataclass(frozen=True)
class VectorReader:
    """Translates the messages of a topic to vectors: `header` and `values`, float64 of the length of `names`."""

    where: str  # the bag and topic, for messages
    names: tuple[str, ...]

    @classmethod
    def of(cls, where: str, kind: str, names: tuple[str, ...]) -> VectorReader:
        """The reader for a topic of this type. `names`: those of the mapping. Raises EpisodeError."""
        if kind in ARRAYS:
            if not names:
                raise EpisodeError(f"{where} is a {kind}; give a name for each of its values: names: [a, b]")
            return cls(where, names)
        if kind not in STAMPED:
            raise EpisodeError(f"{where} is a {kind}, not a {' or '.join((*STAMPED, *ARRAYS))}")
        if names:
            raise EpisodeError(f"{where} is a {kind}, whose values have names already; leave out names")
        return cls(where, STAMPED[kind][0])

    def read(self, recorded: RecordedMessage) -> RecordedMessage:
        """The vector of a message; raises BagError, EpisodeError."""
        message = recorded.decode()
        if recorded.type in ARRAYS:
            stamp_ns, values = recorded.receive_ns, message.data
        else:
            stamp_ns, values = header_stamp_ns(message), STAMPED[recorded.type][1](message)
        vector = np.array(values, np.float64)
        if len(vector) != len(self.names):
            raise EpisodeError(
                f"{self.where}, message {recorded.ordinal}: it has {len(vector)} values, not {len(self.names)} "
                f"({', '.join(self.names)})"
            )
        if not np.isfinite(vector).all():
            raise EpisodeError(
                f"{self.where}, message {recorded.ordinal}: {vector.tolist()} is not finite; leave this vector out "
                "of the mapping, or cut the bag"
            )
        return translated(recorded, SimpleNamespace(header=header(stamp_ns), values=vector))
