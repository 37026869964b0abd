"""The function that makes the application's roles, on real databases whose master is no superuser, as on RDS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.components.roles_source import handler
from tests.sandbox.roles_database import (
    LATER,
    LOGGING,
    OWNER,
    READER,
    REFUSED,
    Database,
    available,
    created,
    discard,
    function_environment,
    names,
    running,
)
from tests.sandbox.traffic_world import KENYA, MASTER_PASSWORD, World, wait

# Every character that a quoting mistake would stumble over.
AWKWARD = "new 'pass\"word' \\ $1 :name %s ü"
NO_PRIVILEGE = "42501"  # PostgreSQL's error code insufficient_privilege
TABLE = "create table app.events (seq bigserial primary key, body text not null)"
# All that the function may have changed, except for passwords: they get a new salt each time.
STATE = """
select 'role', rolname, rolcanlogin::text, rolconnlimit::text, rolvaliduntil::text, rolsuper::text, rolcreaterole::text
  from pg_roles where rolname !~ '^pg_'
union all select 'member', roleid::regrole::text, member::regrole::text, grantor::regrole::text,
  admin_option::text, inherit_option::text, set_option::text from pg_auth_members
union all select 'database', datname, datacl::text, null, null, null, null from pg_database
union all select 'schema', nspname, nspowner::regrole::text, nspacl::text, null, null, null from pg_namespace
union all select 'default', defaclrole::regrole::text, defaclobjtype::text, defaclacl::text, null, null, null
  from pg_default_acl
union all select 'relation', oid::regclass::text, relowner::regrole::text, relacl::text, null, null, null
  from pg_class where relnamespace = to_regnamespace('app')
order by 1, 2, 3, 4
"""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    parameter = {"ParameterName": "log_statement", "ParameterValue": "all", "ApplyMethod": "immediate"}
    with running(parameter) as world:
        yield world


@pytest.fixture(autouse=True)
def _environment(world: World) -> Iterator[None]:
    with function_environment(world):
        yield


@pytest.fixture
def database(world: World) -> Iterator[Database]:
    found = created(world)
    yield found
    discard(found)


@pytest.fixture(scope="module")
def copy(world: World) -> str:
    """A snapshot of the primary's database with its roles, their passwords and its rows; its name."""
    primary = created(world)
    with function_environment(world):
        primary.set_roles({OWNER: "old-owner", READER: "old-reader"})
    primary.run(TABLE, OWNER, "old-owner")
    primary.run("insert into app.events (body) select 'row ' || n from generate_series(1, 100) n", OWNER, "old-owner")
    rds = world.client("rds", KENYA)
    rds.create_db_snapshot(DBInstanceIdentifier=primary.name, DBSnapshotIdentifier="copy")
    wait(
        lambda: rds.describe_db_snapshots(DBSnapshotIdentifier="copy")["DBSnapshots"][0]["Status"] == "available",
        what="the snapshot",
    )
    discard(primary)
    return "copy"


@pytest.fixture
def restored(world: World, copy: str) -> Iterator[Database]:
    """What a standby gets on a promotion."""
    name = next(names)
    world.client("rds", KENYA).restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier=name, DBSnapshotIdentifier=copy, DBParameterGroupName=LOGGING
    )
    found = available(world, name)
    yield found
    discard(found)


def test_on_an_empty_database_the_owner_migrates_and_the_others_work_with_rows(database: Database) -> None:
    assert database.run("select rolsuper from pg_roles where rolname = current_user") == [[False]]
    answer = database.set_roles({OWNER: AWKWARD, READER: "reader"})
    assert answer == {"task": "roles", "created": [OWNER, READER], "reset": []}

    database.run(TABLE, OWNER, AWKWARD)
    assert database.run("insert into app.events (body) values ('a') returning seq", READER, "reader") == [[1]]
    database.run("update app.events set body = 'b'", READER, "reader")
    assert database.run("select body from app.events", READER, "reader") == [["b"]]
    database.run("delete from app.events", READER, "reader")
    assert database.run("select count(*) from app.events", OWNER, AWKWARD) == [[0]]


def test_who_is_not_the_owner_changes_no_structure(database: Database) -> None:
    database.set_roles({OWNER: "owner", READER: "reader"})
    database.run(TABLE, OWNER, "owner")
    for statement in (
        "drop table app.events",
        "alter table app.events add column more text",
        "truncate app.events",
        "create table app.other (n int)",
        "create table public.other (n int)",
        "create temporary table other (n int)",
        "create schema other",
        "create role other",
        f"set role {OWNER}",
    ):
        assert database.refusal(statement, READER, "reader") == NO_PRIVILEGE, statement


