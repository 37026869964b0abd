"""Locking a database, where nothing but time and refusals matter. On real databases: tests/sandbox."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from pg8000.exceptions import DatabaseError

from tests.components.roles_source import handler, locking

ROLES = ("api_gateway", "sync")


class Master:
    """A session of the master. `sessions`: pids in each look; `busy`: how often a role's entry is held."""

    def __init__(self, sessions: list[list[int]] | None = None, busy: int = 0, refused: str = "55P03") -> None:
        self.sessions, self.busy, self.refused = sessions or [], busy, refused
        self.ran: list[str] = []

    def run(self, sql: str, **_: Any) -> list[list[Any]]:
        self.ran.append(sql)
        if sql == locking.SESSIONS:
            return [[pid] for pid in (self.sessions.pop(0) if len(self.sessions) > 1 else [*self.sessions, []][0])]
        if sql.startswith("ALTER ROLE") and self.busy:
            self.busy -= 1
            raise DatabaseError({"C": self.refused, "M": "canceling statement due to lock timeout"})
        answers = {"SELECT rolname::text FROM pg_roles": [[role] for role in (*ROLES, "platform_admin")]}
        return [["platform"]] if "current_database()::text" in sql else answers.get(sql, [])

    def close(self) -> None:
        raise AssertionError("it is the caller's")


class Time:
    """A clock that only sleeping moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def refusal(code: str) -> Callable[[], locking.Session]:
    def login() -> locking.Session:
        raise DatabaseError({"C": code, "M": "no"})

    return login


def lock(master: Master, code: str = "28000") -> tuple[Any, Time]:
    clock = Time()
    return locking.lock(master, {role: refusal(code) for role in ROLES}, clock, clock.sleep), clock


def test_sessions_end_before_and_after_the_roles_are_locked() -> None:
    master = Master([[7], [8, 9], []])
    found, clock = lock(master)
    assert found.ended == 3
    ends = [place for place, sql in enumerate(master.ran) if sql.startswith("SELECT pg_terminate_backend")]
    commit = master.ran.index("COMMIT")
    assert ends[0] < commit < ends[1]
    assert clock.now >= locking.QUIET_SECONDS, "it looks on for a while"


def test_what_is_seen_late_makes_it_look_on() -> None:
    looks: list[list[int]] = [[] for _ in range(12)]
    found, clock = lock(Master([*looks, [5], []]))
    assert found.ended == 1
    assert clock.now > locking.QUIET_SECONDS + 1


@pytest.mark.parametrize("code", locking.BUSY)
def test_a_busy_entry_is_tried_again_after_its_session_was_ended(code: str) -> None:
    master = Master([[1], [2], []], busy=1, refused=code)
    assert lock(master)[0].locked == sorted(ROLES)
    assert (master.ran.count("ROLLBACK"), master.ran.count("COMMIT")) == (1, 1)


def test_an_entry_that_stays_busy_is_no_success() -> None:
    with pytest.raises(locking.NotLocked, match="stay busy"):
        lock(Master(busy=100_000))


def test_sessions_that_never_end_are_no_success() -> None:
    with pytest.raises(locking.NotLocked, match=r"1 session\(s\) do not end"):
        lock(Master([[4]]))


def test_who_may_act_for_the_owner_is_named_with_what_takes_it_away() -> None:
    class Deputised(Master):
        def run(self, sql: str, **values: Any) -> list[list[Any]]:
            return [["deputy", "platform_admin"]] if sql == locking.OWNERS else super().run(sql, **values)

    with pytest.raises(locking.NotLocked, match='as the master: REVOKE "platform_admin" FROM "deputy"'):
        lock(Deputised())


@pytest.mark.parametrize("code", ["08006", "57P03", "53300"])
def test_a_login_that_fails_for_another_reason_proves_nothing(code: str) -> None:
    """The server restarts, or has no connection left: who knows what it would have said."""
    with pytest.raises(DatabaseError):
        lock(Master(), code)


def test_a_server_without_a_free_connection_is_asked_again() -> None:
    answers = iter([DatabaseError({"C": "53300"}), OSError("reset"), DatabaseError({"C": "28000"})])

    def login() -> locking.Session:
        raise next(answers)

    clock = Time()
    assert locking.lock(Master(), {"sync": login}, clock, clock.sleep).refused == {"sync": "28000"}


def test_any_other_refusal_is_told_and_leaves_nothing_half_done() -> None:
    master = Master(busy=1, refused="42501")
    with pytest.raises(DatabaseError, match="42501"):
        lock(master)
    assert master.ran[-1] == "ROLLBACK"


@pytest.mark.parametrize("key", ["master", "services", "host", "port"])
def test_an_incomplete_event_reaches_no_database(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    secret = '{"host": "h", "port": 1, "dbname": "d", "username": "u", "password": "p"}'
    manager = type("Manager", (), {"get_secret_value": lambda self, SecretId: {"SecretString": secret}})()  # noqa: N803
    monkeypatch.setattr(boto3, "client", lambda *_, **__: manager)
    monkeypatch.setattr(handler, "Connection", lambda *_, **__: pytest.fail("connected"))
    event = {"task": "lock", "master": "m", "services": ["s"], "host": "h", "port": 5432}
    with pytest.raises(KeyError, match=key):
        handler.handler({name: value for name, value in event.items() if name != key}, None)


def test_names_are_quoted_and_nothing_is_dropped() -> None:
    found = locking.statements('a "b"', ['x"; drop role y'], ["analysts"])
    assert found == [
        'ALTER ROLE "x""; drop role y" WITH NOLOGIN CONNECTION LIMIT 0',
        'REVOKE CONNECT ON DATABASE "a ""b""" FROM PUBLIC, "analysts" CASCADE',
    ]
