"""`dr promote` on the real engine: refused while the primary answers, killed, out of credentials, and complete."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.errors import CredentialsError, PrimaryAnswersError
from scripts.rehearsal import calls
from tests.e2e.shell import APPLY, KENYA, RUN, SECONDS, Shell, both_stacks, kill, status_of, wait

# A checkout has one sandbox for work by hand.
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("by hand")]


@pytest.fixture
def shell() -> Iterator[Shell]:
    with both_stacks() as found:
        yield found


@pytest.mark.timeout(SECONDS)
def test_a_promotion_survives_what_interrupts_it(shell: Shell) -> None:
    # The primary answers: nobody promotes by a slip.
    # Its own limits are short, and this machine may be busy: then a part of it is unknown for once.
    wait(lambda: shell.status()["serving"] == "kenya" and shell.status()["rpo_minutes"], 60, "a status")
    assert "--primary-is-lost" in shell.dr(*APPLY, code=PrimaryAnswersError.exit_code)
    assert shell.databases() == []

    # It is lost, and its connections hang. Engine and command are killed while the database is being made.
    lost = time.time()
    shell.dr("sandbox", "cut", KENYA, "--timing-out")
    first = shell.start(sys.executable, "-c", RUN, *APPLY)
    wait(lambda: status_of(shell) == "creating" or first.poll() is not None, 240, "the restore")
    engine = kill(first)
    (made,) = shell.databases()

    # The next one adopts the instance; its credentials end on the way.
    second = shell.start(sys.executable, "-c", RUN, *APPLY)
    wait(lambda: status_of(shell) == "modifying" or second.poll() is not None, 300, "the adoption")
    shell.control("POST", "faults", kind="expired-credentials", principal="OPERATOR")
    said = second.communicate(timeout=240)[1]
    assert f"removed the lock of process {engine} " in said
    assert "adopted mental-health-platform-sa-rds" in said
    assert second.returncode == CredentialsError.exit_code, said[-4000:]
    assert "Get new credentials" in said
    shell.control("DELETE", "faults", kind="expired-credentials")

    # With new ones it is completed: the same instance serves, restored once.
    result = json.loads(shell.dr(*APPLY, "--json"))
    assert (result["ok"], result["resumed"], [c["name"] for c in result["checks"] if not c["ok"]]) == (True, True, [])
    (serving,) = shell.databases()
    assert serving["DbiResourceId"] == made["DbiResourceId"]
    shell.pulumi("preview", "--expect-no-changes", "--stack", "south-africa")
    made_calls = calls.read(Path(shell.running.directory) / "calls.jsonl")
    counted = calls.account(made_calls, lost, time.time(), KENYA, "mental-health-platform-kenya-")
    assert [call.name for call in counted.lost_region] == []
    assert [call.name for call in counted.global_control_plane] == []
    assert sum(call.operation == "RestoreDBInstanceFromDBSnapshot" for call in made_calls) == 1

    wait(lambda: shell.status()["serving"] == "south-africa", 60, "a status")
    kenya = next(view for view in shell.status()["stacks"] if view["stack"] == "kenya")
    assert {"databases", "services", "alarms"} <= kenya["silent"].keys()
    assert shell.control("GET", "status")["errors"] == []
