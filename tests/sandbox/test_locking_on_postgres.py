"""Locking a database against writers that do all they can, on real databases whose master is no superuser."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pg8000.native
import pytest

from tests.components.roles_source import handler, locking
from tests.sandbox.roles_database import (
    LATER,
    OWNER,
    PASSWORDS,
    READER,
    REFUSED,
    Database,
    created,
    discard,
    function_environment,
    running,
)
from tests.sandbox.traffic_world import MASTER_PASSWORD, World, wait

NOT_PERMITTED = "28000"  # role is not permitted to log in
ENDED = (REFUSED, pg8000.native.InterfaceError, OSError)
# Writes that lie in the database, committed or not, by their table's own numbers.
COUNT = "select count(*), coalesce(max(seq), 0) from app.events"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    two_phase = {
        "ParameterName": "max_prepared_transactions",
        "ParameterValue": "5",
        "ApplyMethod": "pending-reboot",
    }
    with running(two_phase) as world:
        yield world


@pytest.fixture(autouse=True)
def _environment(world: World) -> Iterator[None]:
    with function_environment(world):
        yield


@pytest.fixture
def database(world: World) -> Iterator[Database]:
    found = created(world)
    found.set_roles(PASSWORDS)
    found.run("create table app.events (seq bigserial primary key, body text not null)", OWNER, "owner")
    yield found
    discard(found)


class Writer(threading.Thread):
    """Writes as one role until it is stopped, beginning anew whenever it is thrown out. `written`: what was
    acknowledged, with the moment."""

    def __init__(self, database: Database, role: str, act: Callable[[pg8000.native.Connection], None]) -> None:
        super().__init__(daemon=True)
        self._database = database
        self._role = role
        self._act = act
        self._over = threading.Event()
        self.written: list[float] = []
        self.failures: list[str] = []

    def run(self) -> None:
        while not self._over.is_set():
            try:
                with self._database.open(self._role, PASSWORDS[self._role]) as session:
                    while not self._over.is_set():
                        self._act(session)
                        self.written.append(time.monotonic())
            except ENDED as error:
                self.failures.append(repr(error))

    def stop(self) -> None:
        self._over.set()
        self.join(10)
        assert not self.is_alive()


def autocommitting(session: pg8000.native.Connection) -> None:
    session.run("set default_transaction_read_only = off")
    session.run("insert into app.events (body) values ('one')")


def reconnecting(session: pg8000.native.Connection) -> None:
    """One row a session."""
    session.run("insert into app.events (body) values ('reconnected')")
    session.close()


def in_long_transactions(session: pg8000.native.Connection) -> None:
    session.run("begin read write")
    for _ in range(20):
        session.run("insert into app.events (body) values ('many')")
        time.sleep(0.01)
    session.run("commit")


def holding_its_own_entry(session: pg8000.native.Connection) -> None:
    """An open transaction on the very row that says who may log in."""
    session.run("begin")
    session.run("alter role crisis_detection password 'reader'")
    session.run("insert into app.events (body) values ('holding')")
    time.sleep(0.5)
    session.run("commit")


ACTS = (autocommitting, reconnecting, in_long_transactions)


def hostile(database: Database) -> list[Writer]:
    """Nine threads of three roles, and one that holds its role's entry."""
    writers = [Writer(database, role, act) for role, act in itertools.product(PASSWORDS, ACTS)]
    return [*writers, Writer(database, READER, holding_its_own_entry)]


def counted(database: Database) -> tuple[int, int]:
    with database.open("postgres", MASTER_PASSWORD) as session:
        ((count, highest),) = session.run(COUNT)
    return int(count), int(highest)


