# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The servos of one arm as a group: every servo is written and read back, and errors name joint and servo."""

from __future__ import annotations

from collections.abc import Sequence

from smolvla_ros.arm.feetech import BusError, FeetechBus, PortError, SyncReply
from smolvla_ros.arm.registers import fault_names
from smolvla_ros.units import CalibrationError, JointUnits, MotorCalibration

ATTEMPTS = 5  # on a busy computer the first answers may come too late


class ArmError(RuntimeError):
    """The arm cannot do what was asked; the message names joint and servo, what was found, and the remedy."""


class ServoGroup:
    """The servos of an arm on their bus, in the order of `units`, each of which needs its calibration.

    Methods raise ArmError, or PortError when the port is gone. Dicts are keyed by servo id.
    """

    def __init__(self, bus: FeetechBus, units: Sequence[JointUnits]) -> None:
        self.bus = bus
        self.joint_names = tuple(joint.name for joint in units)
        self.motors = tuple(_motor(joint) for joint in units)
        self.ids = tuple(motor.id for motor in self.motors)
        pairs = zip(self.joint_names, self.ids, strict=True)
        self.labels = tuple(f"{name} (servo {servo_id})" for name, servo_id in pairs)  # for messages

    def find(self) -> list[str]:
        """Ping every servo; returns warnings about the faults they report. Raises ArmError naming all missing ones."""
        warnings: list[str] = []
        missing = dict(zip(self.ids, self.labels, strict=True))
        errors: list[str] = []
        for _ in range(ATTEMPTS):
            errors = []
            for servo_id, label in tuple(missing.items()):
                try:
                    faults = fault_names(self.bus.ping(servo_id))
                except PortError:
                    raise
                except BusError as error:
                    errors.append(f"{label}: {error}")
                else:
                    del missing[servo_id]
                    if faults:
                        warnings.append(f"{label} reports {', '.join(faults)}")
        if missing:
            raise ArmError(f"{len(missing)} of {len(self.ids)} servos missing: {'; '.join(errors)}")
        return warnings

    def read(self, registers: Sequence[str]) -> dict[int, dict[str, int]]:
        """Values of the named registers of every servo; raises ArmError if one does not answer."""
        for _ in range(ATTEMPTS):
            reply = self.bus.sync_read(self.ids, registers)
            if not reply.failures:
                return reply.values
        raise ArmError("; ".join(self.failures(reply).values()))

    def write(self, register: str, values: dict[int, int]) -> None:
        """Write a register of some servos in one unacknowledged packet, read it back, repeat where it was missed."""
        if not values:
            return
        self.bus.sync_write(register, values)
        reply = self.bus.sync_read(tuple(values), (register,))
        wrong = []
        for label, servo_id in zip(self.labels, self.ids, strict=True):
            if servo_id not in values:
                continue
            if servo_id in reply.values and reply.values[servo_id][register] == values[servo_id]:
                continue
            try:
                self.bus.write(servo_id, register, values[servo_id])
                value = self.bus.read(servo_id, register)
            except PortError:
                raise
            except BusError as error:
                wrong.append(f"{label}: {error}")
            else:
                if value != values[servo_id]:
                    wrong.append(f"{label} keeps {register} at {value} instead of {values[servo_id]}")
        if wrong:
            raise ArmError("; ".join(wrong))

    def failures(self, reply: SyncReply) -> dict[str, str]:
        """Joint name -> why its servo did not answer."""
        joints = zip(self.joint_names, self.labels, self.ids, strict=True)
        return {name: f"{label}: {reply.failures[i]}" for name, label, i in joints if i in reply.failures}


def _motor(joint: JointUnits) -> MotorCalibration:
    if joint.calibration is None:
        raise CalibrationError(
            f"joint '{joint.name}' has no calibration; the arm needs LeRobot's calibration of all its joints"
        )
    return joint.calibration
