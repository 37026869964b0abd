"""`dr freeze` and `dr thaw` on the real engine: killed, continued, kept by other deployments, against writers."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pg8000.native
import pytest

from scripts.freezing import steps
from scripts.rehearsal.calls import REHEARSAL
from tests.e2e.shell import KENYA, RUN, SECONDS, Shell, both_stacks, kill, wait

# A checkout has one sandbox for work by hand.
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("by hand")]

FREEZE, THAW = (("freeze", "--apply", "--confirm", "kenya"), ("thaw", "--apply", "--confirm", "kenya"))
LOADS = {"api-gateway": 5, "sync": 3}
COUNTS = {"api-gateway": 5, "audio-processing": 1, "crisis-detection": 2, "notifications": 1, "sync": 3}
ENDED = (pg8000.native.DatabaseError, pg8000.native.InterfaceError, OSError)
INSERT = "insert into app.events (seq, body) values ((random() * 1e15)::bigint, 'hostile')"


class Site:
    """Kenya as AWS and its database show it."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self.ecs, self.secrets = self._client("ecs"), self._client("secretsmanager")
        self.file = shell.running.project / "Pulumi.kenya.yaml"

    def _client(self, service: str) -> Any:
        make: Any = boto3.client
        return make(
            service,
            region_name=KENYA,
            endpoint_url=self._shell.running.endpoint,
            aws_access_key_id=REHEARSAL,
            aws_secret_access_key="fake",
        )

    def counts(self) -> dict[str, int]:
        described = self.ecs.describe_services(cluster="mental-health-platform-kenya-cluster", services=list(COUNTS))
        return {entry["serviceName"]: int(entry["desiredCount"]) for entry in described["services"]}

    @contextlib.contextmanager
    def session(self, noun: str) -> Iterator[pg8000.native.Connection]:
        """A session with a login's own secret, from outside of any task."""
        secret = self.secrets.get_secret_value(SecretId=f"mental-health-platform/kenya/database/{noun}")
        login = json.loads(secret["SecretString"])
        session = pg8000.native.Connection(
            login["username"],
            login["host"],
            login["dbname"],
            int(login["port"]),
            login["password"],
            ssl_context=True,
            timeout=10,
        )
        try:
            yield session
        finally:
            with contextlib.suppress(*ENDED):
                session.close()

    def rows(self) -> int:
        with self.session("master") as session:
            ((count,),) = session.run("select count(*) from app.events")
        return int(count)


class Hostile(threading.Thread):
    """Writes with the password of a service, and comes back whenever it is thrown out."""

    def __init__(self, site: Site, service: str, long: bool) -> None:
        super().__init__(daemon=True)
        self._site, self._service, self._long = site, service, long
        self._over = threading.Event()
        self.written: list[float] = []
        self.refusals = 0

    def run(self) -> None:
        while not self._over.is_set():
            try:
                with self._site.session(self._service) as session:
                    while not self._over.is_set():
                        self._write(session)
                        self.written.append(time.time())
            except ENDED:
                self.refusals += 1
                time.sleep(0.05)

    def _write(self, session: pg8000.native.Connection) -> None:
        session.run("set default_transaction_read_only = off")
        session.run("begin read write")
        session.run(INSERT)
        time.sleep(0.5 if self._long else 0.02)
        session.run("commit")

    def stop(self) -> None:
        self._over.set()
        self.join(15)
        assert not self.is_alive()


@pytest.fixture
def shell() -> Iterator[Shell]:
    with both_stacks() as found:
        yield found


def killed_at(shell: Shell, arguments: tuple[str, ...], records: Path, step: str) -> None:
    """Run the command and kill it with its engine, -9, as soon as a step of it began."""
    before = set(records.glob("*"))
    process: subprocess.Popen[str] = shell.start(sys.executable, "-c", RUN, *arguments)

    def begun() -> bool:
        lines = [line for new in set(records.glob("*")) - before for line in (new / "events.jsonl").open()]
        return any('"kind": "begun"' in line and f'"step": "{step}"' in line for line in lines)

    wait(lambda: begun() or process.poll() is not None, 240, f"the step {step}")
    assert process.poll() is None, process.communicate()
    kill(process)


