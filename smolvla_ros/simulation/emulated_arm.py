# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An emulated SO-100 on a pseudo-terminal: six servos that answer the packets of the real protocol.

The driver, the node and Feetech's SDK work with it unchanged. Faults can be injected: packets on the line
(`line_faults.py`), the servos (public fields of `servo.py`), the plug and the power (methods of
EmulatedArm). Not modelled: the Return_Delay_Time of the servos.

    python -m smolvla_ros.simulation.emulated_arm --calibration config/emulated_calibration.json --link /tmp/so100
"""

from __future__ import annotations

import argparse
import fcntl
import os
import select
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Protocol

from smolvla_ros.arm import packets
from smolvla_ros.arm.registers import BAUD_RATES
from smolvla_ros.settings import SettingError
from smolvla_ros.simulation.line_faults import LineFaults
from smolvla_ros.simulation.servo import EmulatedServo
from smolvla_ros.simulation.servo_bus import answering_ids, execute
from smolvla_ros.simulation.servo_files import EepromFile, make_link, remove_link, remove_stale_link
from smolvla_ros.stop_signals import recorded_stop_signals
from smolvla_ros.units import CalibrationError, MotorCalibration, load_calibration

ADVANCE_S = 0.02  # how often a moving arm is advanced without requests
STALE_REQUEST_S = 0.05  # an incomplete packet is dropped after this
POLL_S = 0.05  # how often the program checks for stop signals
# Linux: a pseudo-terminal keeps the baud rate it was opened with, as the last word of struct termios2.
TCGETS2, TERMIOS2_BYTES = 0x802C542A, 44


class Mechanics(Protocol):
    """Servos, and what moves their shafts."""

    @property
    def servos(self) -> Mapping[str, EmulatedServo]:
        """By the names of their joints."""

    def advance(self, duration_s: float) -> None:
        """Let time pass."""


@dataclass(frozen=True)
class FreeShafts:
    """Servos whose shafts nothing connects: each moves as its registers say, with the load that it is given."""

    servos: Mapping[str, EmulatedServo]

    def advance(self, duration_s: float) -> None:
        for servo in self.servos.values():
            servo.advance(duration_s)


class EmulatedArm:
    """Servos with the calibration in their EEPROM, answering on `port` from construction until `close`.

    `start_ticks` gives start positions by joint, as the servo reports them (default: middle of the range). `link` is a
    symbolic link to the port, as udev creates, the same before and after `unplug`. `memory`: a file that keeps the
    EEPROM. `baudrate`: transmission rate; 0: no delay. `mechanics`: the servos of a physical world, which make
    `start_ticks` void. `clock_ns` drives the motion; `seed` is that of the telemetry noise. Runs one thread.
    """

    def __init__(
        self,
        calibration: Mapping[str, MotorCalibration],
        start_ticks: Mapping[str, int] | None = None,
        seed: int = 0,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        *,
        faults: LineFaults | None = None,
        link: Path | None = None,
        memory: Path | None = None,
        baudrate: int = 0,
        mechanics: Mechanics | None = None,
    ) -> None:
        start = dict(start_ticks or {})
        unknown = [name for name in start if name not in calibration]
        if unknown:
            raise ValueError(
                f"start_ticks: no joint {', '.join(unknown)}; there are {', '.join(calibration)}"
            )
        self._mechanics = mechanics or FreeShafts(
            {
                name: EmulatedServo(motor, start.get(name, round(motor.mid_tick)), seed)
                for name, motor in calibration.items()
            }
        )
        self.servos = self._mechanics.servos
        self.faults = faults or LineFaults()
        self._byte_s = 10 / baudrate if baudrate else 0.0  # start bit, eight bits, stop bit
        self._link = link
        self._memory = EepromFile(memory, self.servos) if memory else None
        self._clock_ns = clock_ns
        self._now_ns = clock_ns()
        self._lock = threading.Lock()
        self._heard_s = 0.0
        self._thread: threading.Thread | None = None
        self.plug_in()

    @property
    def port(self) -> str:
        """Path of the serial port to open."""
        return str(self._link) if self._link else self._port

    def plug_in(self) -> None:
        """Connect again after `unplug`: another port, the same link."""
        if self._thread is not None:
            return
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._port = os.ttyname(self._slave)
        self._wake_read, self._wake_write = os.pipe()
        try:
            make_link(self._link, self._port)
        except OSError:
            self._close_descriptors()
            raise
        self._thread = threading.Thread(target=self._run, name="emulated_arm", daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Disconnect the port, also for programs that have it open. The servos keep their power."""
        if self._thread is None:
            return
        os.write(self._wake_write, b"x")
        self._thread.join()
        self._thread = None
        remove_link(self._link, self._port)
        self._close_descriptors()

    def close(self) -> None:
        """Stop the thread and close the port."""
        self.unplug()

    def __enter__(self) -> EmulatedArm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait_until_quiet(self, quiet_s: float = 0.3, timeout_s: float = 3.0) -> None:
        """Wait until requests end: a driver that gets the same Ctrl-C still has to switch off the torque."""
        deadline_s = time.monotonic() + timeout_s
        while (now_s := time.monotonic()) < deadline_s and now_s - self._heard_s < quiet_s:
            time.sleep(0.02)

    def power_cycle(self, *names: str) -> None:
        """Power the named servos, or all, off and on, as in a brown-out; the port stays open."""
        with self._lock:
            self._advance()
            for name in names or self.servos:
                self.servos[name].power_cycle()

    @contextmanager
    def held_still(self) -> Iterator[None]:
        """No time passes for servos and mechanics while the caller looks at them."""
        with self._lock:
            self._advance()
            yield

    def inject(self, data: bytes) -> None:
        """Send bytes without a request, as noise or a late answer would."""
        os.write(self._master, data)

    def _run(self) -> None:
        heard = bytearray()
        outgoing: list[tuple[float, bytes]] = []  # (time, bytes) to send, soonest first
        while True:
            moving = not all(servo.at_rest for servo in self.servos.values())
            wait_s = ADVANCE_S if moving else None
            if outgoing:
                wait_s = max(0.0, outgoing[0][0] - time.monotonic())
            ready, _, _ = select.select([self._master, self._wake_read], [], [], wait_s)
            if self._wake_read in ready:
                return
            with self._lock:
                self._advance()
                if ready:
                    now_s = time.monotonic()
                    if now_s - self._heard_s > STALE_REQUEST_S:
                        heard.clear()
                    self._heard_s = now_s
                    heard += os.read(self._master, 4096)
                    requests, _, used = packets.decode(heard)
                    del heard[:used]
                    for request in requests:
                        outgoing += self._answer(request, now_s)
                    outgoing.sort(key=itemgetter(0))
                    if self._memory is not None:
                        self._memory.save_changes()
            while outgoing and outgoing[0][0] <= time.monotonic():
                with suppress(BlockingIOError):  # without a reader the bytes are lost, as on a bus
                    os.write(self._master, outgoing.pop(0)[1])

    def _answer(self, request: packets.Packet, now_s: float) -> list[tuple[float, bytes]]:
        """(time, bytes) to send for a request; bytes without extra delay are merged, as a bus has no gaps."""
        raw = packets.encode(request.id, request.code, request.parameters)
        pieces = [(0.0, raw)] if self.faults.echo() else []
        if self.faults.request(answering_ids(request)):
            pieces += [self.faults.answer(packet) for packet in self._execute(request)]
        together = b"".join(data for late_s, data in pieces if not late_s)
        done_s = now_s + (len(raw) + len(together)) * self._byte_s
        late = [(done_s + late_s, data) for late_s, data in pieces if late_s]
        return [(done_s, together), *late] if together else late

    def _close_descriptors(self) -> None:
        for descriptor in (self._master, self._slave, self._wake_read, self._wake_write):
            os.close(descriptor)

    def _advance(self) -> None:
        now_ns = self._clock_ns()
        duration_s = (now_ns - self._now_ns) * 1e-9
        self._now_ns = now_ns
        self._mechanics.advance(duration_s)

    def _execute(self, request: packets.Packet) -> list[bytes]:
        """Answers of the servos that have the port's baud rate."""
        settings = fcntl.ioctl(self._slave, TCGETS2, bytes(TERMIOS2_BYTES))
        baudrate = int.from_bytes(settings[-4:], sys.byteorder)
        setting = BAUD_RATES.index(baudrate) if baudrate in BAUD_RATES else None
        return execute([s for s in self.servos.values() if s.value("Baud_Rate") == setting], request)


