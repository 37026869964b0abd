"""`dr database release` on the real engine: what served before is given up, killed twice on the way and continued."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.shell import SECONDS, Shell, both_stacks, killed_when, wait
from tests.e2e.test_restore_database import clean, instances
from tests.e2e.test_restore_to_a_time import FIRST, GENERATIONS, STACK, client, described, modelled, run

RESTORED, LAST = f"{FIRST}-restored", f"{FIRST}-final"
RELEASE = ("database", "release", "first", "-s", "kenya")
CONFIRM = ("--apply", "--confirm", FIRST)
WHOLE = 600  # two deployments, on a busy machine

# A checkout has one sandbox for work by hand.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(SECONDS), pytest.mark.xdist_group("by hand")]


@pytest.fixture
def shell() -> Iterator[Shell]:
    with both_stacks() as found:
        yield found


def serve_another(shell: Shell, snapshot: str) -> None:
    """A second generation, and the pointer moved, as docs/restoring.md does it by hand."""
    for name, value in (("name", "restored"), ("origin", snapshot)):
        shell.pulumi("config", "set", "--path", f"{GENERATIONS}[1].{name}", value, *STACK)
    shell.pulumi("up", "--yes", "--skip-preview", *STACK)
    shell.pulumi("config", "set", "--path", "mental-health-platform:database.serving", "restored", *STACK)
    shell.pulumi("up", "--yes", "--skip-preview", *STACK)
    assert instances(shell) == {FIRST: "retained-database", RESTORED: "serving-database"}


def state_of(rds: Any, identifier: str) -> tuple[str, bool]:
    """Its status, and whether RDS protects it; `gone` once it is."""
    found = [e for e in rds.describe_db_instances()["DBInstances"] if e["DBInstanceIdentifier"] == identifier]
    return (str(found[0]["DBInstanceStatus"]), bool(found[0]["DeletionProtection"])) if found else ("gone", False)


def finals(rds: Any) -> dict[str, bool]:
    """The complete final snapshots of the first database, and whether each is marked unusable."""
    return {
        entry["DBSnapshotIdentifier"]: "platform:unusable" in {tag["Key"] for tag in entry["TagList"]}
        for entry in rds.describe_db_snapshots(DBInstanceIdentifier=FIRST)["DBSnapshots"]
        if entry["DBSnapshotIdentifier"].startswith(LAST) and entry["Status"] == "available"
    }


def test_what_served_before_is_given_up(shell: Shell) -> None:
    rds = client(shell, "rds")
    run(shell, FIRST, "create table kept (n bigint)", "insert into kept select generate_series(1, 500)")
    taken = json.loads(shell.dr("snapshot", "create", "--no-copy", "--apply", "--wait", "--json"))["snapshot"]
    time.sleep(0.1)  # some modelled seconds
    moment = modelled(shell).replace(microsecond=0)  # which no backup of another generation reaches
    wait(lambda: described(shell, FIRST)["LatestRestorableTime"] > moment, 60, "the archived moment")
    serve_another(shell, taken)
    run(shell, FIRST, "insert into kept values (501)")  # what only it has
    file = shell.running.project / "Pulumi.kenya.yaml"
    original = file.read_text()

    # Looking changes nothing; what serves and what is unknown is refused; another name does not confirm it.
    planned = json.loads(shell.dr(*RELEASE, "--json"))
    assert (planned["applied"], planned["target"]["database"]) == (False, FIRST)
    assert planned["plan"] == {"steps": {"update": 1}, "losses": [], "warnings": planned["plan"]["warnings"]}
    assert "serves kenya" in shell.dr("database", "release", "restored", "-s", "kenya", code=3)
    assert "no generation of kenya" in shell.dr("database", "release", "other", "-s", "kenya", code=3)
    assert "Not confirmed" in shell.dr(*RELEASE, "--apply", "--confirm", "kenya", code=4)
    assert (file.read_text(), finals(rds), state_of(rds, FIRST)) == (original, {}, ("available", True))

    # Killed once its protection is off, and while RDS deletes it.
    for reached in (lambda: not state_of(rds, FIRST)[1], lambda: state_of(rds, FIRST)[0] == "deleting"):
        killed_when(shell, (*RELEASE, *CONFIRM), reached)
        assert len([name for name in finals(rds) if name != LAST]) == 1, "complete before anything was changed"
    result = json.loads(shell.dr(*RELEASE, *CONFIRM, "--json", seconds=WHOLE))
    assert (result["ok"], result["resumed"]) == (True, True)
    assert [check["name"] for check in result["checks"] if not check["ok"]] == []
    assert instances(shell) == {RESTORED: "serving-database"}
    assert finals(rds) == {result["final_snapshot"]: True, LAST: True}
    assert "released: true" in file.read_text()
    assert run(shell, RESTORED, "select count(*) from kept") == [[500]]
    clean(shell)

    # What is left of it: its backups, which a restore still finds by its name in the file.
    planned = json.loads(
        shell.dr("restore", "database", "-s", "kenya", "--at", f"{moment:%Y-%m-%dT%H:%M:%SZ}", "--json")
    )
    assert (planned["target"]["of"], planned["target"]["database"]) == ("first", f"{RESTORED}-2")
    listed = json.loads(shell.dr("database", "list", "--json"))["databases"]
    assert [(entry["meant"], entry["status"]) for entry in listed] == [("released", None), ("serving", "available")]
    again = json.loads(shell.dr(*RELEASE, *CONFIRM, "--json"))
    assert (again["ok"], again["target"]["complete"]) == (True, True)
    assert shell.control("GET", "status")["errors"] == []
