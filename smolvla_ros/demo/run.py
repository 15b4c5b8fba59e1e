# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One run of the demo: starts the suite's programs, shows the status, ends the programs, saves figures and plots."""

from __future__ import annotations

import math
import re
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING

from smolvla_ros.demo.plan import TASK, DemoError, DemoPlan
from smolvla_ros.demo.status import demo_status, status_line, status_screen
from smolvla_ros.demo.summary import Summary, summarize
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.share import PACKAGE
from smolvla_ros.stop_signals import handle_stop_signals
from smolvla_ros.suite import programs
from smolvla_ros.suite.processes import Processes
from smolvla_ros.terminal.typed_line import TypedLine

if TYPE_CHECKING:
    from smolvla_ros.demo.observer import DemoObserver

READY_S = 300.0  # loading a real checkpoint from a slow disk takes minutes
CONSOLE_S = 20.0  # it starts last
ARM_S = 3.0  # joint states may be late while other programs still start
POLL_S = 0.1
TASK_S = 20.0  # without success for so long, it goes on with the next task of the world
SCREEN_PERIOD_S, LINE_PERIOD_S = 0.2, 3.0
LINK = re.compile(r"console for operators: (\S+)")  # in the log of the console
CLEAR_SCREEN = "\033[2J"


class Interrupted(Exception):  # noqa: N818 - not an error
    """A signal asked the demo to end before it had started."""