def test_a_hostile_writer_gets_nothing_in_after_the_function_reports(database: Database) -> None:
    writers = hostile(database)
    for writer in writers:
        writer.start()
    wait(lambda: all(writer.written for writer in writers), 60, "each of them to write before")

    answer = database.lock(PASSWORDS)
    reported, before = time.monotonic(), counted(database)
    time.sleep(3)
    after = counted(database)
    for writer in writers:
        writer.stop()

    assert before == after == counted(database)
    assert before[0] > 50
    assert [moment for writer in writers for moment in writer.written if moment > reported] == []
    assert all(NOT_PERMITTED in writer.failures[-1] for writer in writers), "each of them tried again"
    assert answer["locked"] == sorted(PASSWORDS)
    assert answer["refused"] == dict.fromkeys(sorted(PASSWORDS), NOT_PERMITTED)
    assert answer["ended"] >= len(writers) - len(PASSWORDS)
    assert (answer["absent"], answer["revoked"], answer["prepared"]) == ([], [], [])


def test_an_open_transaction_is_lost_and_not_committed(database: Database) -> None:
    with database.open(OWNER, "owner") as session:
        session.run("begin")
        session.run("insert into app.events (body) values ('never')")
        database.lock(PASSWORDS)
        with pytest.raises(ENDED):
            session.run("commit")
    assert counted(database) == (0, 0)


