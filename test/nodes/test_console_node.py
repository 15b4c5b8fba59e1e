# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The console's page in a headless Chromium, with the real node, executor, policy, cameras and an emulated arm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import smolvla_ros.msg as msg

from smolvla_ros.dataset.bag import Bag, find_bags
from smolvla_ros.evaluation.results import read_results
from smolvla_ros.nodes import topics
from smolvla_ros.observation import NANOSECONDS
from smolvla_ros.wire import header_stamp_ns

from ..package_files import CALIBRATION_FILE
from ..viewer.chromium import CHROMIUM, Chromium
from .conftest import EVERY_ONE, measured_rad
from .test_executor_arming import RealArm
from .test_take_over import LIMITS, PATIENT, check_commands

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs an installed Chromium: apt-get install chromium"),
    pytest.mark.slow,
]
State = msg.ExecutorState
STOP_S = 0.5  # from the key to the executor's stop, on a busy computer
SHOWN_S = 30.0
BOTH_CAMERAS = (
    "[...byId('cameras').children].filter(f => !f.hidden && f.firstChild.naturalWidth > 0).length === 2"
)
STATE = "byId('state').firstChild.textContent"


class Console:
    """The console node, and its page in a browser."""

    def __init__(self, observer: Any, start: Any, browser: Chromium, **parameters: Any) -> None:
        self.observer, self.browser = observer, browser
        self.program = start("nodes.console_node", **{"port": 0, **parameters})
        self.program.wait_for("console for operators")
        self.link = re.findall(r"console for operators: (\S+)", self.program.output)[0]
        self.states = observer.collect(topics.EXECUTOR_STATE)

    def open(self) -> None:
        self.browser.open(self.link)
        self.shows("hello !== null")

    def shows(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        self.observer.until(lambda: self.browser.value(expression), expression, SHOWN_S)

    def click(self, selector: str) -> None:
        self.browser.value(f"document.querySelector({selector!r}).click()")

    def take_control(self) -> None:
        self.click("#take")
        self.shows("control.is_you")

    def reaches(self, state: int) -> None:
        self.observer.until(lambda: self.states and self.states[-1].state == state, f"state {state}")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    with Chromium(tmp_path / "profile") as browser:
        browser.resize(1280, 900)
        yield browser


def test_a_person_sees_gives_a_task_arms_and_stops(
    observer: Any, start: Any, emulated_arm: Any, browser: Chromium
) -> None:
    start("nodes.arm_node", port=emulated_arm[0])
    start("nodes.policy_node", policy="scripted", calibration=CALIBRATION_FILE, cameras=["top", "wrist"])
    start("nodes.executor_node")
    for camera in ("top", "wrist"):
        start(
            "nodes.camera_node",
            "--ros-args", "-r", f"__ns:=/{camera}", "-r", "joint_states:=/joint_states",
            camera=camera, source="rendered", rate_hz=10.0,
        )  # fmt: skip
    console = Console(observer, start, browser, token="random")
    measured = observer.collect(topics.JOINT_STATES)
    commands = observer.collect(topics.JOINT_COMMANDS, qos=EVERY_ONE)
    console.open()
    assert "#" not in browser.value("location.href")
    console.shows(f"{STATE} === 'disarmed' && {BOTH_CAMERAS}")
    console.take_control()
    browser.value("document.querySelector('#task input').focus()")
    for letter in "wave now":  # the space bar types here
        browser.press(letter, ord(letter.upper()))
    browser.press("Enter", 13)
    browser.value("document.querySelector('#task button').click()")
    while console.states[-1].state == State.DISARMED:  # joint states may be late on a busy computer
        console.click("[data-say=arm][data-on=true]")
        observer.spin(0.5)
    console.reaches(State.ARMED)
    assert console.states[-1].task == "wave now"
    browser.value("window.before = [...byId('cameras').children].map(f => f.firstChild.src); 0")
    start_rad = measured_rad(measured)
    observer.until(lambda: np.abs(measured_rad(measured) - start_rad).max() > 0.05, "the arm to move")
    console.shows(
        "samples.measured.length > 50 && samples.commanded.length > 30 && plan && motion.seams.length"
    )
    console.shows("[...byId('cameras').children].slice(0, 2).every((f, i) => f.firstChild.src !== before[i])")

    pressed_ns = observer.now_ns()
    browser.press(" ", 32)
    console.reaches(State.STOPPED)
    stopped_ns = next(header_stamp_ns(s) for s in console.states if s.state == State.STOPPED)
    assert (stopped_ns - pressed_ns) / NANOSECONDS < STOP_S
    console.shows(f"{STATE} === 'stopped' && !isStopping && byId('alarm').hidden")
    assert header_stamp_ns(commands[-1]) <= stopped_ns
    still_rad = measured_rad(measured)
    observer.spin(0.3)
    assert np.abs(measured_rad(measured) - still_rad).max() < 0.02


def test_a_lost_page_in_control_stops_and_a_lost_console_is_shown(
    executor_bench: Any, observer: Any, start: Any, browser: Chromium
) -> None:
    bench = executor_bench(mode="armed")
    console = Console(observer, start, browser)
    console.open()
    console.shows(f"{STATE} === 'holding'")
    console.take_control()
    browser.value("socket.close()")
    observer.until(bench.state_is(State.STOPPED), "the stop", 5.0)
    console.shows("socket?.readyState === 1 && !control.is_you")
    console.take_control()
    console.click("[data-say=reset]")
    observer.until(bench.state_is(State.DISARMED), "the reset")
    console.click("[data-say=shadow]")
    observer.until(bench.state_is(State.SHADOW), "shadow")
    browser.value("byId('tune').elements.threshold.value = 0.4; byId('tune').requestSubmit()")
    observer.until(lambda: bench.states[-1].threshold == 0.4, "the threshold")
    console.program.kill()
    console.shows("!byId('alarm').hidden && byId('alarm').textContent.startsWith('NO CONNECTION')")
    port = int(re.findall(r":(\d+)/", console.link)[0])
    Console(observer, start, browser, port=port)
    console.shows(f"byId('alarm').hidden && {STATE} === 'shadow'")


def test_a_person_runs_a_protocol_and_its_log_outlives_the_console(
    executor_bench: Any, observer: Any, start: Any, browser: Chromium, tmp_path: Path
) -> None:
    bench = executor_bench(mode="armed")
    protocol, log = tmp_path / "protocol.yaml", tmp_path / "trials.jsonl"
    protocol.write_text(
        "- {task: place, setup: Cube on A, repetitions: 2, trigger: sync, stages: {grasped: 0.5, placed: 0.5}}\n"
        "- {task: wave, repetitions: 2, limit_s: 1}\n"
    )
    files = {"protocol": str(protocol), "trials_log": str(log)}
    console = Console(observer, start, browser, **files)
    console.open()
    console.shows("trials?.phase === 'ready' && byId('setup').textContent === 'Cube on A'")
    assert browser.value("byId('begin').disabled")  # nobody is in control
    console.take_control()

    def begin(task: str) -> None:
        console.shows("trials.phase === 'ready' && !byId('begin').disabled")
        before = len(bench.states)
        console.click("#begin")
        observer.until(lambda: task in [state.task for state in bench.states[before:]], f"the task {task}")
        console.shows("trials.phase !== 'ready'")

    def ends() -> None:
        observer.until(lambda: bench.states[-1].task == "", "the task to be withdrawn")
        console.shows("trials.phase === 'ended'")

    browser.value("byId('begin').focus()")
    begin("place")
    assert bench.states[-1].trigger == "sync"
    console.shows("document.activeElement.id === 'evaluate'")  # so that Tab leads to the next button
    console.shows("byId('timer').textContent !== '0.0 of 30 s'")
    console.click("#done")
    ends()
    console.click("#trial-success")
    begin("place")
    console.click("#done")
    ends()
    console.click("#trial-failure")
    console.shows("trials.done === 2")
    console.click("#undo")
    console.shows("trials.done === 1")
    begin("place")
    console.click("#done")
    ends()
    console.click("#stages button[value=grasped]")
    console.click("#failures button[value=dropped]")
    console.click("#trial-failure")
    begin("wave")
    assert bench.states[-1].trigger == "threshold"
    ends()  # at its time limit
    console.click("#trial-success")
    console.shows("trials.done === 3")
    console.program.kill()
    console.shows("!socket")
    Console(observer, start, browser, port=int(re.findall(r":(\d+)/", console.link)[0]), **files)
    console.shows("socket?.readyState === 1")
    console.take_control()
    begin("wave")
    browser.press(" ", 32)
    ends()
    console.click("#failures button[value=unsafe]")
    console.click("#trial-failure")
    console.shows("trials.phase === 'done' && byId('results').textContent.includes('dropped 1')")
    assert [(result.score, result.dropped, result.unsafe) for result in read_results(log)] == [
        (1.0, False, False), (0.5, True, False), (1.0, False, False), (0.0, False, True),
    ]  # fmt: skip


def test_a_person_records_an_episode_and_marks_it_a_success(
    executor_bench: Any, observer: Any, start: Any, browser: Chromium, tmp_path: Path
) -> None:
    bench = executor_bench()
    start("nodes.recorder_node", output=tmp_path / "episodes", min_free_mb=1.0, task="wave")
    console = Console(observer, start, browser)
    console.open()
    console.take_control()
    browser.value("document.querySelector('#task input').value = 'wave'; byId('task').requestSubmit()")
    observer.until(lambda: bench.states[-1].task == "wave", "the task")
    console.shows("byId('recorder').textContent.includes('0 episodes')")
    console.click("[data-verb=start]")
    console.shows("byId('recorder').textContent.startsWith('recording')")
    console.click("[data-verb=success]")
    console.shows("byId('counts').textContent === 'wave1 success0 failure0 unmarked'")
    [folder] = find_bags([tmp_path / "episodes"], "success")
    with Bag(folder) as bag:
        assert bag.custom_data["task"] == "wave"
        assert "/joint_states" in bag.topics


def test_a_person_moves_the_arm_by_sliders_and_gives_it_back(
    observer: Any, start: Any, emulated_arm: Any, browser: Chromium
) -> None:
    arm = start("nodes.arm_node", port=emulated_arm[0], command_timeout_s=5.0, max_command_age_s=5.0)
    executor = start("nodes.executor_node", operator_timeout_s=1.0, **PATIENT, **LIMITS)
    bench = RealArm(observer, executor, arm)
    authority = observer.collect(topics.CONTROL_AUTHORITY)
    bench.connect()
    console = Console(observer, start, browser)
    console.open()
    console.take_control()
    assert browser.value("sliders().every(slider => slider.disabled)")  # the policy has control
    observer.until(lambda: bench.arm().success, "the executor to be armed")
    console.click("[data-take-over=true]")
    observer.until(lambda: authority[-1].data == "operator", "the person's control")
    console.shows("sliders().length === 6 && !sliders().some(slider => slider.disabled)")
    before = measured_rad(bench.joint_states)
    goal = before + 0.5 * np.eye(6)[0]
    browser.value(
        f"sliders()[0].value = {np.degrees(goal[0])}; sliders()[0].dispatchEvent(new Event('input'))"
    )
    observer.until(lambda: bench.states[-1].reason == "'/console' leads", "the state to tell who leads")
    observer.until(
        lambda: np.abs(measured_rad(bench.joint_states) - goal).max() < 0.05, "the arm to follow", 60.0
    )
    observer.until(
        lambda: np.ptp([command.position for command in bench.commands[-10:]], axis=0).max() == 0.0,
        "its rest",
    )
    check_commands(bench)

    console.click("[data-take-over=false]")
    observer.until(lambda: authority[-1].data == "policy", "the policy's control")
    console.shows("target === null && sliders().every(slider => slider.disabled)")
    sent = len(bench.commands)
    observer.until(lambda: len(bench.commands) > sent + 20, "further commands")
    assert authority[-1].data == "policy"
    assert np.ptp([command.position for command in bench.commands[sent:]], axis=0).max() == 0.0
    console.click("[data-take-over=true]")
    console.shows("!sliders()[0].disabled")
    browser.value("sliders()[0].focus()")
    browser.press(" ", 32)
    console.reaches(State.STOPPED)
    console.shows("sliders().every(slider => slider.disabled)")


def test_a_slider_that_is_dragged_delays_no_stop_and_none_moves_before_the_pose_is_known(
    observer: Any, start: Any, browser: Chromium
) -> None:
    console = Console(observer, start, browser)
    console.open()
    console.take_control()
    said = browser.value(
        "window.said = 0; socket.send = () => said += 1;"
        "for (let i = 0; i < 300; i++) sliders()[0].dispatchEvent(new Event('input'));"
        "delete socket.send; said"
    )
    assert said <= 1  # the server delays what comes after more than a hundred in a second
    # else the other sliders would not be where the joints are
    assert browser.value(
        "motion = { authority: 'operator', state: { name: 'armed' } }; samples.measured = []; showSliders();"
        "sliders()[0].disabled && target === null"
    )


def test_a_connection_without_news_is_opened_again(observer: Any, start: Any, browser: Chromium) -> None:
    console = Console(observer, start, browser)
    console.open()
    browser.value(
        "window.lost = socket; socket.onmessage = null; motion = null; received_ms = opened_ms = -Infinity; 0"
    )
    observer.until(
        lambda: browser.value("socket !== null && socket !== lost && motion !== null"), "news", 5.0
    )


def test_a_protocol_and_its_log_may_be_in_the_home_folder(
    start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "protocol.yaml").write_text("- {task: wave}\n")
    console = start("nodes.console_node", port=0, protocol="~/protocol.yaml", trials_log="~/trials.jsonl")
    console.wait_for("console for operators")
    assert (tmp_path / "trials.jsonl").is_file()


@pytest.mark.parametrize("width", [390, 1920])
def test_nothing_is_wider_than_the_screen(
    width: int, executor_bench: Any, observer: Any, start: Any, browser: Chromium, tmp_path: Path
) -> None:
    executor_bench()
    protocol = tmp_path / "protocol.yaml"
    protocol.write_text(f"- {{task: {'x' * 100}, stages: {{{'y' * 40}: 0.5, placed: 0.5}}}}\n")
    browser.resize(width, 844, dark=True)
    console = Console(
        observer, start, browser, suggestions=["x" * 100, "wave"],
        protocol=str(protocol), trials_log=str(tmp_path / "trials.jsonl"),
    )  # fmt: skip
    console.open()
    console.shows("health !== null && motion !== null && trials !== null")
    for id in ("outcome", "done", "undo"):
        browser.value(f"byId('{id}').hidden = false")
    assert browser.value("document.documentElement.scrollWidth <= innerWidth")
    assert browser.value(
        "document.elementFromPoint(...(r => [r.x + r.width / 2, r.y + r.height / 2])"
        "(byId('stop').getBoundingClientRect())).closest('#stop') !== null"
    )
