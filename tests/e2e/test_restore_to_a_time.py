"""The primary's database as it was at a time, made through Pulumi beside the one that serves, and then served from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from scripts.project import load
from scripts.rehearsal import sql
from scripts.rehearsal.calls import REHEARSAL
from tests.e2e.shell import KENYA, SECONDS, Shell, both_stacks, wait

FIRST = "mental-health-platform-kenya-rds"
GENERATIONS = "mental-health-platform:database.generations"
STACK = ("--stack", "kenya")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(SECONDS), pytest.mark.xdist_group("by hand")]


@pytest.fixture
def shell() -> Iterator[Shell]:
    with both_stacks() as found:
        yield found


def client(shell: Shell, service: str) -> Any:
    session = boto3.Session(aws_access_key_id=REHEARSAL, aws_secret_access_key="fake", region_name=KENYA)
    return session.client(service, endpoint_url=shell.running.endpoint)  # type: ignore[call-overload]


def described(shell: Shell, identifier: str) -> dict[str, Any]:
    return dict(client(shell, "rds").describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0])


def run(shell: Shell, identifier: str, *statements: str) -> list[Any]:
    """Statements as the master user, each committed by itself; the rows of the last one."""
    kenya = load(shell.running.project).primary
    directory = Path(shell.running.directory)
    return sql.run(lambda service: client(shell, service), directory, kenya, identifier, *statements)


def modelled(shell: Shell) -> datetime:
    told = shell.control("GET", "status")["modelled_now"]
    return datetime.fromisoformat(told).astimezone(UTC)


def test_a_time_is_restored_beside_the_serving_database_and_then_served_from(shell: Shell) -> None:
    run(shell, FIRST, "create table kept (n bigint)", "insert into kept select generate_series(1, 500)")
    time.sleep(0.1)  # some modelled seconds
    moment = modelled(shell).replace(microsecond=0)
    time.sleep(0.1)
    run(shell, FIRST, "delete from kept where n > 10")
    wait(lambda: described(shell, FIRST)["LatestRestorableTime"] > moment, 60, "the archived moment")

    for name, value in (("name", "restored"), ("origin", f"{moment:%Y-%m-%dT%H:%M:%SZ}"), ("of", "first")):
        shell.pulumi("config", "set", "--path", f"{GENERATIONS}[1].{name}", value, *STACK)
    said = shell.pulumi("up", "--yes", "--skip-preview", *STACK)
    assert f"Restoring {FIRST} as of {moment:%Y-%m-%d %H:%M:%S} UTC" in said
    restored = described(shell, f"{FIRST}-restored")
    tags = {tag["Key"]: tag["Value"] for tag in restored["TagList"]}
    assert tags["platform:restored-from"] == f"{FIRST}@{moment:%Y-%m-%dT%H:%M:%SZ}"
    assert (restored["MultiAZ"], restored["DeletionProtection"]) == (True, True)
    assert run(shell, f"{FIRST}-restored", "select count(*) from kept") == [[500]]
    assert run(shell, FIRST, "select count(*) from kept") == [[10]]
    shell.pulumi("preview", "--expect-no-changes", *STACK)

    shell.pulumi("config", "set", "--path", "mental-health-platform:database.serving", "restored", *STACK)
    shell.pulumi("up", "--yes", "--skip-preview", *STACK)
    roles = {
        name: {tag["Key"]: tag["Value"] for tag in described(shell, name)["TagList"]}["platform:role"]
        for name in (FIRST, f"{FIRST}-restored")
    }
    assert roles == {FIRST: "retained-database", f"{FIRST}-restored": "serving-database"}
    shell.pulumi("preview", "--expect-no-changes", *STACK)
    shell.pulumi("refresh", "--preview-only", "--expect-no-changes", *STACK)