def test_a_session_that_begins_just_before_the_lock_is_ended_as_well(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After all sessions were ended, and before nobody may begin one any more."""
    lock_roles, late = locking._lock_roles, contextlib.ExitStack()

    def begun_meanwhile(*given: Any) -> Any:
        session = late.enter_context(database.open(OWNER, "owner"))
        session.run("begin")
        session.run("insert into app.events (body) values ('never')")
        sessions.append(session)
        return lock_roles(*given)

    sessions: list[pg8000.native.Connection] = []
    monkeypatch.setattr(locking, "_lock_roles", begun_meanwhile)
    with late:
        assert database.lock(PASSWORDS)["ended"] == 1
        with pytest.raises(ENDED):
            sessions[0].run("commit")
    assert counted(database) == (0, 0)


def test_no_role_lets_itself_in_again(database: Database) -> None:
    """Tried while it still may: what it could prepare must not help it."""
    for statement in (
        "alter role crisis_detection login connection limit -1",
        "grant connect on database platform to public",
        "alter database platform connection limit -1",
        "create role spare login password 'spare'",
        "grant crisis_detection to sync",
    ):
        for role in (READER, OWNER):
            with contextlib.suppress(REFUSED):
                database.run(statement, role, PASSWORDS[role])
    database.lock(PASSWORDS)
    for role, password in PASSWORDS.items():
        assert database.refusal("select 1", role, password) == NOT_PERMITTED
    assert database.run("select rolname::text from pg_roles where rolname = 'spare'") == []


def test_the_master_still_works_and_a_thaw_lets_everybody_in_again(database: Database) -> None:
    database.lock(PASSWORDS)
    master = database.secret("postgres", MASTER_PASSWORD)
    assert handler.handler({"task": "warm", "master": master}, None)["database"] == "answers"
    database.set_roles({OWNER: "owner", READER: "reader"})
    database.run("insert into app.events (body) values ('again')", READER, "reader")
    assert database.refusal("select 1", LATER, "later") == NOT_PERMITTED, "its group comes later"
    database.set_roles({LATER: "later"})
    database.run("insert into app.events (body) values ('again')", LATER, "later")
    assert counted(database) == (2, 2)


def test_another_session_of_the_master_is_ended_and_commits_nothing(database: Database) -> None:
    with database.open("postgres", MASTER_PASSWORD) as session:
        session.run("begin")
        session.run("insert into app.events (body) values ('migration')")
        assert database.lock(PASSWORDS)["ended"] == 1
        with pytest.raises(ENDED):
            session.run("commit")
    assert counted(database) == (0, 0)


def test_who_was_set_again_can_be_tried_and_who_is_locked_fails(database: Database) -> None:
    event = {
        "task": "try",
        "master": database.secret("postgres", MASTER_PASSWORD),
        "services": [database.secret(role, password) for role, password in PASSWORDS.items()],
    }
    assert handler.handler(event, None)["logged_in"] == list(PASSWORDS)
    database.lock(PASSWORDS)
    with pytest.raises(REFUSED):
        handler.handler(event, None)


def test_locking_again_changes_nothing(database: Database) -> None:
    state = (
        "select rolname, rolcanlogin, rolconnlimit from pg_roles "
        "union all select datacl::text, null, null from pg_database"
    )
    first = database.lock(PASSWORDS)
    before = sorted(map(str, database.run(state)))
    assert database.lock(PASSWORDS) == {**first, "ended": 0}
    assert sorted(map(str, database.run(state))) == before


def test_who_was_let_in_by_hand_is_locked_out_and_told(database: Database) -> None:
    database.run("create role analyst login password 'analyst'")
    database.run("create role analysts")
    database.run("grant analysts to analyst")
    database.run("grant connect on database platform to analysts with grant option")
    with database.open("analyst", "analyst") as session:
        answer = database.lock(PASSWORDS)
        with pytest.raises(ENDED):
            session.run("select 1")
    assert answer["revoked"] == ["analysts"]
    assert database.refusal("select 1", "analyst", "analyst") == "42501"


def test_a_way_in_that_was_not_closed_is_not_passed_over(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its own list of whom to lock out: it asks PostgreSQL who may connect."""
    database.run("create role analyst login password 'analyst'")
    database.run("grant connect on database platform to analyst")
    monkeypatch.setattr(locking, "ADMITTED", "select 'nobody' where false")
    with pytest.raises(locking.NotLocked, match="may still log in: analyst"):
        database.lock(PASSWORDS)


def test_a_prepared_transaction_is_told_and_nobody_can_commit_it(database: Database) -> None:
    with database.open(OWNER, "owner") as session:
        session.run("begin")
        session.run("insert into app.events (body) values ('prepared')")
        session.run("prepare transaction 'waiting'")
    answer = database.lock(PASSWORDS)
    assert answer["prepared"] == ["waiting"]
    assert database.refusal("commit prepared 'waiting'", OWNER, "owner") == NOT_PERMITTED
    assert database.refusal("commit prepared 'waiting'", "postgres", MASTER_PASSWORD) == "42501"
    assert counted(database) == (0, 0)


def test_roles_that_are_not_there_yet_and_another_password_are_no_obstacle(database: Database) -> None:
    """A copy carries the passwords of its time."""
    answer = database.lock({OWNER: "of another time", "not_yet": "x"})
    assert (answer["locked"], answer["absent"], answer["refused"]) == ([OWNER], ["not_yet"], {OWNER: "28P01"})
    assert database.refusal("select 1", OWNER, "owner") == NOT_PERMITTED
    assert database.refusal("select 1", READER, "reader") == "42501", "nobody else may connect either"


@pytest.mark.parametrize("step", ["_lock_roles", "_until_quiet", "_refusal"])
def test_killed_between_steps_it_is_not_reported_and_the_next_call_completes_it(
    database: Database, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class KilledError(BaseException):
        """As when Lambda ends the process."""

    def killed(*_: Any) -> Any:
        raise KilledError

    with database.open(OWNER, "owner") as session:
        session.run("begin")
        session.run("insert into app.events (body) values ('never')")
        with monkeypatch.context() as patch:
            patch.setattr(locking, step, killed)
            with pytest.raises(KilledError):
                database.lock(PASSWORDS)
        answer = database.lock(PASSWORDS)
        with pytest.raises(ENDED):
            session.run("commit")
    assert answer["locked"] == sorted(PASSWORDS)
    assert database.refusal("select 1", READER, "reader") == NOT_PERMITTED
    assert counted(database) == (0, 0)


def test_a_login_that_still_works_is_no_success(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the lock's own statements: the function believes the login, not what it has done."""
    monkeypatch.setattr(locking, "statements", lambda *_: ["select 1"])
    with pytest.raises(locking.NotLocked, match=f"{OWNER} still logs in"):
        database.lock(PASSWORDS)


def test_nothing_that_it_tells_holds_a_password(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    answer = database.lock({OWNER: "secret-of-owner", READER: "secret-of-reader"})
    assert "secret-of" not in repr(answer) + capsys.readouterr().out
