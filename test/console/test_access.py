# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tokens, sessions, Host and Origin, rates, and the one operator in control."""

from __future__ import annotations

import pytest

from smolvla_ros.console.access import (
    LOGIN_BURST,
    MAX_SESSIONS,
    Access,
    Control,
    Person,
    RateLimit,
    Role,
)
from smolvla_ros.console.server_config import ServerConfig
from smolvla_ros.http_access import AccessError, check_origin
from smolvla_ros.settings import SettingError

TOKEN, VIEW_TOKEN = "a token of operators", "a token of viewers"


@pytest.fixture
def access() -> Access:
    return Access(TOKEN, VIEW_TOKEN, ["robot", "Robot.local"])


@pytest.mark.parametrize(
    "host",
    ["localhost:8686", "127.0.0.1:8686", "[::1]:8686", "192.168.0.7", "robot", "ROBOT.LOCAL:80", "robot."],
)
def test_an_address_or_a_name_of_this_computer_is_a_host(access: Access, host: str) -> None:
    access.check_host(host)


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example:8686", "127.0.0.1.evil.example", "[::1", "a b"]
)
def test_another_name_that_leads_here_is_refused(access: Access, host: str) -> None:
    with pytest.raises(
        AccessError, match="write localhost, robot, robot.local or its IP address; .*host_names"
    ):
        access.check_host(host)


@pytest.mark.parametrize("origin", ["http://robot:8686", "https://ROBOT:8686"])
def test_the_page_of_this_server_is_an_origin(origin: str) -> None:
    check_origin(origin, "robot:8686")


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "http://evil.example",
        "http://robot",
        "http://robot:80",
        "file://robot:8686",
        "http://robot:8686.evil.example",
    ],
)
def test_other_origins_and_none_are_refused(origin: str) -> None:
    with pytest.raises(AccessError):
        check_origin(origin, "robot:8686")


def test_each_token_gives_its_role_and_a_session_of_its_own(access: Access) -> None:
    operator, role = access.log_in(TOKEN, "a", 0.0)
    assert (role, access.role(operator)) == (Role.OPERATOR, Role.OPERATOR)
    viewer, role = access.log_in(VIEW_TOKEN, "a", 0.0)
    assert (role, access.role(viewer)) == (Role.VIEWER, Role.VIEWER)
    assert operator != viewer and TOKEN not in operator


@pytest.mark.parametrize("token", ["", TOKEN[:-1], TOKEN + " ", TOKEN.upper(), "\ud800", "ü"])
def test_a_wrong_token_is_refused(access: Access, token: str) -> None:
    with pytest.raises(AccessError, match="not the token"):
        access.log_in(token, "a", 0.0)


@pytest.mark.parametrize("session", [None, "", "x", TOKEN])
def test_without_a_session_nobody_may_do_anything(access: Access, session: str | None) -> None:
    with pytest.raises(AccessError, match="log in"):
        access.role(session)
    assert Access("", "").role(session) is Role.OPERATOR  # a server without a token


def test_guessing_is_slow_and_does_not_lock_out_others(access: Access) -> None:
    for _ in range(LOGIN_BURST):
        with pytest.raises(AccessError, match="not the token"):
            access.log_in("guess", "evil", 0.0)
    with pytest.raises(AccessError, match="too many") as caught:
        access.log_in(TOKEN, "evil", 0.0)
    assert caught.value.status == 429
    access.log_in(TOKEN, "good", 0.0)
    access.log_in(TOKEN, "evil", 60.0)


def test_old_sessions_end_when_there_are_too_many(access: Access) -> None:
    sessions = [access.log_in(TOKEN, str(i), 0.0)[0] for i in range(MAX_SESSIONS + 1)]
    assert access.role(sessions[1]) is Role.OPERATOR
    with pytest.raises(AccessError):
        access.role(sessions[0])


def test_a_rate_limit_lets_a_burst_pass_and_delays_the_rest() -> None:
    limit = RateLimit(10.0, 2, 0.0)
    assert [limit.wait_s(0.0) for _ in range(4)] == pytest.approx([0.0, 0.0, 0.1, 0.2])
    assert limit.wait_s(10.0) == 0.0


def test_one_operator_is_in_control_and_the_second_is_told_who() -> None:
    control, anna, ben = (
        Control(),
        Person(Role.OPERATOR, "10.0.0.1", "Anna"),
        Person(Role.OPERATOR, "10.0.0.2"),
    )
    with pytest.raises(AccessError, match="nobody is in control"):
        control.check(anna)
    control.take(anna)
    control.take(anna)
    control.check(anna)
    for refused in (control.take, control.check):
        with pytest.raises(AccessError, match=r"Anna at 10\.0\.0\.1 is in control"):
            refused(ben)
    assert not control.release(ben) and control.release(anna)
    control.take(ben)


def test_a_viewer_cannot_take_control() -> None:
    with pytest.raises(AccessError, match="only look"):
        Control().take(Person(Role.VIEWER, "10.0.0.1"))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.1.2.3"])
def test_on_loopback_no_token_is_needed(host: str) -> None:
    assert not ServerConfig(host=host).token


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"host": "0.0.0.0"}, "token: it is empty"),
        ({"host": "192.168.0.7"}, "token: it is empty"),
        ({"host": "robot"}, "token: it is empty"),
        ({"view_token": VIEW_TOKEN}, "give a token too"),
        ({"token": TOKEN, "view_token": TOKEN}, "give another one"),
        ({"token": "short"}, "shorter than 12"),
        ({"base_path": "robot/"}, "base_path: 'robot/'"),
        ({"certificate": "a.pem"}, "give both"),
    ],
)
def test_a_server_that_would_be_open_to_others_is_refused(values: dict[str, str], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        ServerConfig(**values)  # type: ignore[arg-type]


def test_settings_are_not_repeated_in_errors() -> None:
    with pytest.raises(SettingError) as caught:
        ServerConfig(token="hunter2")
    assert "hunter2" not in str(caught.value)
