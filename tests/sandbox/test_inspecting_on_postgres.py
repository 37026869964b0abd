"""Looking at whole databases: real ones, a copy of one, changed ones, broken ones."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pg8000.native
import pytest

from tests.components.roles_source import handler, inspecting
from tests.sandbox import traffic_world
from tests.sandbox.roles_database import (
    OWNER,
    PASSWORDS,
    REFUSED,
    Database,
    available,
    created,
    discard,
    function_environment,
    names,
    running,
)
from tests.sandbox.traffic_world import KENYA, World, wait

# One object of every kind that a fingerprint knows.
SCHEMA = """
create type app.mood as enum ('calm', 'sad');
create domain app.short as text constraint not_long check (length(value) < 50);
create sequence app.cases start 100;
create table app.events (
  seq bigserial primary key, at timestamptz not null default now(), body app.short not null, mood app.mood,
  born date, unique (body, at));
create index events_at on app.events (at);
create table app.answers (event bigint references app.events, score int check (score >= 0), said timestamp);
create table app.parts (at date not null, n int) partition by range (at);
create table app.parts_new partition of app.parts for values from ('2026-01-01') to ('2027-01-01');
create view app.latest as select body from app.events order by at desc limit 1;
create function app.twice(n int) returns int language sql immutable as 'select n * 2';
create function app.noted() returns trigger language plpgsql as 'begin return new; end';
create trigger noted before insert on app.events for each row execute function app.noted();
create aggregate app.total (int) (sfunc = int4pl, stype = int, initcond = '0');
create rule ignored as on delete to app.answers do instead nothing;
alter table app.answers enable row level security;
create policy mine on app.answers using (score > 1)
"""
KINDS = ("schema", "extension", "table", "column", "constraint", "index", "sequence", "function", "trigger", "rule")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running() as world:
        yield world


@pytest.fixture(autouse=True)
def _environment(world: World) -> Iterator[None]:
    with function_environment(world):
        yield


@pytest.fixture(scope="module")
def database(world: World) -> Iterator[Database]:
    """With a schema and some rows, which tests leave as they are."""
    with function_environment(world):
        found = created(world)
        found.set_roles(PASSWORDS)
        found.lock(PASSWORDS)
    filled(found)
    yield found
    discard(found)


@pytest.fixture
def own(world: World) -> Iterator[Database]:
    """One that a test may damage."""
    found = created(world)
    found.set_roles(PASSWORDS)
    filled(found)
    yield found
    discard(found)


def filled(database: Database) -> None:
    with database.open("postgres", traffic_world.MASTER_PASSWORD) as session:
        session.run(f"set role {OWNER}")
        for statement in SCHEMA.split(";\n"):
            session.run(statement)
        session.run(
            "insert into app.events (at, body, born) select timestamptz '2026-03-02 06:00:00+00' + n * interval '1 s', "
            "'row ' || n, '1990-05-01' from generate_series(1, 300) n"
        )
        session.run("insert into app.parts values ('2026-05-05', 1)")


def copy_of(world: World, database: Database) -> Database:
    """Restored from a snapshot."""
    rds, name = world.client("rds", KENYA), next(names)
    rds.create_db_snapshot(DBInstanceIdentifier=database.name, DBSnapshotIdentifier=name)
    wait(
        lambda: rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"][0]["Status"] == "available",
        what="the snapshot",
    )
    rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier=name, DBSnapshotIdentifier=name)
    return available(world, name)


def test_a_copy_is_what_its_source_is(world: World, database: Database) -> None:
    before = database.inspect()
    copy = copy_of(world, database)
    try:
        copy.lock(PASSWORDS)
        found = copy.inspect()
    finally:
        discard(copy)
    assert (found["tls"], found["tls_only"]) == ("TLSv1.3", True)
    assert (found["fingerprint"], found["objects"]) == (before["fingerprint"], before["objects"])
    assert found["tables"] == before["tables"]
    assert {name.split()[0] for name in found["objects"]} == {*KINDS, "policy", "type"}
    assert found["tables"]["app.events"] == {
        "rows": 300,
        "exact": True,
        "newest": {"at": "2026-03-02 06:05:00+00", "born": "1990-05-01"},
        "broken": None,
    }
    assert found["tables"]["app.answers"]["newest"] == {"said": None}
    assert found["tables"]["app.parts_new"]["rows"] == 1
    indexes = found["indexes"]
    assert (indexes["broken"], indexes["unchecked"], indexes["refused"]) == ({}, [], None)
    assert indexes["checked"] > 100, "PostgreSQL's own as well"


CHANGES = {
    "alter table app.events alter born type timestamp": {"column app.events.born"},
    "alter table app.events drop column born": {"column app.events.born"},
    "alter table app.events alter at drop default": {"column app.events.at"},
    "alter table app.answers alter said set not null": {"column app.answers.said"},
    "drop index app.events_at": {"index app.events_at"},
    "alter table app.answers drop constraint answers_score_check": {"constraint app.answers.answers_score_check"},
    "alter domain app.short drop constraint not_long": {"constraint app.short.not_long"},
    "create or replace function app.twice(n int) returns int language sql immutable as 'select n * 3'": {
        "function app.twice(integer)"
    },
    "alter sequence app.cases increment 5": {"sequence app.cases"},
    "alter table app.events disable trigger noted": {"trigger app.events.noted"},
    "create or replace view app.latest as select body from app.events order by seq limit 1": {"table app.latest"},
    "alter table app.answers disable row level security": {"table app.answers"},
    "alter policy mine on app.answers using (score > 2)": {"policy app.answers.mine"},
    "alter type app.mood add value 'glad'": {"type app.mood"},
    "drop rule ignored on app.answers": {"rule app.answers.ignored"},
    "create schema other": {"schema other"},
    "drop table app.parts_new": {
        "table app.parts_new",
        "column app.parts_new.at",
        "column app.parts_new.n",
    },
}


def test_each_change_of_the_schema_is_named(own: Database) -> None:
    before = own.inspect(indexes=False)
    for statement, expected in CHANGES.items():
        own.run(statement)
        after = own.inspect(indexes=False)
        assert after["fingerprint"] != before["fingerprint"], statement
        assert differing(before["objects"], after["objects"]) == expected, statement
        before = after


def differing(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {name for name, _ in set(one.items()) ^ set(other.items())}


def test_rows_are_no_part_of_the_schema(own: Database) -> None:
    before = own.inspect(indexes=False)
    own.run("select nextval('app.cases')")
    own.run("delete from app.events where seq > 10")
    own.run("analyze app.events")
    after = own.inspect(indexes=False)
    assert after["objects"] == before["objects"]
    assert after["tables"]["app.events"]["rows"] == 10


def test_it_changes_nothing(database: Database) -> None:
    state = "select oid, nspname::text from pg_namespace union all select oid, extname::text from pg_extension"
    before = database.run(state)
    assert database.inspect()["indexes"]["checked"] > 100
    assert database.run(state) == before


# -- what is broken -------------------------------------------------------------------------------------------------
def damage(database: Database, relation: str, change: Callable[[bytearray], None]) -> None:
    """Change the file of a relation behind PostgreSQL's back, as a failing disk does."""
    ((relative,),) = database.run(f"select pg_relation_filepath('{relation}')")
    database.run("checkpoint")
    file = Path(database.world.directory) / "databases" / database.log / relative
    content = bytearray(file.read_bytes())
    change(content)
    file.write_bytes(content)
    database.world.client("rds", KENYA).reboot_db_instance(DBInstanceIdentifier=database.name)
    available(database.world, database.name)


