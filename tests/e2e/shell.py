"""A sandbox for work by hand as a test types in it: both stacks up, `dr` and `pulumi` run, killed, and cleaned away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox.supervisor import control
from scripts import sandbox as task
from scripts.project import CHECKOUT
from scripts.rehearsal.calls import REHEARSAL

KENYA, SOUTH_AFRICA = "eu-west-1", "af-south-1"
SPEED = "60"
SECONDS = 1500
RUN = (
    f"import sys, runpy; sys.path[0] = {str(CHECKOUT)!r}; sys.argv[0] = 'dr'; "
    "runpy.run_module('scripts.dr', run_name='__main__')"
)
APPLY = ("promote", "--apply", "--confirm", "south-africa")


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

    def dr(self, *arguments: str, code: int = 0, seconds: float = 400) -> str:
        """Run `dr` to its end; what it says on standard output, or on standard error where it must fail."""
        process = self.start(sys.executable, "-c", RUN, *arguments)
        stdout, stderr = process.communicate(timeout=seconds)
        assert process.returncode == code, stderr[-6000:]
        return stderr if code else stdout

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.dr("status", "--json"))
        return found

    def pulumi(self, *arguments: str) -> str:
        process = self.start("pulumi", *arguments, "--non-interactive")
        stdout, stderr = process.communicate(timeout=400)
        assert process.returncode == 0, stdout[-4000:] + stderr[-1000:]
        return stdout

    def databases(self) -> list[dict[str, Any]]:
        return [dict(entry) for entry in self.rds.describe_db_instances()["DBInstances"]]

    def control(self, method: str, path: str, **data: Any) -> Any:
        return control(self.running.endpoint, method, path, **data)


@contextmanager
def both_stacks() -> Iterator[Shell]:
    """Both stacks up, and a copy in the standby region. Nothing that ran in it is left afterwards."""
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
        running = task.find()
        subprocess.run([sys.executable, "-m", "scripts.dr", "sandbox", "stop"], cwd=CHECKOUT, timeout=120)
        # A killed engine leaves its language host behind, as `kill -9` does anywhere.
        if running is not None:
            for left in _processes_of(running.directory):
                os.kill(left, signal.SIGKILL)
            wait(lambda: not _processes_of(running.directory), 10, "the end of what ran in the sandbox")


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


def kill(dr: subprocess.Popen[str]) -> int:
    """Kill a running `dr` and its engine with -9; the engine's process id."""
    engine = engine_of(dr)
    os.kill(engine, signal.SIGKILL)
    dr.kill()
    dr.communicate()
    return engine


def killed_when(shell: Shell, arguments: Sequence[str], reached: Callable[[], bool]) -> None:
    """Run `dr`, and kill it and the engine that it may have started, -9, once that is reached."""
    process = shell.start(sys.executable, "-c", RUN, *arguments)
    wait(lambda: reached() or process.poll() is not None, 300, "the moment of the kill")
    assert process.poll() is None, process.communicate()
    try:
        engine_of(process)
    except subprocess.CalledProcessError:  # between two deployments no engine runs
        process.kill()
        process.communicate()
    else:
        kill(process)


def _processes_of(directory: str) -> list[int]:
    """The processes that were started with the variables of the sandbox in `directory`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and directory.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:  # it has ended, or is somebody else's
            continue
    return found