def clean(shell: Shell) -> None:
    """Neither the program nor AWS asks for anything."""
    shell.pulumi("preview", "--expect-no-changes", "--stack", "kenya")
    shell.pulumi("refresh", "--preview-only", "--expect-no-changes", "--stack", "kenya")


def served_from_kenya(shell: Shell, frozen: bool) -> dict[str, Any]:
    """The status, in which the public name still leads to kenya. Its own limits are short: it is asked again."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found.append(shell.status())
        kenya = next(view for view in found[-1]["stacks"] if view["stack"] == "kenya")
        return found[-1]["serving"] == "kenya" and kenya["frozen"] is frozen and not kenya["silent"]

    wait(look, 90, "a status")
    return found[-1]


@pytest.mark.timeout(SECONDS)
def test_a_freeze_holds_until_it_is_thawed(shell: Shell) -> None:
    site = Site(shell)
    for service, tasks in LOADS.items():
        shell.control("POST", "load", region=KENYA, service=service, tasks=tasks)
    assert site.counts() == COUNTS
    original = site.file.read_text()

    # Nothing is changed by looking.
    plan = json.loads(shell.dr("freeze", "--json"))
    assert (plan["stack"], plan["counts"], plan["plan"]["losses"]) == ("kenya", COUNTS, [])
    assert (site.file.read_text(), site.counts()) == (original, COUNTS)

    # Writers that do all they can; engine and command are killed while services are being stopped.
    writers = [Hostile(site, service, long) for service in ("api-gateway", "sync") for long in (True, False)]
    for writer in writers:
        writer.start()
    wait(lambda: all(writer.written for writer in writers), 30, "the writers")
    killed_at(shell, FREEZE, steps.FREEZES, "services")

    # The next run completes it, with the counts of before.
    result = json.loads(shell.dr(*FREEZE, "--json"))
    reported = time.time()
    assert (result["ok"], result["resumed"], result["counts"]) == (True, True, COUNTS)
    assert [check["name"] for check in result["checks"] if not check["ok"]] == []
    rows = site.rows()

    # Neither writers, nor load, nor another deployment get anything in, and the public name stays.
    shell.control("POST", "load", region=KENYA, service="api-gateway", tasks=9)
    status = served_from_kenya(shell, frozen=True)
    assert [told["text"] for told in status["wrong"] if told["stack"] == "kenya"] == [
        "frozen: people see the crisis page and nobody writes; `dr thaw` lets it go on"
    ]
    shell.pulumi("up", "--yes", "--skip-preview", "--stack", "kenya")
    clean(shell)
    checks = {check["endpoint"]: check for check in shell.control("GET", "health-checks")}
    assert all(check["healthy"] for check in checks.values()), checks
    for writer in writers:
        writer.stop()
    assert site.counts() == dict.fromkeys(COUNTS, 0)
    assert site.rows() == rows > 0
    assert [moment for writer in writers for moment in writer.written if moment > reported] == []
    assert all(writer.refusals > 3 for writer in writers)

    # A second freeze finds everything as it is; a thaw is killed on its way, too.
    again = json.loads(shell.dr(*FREEZE, "--json"))
    assert (again["ok"], again["plan"]["steps"], again["counts"]) == (True, {}, COUNTS)
    killed_at(shell, THAW, steps.THAWS, "services")
    result = json.loads(shell.dr(*THAW, "--json"))
    assert (result["ok"], result["counts"]) == (True, COUNTS)
    assert [check["name"] for check in result["checks"] if not check["ok"]] == []
    assert site.counts() == COUNTS

    # People write again, nothing is left, and the load is followed.
    with site.session("sync") as session:
        session.run(INSERT)
    assert site.rows() == rows + 1
    clean(shell)
    left = [line for line in site.file.read_text().splitlines() if line not in original.splitlines()]
    assert [line.strip() for line in left] == ['mental-health-platform:frozen: "false"']
    shell.control("POST", "load", region=KENYA, service="api-gateway", tasks=7)
    assert site.counts()["api-gateway"] == 7
    assert shell.control("GET", "status")["errors"] == []
