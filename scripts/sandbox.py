"""`dr sandbox …`: a sandbox that stays up, for work by hand. A process in the background holds it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from sandbox import supervisor
from scripts import console, processes, project
from scripts.bootstrap import Bootstrap
from scripts.clients import Clients
from scripts.errors import RefusedError, SandboxError
from scripts.project import CHECKOUT, Project
from scripts.pulumi_cli import PulumiCli
from scripts.rehearsal.calls import REHEARSAL

STATE = CHECKOUT / "build" / "sandbox" / "state.json"  # build/ is ignored by git
LOG = STATE.with_name("daemon.log")
START_WITHIN = 90.0  # real seconds
STOP_WITHIN = 60.0
# What the emulated registry accepts; nobody outside the sandbox knows it.
REGISTRY_CREDENTIAL = '{"username": "sandbox", "password": "sandbox"}'


@dataclass(frozen=True)
class Running:
    """The sandbox in the background. `born`: when its process began (epoch seconds)."""

    pid: int
    born: float
    directory: str
    port: int
    provider_port: int
    speed: float

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def project(self) -> Path:
        return Path(self.directory) / "project"

    def env(self, principal: str = "OPERATOR") -> dict[str, str]:
        return supervisor.environment(Path(self.directory), self.port, self.provider_port, principal)


# -- the process in the background --------------------------------------------------------------------------------
def hold(speed: float) -> None:
    """Run a sandbox until SIGTERM; this is what `start` puts in the background (`python -m scripts.sandbox`)."""
    with supervisor.Sandbox(speed=speed) as box:
        born = psutil.Process().create_time()
        running = Running(os.getpid(), born, str(box.directory), box.port, box.provider_port, speed)
        temporary = STATE.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(running)))
        temporary.rename(STATE)
        try:
            while True:
                signal.pause()
        finally:
            STATE.unlink(missing_ok=True)


def find() -> Running | None:
    """The running sandbox, if there is one. What a crashed one left of itself in the state file is removed."""
    try:
        running = Running(**json.loads(STATE.read_text()))
        alive = processes.same(running.pid, running.born)
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None
    if alive:
        return running
    STATE.unlink(missing_ok=True)
    return None


def need() -> Running:
    running = find()
    if running is None:
        raise RefusedError("No sandbox is running.", "Start one with `dr sandbox start`.")
    return running


# -- commands -----------------------------------------------------------------------------------------------------
def start(speed: float) -> None:
    """Start a sandbox, run the bootstrap in it, print what to type next."""
    if (running := find()) is not None:
        raise RefusedError(
            f"A sandbox is running already (process {running.pid}, {running.directory}).",
            "Use it (`dr sandbox env`), or stop it first: `dr sandbox stop`.",
        )
    console.step("Starting the emulated cloud and the provider", "about 10 s")
    running = _spawn(speed)
    try:
        facts = project.load(running.project)
        seed_registry(running.endpoint, facts)
        console.step("Bootstrap: state bucket, key, roles, zone, both stacks, secrets", "about 30 s")
        bootstrap(facts, running.env())
    except BaseException:
        stop()
        raise
    console.done(f"The sandbox is up; one modelled minute lasts {60 / speed:.1f} s. Next, in this shell:")
    standby, primary = (stack.stack for stack in facts.stacks)
    for line in (
        'eval "$(.venv/bin/dr sandbox env)"     # into the working copy; `git status` of the checkout stays clean',
        f"pulumi up -s {standby}",
        f"pulumi up -s {primary}",
        "dr sandbox status            # until it shows a copy: there is nothing to promote before",
        f"dr sandbox cut {facts.primary.region}",
        f"pulumi config set standby false -s {standby} && pulumi up -s {standby}",
        "dr sandbox stop              # then open a new shell: this one's directory and settings are gone",
    ):
        console.plain(f"  {line}")


def stop() -> None:
    """End the process in the background; it removes everything. Says so if there is none."""
    running = find()
    if running is None:
        console.done("No sandbox is running.")
        return
    os.kill(running.pid, signal.SIGTERM)
    if not _gone_within(STOP_WITHIN, running):
        os.kill(running.pid, signal.SIGKILL)  # its reaper removes the rest
        if not _gone_within(STOP_WITHIN, running):
            raise SandboxError(f"The sandbox does not end: process {running.pid}, {running.directory}.")
    STATE.unlink(missing_ok=True)
    console.done("The sandbox is stopped and its directory removed.")


def _gone_within(seconds: float, running: Running) -> bool:
    """Whether the process ended and its directory went."""
    deadline = time.monotonic() + seconds
    while processes.same(running.pid, running.born) or Path(running.directory).exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def status(as_json: bool) -> None:
    running = find()
    if running is None:
        console.plain(json.dumps({"running": False}) if as_json else "No sandbox is running.")
        return
    cloud = supervisor.control(running.endpoint, "GET", "status")
    calls = supervisor.control(running.endpoint, "GET", "calls")
    found = copies(running, cloud["cut"])
    if as_json:
        known = {"running": True, **asdict(running), "cloud": cloud, "calls": len(calls), "copies": found}
        console.plain(json.dumps(known, indent=2))
        return
    console.plain(f"running     process {running.pid}, {running.directory}")
    console.plain(f"cloud       {running.endpoint}, {'healthy' if cloud['healthy'] else 'unhealthy'}")
    console.plain(f"time        {cloud['modelled_now']} ({running.speed:g} times faster than ours)")
    console.plain(f"lost        {', '.join(cloud['cut']) or 'no region'}")
    console.plain(f"copies      {', '.join(found) or 'none that a promotion could restore'}")
    console.plain(f"calls       {len(calls)}")
    for error in cloud["errors"]:
        console.plain(f"error       {error}")


def copies(running: Running, lost: list[str]) -> list[str]:
    """Names of the database copies in the standby region that are complete; none while that region is lost."""
    standby = project.load(running.project).standby.region
    if standby in lost:
        return []
    rds = Clients(running.env(REHEARSAL)).get("rds", standby)
    pages = rds.get_paginator("describe_db_snapshots").paginate(SnapshotType="manual")
    entries = [entry for page in pages for entry in page["DBSnapshots"]]
    return sorted(entry["DBSnapshotIdentifier"] for entry in entries if entry["Status"] == "available")


def env() -> None:
    """Print `export` lines for a shell, and the change into the working copy."""
    running = need()
    console.plain("unset AWS_PROFILE AWS_SESSION_TOKEN PULUMI_CONFIG_PASSPHRASE PULUMI_CONFIG_PASSPHRASE_FILE")
    for name, value in running.env().items():
        console.plain(f"export {name}={shlex.quote(value)}")
    console.plain(f"cd {shlex.quote(str(running.project))}")


def cut(region: str, timing_out: bool = False) -> None:
    """`timing_out`: connections to the region hang instead of ending at once."""
    running = need()
    _known(region, running)
    supervisor.control(running.endpoint, "POST", "cut", region=region, timing_out=timing_out)
    console.done(f"{region} is lost: " + ("connections to it hang." if timing_out else "nothing in it answers."))


def restore(region: str) -> None:
    running = need()
    _known(region, running)
    supervisor.control(running.endpoint, "POST", "restore", region=region)
    console.done(f"{region} is back.")


# -- parts that the rehearsal uses too ----------------------------------------------------------------------------
def seed_registry(endpoint: str, facts: Project) -> None:
    """Put the images that the stacks name into the emulated registry, which takes our credential and no other."""
    supervisor.control(endpoint, "POST", "registry-credential", **json.loads(REGISTRY_CREDENTIAL))
    for stack in facts.stacks:
        for service in stack.services:
            supervisor.control(endpoint, "POST", "registry", image=service.image, digest=service.digest)


def bootstrap(facts: Project, environment: dict[str, str]) -> None:
    """`dr bootstrap --apply` in a sandbox, with a credential that only its registry knows."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PULUMI_"))}
    Bootstrap.of(facts, {**kept, **environment}, REGISTRY_CREDENTIAL).run()