def main(argv: Sequence[str] | None = None) -> int:
    """Run an emulated arm until SIGINT or SIGTERM; returns 0, or 2 if it cannot start."""
    parser = argparse.ArgumentParser(description="An emulated SO-100 on a pseudo-terminal.")
    parser.add_argument("--calibration", required=True, help="LeRobot calibration file in the servos")
    parser.add_argument("--link", type=Path, help="symbolic link to the port, made at start, removed at exit")
    parser.add_argument("--memory", type=Path, help="file that keeps the servos' EEPROM")
    parser.add_argument("--baudrate", type=int, default=0, help="transmission rate; 0: no delay")
    parser.add_argument("--seed", type=int, default=0, help="of the telemetry noise and the faults")
    for entry in fields(LineFaults):
        if "description" in entry.metadata:
            parser.add_argument(
                f"--{entry.name.replace('_', '-')}",
                type=float,
                default=entry.default,
                help=f"{entry.metadata['description']}, at most {entry.metadata['bounds'][1]:g}",
            )
    arguments = parser.parse_args(argv)
    with recorded_stop_signals() as stopping:
        return _serve(arguments, stopping)


def _serve(arguments: argparse.Namespace, stopping: list[int]) -> int:
    """Run until a stop signal; returns the exit code."""
    try:
        remove_stale_link(arguments.link)
        names = [entry.name for entry in fields(LineFaults) if hasattr(arguments, entry.name)]
        faults = LineFaults(**{name: getattr(arguments, name) for name in names})
        calibration = load_calibration(arguments.calibration)
        arm = EmulatedArm(
            calibration,
            seed=arguments.seed,
            faults=faults,
            link=arguments.link,
            memory=arguments.memory,
            baudrate=arguments.baudrate,
        )
    except (CalibrationError, SettingError, OSError) as error:
        print(f"emulated arm: {error}", file=sys.stderr)
        return 2
    with arm:
        print(f"emulated arm on {arm.port}", flush=True)
        while not stopping:
            time.sleep(POLL_S)
        arm.wait_until_quiet()
    return 0


if __name__ == "__main__":
    sys.exit(main())
