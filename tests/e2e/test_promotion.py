"""`dr promote` on the real engine: refused while the primary answers, killed, out of credentials, and complete."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox.supervisor import control
from scripts import sandbox as task
from scripts.errors import CredentialsError, PrimaryAnswersError
from scripts.project import CHECKOUT
from scripts.rehearsal import calls
from scripts.rehearsal.calls import REHEARSAL

KENYA, SOUTH_AFRICA = "eu-west-1", "af-south-1"
SPEED = "60"
SECONDS = 1500
RUN = (
    f"import sys, runpy; sys.path[0] = {str(CHECKOUT)!r}; sys.argv[0] = 'dr'; "
    "runpy.run_module('scripts.dr', run_name='__main__')"
)
APPLY = ("promote", "--apply", "--confirm", "south-africa")

# A checkout has one sandbox for work by hand.
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("by hand")]


class Shell:
    """A shell in which `eval "$(dr sandbox env)"` was typed."""

    def __init__(self, running: task.Running) -> None:
        self.running = running
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PULUMI_"))}
        self.environment = {**kept, **running.env()}
        self.rds = boto3.client(
            "rds",
            region_name=SOUTH_AFRICA,
            endpoint_url=running.endpoint,
            aws_access_key_id=REHEARSAL,
            aws_secret_access_key="fake",
        )

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.running.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def dr(self, *arguments: str, code: int = 0) -> str:
        """Run `dr` to its end; what it says on standard output, or on standard error where it must fail."""
        process = self.start(sys.executable, "-c", RUN, *arguments)
        stdout, stderr = process.communicate(timeout=400)
        assert process.returncode == code, stderr[-6000:]
        return stderr if code else stdout

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.dr("status", "--json"))
        return found

    def pulumi(self, *arguments: str) -> None:
        process = self.start("pulumi", *arguments, "--non-interactive")
        stdout, stderr = process.communicate(timeout=400)
        assert process.returncode == 0, stdout[-4000:] + stderr[-1000:]

    def databases(self) -> list[dict[str, Any]]:
        return [dict(entry) for entry in self.rds.describe_db_instances()["DBInstances"]]

    def control(self, method: str, path: str, **data: Any) -> Any:
        return control(self.running.endpoint, method, path, **data)


@pytest.fixture
def shell() -> Iterator[Shell]:
    """Both stacks up, and a copy in the standby region."""
    if task.find() is not None:
        pytest.fail("A sandbox is running in this checkout already: stop it first (`dr sandbox stop`).")
    started = subprocess.run(
        [sys.executable, "-m", "scripts.dr", "sandbox", "start", "--speed", SPEED], cwd=CHECKOUT, timeout=240
    )
    try:
        assert started.returncode == 0
        found = Shell(task.need())
        for stack in ("south-africa", "kenya"):
            found.pulumi("up", "--yes", "--skip-preview", "--stack", stack)
        wait(lambda: task.copies(found.running, []), 120, "a copy")
        yield found
    finally:
        subprocess.run([sys.executable, "-m", "scripts.dr", "sandbox", "stop"], cwd=CHECKOUT, timeout=120)


def wait(look: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.2)


def engine_of(dr: subprocess.Popen[str]) -> int:
    """The process id of the `pulumi` that a running `dr` started last."""
    children = subprocess.run(["pgrep", "-P", str(dr.pid), "pulumi"], capture_output=True, text=True, check=True)
    return int(children.stdout.split()[-1])


def status_of(shell: Shell) -> str:
    return next((str(entry["DBInstanceStatus"]) for entry in shell.databases()), "")


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
    engine = engine_of(first)
    os.kill(engine, signal.SIGKILL)
    first.kill()
    first.communicate()
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
    counted = calls.account(made_calls, lost, time.time(), KENYA)
    assert [call.name for call in counted.lost_region] == []
    assert [call.name for call in counted.global_control_plane] == []
    assert sum(call.operation == "RestoreDBInstanceFromDBSnapshot" for call in made_calls) == 1

    wait(lambda: shell.status()["serving"] == "south-africa", 60, "a status")
    kenya = next(view for view in shell.status()["stacks"] if view["stack"] == "kenya")
    assert {"databases", "services", "alarms"} <= kenya["silent"].keys()
    assert shell.control("GET", "status")["errors"] == []
