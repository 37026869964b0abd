"""The whole disaster on the real engine, and a sandbox in which a person works by hand. Minutes each."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import sandbox as task
from scripts.project import CHECKOUT
from scripts.rehearsal.faults import Fault
from tests.scripts.test_results import REQUIRED

DR = CHECKOUT / ".venv" / "bin" / "dr"
KENYA, SOUTH_AFRICA = "eu-west-1", "af-south-1"
SPEED_BY_HAND = "60"
SPEED = "30"  # three times the default: what is checked does not depend on it, and the whole lasts minutes
REHEARSAL_SECONDS = 1500
BY_HAND_SECONDS = 600

pytestmark = pytest.mark.e2e


def dr(*arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    return subprocess.run([str(DR), *arguments], cwd=CHECKOUT, capture_output=True, text=True, timeout=seconds)


def pulumi(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the plain command in a sandbox's working copy."""
    command = ["pulumi", *arguments, "--non-interactive"]
    return subprocess.run(
        command, cwd=environment["PWD"], env=environment, capture_output=True, text=True, timeout=240, check=False
    )


def wait_for_a_copy(seconds: float = 120) -> None:
    """Until `dr sandbox status` shows a copy that a promotion could restore."""
    deadline = time.monotonic() + seconds
    while not json.loads(dr("sandbox", "status", "--json").stdout)["copies"]:
        assert time.monotonic() < deadline, "no copy came"
        time.sleep(1)


def sandboxes() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("dr-sandbox-*"))


