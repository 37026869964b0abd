"""The function that makes the application's roles: its statements, what it stores, and what it never tells.

On real databases: tests/sandbox/test_roles_on_postgres.py.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from pg8000.exceptions import DatabaseError, InterfaceError

from components import naming
from tests.components.roles_source import handler

Login, Role, statements, verifier = handler.Login, handler.Role, handler.statements, handler.verifier

OWNER, OTHER = Role("api_gateway", "verifier-a"), Role("sync", "verifier-s")
PASSWORDS = {"platform_admin": "word-of-master", "api_gateway": "word-of-owner", "sync": "word-of-sync"}
EVENT = {"task": "roles", "master": "platform_admin", "services": ["api_gateway", "sync"], "owner": "api_gateway"}


def login(username: str, **changes: Any) -> dict[str, Any]:
    values = {"host": "db.example", "port": 5432, "dbname": "platform", "username": username}
    return {**values, "password": PASSWORDS[username], **changes}


class World:
    """Secrets Manager and a database. `failures`: what the next attempts to connect end in; `refused`: the
    beginning of a statement that the database refuses."""

    def __init__(self) -> None:
        self.secrets = {name: login(name) for name in PASSWORDS}
        self.failures: list[Exception] = []
        self.refused = "nothing"
        self.ran: list[str] = []
        self.connected = self.closed = 0

    def client(self, service: str, **_: Any) -> "World":
        assert service == "secretsmanager"
        return self

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803 (AWS's name)
        return {"SecretString": json.dumps(self.secrets[SecretId])}

    def connect(self, user: str, **options: Any) -> "World":
        assert (user, options["password"]) == ("platform_admin", "word-of-master")
        if self.failures:
            raise self.failures.pop(0)
        self.connected += 1
        return self

    def run(self, statement: str) -> list[list[str]]:
        self.ran.append(statement)
        if statement.startswith(self.refused):
            raise DatabaseError({"M": "refused"})
        answers = {"SELECT rolname FROM pg_roles": [["platform_admin"], ["sync"]], "SHOW server_version": [["17.5"]]}
        return answers.get(statement, [])

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(boto3, "client", world.client)
    monkeypatch.setattr(handler, "Connection", world.connect)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    return world


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in EVENT.items() if name != key}


# -- statements -----------------------------------------------------------------------------------------------------
def test_only_missing_roles_are_created_and_all_are_made_right() -> None:
    found = statements("platform", [OWNER, OTHER], OWNER.name, {OTHER.name})
    assert [s for s in found if s.startswith("CREATE ROLE")] == ['CREATE ROLE "api_gateway" LOGIN']
    for role in (OWNER, OTHER):
        (altered,) = (s for s in found if s.startswith(f'ALTER ROLE "{role.name}"'))
        assert altered.endswith(f"PASSWORD '{role.verifier}'")
        assert f'GRANT CONNECT ON DATABASE "platform" TO "{role.name}"' in found


def test_each_statement_finds_what_it_needs() -> None:
    found = statements("platform", [OWNER, OTHER], OWNER.name, set())
    order = [
        'CREATE ROLE "api_gateway"',
        'GRANT "api_gateway" TO CURRENT_USER',
        'CREATE SCHEMA IF NOT EXISTS app AUTHORIZATION "api_gateway"',
        'GRANT USAGE ON SCHEMA app TO "sync"',
    ]
    places = [next(place for place, statement in enumerate(found) if statement.startswith(s)) for s in order]
    assert places == sorted(places)


def test_names_are_quoted() -> None:
    found = statements('a "b"', [Role("user", "v")], "user", set())
    assert found[0] == 'CREATE ROLE "user" LOGIN'
    assert 'REVOKE CONNECT, TEMPORARY ON DATABASE "a ""b""" FROM PUBLIC' in found


def test_the_owner_is_granted_nothing_beside_its_schema() -> None:
    assert not [s for s in statements("platform", [OWNER], OWNER.name, set()) if "DEFAULT PRIVILEGES" in s]


def test_without_an_owner_no_schema_is_touched() -> None:
    found = statements("platform", [OTHER], None, set())
    assert not [s for s in found if "SCHEMA" in s or "CURRENT_USER" in s]
    assert 'REVOKE CONNECT, TEMPORARY ON DATABASE "platform" FROM PUBLIC' in found


def test_nothing_is_ever_dropped() -> None:
    assert not [
        s for s in statements("platform", [OWNER, OTHER], OWNER.name, set()) if "DROP" in s or "DELETE FROM" in s
    ]


