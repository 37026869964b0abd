"""`dr promote` of a read replica on the real engine: killed while RDS promotes it, completed by running it again."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.clock import Clock
from sandbox.public import PublicClient
from scripts.rehearsal import calls
from scripts.rehearsal.sources import Source, settings
from scripts.rehearsal.writer import ROWS_PATH
from tests.e2e.shell import APPLY, KENYA, RUN, SECONDS, SPEED, Shell, both_stacks, kill, status_of, wait

STANDBY = "south-africa"

# A checkout has one sandbox for work by hand.
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("by hand")]


@pytest.fixture
def shell() -> Iterator[Shell]:
    with both_stacks() as found:
        yield found


def rows(people: PublicClient) -> list[int]:
    found: list[int] = json.loads(people.get(f"{ROWS_PATH}?after=0").body)
    return found


@pytest.mark.timeout(SECONDS)
def test_a_promotion_in_place_survives_being_killed(shell: Shell) -> None:
    # The second deployment of the standby: it follows the primary's database from now on.
    arn = shell.pulumi("stack", "output", "databaseArn", "--stack", "kenya").strip()
    for path, value in settings(Source.REPLICA, arn).items():
        shell.pulumi("config", "set", "--stack", STANDBY, "--path", path, value)
    shell.pulumi("up", "--yes", "--skip-preview", "--stack", STANDBY)
    (replica,) = shell.databases()
    assert replica["ReadReplicaSourceDBInstanceIdentifier"] == arn
    people = PublicClient(shell.running.endpoint, Clock(float(SPEED)))
    for number in range(1, 6):
        assert people.post(ROWS_PATH, {"seq": number, "body": f"row {number}"}).status == 201
    time.sleep(2)  # the replica follows within milliseconds; the last row must have arrived before the loss

    # Killed after AWS has been asked to promote it: the state goes on saying that it follows.
    lost = time.time()
    shell.dr("sandbox", "cut", KENYA)
    first = shell.start(sys.executable, "-c", RUN, *APPLY)
    wait(lambda: status_of(shell) == "modifying" or first.poll() is not None, 240, "the promotion of the replica")
    assert first.poll() is None, first.communicate()[1][-4000:]
    engine = kill(first)

    # Run again, it waits for the instance, reads it alone again, and completes what was begun.
    second = shell.start(sys.executable, "-c", RUN, *APPLY, "--json")
    told, said = second.communicate(timeout=400)
    assert second.returncode == 0, said[-6000:]
    assert f"removed the lock of process {engine} " in said
    assert f"{replica['DBInstanceIdentifier']} follows no other database any more: read again" in " ".join(said.split())
    result = json.loads(told)
    assert (result["ok"], result["resumed"], [c["name"] for c in result["checks"] if not c["ok"]]) == (True, True, [])
    looked_at = {found["subject"]: found["level"] for found in result["findings"]}
    assert (looked_at["images"], looked_at["quotas"]) == ("ok", "ok")
    (serving,) = shell.databases()
    assert serving["DbiResourceId"] == replica["DbiResourceId"]
    assert (serving["MultiAZ"], serving.get("ReadReplicaSourceDBInstanceIdentifier")) == (True, None)
    people = PublicClient(shell.running.endpoint, Clock(float(SPEED)))  # one that has looked nothing up yet
    assert rows(people) == [1, 2, 3, 4, 5]
    shell.pulumi("preview", "--expect-no-changes", "--stack", STANDBY)

    made = calls.read(Path(shell.running.directory) / "calls.jsonl")
    counted = calls.account(made, lost, time.time(), KENYA, "mental-health-platform-kenya-")
    assert [call.name for call in counted.lost_region] == []
    assert [call.name for call in counted.global_control_plane] == []
    assert sum(call.operation == "PromoteReadReplica" for call in made) == 1
    assert not [call for call in made if call.operation.startswith("RestoreDBInstance")]
    assert shell.control("GET", "status")["errors"] == []
