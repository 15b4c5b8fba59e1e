# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An emulated SO-100 on a pseudo-terminal: six servos that answer real packets on a port like the real one's.

The driver, the node and Feetech's own SDK talk to it unchanged. Not modelled: the time bytes take on a real
bus (1.3 ms for the telemetry of six servos) and the Return_Delay_Time of the servos.

    python -m smolvla_ros.arm.emulated --calibration config/emulated_calibration.json --link /tmp/so100
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import threading
import time
import tty
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from smolvla_ros.arm import packets
from smolvla_ros.arm.emulated_servo import EmulatedServo
from smolvla_ros.units import CalibrationError, MotorCalibration, load_calibration

ADVANCE_S = 0.02  # how often a moving arm is advanced when nobody asks
STALE_REQUEST_S = 0.05  # a packet that stops in its middle is forgotten after this


class EmulatedArm:
    """Servos with the calibration in their EEPROM, answering on `port` from construction until `close`.

    `start_ticks` gives start positions by joint, as the servo reports them (default: middle of the range).
    `clock_ns` drives the motion; telemetry noise follows from `seed`. One thread of its own.
    """

    def __init__(
        self,
        calibration: Mapping[str, MotorCalibration],
        start_ticks: Mapping[str, int] | None = None,
        seed: int = 0,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        start = dict(start_ticks or {})
        unknown = [name for name in start if name not in calibration]
        if unknown:
            raise ValueError(
                f"start_ticks: no joint {', '.join(unknown)}; there are {', '.join(calibration)}"
            )
        self.servos = {
            name: EmulatedServo(motor, start.get(name, round(motor.mid_tick)), seed)
            for name, motor in calibration.items()
        }
        self._clock_ns = clock_ns
        self._now_ns = clock_ns()
        self._lock = threading.Lock()
        self._heard_s = 0.0
        self._closed = False
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._port = os.ttyname(self._slave)
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="emulated_arm", daemon=True)
        self._thread.start()

    @property
    def port(self) -> str:
        """Path of the serial port to open."""
        return self._port

    def close(self) -> None:
        """Pull the plug: who has the port open loses it."""
        if self._closed:
            return
        self._closed = True
        os.write(self._wake_write, b"x")
        self._thread.join()
        for descriptor in (self._master, self._slave, self._wake_read, self._wake_write):
            os.close(descriptor)

    def __enter__(self) -> EmulatedArm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait_until_quiet(self, quiet_s: float = 0.3, timeout_s: float = 3.0) -> None:
        """Wait until nobody asks any more: a driver that ends by the same Ctrl-C still has to let go of the arm."""
        deadline_s = time.monotonic() + timeout_s
        while (now_s := time.monotonic()) < deadline_s and now_s - self._heard_s < quiet_s:
            time.sleep(0.02)

    def power_cycle(self) -> None:
        """Take the power away from all servos and give it back; the port stays."""
        with self._lock:
            self._advance()
            for servo in self.servos.values():
                servo.power_cycle()

    def inject(self, data: bytes) -> None:
        """Put bytes on the line that nobody asked for, as noise or a late answer would."""
        os.write(self._master, data)

    def _run(self) -> None:
        buffer = bytearray()
        while True:
            moving = not all(servo.at_rest for servo in self.servos.values())
            ready, _, _ = select.select(
                [self._master, self._wake_read], [], [], ADVANCE_S if moving else None
            )
            if self._wake_read in ready:
                return
            reply = b""
            with self._lock:
                self._advance()
                if ready:
                    now_s = time.monotonic()
                    if now_s - self._heard_s > STALE_REQUEST_S:
                        buffer.clear()
                    self._heard_s = now_s
                    buffer += os.read(self._master, 4096)
                    requests, _, used = packets.decode(buffer)
                    del buffer[:used]
                    reply = b"".join(map(self._execute, requests))
            if reply:
                with suppress(BlockingIOError):  # nobody reads, and a bus does not wait
                    os.write(self._master, reply)

    def _advance(self) -> None:
        now_ns = self._clock_ns()
        duration_s = (now_ns - self._now_ns) * 1e-9
        self._now_ns = now_ns
        for servo in self.servos.values():
            servo.advance(duration_s)

    def _execute(self, request: packets.Packet) -> bytes:
        """Carry out one instruction; the status packets that answer it."""
        parameters = request.parameters
        if request.code == packets.SYNC_READ and len(parameters) >= 2:
            address, length, *ids = parameters
            asked = [servo for servo_id in ids for servo in self._addressed(servo_id)]
            return b"".join(_status(servo, servo.read(address, length)) for servo in asked)
        if request.code == packets.SYNC_WRITE and len(parameters) >= 2:
            address, length = parameters[0], parameters[1]
            for at in range(2, len(parameters) - length, length + 1):
                for servo in self._addressed(parameters[at]):
                    servo.write(address, parameters[at + 1 : at + 1 + length])
            return b""
        reply = b""
        for servo in self._addressed(request.id):
            reply += _instruct(servo, request.code, parameters)
        return b"" if request.id == packets.BROADCAST_ID else reply

    def _addressed(self, servo_id: int) -> list[EmulatedServo]:
        everyone = servo_id == packets.BROADCAST_ID
        return [
            servo
            for servo in self.servos.values()
            if not servo.silent and (everyone or servo.value("ID") == servo_id)
        ]


