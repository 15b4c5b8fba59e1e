# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A servo bus in a process of its own, with a physical world behind it; nothing else there makes an answer late.

The process steps its world when the driver asks for something. Its parent has a copy of the world, which it sets to the
state that it gets here (`World.restore`), and looks at that. The process ends when its parent closes the connection.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smolvla_ros.arrays import FloatArray
from smolvla_ros.simulation.emulated_arm import EmulatedArm
from smolvla_ros.simulation.servo_files import remove_stale_link
from smolvla_ros.units import JointUnits, MotorCalibration

if TYPE_CHECKING:
    from smolvla_ros.simulation.world import World  # needs MuJoCo

MOST_LATE_S = 0.1  # after a longer pause of the process the world goes on from where it was
END_S = 10.0  # the driver may still switch off the torque


class BusProcessError(RuntimeError):
    """The process has ended; the message says how."""


@dataclass(frozen=True)
class BusSetup:
    """What a bus is made of. Without a world the servos move by themselves."""

    calibration: Mapping[str, MotorCalibration]
    units: Mapping[str, JointUnits]
    world: World | None
    seed: int = 0
    link: Path | None = None


class BusProcess:
    """The parent's side: `port` is there from construction until `close`. Raises OSError if it cannot be made."""

    def __init__(self, setup: BusSetup) -> None:
        self._connection, theirs = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "smolvla_ros.simulation.bus_process", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # a Ctrl-C is for the parent, which ends this after the driver
        )
        theirs.close()
        try:
            self.port: str = self._ask(setup)
        except OSError:
            self.close()
            raise

    def world_state(self) -> FloatArray:
        """The state of its world now, for `World.restore`. Raises BusProcessError."""
        state: FloatArray = self._ask(None)
        return state

    def enter(self, world: World) -> None:
        """Go on in another world; the arm stays where it is. Raises BusProcessError."""
        self._ask(world)

    def close(self) -> None:
        """End the process when the driver has ended its requests."""
        self._connection.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, request: BusSetup | World | None) -> Any:
        try:
            self._connection.send(request)
            answer = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            code = self._process.wait()
            raise BusProcessError(f"the process of the servo bus has ended with exit code {code}") from error
        if isinstance(answer, OSError):
            raise answer
        return answer


def serve(connection: Connection) -> None:
    """Run the bus of the BusSetup that comes first, until the connection is closed."""
    setup: BusSetup = connection.recv()
    world = setup.world
    servos = None
    if world is not None:
        from smolvla_ros.simulation.world_servos import WorldServos

        servos = WorldServos(world, setup.units, setup.seed, MOST_LATE_S)
    try:
        remove_stale_link(setup.link)
        arm = EmulatedArm(setup.calibration, seed=setup.seed, link=setup.link, mechanics=servos)
    except OSError as error:
        connection.send(error)
        return
    with arm:
        gc.freeze()
        connection.send(arm.port)
        with suppress(EOFError):
            while True:
                following: World | None = connection.recv()
                assert world is not None and servos is not None
                with arm.held_still():
                    if following is not None:
                        following.place_arm(world.positions_rad)
                        servos.enter(following)
                        world = following
                    state = world.save()
                connection.send(state)
        arm.wait_until_quiet()


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