def changed_files() -> str:
    return subprocess.run(
        ["git", "status", "--porcelain"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.timeout(REHEARSAL_SECONDS + 60)
def test_a_lost_region_is_survived() -> None:
    before = sandboxes()
    ended = dr("rehearse", "region-loss", "--seed", "7", "--speed", SPEED, seconds=REHEARSAL_SECONDS)
    assert ended.returncode == 0, ended.stderr[-4000:]
    latest = CHECKOUT / "build" / "rehearsals" / "latest"
    found: dict[str, Any] = json.loads((latest / "result.json").read_text())
    assert found.keys() >= REQUIRED
    assert (found["scenario"], found["ok"], found["seed"]) == ("region-loss", True, 7)
    assert found["lost_region"] == KENYA
    assert found["calls_to_lost_region_during_promotion"] == 0
    assert found["global_control_plane_calls_during_promotion"] == 0
    assert 0 < found["rto_minutes"]["crisis_page"] <= 2.5
    assert found["rto_minutes"]["crisis_page"] < found["rto_minutes"]["critical"] <= 240
    assert found["rto_minutes"]["critical"] <= found["rto_minutes"]["all"]
    assert 0 <= found["rpo_minutes"] <= 60
    assert 0 < found["rows"]["present_after"] <= found["rows"]["committed_before"]
    assert [
        found["dns"][moment]["region"] for moment in ("before", "after_loss", "after_promotion", "after_return")
    ] == [
        KENYA,
        SOUTH_AFRICA,
        SOUTH_AFRICA,
        SOUTH_AFRICA,
    ]
    assert (found["preview_after"], found["drift_after"]) == ([], [])
    assert [check["name"] for check in found["checks"] if not check["ok"]] == []
    assert (latest / "report.html").stat().st_size > 10_000
    assert (latest / "events.jsonl").exists()
    assert sandboxes() <= before


@pytest.mark.timeout(REHEARSAL_SECONDS + 60)
@pytest.mark.parametrize("fault", list(Fault))
def test_a_failure_that_nothing_critical_needs_stops_nothing(fault: Fault) -> None:
    ended = dr(
        "rehearse", "region-loss", "--seed", "11", "--speed", SPEED, "--fault", fault.value, seconds=REHEARSAL_SECONDS
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    found: dict[str, Any] = json.loads((CHECKOUT / "build/rehearsals/latest/result.json").read_text())
    assert (found["ok"], found["fault"]) == (True, fault.value)
    held = {check["name"] for check in found["checks"] if check["ok"]}
    assert held >= {"promotion-reports-fault", "critical-services-run", "write-accepted", "takeover-after-healthy"}


@pytest.fixture
def sandbox() -> Iterator[dict[str, str]]:
    """A running sandbox; its environment as a shell gets it from `eval "$(dr sandbox env)"`."""
    if task.find() is not None:
        pytest.fail("A sandbox is running in this checkout already: stop it first (`dr sandbox stop`).")
    started = dr("sandbox", "start", "--speed", SPEED_BY_HAND, seconds=240)
    try:
        assert started.returncode == 0, started.stderr[-4000:]
        lines = dr("sandbox", "env").stdout
        shell = subprocess.run(
            ["sh", "-c", f"{lines}\nenv -0; pwd"], capture_output=True, text=True, check=True, env=dict(os.environ)
        )
        *variables, directory = shell.stdout.split("\0")
        yield {**dict(entry.split("=", 1) for entry in variables), "PWD": directory.strip()}
    finally:
        stopped = dr("sandbox", "stop")
    assert stopped.returncode == 0, stopped.stderr


@pytest.mark.timeout(BY_HAND_SECONDS)
def test_a_person_works_in_a_sandbox(sandbox: dict[str, str]) -> None:
    files = changed_files()
    status = json.loads(dr("sandbox", "status", "--json").stdout)
    assert (status["running"], status["cloud"]["healthy"], status["cloud"]["cut"]) == (True, True, [])

    second = dr("sandbox", "start")
    assert second.returncode == 3
    assert "running already" in second.stderr
    refused = dr("sandbox", "cut", "us-east-1")
    assert refused.returncode == 3
    assert f"allowed: {SOUTH_AFRICA}, {KENYA}" in " ".join(refused.stderr.split())

    assert Path(sandbox["PWD"]) == Path(status["directory"]) / "project"
    # A wrong value is refused in one message, before anything of AWS is registered.
    assert pulumi(sandbox, "config", "set", "standby", "perhaps", "--stack", "south-africa").returncode == 0
    refused = pulumi(sandbox, "up", "--yes", "--stack", "south-africa")
    assert refused.returncode != 0
    assert "Pulumi.south-africa.yaml: mental-health-platform:standby = perhaps" in refused.stdout
    assert "Traceback" not in refused.stdout + refused.stderr
    assert "aws:" not in refused.stdout
    # And so is a promotion without a copy to restore.
    assert pulumi(sandbox, "config", "set", "standby", "false", "--stack", "south-africa").returncode == 0
    refused = pulumi(sandbox, "up", "--yes", "--stack", "south-africa")
    assert refused.returncode != 0
    assert "No usable copy of the database of kenya exists in af-south-1" in refused.stdout
    assert "aws:" not in refused.stdout

    # What `dr sandbox start` says to type next, in its order.
    assert pulumi(sandbox, "config", "set", "standby", "true", "--stack", "south-africa").returncode == 0
    for stack in ("south-africa", "kenya"):
        deployed = pulumi(sandbox, "up", "--yes", "--stack", stack)
        assert deployed.returncode == 0, deployed.stdout[-4000:] + deployed.stderr[-1000:]
    wait_for_a_copy()
    assert dr("sandbox", "cut", KENYA).returncode == 0
    assert KENYA in dr("sandbox", "status").stdout
    assert pulumi(sandbox, "config", "set", "standby", "false", "--stack", "south-africa").returncode == 0
    promoted = pulumi(sandbox, "up", "--yes", "--stack", "south-africa")
    assert promoted.returncode == 0, promoted.stdout[-4000:] + promoted.stderr[-1000:]
    assert "mental-health-platform-sa-rds" in promoted.stdout
    # Back is not possible by the flag, also with the stack file of before.
    assert pulumi(sandbox, "config", "set", "standby", "true", "--stack", "south-africa").returncode == 0
    refused = pulumi(sandbox, "up", "--yes", "--stack", "south-africa")
    assert refused.returncode != 0
    assert "cannot go back to standby by this flag" in refused.stdout
    assert dr("sandbox", "restore", KENYA).returncode == 0
    assert json.loads(dr("sandbox", "status", "--json").stdout)["cloud"]["cut"] == []
    assert changed_files() == files

    assert dr("sandbox", "stop").returncode == 0
    assert not Path(status["directory"]).exists()
    assert json.loads(dr("sandbox", "status", "--json").stdout) == {"running": False}
