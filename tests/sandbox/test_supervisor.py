"""A sandbox leaves nothing behind: no process, no file, no shared memory, however its owner ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from sandbox.reaper import end_processes, processes_of
from sandbox.supervisor import CHECKOUT, Sandbox, SandboxFailed
from tests.sandbox.traffic_world import wait

SPEED = 600.0
GONE_WITHIN = 30.0  # seconds; a few on an idle machine

OWNER = """
import time
from sandbox.supervisor import Sandbox

with Sandbox(speed=600) as sandbox:
    print(sandbox.directory, sandbox.port, flush=True)
    time.sleep(60)
"""


def start_time(pid: int) -> str | None:
    """Tells a process from a later one with the same id; None when it is gone or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def descendants(pid: int) -> set[int]:
    """The process and all that it started, directly or not."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, more = {pid}, {pid}
    while more:
        more = {child for child, parent in parents.items() if parent in more} - found
        found |= more
    return found


def shared_memory(pids: set[int]) -> set[str]:
    """The System V segments that these processes made and the POSIX ones that they have open."""
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    found = {f"sysv {line.split()[1]}" for line in lines if int(line.split()[4]) in pids}
    for pid in pids:
        try:
            maps = Path(f"/proc/{pid}/maps").read_text()
        except OSError:
            continue
        found |= {line.split()[5] for line in maps.splitlines() if "/dev/shm/" in line}
    return found


def still_there(segments: set[str]) -> set[str]:
    listed = {f"sysv {line.split()[1]}" for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}
    return {segment for segment in segments if segment in listed or Path(segment).exists()}


class Footprint:
    """What a sandbox with a running database occupies."""

    def __init__(self, owner: int, directory: Path) -> None:
        self.directory = directory
        pids = {pid for pid in descendants(owner) if pid != owner}
        self.processes = {pid: start_time(pid) for pid in pids}
        self.memory = shared_memory(pids)
        names = [comm.read_text().strip() for pid in pids if (comm := Path(f"/proc/{pid}/comm")).exists()]
        assert names.count("postgres") > 3, f"PostgreSQL and its helpers, not {names}"
        assert self.memory

    def left(self) -> list[str]:
        """What is still there."""
        alive = [f"process {pid}" for pid, start in self.processes.items() if start and start_time(pid) == start]
        on_disk = [str(self.directory)] if self.directory.exists() else []
        return alive + on_disk + sorted(still_there(self.memory))

    def assert_gone(self) -> None:
        wait(lambda: not self.left(), GONE_WITHIN, "the sandbox to be gone", lambda: "\n".join(self.left()))


def start_database(port: int) -> None:
    """Make an instance and wait until its server runs."""
    rds = boto3.client(
        "rds",
        region_name="eu-west-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="OPERATOR",
        aws_secret_access_key="fake",
    )
    rds.create_db_instance(
        DBInstanceIdentifier="main",
        DBInstanceClass="db.t4g.medium",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="postgres",
        MasterUserPassword="master-password",
    )
    wait(lambda: rds.describe_db_instances()["DBInstances"][0]["DBInstanceStatus"] == "available", 30, "the database")


@contextmanager
def owner_process() -> Iterator[tuple[subprocess.Popen[str], Footprint]]:
    """Another process that owns a sandbox with a database in it."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            directory, port = process.stdout.readline().split()
            start_database(int(port))
            yield process, Footprint(process.pid, Path(directory))
        finally:
            process.kill()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox, stopped at the end of the module if the test of stopping didn't."""
    with Sandbox(SPEED) as started:
        yield started


def test_it_answers_and_its_parts_are_alive(sandbox: Sandbox) -> None:
    sandbox.check_alive()
    status = sandbox.control("GET", "status")
    assert (status["healthy"], status["speed"], status["cut"]) == (True, SPEED, [])
    assert sandbox.clock.speed == SPEED
    assert sandbox.provider_port not in (0, sandbox.port)