# -- passwords ------------------------------------------------------------------------------------------------------
def test_the_verifier_is_what_postgresql_computes() -> None:
    """StoredKey and ServerKey by RFC 5802 (section 3), with nothing of the library that made them."""
    iterations, salt, stored, server = stored_parts(verifier("pencil"))
    salted = hashlib.pbkdf2_hmac("sha256", b"pencil", salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    assert iterations >= 4096
    assert stored == hashlib.sha256(client_key).digest()
    assert server == hmac.digest(salted, b"Server Key", "sha256")


def test_every_verifier_has_a_salt_of_its_own() -> None:
    (_, first, _, _), (_, second, _, _) = stored_parts(verifier("pencil")), stored_parts(verifier("pencil"))
    assert len(first) >= 16
    assert first != second


def stored_parts(text: str) -> tuple[int, bytes, bytes, bytes]:
    """(iterations, salt, StoredKey, ServerKey) of pg_authid.rolpassword, as PostgreSQL documents it."""
    mechanism, head, keys = text.split("$")
    iterations, salt = head.split(":")
    stored, server = keys.split(":")
    assert mechanism == "SCRAM-SHA-256"
    decoded = [base64.b64decode(part, validate=True) for part in (salt, stored, server)]
    return int(iterations), decoded[0], decoded[1], decoded[2]


def test_neither_logins_nor_roles_show_what_they_hold() -> None:
    shown = repr([Login("db.example", 5432, "platform", "sync", "word-of-sync"), Role("sync", "verifier-s")])
    assert "db.example" in shown
    assert "word-of" not in shown
    assert "verifier-s" not in shown


def test_no_password_is_in_a_statement_an_answer_or_a_log(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    answer = handler.handler(EVENT, None)
    printed = capsys.readouterr().out
    assert len(world.ran) > len(EVENT["services"])
    for told in (*world.ran, repr(answer), printed):
        assert "word-of" not in told
    assert json.loads(printed) == answer == {"task": "roles", "created": ["api_gateway"], "reset": ["sync"]}


def test_an_unusable_secret_is_told_without_its_password(world: World) -> None:
    del world.secrets["sync"]["host"]
    with pytest.raises(KeyError, match="host") as failed:
        handler.handler(EVENT, None)
    assert "word-of" not in repr(failed.value)
    assert world.connected == 0


# -- events ---------------------------------------------------------------------------------------------------------
def test_an_unknown_task_names_those_that_are_known(world: World) -> None:
    with pytest.raises(ValueError, match=r"unknown task 'rolls'; known: inspect, lock, roles, try, turn, warm"):
        handler.handler({**EVENT, "task": "rolls"}, None)
    assert world.connected == 0


@pytest.mark.parametrize("key", ["task", "master", "services", "owner"])
def test_an_incomplete_event_reaches_no_database(world: World, key: str) -> None:
    with pytest.raises(KeyError, match=key):
        handler.handler(without(key), None)
    assert world.connected == 0


def test_warming_is_content_with_no_database(world: World) -> None:
    world.secrets["platform_admin"]["host"] = naming.DATABASE_HOST_WHEN_NONE
    answer = handler.handler({"task": "warm", "master": "platform_admin"}, None)
    assert answer == {"task": "warm", "database": "none"}
    assert world.connected == 0


def test_warming_asks_the_database_that_there_is(world: World) -> None:
    answer = handler.handler({"task": "warm", "master": "platform_admin"}, None)
    assert answer == {"task": "warm", "database": "answers", "version": "17.5"}
    assert world.ran == ["SHOW server_version"]
    assert world.closed == 1


# -- connection -----------------------------------------------------------------------------------------------------
def test_a_new_endpoint_is_asked_until_it_is_known(world: World) -> None:
    world.failures = [OSError("no such name"), InterfaceError("refused"), DatabaseError({"C": "28P01"})]
    handler.handler(EVENT, None)
    assert world.connected == 1


def test_what_is_wrong_for_a_minute_is_told_as_it_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.failures = [OSError(f"attempt {number}") for number in range(100)]
    monkeypatch.setattr(time, "monotonic", ticking(20.0))
    with pytest.raises(OSError, match="attempt"):
        handler.handler(EVENT, None)
    assert 0 < len(world.failures) < 99


def ticking(seconds: float) -> Callable[[], float]:
    """A clock that goes on by `seconds` each time somebody looks."""
    looks = iter(range(10_000))
    return lambda: next(looks) * seconds


def test_all_is_committed_at_once_at_the_end(world: World) -> None:
    handler.handler(EVENT, None)
    assert (world.ran[0], world.ran[-1], world.ran.count("COMMIT")) == ("BEGIN", "COMMIT", 1)
    assert world.closed == 1


def test_a_refused_statement_ends_the_session_uncommitted(world: World) -> None:
    world.refused = "CREATE SCHEMA"
    with pytest.raises(DatabaseError, match="refused"):
        handler.handler(EVENT, None)
    assert world.ran[-1].startswith("CREATE SCHEMA")
    assert (world.ran.count("COMMIT"), world.closed) == (0, 1)