def test_on_a_restored_database_only_the_new_passwords_work_and_no_row_changes(restored: Database) -> None:
    rows = "select seq, body, xmin::text from app.events order by seq"
    before = restored.run(rows, OWNER, "old-owner")
    answer = restored.set_roles({OWNER: "new-owner", READER: "new-reader"})
    assert answer == {"task": "roles", "created": [], "reset": [OWNER, READER]}

    for role in (OWNER, READER):
        kind = role.replace(OWNER, "owner").replace(READER, "reader")
        assert restored.refusal("select 1", role, f"old-{kind}") == "28P01"
        assert restored.run(rows, role, f"new-{kind}") == before
    assert len(before) == 100
    restored.run("alter table app.events add column more text", OWNER, "new-owner")


def test_the_later_group_gets_the_owners_existing_and_later_tables(restored: Database) -> None:
    restored.set_roles({OWNER: "owner", READER: "reader"})
    answer = restored.set_roles({LATER: "later"})
    assert answer == {"task": "roles", "created": [LATER], "reset": []}

    restored.run("create table app.uploads (id bigserial primary key)", OWNER, "owner")
    assert restored.run("insert into app.events (body) values ('a') returning seq", LATER, "later") == [[101]]
    assert restored.run("insert into app.uploads default values returning id", LATER, "later") == [[1]]
    assert restored.refusal("drop table app.events", LATER, "later") == NO_PRIVILEGE
    # The first group's passwords are none of this call's business.
    restored.run("select 1", OWNER, "owner")
    restored.run("select 1", READER, "reader")


def test_a_second_call_changes_nothing(database: Database) -> None:
    passwords = {OWNER: "owner", READER: "reader"}
    database.set_roles(passwords)
    database.run(TABLE, OWNER, "owner")
    before = database.run(STATE)
    answer = database.set_roles(passwords)
    assert answer == {"task": "roles", "created": [], "reset": [OWNER, READER]}
    assert database.run(STATE) == before
    for role, password in passwords.items():
        database.run("select * from app.events", role, password)


def test_only_the_roles_of_services_may_connect(database: Database) -> None:
    database.run("create role stranger login password 'stranger'")
    database.run("select 1", "stranger", "stranger")
    database.set_roles({OWNER: "owner"})
    assert database.refusal("select 1", "stranger", "stranger") == NO_PRIVILEGE


def test_a_group_without_a_schema_gets_logins_alone(database: Database) -> None:
    database.set_roles({LATER: "later"}, owner=None)
    assert database.run("select to_regnamespace('app')::text", LATER, "later") == [[None]]


def test_a_role_that_was_locked_by_hand_can_log_in_again(database: Database) -> None:
    database.run(f"create role {READER} nologin connection limit 0 valid until '2020-01-01'")
    database.set_roles({OWNER: "owner", READER: "reader"})
    assert database.run("select current_user", READER, "reader") == [[READER]]


def test_a_failure_in_the_middle_leaves_everything_as_it_was(restored: Database) -> None:
    before = restored.run(STATE)
    with pytest.raises(REFUSED, match="nobody_there"):
        restored.set_roles({READER: "new-reader", LATER: "later"}, owner="nobody_there")
    assert restored.run(STATE) == before
    restored.run("select 1", READER, "old-reader")
    assert restored.refusal("select 1", READER, "new-reader") == "28P01"


def test_no_password_reaches_the_servers_log(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    database.set_roles({OWNER: "secret-of-owner", READER: "secret-of-reader"})
    with pytest.raises(REFUSED) as refused:
        database.set_roles({READER: "secret-of-reader"}, owner="nobody_there")
    logged = database.logged()
    assert f'ALTER ROLE "{READER}"' in logged
    for told in (logged, repr(refused.value), capsys.readouterr().out):
        assert "secret-of" not in told


def test_the_warming_call_proves_the_way_to_the_database_and_changes_nothing(database: Database) -> None:
    before = database.run(STATE)
    answer = handler.handler({"task": "warm", "master": database.secret("postgres", MASTER_PASSWORD)}, None)
    assert (answer["task"], answer["database"]) == ("warm", "answers")
    assert answer["version"].startswith("17.")
    assert database.run(STATE) == before