def swapped(content: bytearray) -> None:
    """Two entries of the first leaf in the wrong order: its second and third pointer, after a header of 24 bytes."""
    place = 8192 + 24 + 4
    first, second = struct.unpack_from("<II", content, place)
    struct.pack_into("<II", content, place, second, first)


def garbled(content: bytearray) -> None:
    content[0:24] = b"\xff" * 24


def test_a_corrupt_index_is_found(own: Database) -> None:
    damage(own, "app.events_at", swapped)
    assert own.run("select count(*) from app.events") == [[300]], "nobody notices"
    indexes = own.inspect()["indexes"]
    assert list(indexes["broken"]) == ["app.events_at"]
    assert "item order invariant violated" in indexes["broken"]["app.events_at"]
    assert indexes["unchecked"] == []
    assert indexes["checked"] > 100


def test_a_table_that_cannot_be_read_is_found(own: Database) -> None:
    damage(own, "app.parts_new", garbled)
    found = own.inspect()["tables"]
    assert "invalid page" in found["app.parts_new"]["broken"]
    assert found["app.events"]["broken"] is None


# -- what it is allowed ---------------------------------------------------------------------------------------------
def test_amcheck_that_is_there_is_used_and_stays(own: Database) -> None:
    own.run("create schema tools")
    own.run("create extension amcheck schema tools")
    found = own.inspect()
    assert (found["indexes"]["refused"], found["indexes"]["checked"] > 100) == (None, True)
    assert not [name for name in found["objects"] if "bt_index" in name], "its objects are no part of the schema"
    assert own.run("select extnamespace::regnamespace::text from pg_extension where extname = 'amcheck'") == [["tools"]]