class DemoRun:
    """Stop signals only set a flag, so that the programs are always ended in order."""

    def __init__(self, plan: DemoPlan) -> None:
        self._plan = plan
        self._task = plan.task
        self._stopping = False
        self._processes = Processes(plan.folder)
        self._typed = TypedLine()
        handle_stop_signals(self._stop)

    def run(self) -> Summary:
        """The whole run; raises ProcessError, DemoError or Interrupted after all programs have ended."""
        from smolvla_ros.demo.observer import DemoObserver  # loads DDS, so after the environment is set

        plan = self._plan
        try:
            with DemoObserver(plan.robot, plan.cameras) as observer:
                for spec in programs.suite_nodes(plan.options):
                    if spec.package == PACKAGE:
                        self._processes.start(spec, lambda: self._stopping)
                self._wait_until_ready(observer)
                self._console = self._console_line(observer)
                print(self._console, flush=True)
                self._begin_task(observer)
                if not plan.options.sim and self._has_consent():
                    self._arm(observer)
                with self._typed.reading():
                    start_ns, end_ns = self._show_status(observer)
                print("ending all programs ...", flush=True)
                ended = self._processes.stop()
                summary = summarize(observer.run, self._task, start_ns, end_ns, ended)
                self._save_results(observer, summary, start_ns)
                return summary
        finally:
            self._processes.stop()

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _check_processes(self) -> None:
        for text in self._processes.check():
            print(text, flush=True)

    def _poll(self, observer: DemoObserver, deadline_s: float, timeout_message: str) -> None:
        """Receive messages for a moment; raises Interrupted, ProcessError, or DemoError after the deadline."""
        if self._stopping:
            raise Interrupted
        self._check_processes()
        if time.monotonic() > deadline_s:
            raise DemoError(timeout_message)
        observer.spin(POLL_S)

    def _wait_until_ready(self, observer: DemoObserver) -> None:
        started_s = time.monotonic()
        printed: list[str] = []
        logs = self._plan.folder / "logs"
        while missing := observer.missing_parts():
            names = ", ".join(missing)
            if missing != printed:
                print(f"{time.monotonic() - started_s:5.1f} s  waiting for {names}", flush=True)
                printed = missing
            self._poll(observer, started_s + READY_S, f"waited {READY_S:.0f} s for {names}; see {logs}")
        print(f"{time.monotonic() - started_s:5.1f} s  everything runs", flush=True)

    def _console_line(self, observer: DemoObserver) -> str:
        """The address of the operator's console, which it prints when it serves."""
        log = self._plan.folder / "logs" / "console.log"
        deadline_s = time.monotonic() + CONSOLE_S
        while (
            link := LINK.search(log.read_text(encoding="utf-8"))
        ) is None and time.monotonic() < deadline_s:
            self._poll(observer, math.inf, "")
        return f"the operator's console: {link[1]}" if link else f"there is no operator's console; see {log}"

    def _begin_task(self, observer: DemoObserver) -> None:
        """Give the executor the task of the plan, or the next one of the world."""
        if not self._plan.task:
            observer.go_on_after_fault()
            self._give_task(observer, "")  # the next one may have the same words
            self._task = observer.next_objects() or TASK
        self._give_task(observer, self._task)

    def _give_task(self, observer: DemoObserver, task: str) -> None:
        deadline_s = time.monotonic() + READY_S
        while not observer.publish_task(task):
            self._poll(observer, deadline_s, "the executor does not take the task; see its log")

    def _is_task_over(self, observer: DemoObserver) -> bool:
        progress = observer.run.task_progress
        if self._plan.task or progress is None or progress.task != self._task:
            return False
        return bool(progress.success) or progress.elapsed > TASK_S or observer.has_fault

    def _has_consent(self) -> bool:
        """Whether a real arm may move, which so far was in shadow mode; raises Interrupted."""
        if self._plan.has_consent:
            return True
        if not sys.stdin.isatty():
            print(
                "Standard input is no terminal: the arm stays still (shadow). --yes arms it without asking."
            )
            return False
        signal.signal(signal.SIGINT, signal.default_int_handler)  # so that Ctrl-C ends the question
        try:
            answer = input("The real arm is about to move. Is its space clear? Type yes: ")
        except (KeyboardInterrupt, EOFError) as error:
            raise Interrupted from error
        finally:
            signal.signal(signal.SIGINT, self._stop)
        if answer.strip().lower() == "yes":
            return True
        print("The arm stays still (shadow).", flush=True)
        return False

    def _arm(self, observer: DemoObserver) -> None:
        deadline_s = time.monotonic() + ARM_S
        while reason := observer.arm():
            self._poll(observer, deadline_s, f"the executor refuses to arm: {reason}")

    def _show_status(self, observer: DemoObserver) -> tuple[int, int]:
        """Show the status until the time is over or a signal arrives; returns start and end in ns."""
        plan = self._plan
        on_terminal = sys.stdout.isatty()
        period_s = SCREEN_PERIOD_S if on_terminal else LINE_PERIOD_S
        observer.start_recording()
        start_ns = observer.now_ns()
        elapsed_s, next_report_s = 0.0, period_s
        if on_terminal:
            print(CLEAR_SCREEN, end="")
        while not self._stopping and (elapsed_s < plan.seconds or not plan.seconds):
            observer.spin(POLL_S)
            self._check_processes()
            if typed := self._typed.poll():
                self._task = typed
                self._give_task(observer, typed)
            elif self._is_task_over(observer):
                self._begin_task(observer)
            elapsed_s = (observer.now_ns() - start_ns) / NANOSECONDS
            if elapsed_s >= next_report_s:
                next_report_s += period_s
                status = demo_status(observer.run, plan.robot, start_ns, observer.now_ns())
                if on_terminal:
                    width = shutil.get_terminal_size().columns
                    title = f"{plan.title}\n{self._console}"
                    screen = status_screen(status, title, plan.seconds, self._typed.text, width)
                    print(screen, end="", flush=True)
                else:
                    print(status_line(status), flush=True)
        return start_ns, observer.now_ns()

    def _save_results(self, observer: DemoObserver, summary: Summary, start_ns: int) -> None:
        from smolvla_ros.demo import plot  # after the run: matplotlib takes a second to import

        folder = self._plan.folder
        images = {camera: frame.image for camera, frame in observer.newest_frames().items()}
        for camera, image in images.items():
            plot.save_image(image, folder / f"{camera}.png")
        plot.save_joints(observer.run, start_ns, folder / "joints.png")
        plot.save_overview(observer.run, images, start_ns, folder / "demo.png")
        (folder / "summary.json").write_text(summary.to_json(), encoding="utf-8")