def deploy(box: supervisor.Sandbox, facts: Project, cli: PulumiCli) -> None:
    """Everything from an empty account to both stacks up, for who has nothing to say about it."""
    seed_registry(f"http://127.0.0.1:{box.port}", facts)
    bootstrap(facts, box.env())
    for stack in facts.stacks:
        cli.run("up", "--stack", stack.stack, "--yes", "--skip-preview")


# -- helpers ------------------------------------------------------------------------------------------------------
def _spawn(speed: float) -> Running:
    """Start `hold` in a session of its own and wait for its state file."""
    STATE.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.sandbox", str(speed)],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline:
        if (running := find()) is not None:
            return running
        if process.poll() is not None:
            raise SandboxError("The sandbox did not start:\n" + LOG.read_text(errors="replace").rstrip()[-3000:])
        time.sleep(0.1)
    process.terminate()
    raise SandboxError(f"The sandbox was not ready after {START_WITHIN:.0f} s.", f"Its log: {LOG}")


def _known(region: str, running: Running) -> None:
    regions = [stack.region for stack in project.load(running.project).stacks]
    if region not in regions:
        raise RefusedError(f"{region} is not a region of this platform; allowed: {', '.join(regions)}.")


def _main() -> None:
    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    try:
        hold(float(sys.argv[1]))
    except supervisor.SandboxFailed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _main()