def _instruct(servo: EmulatedServo, instruction: int, parameters: bytes) -> bytes:
    """Carry out an instruction to one servo; its status packet, if it gives one."""
    if instruction == packets.PING:
        return _status(servo)
    if instruction == packets.READ and len(parameters) == 2:
        return _status(servo, servo.read(*parameters))
    if instruction == packets.WRITE and parameters:
        servo.write(parameters[0], parameters[1:])
    elif instruction == packets.REG_WRITE and parameters:
        servo.prepare(parameters[0], parameters[1:])
    elif instruction == packets.ACTION:
        servo.act()
    else:
        return b""
    return _status(servo) if servo.value("Response_Status_Level") else b""


def _status(servo: EmulatedServo, data: bytes = b"") -> bytes:
    packet = packets.encode(servo.value("ID"), servo.fault_bits, data)
    if servo.corrupt_replies > 0:
        servo.corrupt_replies -= 1
        return packet[:-1] + bytes((packet[-1] ^ 0xFF,))
    return packet


def main(argv: Sequence[str] | None = None) -> int:
    """Serve an emulated arm until SIGINT or SIGTERM; 0 then, 2 if it cannot start."""
    parser = argparse.ArgumentParser(description="An emulated SO-100 on a pseudo-terminal.")
    parser.add_argument("--calibration", required=True, help="LeRobot calibration file the servos hold")
    parser.add_argument("--link", type=Path, help="symbolic link to the port, made at start, removed at exit")
    parser.add_argument("--seed", type=int, default=0, help="of the telemetry noise")
    arguments = parser.parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        calibration = load_calibration(arguments.calibration)
    except CalibrationError as error:
        print(f"emulated arm: {error}", file=sys.stderr)
        return 2
    with EmulatedArm(calibration, seed=arguments.seed) as arm:
        try:
            _link(arguments.link, arm.port)
        except OSError as error:
            print(f"emulated arm: --link {arguments.link} cannot be made: {error}", file=sys.stderr)
            return 2
        print(f"emulated arm on {arguments.link or arm.port}", flush=True)
        stop.wait()
        arm.wait_until_quiet()
        _unlink(arguments.link, arm.port)
    for number in (signal.SIGINT, signal.SIGTERM):
        # ros2 launch repeats the terminal's Ctrl-C, see nodes/running.py
        signal.signal(number, signal.SIG_IGN)
    return 0


def _link(path: Path | None, port: str) -> None:
    """Point `path` at the port, replacing an older link but nothing else."""
    if path is None:
        return
    if path.exists() and not path.is_symlink():
        raise FileExistsError(f"{path} exists and is not a symbolic link")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.symlink_to(port)
    temporary.replace(path)


def _unlink(path: Path | None, port: str) -> None:
    """Remove the link unless another arm has taken it over."""
    if path is not None and path.is_symlink() and os.readlink(path) == port:
        path.unlink()


if __name__ == "__main__":
    sys.exit(main())
