"""`dr restore database` on the real engine: killed between its steps and continued, by a time and by a snapshot."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from scripts.restoring import steps
from tests.e2e.shell import KENYA, SECONDS, Shell, both_stacks, killed_when, wait
from tests.e2e.test_restore_to_a_time import FIRST, client, described, modelled, run

RESTORED, AGAIN = f"{FIRST}-restored", f"{FIRST}-restored-2"
CONFIRM = ("--apply", "--confirm", "kenya")
WHOLE = 900  # four deployments, on a busy machine

# A checkout has one sandbox for work by hand.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2 * SECONDS), pytest.mark.xdist_group("by hand")]


@pytest.fixture
def shell() -> Iterator[Shell]:
    with both_stacks() as found:
        yield found


def restore(*arguments: str) -> tuple[str, ...]:
    return ("restore", "database", "-s", "kenya", *arguments)


def events(before: set[Path]) -> list[dict[str, Any]]:
    """What the runs since `before` wrote down."""
    new = sorted(set(steps.RESTORES.glob("*")) - before)
    files = [folder / "events.jsonl" for folder in new]
    return [json.loads(line) for file in files if file.exists() for line in file.read_text().splitlines()]


def in_the_record(reached: Callable[[list[dict[str, Any]]], bool]) -> Callable[[], bool]:
    """Whether the runs from now on wrote down that it is reached."""
    before = set(steps.RESTORES.glob("*"))
    return lambda: reached(events(before))


def verified(found: list[dict[str, Any]]) -> bool:
    """Between two deployments: the new database was found to be right, and does not serve yet."""
    return any(event["kind"] == "check" and event["name"] == "restored" for event in found)


def serving(found: list[dict[str, Any]]) -> bool:
    """The stack's file says that it serves, and the engine begins to do it."""
    kinds = [event["kind"] for event in found]
    return "serving set" in kinds and "pulumi up" in kinds[kinds.index("serving set") :]


def instances(shell: Shell) -> dict[str, str]:
    """Every database of kenya, and its role."""
    found = client(shell, "rds").describe_db_instances()["DBInstances"]
    return {
        entry["DBInstanceIdentifier"]: {tag["Key"]: tag["Value"] for tag in entry["TagList"]}["platform:role"]
        for entry in found
    }


def snapshots(rds: Any) -> dict[str, tuple[datetime, str | None]]:
    """Every complete snapshot of kenya's first database: when its data were current, and why it is unusable."""
    return {
        entry["DBSnapshotIdentifier"]: (
            entry["OriginalSnapshotCreateTime"],
            next((tag["Value"] for tag in entry["TagList"] if tag["Key"] == "platform:unusable"), None),
        )
        for entry in rds.describe_db_snapshots()["DBSnapshots"]
        if entry["DBInstanceIdentifier"] == FIRST and entry["Status"] == "available"
    }


def copied(rds: Any) -> set[str]:
    """The databases that there are snapshots of."""
    return {entry["DBInstanceIdentifier"] for entry in rds.describe_db_snapshots()["DBSnapshots"]}


def calls(shell: Shell, operation: str) -> int:
    """How often AWS was asked for it."""
    lines = (Path(shell.running.directory) / "calls.jsonl").read_text().splitlines()
    return sum(json.loads(line)["operation"] == operation for line in lines)


def clean(shell: Shell) -> None:
    """Neither the program nor AWS asks for anything."""
    shell.pulumi("preview", "--expect-no-changes", "--stack", "kenya")
    shell.pulumi("refresh", "--preview-only", "--expect-no-changes", "--stack", "kenya")


def test_a_damaged_database_is_served_as_it_was(shell: Shell) -> None:
    run(shell, FIRST, "create table kept (n bigint)", "insert into kept select generate_series(1, 500)")
    made = json.loads(shell.dr("snapshot", "create", "--no-copy", "--apply", "--wait", "--json"))["snapshot"]
    run(shell, FIRST, "insert into kept select generate_series(501, 600)")
    time.sleep(0.1)  # some modelled seconds
    moment = modelled(shell).replace(microsecond=0)
    time.sleep(0.1)
    run(shell, FIRST, "delete from kept where n > 10")
    wait(lambda: described(shell, FIRST)["LatestRestorableTime"] > moment, 60, "the archived moment")
    peer = shell.rds
    wait(lambda: any(at > moment for at, _ in snapshots(peer).values()), 90, "a damaged copy")
    file = shell.running.project / "Pulumi.kenya.yaml"
    original, at = file.read_text(), f"{moment:%Y-%m-%dT%H:%M:%SZ}"

    # Looking changes nothing, and what cannot be is refused with what can.
    planned = json.loads(shell.dr(*restore("--at", at, "--json")))
    assert (planned["applied"], planned["target"]["database"], planned["plan"]["losses"]) == (False, RESTORED, [])
    assert "to a time from" in shell.dr(*restore("--at", "2020-01-01T00:00:00Z"), code=3)
    assert (file.read_text(), instances(shell)) == (original, {FIRST: "serving-database"})

    # Killed while RDS makes the new instance, between two deployments, and as the next one begins.
    before = set(steps.RESTORES.glob("*"))
    for reached in (lambda _: RESTORED in instances(shell), verified, serving):
        killed_when(shell, restore("--at", at, *CONFIRM), in_the_record(reached))
        assert "is under way" in shell.dr(*restore("--latest"), code=3)
    result = json.loads(shell.dr(*restore("--at", at, *CONFIRM, "--json"), seconds=WHOLE))
    assert (result["ok"], result["resumed"]) == (True, True)
    assert [check["name"] for check in result["checks"] if not check["ok"]] == []
    assert calls(shell, "RestoreDBInstanceToPointInTime") == 1, events(before)[-5:]
    assert instances(shell) == {FIRST: "retained-database", RESTORED: "serving-database"}
    assert run(shell, RESTORED, "select count(*) from kept") == [[600]]
    assert run(shell, FIRST, "select count(*) from kept") == [[10]], "what was damaged stays for who looks into it"
    clean(shell)

    # What holds the damage is unusable in both regions, what does not is not, and copies go on from the new database.
    for rds in (client(shell, "rds"), peer):
        for name, (current, unusable) in snapshots(rds).items():
            assert (unusable is not None) == (current > moment), name
    assert {entry["region"] for entry in result["marked_unusable"]} >= {"af-south-1"}
    assert result["rpo_gap"]["region"] == "af-south-1"
    wait(lambda: RESTORED in copied(peer), 120, "a copy of the new database")
    assert "restoring" not in file.read_text()

    # The same once more finds that it is done; then a snapshot, which becomes the next generation.
    again = json.loads(shell.dr(*restore("--at", at, *CONFIRM, "--json"), seconds=WHOLE))
    assert (again["ok"], again["target"]["complete"]) == (True, True)
    result = json.loads(shell.dr(*restore("--snapshot", made, *CONFIRM, "--json"), seconds=WHOLE))
    assert (result["ok"], result["target"]["database"]) == (True, AGAIN)
    assert instances(shell) == dict.fromkeys((FIRST, RESTORED), "retained-database") | {AGAIN: "serving-database"}
    assert run(shell, AGAIN, "select count(*) from kept") == [[500]]
    clean(shell)
    assert calls(shell, "RestoreDBInstanceFromDBSnapshot") == 1
    assert shell.control("GET", "status")["errors"] == []
    assert shell.control("GET", "status")["cut"] in ([], {}), KENYA