def test_an_unknown_control_call_is_told(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxFailed, match="no control call GET weather"):
        sandbox.control("GET", "weather")


def test_the_project_is_copied_without_what_is_no_part_of_it(sandbox: Sandbox) -> None:
    assert (sandbox.project / "Pulumi.yaml").read_text() == (CHECKOUT / "Pulumi.yaml").read_text()
    assert (sandbox.project / "components" / "settings" / "stack.py").exists()
    assert (sandbox.project / ".venv").resolve() == (CHECKOUT / ".venv").resolve()
    assert not any((sandbox.project / name).exists() for name in (".git", ".tools", "tests", "build"))
    assert not list(sandbox.project.glob("**/*.pyc"))


def test_the_environment_leads_to_the_sandbox_only(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "real")
    found = sandbox.process_env()
    assert found["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{sandbox.port}"
    assert f"endpoint=127.0.0.1:{sandbox.port}" in found["PULUMI_BACKEND_URL"]
    assert found["PULUMI_DEBUG_PROVIDERS"] == f"aws:{sandbox.provider_port}"
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "PULUMI_ACCESS_TOKEN"} & found.keys()
    assert not Path(found["AWS_CONFIG_FILE"]).exists()
    assert sandbox.env("REHEARSAL")["AWS_ACCESS_KEY_ID"] == "REHEARSAL"


def test_stop_leaves_nothing(sandbox: Sandbox) -> None:
    """Last of those that share the sandbox. A process that belongs to it, but was started by others, ends too."""
    start_database(sandbox.port)
    footprint = Footprint(os.getpid(), sandbox.directory)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=sandbox.process_env())
    directory = sandbox.directory
    wait(lambda: stranger.pid in processes_of(directory), 5, "the process")  # its environment is there after exec
    sandbox.stop()
    assert stranger.wait(5) == -signal.SIGKILL
    footprint.assert_gone()
    assert processes_of(directory) == []
    sandbox.stop()  # again: nothing happens


def test_ctrl_c_leaves_nothing() -> None:
    with owner_process() as (process, footprint):
        process.send_signal(signal.SIGINT)
        process.wait(GONE_WITHIN)
        footprint.assert_gone()


def test_kill_9_of_the_owner_leaves_nothing() -> None:
    with owner_process() as (process, footprint):
        process.kill()
        footprint.assert_gone()


def test_kill_9_of_the_cloud_ends_its_databases_and_is_noticed() -> None:
    with Sandbox(SPEED) as sandbox:
        start_database(sandbox.port)
        cloud = sandbox.control("GET", "status")["pid"]
        servers = {pid: start_time(pid) for pid in descendants(cloud)}
        memory = shared_memory(set(servers))
        os.kill(cloud, signal.SIGKILL)
        wait(
            lambda: not [pid for pid, start in servers.items() if start_time(pid) == start],
            GONE_WITHIN,
            "PostgreSQL to end with the cloud",
        )
        assert not still_there(memory)
        with pytest.raises(SandboxFailed, match="cloud ended with code -9"):
            sandbox.check_alive()


def test_a_sandbox_that_cannot_start_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SandboxFailed, match=r"(?s)cloud ended with code 1.*speed must be positive"):
        Sandbox(speed=-1).start()
    assert list(tmp_path.iterdir()) == []


def test_processes_get_time_to_end_by_themselves(tmp_path: Path) -> None:
    variables = {**os.environ, "DR_SANDBOX_PROCESS": str(tmp_path)}
    polite = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.5)"], env=variables)
    stubborn = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=variables)
    wait(lambda: len(processes_of(tmp_path)) == 2, 5, "both")
    began = time.monotonic()
    end_processes(tmp_path, patience=1.5)
    assert time.monotonic() - began < 5
    assert (polite.wait(5), stubborn.wait(5)) == (0, -signal.SIGKILL)
