"""Kills `dr restore database` with -9 inside each AWS operation it calls, once per phase, and runs it again each time.

AWS carries the call out and its answer never arrives: the sandbox holds it until the command and its engine are dead.
So the next run meets what a dead machine leaves behind: a lock, a pending create, a file that says more than AWS does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from tempfile import TemporaryFile
from typing import IO, Any

import psutil

from components import yaml_files
from sandbox.public import PublicClient, Unreachable
from sandbox.supervisor import Sandbox
from scripts import console
from scripts import sandbox as sandbox_task
from scripts.errors import ChecksFailedError, SandboxError
from scripts.project import NAMESPACE, StackFacts, load
from scripts.pulumi_cli import PulumiCli
from scripts.rehearsal import sql
from scripts.rehearsal.waiting import Waiting
from scripts.rehearsal.world import World
from scripts.rehearsal.writer import ROWS_PATH, RowWriter

PRINCIPAL = "OPERATOR"  # whose calls those of `dr` and of the engine are
ROWS = 40  # written through the public name before anything is damaged
MOST_RUNS = 150
HANGS_AFTER = 900.0  # real seconds for one run of the command
LOOK_EVERY = 0.02
ARCHIVED_WITHIN = 15.0  # modelled minutes until a moment can be restored to
RESTORES = ("RestoreDBInstanceToPointInTime", "RestoreDBInstanceFromDBSnapshot")
TAKEN_AWAY = ("DeleteDBInstance", "DeleteDBSnapshot", "DeleteDBInstanceAutomatedBackup", "DeleteBucket")
# By the stack's file. In the first, the file may say already that it is frozen.
FREEZE, RESTORE, SERVE, THAW, AFTER = "freeze", "restore", "serve", "thaw", "after"


@dataclass(frozen=True)
class Kill:
    """One kill: in which phase, inside which call, and how many seconds into the run."""

    phase: str
    call: str
    region: str
    seconds: float


class KillDrill:
    """One sandbox, one restore. `kills` fills up as it goes, `problems` are promises that were broken."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._project = load(sandbox.project)
        self._stack: StackFacts = self._project.primary
        self._world = World(sandbox, self._project)
        self._cli = PulumiCli(sandbox.project, sandbox.process_env())
        self._people = PublicClient(f"http://127.0.0.1:{sandbox.port}", sandbox.clock, self._project.public_name)
        self._rows = RowWriter(self._people)
        self._waiting = Waiting(sandbox.clock, lambda: sandbox.control("GET", "status"), (self._rows,))
        self._known: dict[str, set[str]] = defaultdict(set)
        self._damaged_at = 0.0
        self.kills: list[Kill] = []
        self.problems: list[str] = []

    def run(self) -> None:
        """Raises SandboxError where the sandbox fails, and ChecksFailedError where a run cannot be continued."""
        self._bring_up()
        moment = self._damage()
        while (ended := self._run_until_killed(moment)) is None:
            if len(self.kills) >= MOST_RUNS:
                raise SandboxError(f"Killed {MOST_RUNS} times, and the restore still makes calls that are new.")
        code, error = ended
        if code != 0:
            self.problems.append(f"run {len(self.kills) + 1} ended with code {code}: {error}")
            raise ChecksFailedError(self.problems[-1])
        self._judge()

    # -- before -------------------------------------------------------------------------------------------------
    def _bring_up(self) -> None:
        console.step("Both stacks come up, and rows are written", "about 3 min")
        sandbox_task.deploy(self._sandbox, self._project, self._cli)
        self._rows.start()
        self._waiting.until(f"{ROWS} rows", lambda: len(self._rows.rows) >= ROWS, minutes=90)
        self._rows.finish()

    def _damage(self) -> str:
        """Damage a table; the moment before it, as it is typed."""
        console.step("A bad statement takes rows away, and backups reach the moment before it", "seconds")
        time.sleep(self._sandbox.clock.seconds(0.2))
        moment = self._sandbox.clock.at(time.time()).astimezone(UTC).replace(microsecond=0)
        time.sleep(self._sandbox.clock.seconds(0.2))
        sql.run(
            lambda service: self._world.client(service, self._stack.region),
            self._sandbox.directory,
            self._stack,
            self._stack.database,
            "DELETE FROM app.events WHERE seq > 3",
        )
        self._damaged_at = time.time()
        self._waiting.until("backups that reach it", lambda: self._reached(moment), minutes=ARCHIVED_WITHIN)
        return f"{moment:%Y-%m-%dT%H:%M:%SZ}"

    def _reached(self, moment: datetime) -> bool:
        found = self._world.rds(self._stack).describe_db_instances(DBInstanceIdentifier=self._stack.database)
        return bool(found["DBInstances"][0]["LatestRestorableTime"] > moment)

    # -- one run ------------------------------------------------------------------------------------------------
    def _run_until_killed(self, moment: str) -> tuple[int, str] | None:
        """None where it was killed, else the exit code and the error of a run that came to its end."""
        began, phase = time.monotonic(), self._phase(FREEZE)
        with TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "scripts.dr", "restore", "database", "-s", self._stack.stack),
                    *("--at", moment, "--apply", "--confirm", self._stack.stack, "--json"),
                ],
                cwd=self._sandbox.project,
                env=self._sandbox.process_env(),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
            self._arm(phase)
            try:
                while process.poll() is None:
                    if held := self._sandbox.control("GET", "held"):
                        self._kill(process, held, time.monotonic() - began)
                        return None
                    if (now := self._phase(phase)) != phase:
                        phase = now
                        self._arm(phase)
                    if time.monotonic() - began > HANGS_AFTER:
                        return -1, f"did not end within {HANGS_AFTER:.0f} s"
                    time.sleep(LOOK_EVERY)
                return process.returncode, _error(stdout) or _tail(stderr)
            finally:
                _kill_all(process)
                self._sandbox.control("DELETE", "faults", kind="unanswered")
                # Until the held answer was let go, the next run would be killed for this one's call.
                self._waiting.until("the end of the held call", lambda: not self._sandbox.control("GET", "held"))

    def _arm(self, phase: str) -> None:
        """Hold the next call that was not held in this phase before, in either region."""
        self._sandbox.control("DELETE", "faults", kind="unanswered")
        for region in {stack.region for stack in self._project.stacks}:
            fault = {"kind": "unanswered", "region": region, "principal": PRINCIPAL}
            self._sandbox.control("POST", "faults", **fault, known=sorted(self._known[phase]))

    def _kill(self, process: subprocess.Popen[bytes], held: dict[str, str], seconds: float) -> None:
        _kill_all(process)
        phase = self._phase(AFTER)
        kill = Kill(phase, held["call"], held["region"], round(seconds, 1))
        self._known[phase].add(kill.call)
        self.kills.append(kill)
        console.note(f"{len(self.kills)}. killed while it waited for {kill.call} ({phase}, after {seconds:.0f} s)")

    def _phase(self, before: str) -> str:
        """How far the stack's file says that the restore is; `before` where it is being written."""
        try:
            config = yaml_files.read(self._stack.file)["config"]
        except (yaml_files.FileFault, KeyError):
            return before
        database = config.get(f"{NAMESPACE}:database") or {}
        restoring = database.get("restoring")
        if restoring is None:
            return FREEZE if len(database.get("generations", [])) < 2 else AFTER
        if database.get("serving") != restoring["generation"]:
            return RESTORE
        return SERVE if str(config.get(f"{NAMESPACE}:frozen")).lower() == "true" else THAW

    # -- judgement ----------------------------------------------------------------------------------------------
    def _judge(self) -> None:
        console.step("It came to its end: rows, calls, databases, preview and drift", "about a minute")
        calls = [call for call in self._world.calls() if call.t >= self._damaged_at and call.principal == PRINCIPAL]
        asked = sum(call.operation in RESTORES for call in calls)
        gone = sorted({call.name for call in calls if call.operation in TAKEN_AWAY})
        roles = {
            entry["DBInstanceIdentifier"]: {tag["Key"]: tag["Value"] for tag in entry["TagList"]}["platform:role"]
            for entry in self._world.rds(self._stack).describe_db_instances()["DBInstances"]
        }
        first = self._stack.database
        wanted = {first: "retained-database", f"{first}-restored": "serving-database"}
        held = {
            "RDS was asked for one restore": (asked == 1, f"{asked} calls"),
            "nothing was deleted": (not gone, ", ".join(gone) or "no such call"),
            "the old database stays, the new one serves": (roles == wanted, str(roles)),
            "every row of before the damage is back": self._back(),
            "preview finds nothing to change": self._quiet("preview", "--expect-no-changes"),
            "AWS is as the state says": self._quiet("refresh", "--preview-only", "--expect-no-changes"),
        }
        for what, (ok, told) in held.items():
            (console.note if ok else console.warn)(f"{what}: {told}")
            if not ok:
                self.problems.append(f"{what}: {told}")
        if errors := self._sandbox.control("GET", "status")["errors"]:
            raise SandboxError("The sandbox reports errors of its own:\n" + "\n".join(errors[:5]))

    def _back(self) -> tuple[bool, str]:
        """Asked through the public name."""
        try:
            answer = self._people.get(f"{ROWS_PATH}?after=0")
        except Unreachable as error:
            return False, str(error)
        if answer.status != 200:
            return False, f"{answer.status} from {answer.answered_by}"
        found, written = json.loads(answer.body), [row.seq for row in self._rows.rows]
        return found == written, f"{len(found)} of {len(written)}"

    def _quiet(self, *command: str) -> tuple[bool, str]:
        outcome = self._cli.run(*command, "--stack", self._stack.stack, check=False)
        return outcome.ok, "clean" if outcome.ok else outcome.tail(6)

    def as_json(self) -> dict[str, Any]:
        return {"kills": [asdict(kill) for kill in self.kills], "problems": self.problems}


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill the command and all that it started with -9, at once."""
    try:
        tree = [*psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        tree = []
    process.kill()
    for child in tree:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()
    psutil.wait_procs(tree, timeout=10)


def _error(stdout: IO[str]) -> str:
    """What the command's result says went wrong; "" where it has none."""
    stdout.seek(0)
    try:
        return str(json.load(stdout).get("error") or "")
    except json.JSONDecodeError:
        return ""


def _tail(stderr: IO[str]) -> str:
    stderr.seek(0)
    return stderr.read()[-3000:]
