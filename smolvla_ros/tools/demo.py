# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`make demo`: the whole suite as processes over real DDS, watched on one screen, with figures and pictures at the end.

By default an emulated arm, rendered cameras and a checkpoint made on the spot; with a port, cameras, a calibration and
a checkpoint of your own the same on hardware, where the arm moves only after a yes.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smolvla_ros import suite
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.robot import RobotSpec
from smolvla_ros.suite import SuiteError, SuiteOptions
from smolvla_ros.tools import demo_status
from smolvla_ros.tools.demo_summary import Summary, summarize
from smolvla_ros.tools.processes import Processes, ProcessError

if TYPE_CHECKING:
    from smolvla_ros.tools.demo_observer import DemoObserver

TASK = "pick up the red cube"
READY_S = 300.0  # a real checkpoint from a slow disk takes minutes
POLL_S = 0.1
SCREEN_PERIOD_S, LINE_PERIOD_S = 0.2, 3.0
UNTRAINED = (
    "The checkpoint is NOT A TRAINED POLICY: its weights come from a fixed seed, in the layout of a real one. The arm moves, "
    "but it knows nothing of cubes."
)
FIRST_PORT, PORTS_PER_DOMAIN, PARTICIPANT_PORT = (
    7400,
    250,
    10,
)  # DDS: where the first participant of a domain listens


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why."""


class Interrupted(Exception):  # noqa: N818 - not an error
    """Asked to end before anything could be shown."""


@dataclass(frozen=True)
class Plan:
    """What to show and where to leave the results."""

    options: SuiteOptions
    robot: RobotSpec
    cameras: tuple[str, ...]
    task: str
    seconds: float  # 0: until Ctrl-C
    folder: Path
    title: str
    has_consent: bool  # the real arm may move without asking


class Demo:
    """One run. A signal only sets a flag, so that every step ends in its own good order."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stopping = False
        self._processes = Processes(plan.folder)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def run(self) -> Summary:
        """Start, show, end; raises ProcessError, DemoError or Interrupted with nothing left running."""
        from smolvla_ros.tools.demo_observer import (
            DemoObserver,
        )  # after the environment is set: it starts DDS

        plan = self._plan
        try:
            with DemoObserver(plan.robot, plan.cameras) as observer:
                for spec in suite.suite_nodes(plan.options):
                    if spec.package == suite.PACKAGE:
                        self._processes.start(spec, lambda: self._stopping)
                self._wait_until_ready(observer)
                self._say_task(observer)
                if not plan.options.sim:
                    self._ask_to_arm(observer)
                start_ns, end_ns = self._show(observer)
                print("ending all programs ...", flush=True)
                ended = self._processes.stop()
                summary = summarize(observer.recording, plan.task, start_ns, end_ns, ended)
                self._save(observer, summary, start_ns)
                return summary
        finally:
            self._processes.stop()

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _check(self) -> None:
        if self._stopping:
            raise Interrupted
        self._processes.check()

    def _wait_until_ready(self, observer: DemoObserver) -> None:
        started_s = time.monotonic()
        told: list[str] = []
        while missing := observer.missing():
            self._check()
            if time.monotonic() - started_s > READY_S:
                raise DemoError(
                    f"waited {READY_S:.0f} s for {', '.join(missing)}; see {self._plan.folder / 'logs'}"
                )
            if missing != told:
                print(f"{time.monotonic() - started_s:5.1f} s  waiting for {', '.join(missing)}", flush=True)
                told = missing
            observer.spin(POLL_S)
        print(f"{time.monotonic() - started_s:5.1f} s  everything runs", flush=True)

    def _say_task(self, observer: DemoObserver) -> None:
        deadline_s = time.monotonic() + READY_S
        while not observer.say(self._plan.task):
            self._check()
            if time.monotonic() > deadline_s:
                raise DemoError("the executor does not take the task; see its log")
            observer.spin(POLL_S)

    def _ask_to_arm(self, observer: DemoObserver) -> None:
        """On hardware the arm has only been shadowed so far."""
        if not self._plan.has_consent:
            if not sys.stdin.isatty():
                print(
                    "No terminal to ask at: the real arm stays still (shadow). --yes arms it without asking.",
                    flush=True,
                )
                return
            signal.signal(signal.SIGINT, signal.default_int_handler)  # so that Ctrl-C ends the question
            try:
                answer = input("The real arm is about to move. Is its space clear? Type yes: ")
            except (KeyboardInterrupt, EOFError) as error:
                raise Interrupted from error
            finally:
                signal.signal(signal.SIGINT, self._stop)
            if answer.strip().lower() != "yes":
                print("The arm stays still (shadow).", flush=True)
                return
        if refusal := observer.arm():
            raise DemoError(f"the executor refuses to arm: {refusal}")

    def _show(self, observer: DemoObserver) -> tuple[int, int]:
        """The live part; returns when it started and ended."""
        plan = self._plan
        on_terminal = sys.stdout.isatty()
        period_s = SCREEN_PERIOD_S if on_terminal else LINE_PERIOD_S
        observer.start_recording()
        start_ns = observer.now_ns()
        if on_terminal:
            print("\033[2J", end="")
        while not self._stopping and (
            not plan.seconds or observer.now_ns() - start_ns < plan.seconds * NANOSECONDS
        ):
            left_s = plan.seconds - (observer.now_ns() - start_ns) / NANOSECONDS if plan.seconds else period_s
            # In short pieces: a signal is noticed, and so is a program that has ended.
            for _ in range(max(1, round(min(period_s, left_s) / POLL_S))):
                observer.spin(min(POLL_S, max(0.0, left_s)))
                self._processes.check()
                if self._stopping:
                    break
            now = demo_status.status(observer.recording, plan.robot, start_ns, observer.now_ns())
            print(
                demo_status.screen(now, plan.title, plan.seconds) if on_terminal else demo_status.line(now),
                flush=True,
            )
        return start_ns, observer.now_ns()

    def _save(self, observer: DemoObserver, summary: Summary, start_ns: int) -> None:
        from smolvla_ros.tools import demo_plot  # after the run: matplotlib takes a second to import

        folder = self._plan.folder
        images = {camera: frame.image for camera, frame in observer.frames().items()}
        for camera, image in images.items():
            demo_plot.save_image(image, folder / f"{camera}.png")
        demo_plot.save_joints(observer.recording, start_ns, folder / "joints.png")
        demo_plot.save_overview(observer.recording, images, start_ns, folder / "demo.png")
        (folder / "summary.json").write_text(summary.to_json(), encoding="utf-8")


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="demo", description="The whole suite at work, on an emulated arm or yours."
    )
    parser.add_argument(
        "--checkpoint", default="", help="LeRobot folder or hub id; without: one made on the spot, untrained"
    )
    parser.add_argument("--port", default="", help="serial port of a real arm; without: an emulated one")
    parser.add_argument(
        "--cameras", default="", help="such as top=/dev/video0,wrist=/dev/video2; without: rendered ones"
    )
    parser.add_argument("--calibration", default="", help="LeRobot calibration JSON of the real arm")
    parser.add_argument("--params-file", default="", help="YAML file with parameters of the nodes")
    parser.add_argument(
        "--policy", default="", choices=("smolvla", "scripted"), help="scripted: a set motion, no torch"
    )
    parser.add_argument("--device", default="", help="torch device; without: the best there is")
    parser.add_argument("--task", default=TASK, help="what to tell the policy (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="how long; 0: until Ctrl-C (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the emulated sensors' noise")
    parser.add_argument("--yes", action="store_true", help="a real arm: move it without asking")
    parser.add_argument(
        "--out", type=Path, default=Path("build/demo"), help="folder for results (default: %(default)s)"
    )
    arguments = parser.parse_args(argv)
    if not 0.0 <= arguments.seconds < float("inf"):
        parser.error(f"--seconds {arguments.seconds}: must be 0 or more")
    return arguments


def make_plan(arguments: argparse.Namespace) -> Plan:
    """What the command line means; raises SuiteError. The checkpoint is made if none is given."""
    given = {name: getattr(arguments, name) for name in ("port", "calibration", "cameras", "checkpoint")}
    is_real = bool(arguments.port)
    missing = [name for name, value in given.items() if not value]
    if arguments.policy == "scripted" and "checkpoint" in missing:
        missing.remove("checkpoint")
    if is_real and missing:
        raise SuiteError(
            f"a real arm needs {', '.join(name.upper() + '=' for name in missing)} too, beside PORT="
        )
    folder = arguments.out.resolve()
    options = SuiteOptions.from_text(
        {
            **given,
            "sim": str(not is_real),
            "port": arguments.port or str(folder / "arm"),
            "checkpoint": given["checkpoint"]
            or ("" if arguments.policy == "scripted" else str(folder / "checkpoint")),
            "policy": arguments.policy,
            "device": arguments.device,
            "mode": "shadow" if is_real else "",
            "params_file": arguments.params_file,
            "seed": str(arguments.seed),
        }
    )
    robot = RobotSpec.load(options.robot_file)
    policy = given["checkpoint"] or arguments.policy or "made on the spot, NOT A TRAINED POLICY"
    return Plan(
        options=options,
        robot=robot,
        cameras=tuple(camera.name for camera in suite.selected_cameras(options, robot)),
        task=arguments.task,
        seconds=arguments.seconds,
        folder=folder,
        title=f"smolvla_ros demo: {arguments.port or 'emulated arm'}, checkpoint {policy}",
        has_consent=arguments.yes,
    )


def make_checkpoint(folder: Path) -> None:
    """The demo's checkpoint, unless it is there and no older than the program that makes it. Raises DemoError."""
    program = Path(__file__).with_name("demo_checkpoint.py")
    weights = folder / "model.safetensors"
    if weights.is_file() and weights.stat().st_mtime >= program.stat().st_mtime:
        return
    print(f"making a checkpoint in {folder} ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-m", "smolvla_ros.tools.demo_checkpoint", str(folder)], check=False
    )
    if done.returncode:
        raise DemoError(f"the checkpoint could not be made (exit code {done.returncode})")


def set_environment(folder: Path) -> None:
    """ROS for this demo only: this machine, a domain of its own, room for images; what is set already stays."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", str(suite.fast_dds_profile()))
    os.environ.setdefault("ROS_LOG_DIR", str(folder / "logs"))
    if "ROS_DOMAIN_ID" not in os.environ:
        os.environ["ROS_DOMAIN_ID"] = str(free_domain())


def free_domain() -> int:
    """A ROS domain, 1 to 100, in which no process of this machine takes part; raises DemoError."""
    for domain in random.sample(range(1, 101), 100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", FIRST_PORT + PORTS_PER_DOMAIN * domain + PARTICIPANT_PORT))
            except OSError:
                continue
            return domain
    raise DemoError("every ROS domain from 1 to 100 is in use on this machine; set ROS_DOMAIN_ID yourself")


def main(argv: Sequence[str] | None = None) -> int:
    """0: all went well; 1: something did not, and was printed; 130: ended before it began."""
    arguments = parse(argv)
    try:
        plan = make_plan(arguments)
        plan.folder.mkdir(parents=True, exist_ok=True)
        set_environment(plan.folder)
        print(plan.title)
        if not (arguments.checkpoint or arguments.policy == "scripted"):
            print(UNTRAINED)
            make_checkpoint(plan.folder / "checkpoint")
        print(f"look in from another terminal: export ROS_DOMAIN_ID={os.environ['ROS_DOMAIN_ID']}", end=" ")
        print(f"ROS_AUTOMATIC_DISCOVERY_RANGE={os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE']}", flush=True)
        summary = Demo(plan).run()
    except (SuiteError, DemoError, ProcessError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except (Interrupted, KeyboardInterrupt):
        print("ended before it began", file=sys.stderr)
        return 130
    print()
    print(summary.to_text())
    print(
        f"{'saved':<14}{', '.join(sorted(p.name for p in plan.folder.iterdir() if p.suffix in ('.png', '.json')))}",
        end="",
    )
    print(f" in {plan.folder}; logs in {plan.folder / 'logs'}")
    return 1 if summary.problems else 0


if __name__ == "__main__":
    sys.exit(main())
