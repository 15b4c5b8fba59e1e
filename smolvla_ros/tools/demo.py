# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`make demo`: the whole suite as processes over real DDS, on one screen, figures and pictures at the end.

By default an emulated arm, rendered cameras and a checkpoint made on the spot; with a port, cameras, a
calibration and a checkpoint of your own the same on hardware, where the arm moves only after a yes.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from smolvla_ros.demo.plan import DemoError, Plan, make_checkpoint, make_plan, parse, set_environment
from smolvla_ros.demo.status import line, screen, status
from smolvla_ros.demo.summary import Summary, summarize
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.share import PACKAGE
from smolvla_ros.stop_signals import handle_stop_signals
from smolvla_ros.suite import programs
from smolvla_ros.suite.options import SuiteError
from smolvla_ros.suite.parameter_files import unknown_parameters
from smolvla_ros.suite.processes import ProcessError, Processes
from smolvla_ros.suite.ros_domain import NoFreeDomainError

if TYPE_CHECKING:
    from smolvla_ros.demo.observer import DemoObserver

READY_S = 300.0  # a real checkpoint from a slow disk takes minutes
ARM_S = 3.0  # joint states may be late for a moment while all else starts
POLL_S = 0.1
SCREEN_PERIOD_S, LINE_PERIOD_S = 0.2, 3.0
CLEAR_SCREEN = "\033[2J"
UNTRAINED = (
    "The checkpoint is NOT A TRAINED POLICY: its weights come from a fixed seed, in the layout of a real one. "
    "The arm moves, but it knows nothing of cubes."
)


class Interrupted(Exception):  # noqa: N818 - not an error
    """Asked to end before anything could be shown."""


class Demo:
    """One run. A signal only sets a flag, so that every step ends in its own good order."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stopping = False
        self._processes = Processes(plan.folder)
        handle_stop_signals(self._stop)

    def run(self) -> Summary:
        """Start, show, end; raises ProcessError, DemoError or Interrupted with nothing left running."""
        # Not before the environment is set: it loads DDS.
        from smolvla_ros.demo.observer import DemoObserver

        plan = self._plan
        try:
            with DemoObserver(plan.robot, plan.cameras) as observer:
                for spec in programs.suite_nodes(plan.options):
                    if spec.package == PACKAGE:
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
        self._watch_processes()

    def _watch_processes(self) -> None:
        for text in self._processes.check():
            print(text, flush=True)

    def _wait_until_ready(self, observer: DemoObserver) -> None:
        started_s = time.monotonic()
        told: list[str] = []
        while missing := observer.missing():
            self._check()
            if time.monotonic() - started_s > READY_S:
                logs = self._plan.folder / "logs"
                raise DemoError(f"waited {READY_S:.0f} s for {', '.join(missing)}; see {logs}")
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
                print("No terminal to ask at: the arm stays still (shadow). --yes arms it without asking.")
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
        deadline_s = time.monotonic() + ARM_S
        while refusal := observer.arm():
            self._check()
            if time.monotonic() > deadline_s:
                raise DemoError(f"the executor refuses to arm: {refusal}")
            observer.spin(POLL_S)

    def _show(self, observer: DemoObserver) -> tuple[int, int]:
        """The live part; returns when it started and ended."""
        plan = self._plan
        on_terminal = sys.stdout.isatty()
        period_s = SCREEN_PERIOD_S if on_terminal else LINE_PERIOD_S
        observer.start_recording()
        start_ns = observer.now_ns()
        elapsed_s, report_s = 0.0, period_s
        if on_terminal:
            print(CLEAR_SCREEN, end="")
        while not self._stopping and (elapsed_s < plan.seconds or not plan.seconds):
            observer.spin(POLL_S)
            self._watch_processes()
            elapsed_s = (observer.now_ns() - start_ns) / NANOSECONDS
            if elapsed_s >= report_s:
                report_s += period_s
                now = status(observer.recording, plan.robot, start_ns, observer.now_ns())
                print(screen(now, plan.title, plan.seconds) if on_terminal else line(now), flush=True)
        return start_ns, observer.now_ns()

    def _save(self, observer: DemoObserver, summary: Summary, start_ns: int) -> None:
        from smolvla_ros.demo import plot  # after the run: matplotlib takes a second to import

        folder = self._plan.folder
        images = {camera: frame.image for camera, frame in observer.frames().items()}
        for camera, image in images.items():
            plot.save_image(image, folder / f"{camera}.png")
        plot.save_joints(observer.recording, start_ns, folder / "joints.png")
        plot.save_overview(observer.recording, images, start_ns, folder / "demo.png")
        (folder / "summary.json").write_text(summary.to_json(), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """0: all went well; 1: something did not, and was printed; 130: ended before it began."""
    arguments = parse(argv)
    try:
        plan = make_plan(arguments)
        plan.folder.mkdir(parents=True, exist_ok=True)
        set_environment(plan.folder)
        print(
            "\n".join(
                [plan.title, *unknown_parameters(arguments.params_file, programs.suite_nodes(plan.options))]
            )
        )
        if not (arguments.checkpoint or arguments.policy == "scripted"):
            print(UNTRAINED)
            make_checkpoint(plan.folder / "checkpoint")
        settings = ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE")
        print("to look in: export", *(f"{name}={os.environ[name]}" for name in settings), flush=True)
        summary = Demo(plan).run()
    except (SuiteError, DemoError, ProcessError, NoFreeDomainError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except (Interrupted, KeyboardInterrupt):
        print("ended before it began", file=sys.stderr)
        return 130
    print()
    print(summary.to_text())
    saved = ", ".join(sorted(file.name for file in plan.folder.iterdir() if file.suffix in (".png", ".json")))
    print(f"{'saved':<14}{saved} in {plan.folder}")
    print(f"{'logs':<14}{plan.folder / 'logs'}")
    return 1 if summary.problems else 0


if __name__ == "__main__":
    sys.exit(main())