def test_a_role_that_may_not_create_it_is_told(own: Database) -> None:
    own.run("create role rds_less login createrole password 'x'")
    own.run("grant connect, create on database platform to rds_less")
    with own.open("rds_less", "x") as session:
        indexes = inspecting.inspect(session, True).indexes
    assert indexes is not None
    assert indexes.refused == 'amcheck cannot be created: permission denied to create extension "amcheck" (42501)'
    assert indexes.checked == 0


def test_a_server_without_it_is_told(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspecting, "OFFERED", "select where false")
    indexes = database.inspect()["indexes"]
    assert (indexes["checked"], indexes["refused"]) == (0, "this server does not offer amcheck")


def test_a_login_without_tls_that_works_is_told(own: Database) -> None:
    rds = own.world.client("rds", KENYA)
    name = next(names)
    rds.create_db_parameter_group(DBParameterGroupName=name, DBParameterGroupFamily="postgres17", Description="x")
    parameter = {"ParameterName": "rds.force_ssl", "ParameterValue": "0", "ApplyMethod": "immediate"}
    rds.modify_db_parameter_group(DBParameterGroupName=name, Parameters=[parameter])
    rds.modify_db_instance(DBInstanceIdentifier=own.name, DBParameterGroupName=name, ApplyImmediately=True)
    wait(lambda: not own.inspect(indexes=False)["tls_only"], 30, "the new parameters")
    assert own.inspect(indexes=False)["tls"] == "TLSv1.3"


# -- time -----------------------------------------------------------------------------------------------------------
def test_a_table_that_takes_too_long_is_estimated_and_its_index_asked(
    own: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.run("analyze app.events")
    looked = inspecting._looked

    def slow(session: Any, name: str, first: str, columns: list[str]) -> Any:
        if name == '"app"."events"' and first == "count(*)":
            return session.run("select pg_sleep(60)")
        return looked(session, name, first, columns)

    monkeypatch.setattr(inspecting, "STATEMENT_SECONDS", 0.5)
    monkeypatch.setattr(inspecting, "_looked", slow)
    started = time.monotonic()
    found = own.inspect(indexes=False)["tables"]
    assert time.monotonic() - started < 10
    assert found["app.events"] == {
        "rows": 300,
        "exact": False,
        "newest": {"at": "2026-03-02 06:05:00+00"},
        "broken": None,
    }
    assert found["app.parts_new"]["exact"]


def test_a_table_that_somebody_holds_is_waited_for_a_moment(own: Database) -> None:
    """What a prepared transaction of the source may do. It is an error that can be asked about again."""
    with own.open("postgres", traffic_world.MASTER_PASSWORD) as session:
        session.run("begin")
        session.run("lock table app.answers in access exclusive mode")
        with pytest.raises(REFUSED, match="lock timeout"):
            own.inspect()


def test_when_the_time_is_over_the_rest_is_named(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspecting, "INDEXES_SECONDS", 0.0)
    indexes = database.inspect()["indexes"]
    assert (indexes["checked"], indexes["broken"]) == (0, {})
    assert "app.events_at" in indexes["unchecked"]


def test_names_are_left_out_where_there_are_too_many(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = database.inspect(indexes=False)
    monkeypatch.setattr(inspecting, "MOST_BYTES", 100)
    found = database.inspect(indexes=False)
    assert (found["objects"], found["fingerprint"]) == (None, whole["fingerprint"])


# -- what it tells --------------------------------------------------------------------------------------------------
def test_the_log_holds_nothing_of_the_rows(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    database.inspect()
    printed = capsys.readouterr().out
    assert "1990" not in printed
    assert '"checked"' in printed


def test_a_database_that_does_not_answer_is_an_error_at_once(database: Database) -> None:
    event = {"task": "inspect", "master": database.secret("postgres", "wrong"), "indexes": False}
    started = time.monotonic()
    with pytest.raises(pg8000.native.InterfaceError):
        handler.handler({**event, "host": "127.0.0.1", "port": 1}, None)
    with pytest.raises(REFUSED, match="28P01"):
        handler.handler({**event, "host": "127.0.0.1", "port": database.port}, None)
    assert time.monotonic() - started < 15
