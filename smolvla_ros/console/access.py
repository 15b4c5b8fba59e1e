# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who may use the console: by token, session cookie and Host; which operator is in control; rates."""

from __future__ import annotations

import enum
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from smolvla_ros.http_access import AccessError, check_host

MAX_SESSIONS = 100
LOGINS_PER_S, LOGIN_BURST = 0.2, 5  # attempts of one address
MAX_ADDRESSES = 1000  # whose attempts are counted; the oldest are forgotten


class Role(enum.Enum):
    """What somebody may do."""

    OPERATOR = "operator"
    VIEWER = "viewer"  # read-only


class RateLimit:
    """Allows `burst` events at once and `per_s` on average."""

    def __init__(self, per_s: float, burst: int, now_s: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._left, self._counted_s = float(burst), now_s

    def wait_s(self, now_s: float) -> float:
        """Count an event; returns how long it has to wait, 0 if it is allowed now."""
        self._left = min(self._burst, self._left + (now_s - self._counted_s) * self._per_s) - 1.0
        self._counted_s = now_s
        return max(0.0, -self._left / self._per_s)


class Access:
    """The tokens, and the sessions of those who have logged in. Without a token everybody is an operator."""

    def __init__(self, token: str, view_token: str, host_names: Iterable[str] = ()) -> None:
        given = ((token, Role.OPERATOR), (view_token, Role.VIEWER))
        self._tokens = [(text.encode(), role) for text, role in given if text]
        self._host_names = {"localhost", *(name.lower() for name in host_names)}
        self._sessions: OrderedDict[str, Role] = OrderedDict()
        self._attempts: OrderedDict[str, RateLimit] = OrderedDict()

    def check_host(self, host: str) -> None:
        """Raise AccessError unless a Host header has an IP address or a name of this server."""
        check_host(host, self._host_names, "; the parameter host_names adds names")

    def log_in(self, token: str, address: str, now_s: float) -> tuple[str, Role]:
        """A new session for a token; raises AccessError for a wrong one, or after too many attempts."""
        attempts = self._attempts.setdefault(address, RateLimit(LOGINS_PER_S, LOGIN_BURST, now_s))
        _keep_newest(self._attempts, MAX_ADDRESSES)
        if attempts.wait_s(now_s) > 0.0:
            raise AccessError(429, "too many attempts; wait a minute")
        found = None
        for known, role in self._tokens:  # each is compared, in a time that does not depend on the difference
            if hmac.compare_digest(known, token.encode(errors="replace")):
                found = role
        if found is None:
            raise AccessError(401, "this is not the token of this console")
        session = secrets.token_urlsafe(32)
        self._sessions[session] = found
        _keep_newest(self._sessions, MAX_SESSIONS)
        return session, found

    def role(self, session: str | None) -> Role:
        """What the owner of a session cookie may do; raises AccessError."""
        if not self._tokens:
            return Role.OPERATOR
        role = self._sessions.get(session or "")
        if role is None:
            raise AccessError(401, "log in with the token of this console")
        return role


@dataclass(eq=False)
class Person:
    """Somebody who is connected."""

    role: Role
    address: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name or 'an operator'} at {self.address}"


class Control:
    """Which of the operators is in control: one at a time, until they release it or leave."""

    def __init__(self) -> None:
        self.holder: Person | None = None

    def take(self, person: Person) -> None:
        """Raises AccessError with the name of another operator who is in control."""
        self.check_operator(person)
        if self.holder not in (None, person):
            raise AccessError(409, f"{self.holder} is in control; ask for a release")
        self.holder = person

    def release(self, person: Person) -> bool:
        """Whether this person was in control."""
        was_holder = self.holder is person
        if was_holder:
            self.holder = None
        return was_holder

    def check(self, person: Person) -> None:
        """Raise AccessError unless this person is in control."""
        self.check_operator(person)
        if self.holder is not person:
            raise AccessError(409, f"{self.holder or 'nobody'} is in control; take control first")

    def check_operator(self, person: Person) -> None:
        """Raise AccessError for a read-only viewer."""
        if person.role is not Role.OPERATOR:
            raise AccessError(403, "you are a viewer, who may only look; operators log in with another token")


def _keep_newest(entries: OrderedDict[str, Any], count: int) -> None:
    while len(entries) > count:
        entries.popitem(last=False)
