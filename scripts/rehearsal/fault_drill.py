"""Runs one chain of faults in a sandbox: the real `dr promote` meets each, is judged, and in the end completes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.witness import MARKER_KEY, TAKEN_OVER
from sandbox.cloud.operations import READS
from sandbox.public import PublicClient, Unreachable
from sandbox.supervisor import Sandbox
from scripts import console
from scripts import sandbox as sandbox_task
from scripts.errors import SandboxError
from scripts.project import load
from scripts.pulumi_cli import PulumiCli
from scripts.rehearsal import calls
from scripts.rehearsal.fault_rows import Estate, Mend, Moment, Outcome, Row
from scripts.rehearsal.waiting import Waiting
from scripts.rehearsal.world import World

HANGS_AFTER = 400.0  # real seconds for one run of the command
MOVES_WITHIN = 8.0  # modelled minutes: health checks, propagation and the time to live of a name
LOOK_EVERY = 0.1
ENGINES_SUMMARY = "error: update failed"
LONGEST_LINE = 200  # of a message, where only its first line is shown
TRACEBACK = "Traceback (most recent call last)"


@dataclass
class Run:
    """One run of `dr promote`: how it ended, and what it said. `document` is its JSON; empty where there is none."""

    code: int | None
    seconds: float
    stderr: str
    document: dict[str, Any]

    @property
    def error(self) -> str:
        return str(self.document.get("error") or "")

    @property
    def first_line(self) -> str:
        if self.code is None:
            return f"did not end within {HANGS_AFTER:.0f} s"
        lines = [line.strip() for line in self.error.splitlines()]
        engine = (line for line in lines if line.startswith("error:") and line != ENGINES_SUMMARY)
        told = next(engine, next(iter(lines), "")) or ("promoted" if self.code == 0 else "said nothing")
        return told if len(told) <= LONGEST_LINE else told[:LONGEST_LINE] + " …"


@dataclass
class Result:
    """What came of a row. `problems` are the promises that it broke; `again` says how the next run went."""

    row: Row
    run: Run
    served: bool
    problems: list[str] = field(default_factory=list)
    again: str = ""

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        return {
            "fault": self.row.name,
            "broken": self.row.broken,
            "expected": {"outcome": self.row.outcome, "code": self.row.code, "served": self.row.served},
            "ok": self.ok,
            "problems": self.problems,
            "code": self.run.code,
            "message": self.run.error,
            "first_line": self.run.first_line,
            "seconds": round(self.run.seconds, 1),
            "served": self.served,
            "mended": self.row.mended,
            "again": self.again,
        }


class Drill:
    """One sandbox, one chain. `results` fills up as it goes."""

    def __init__(self, sandbox: Sandbox, rows: list[Row], seed: int) -> None:
        self._seed = seed
        self._sandbox = sandbox
        self._rows = rows
        self._project = load(sandbox.project)
        self._standby = self._project.standby
        self._clock = sandbox.clock
        self._cli = PulumiCli(sandbox.project, sandbox.process_env())
        self._world = World(sandbox, self._project)
        self._estate = Estate(self._world)
        self._people = PublicClient(f"http://127.0.0.1:{sandbox.port}", self._clock, self._project.public_name)
        self._waiting = Waiting(self._clock, lambda: sandbox.control("GET", "status"), ())
        self._lost_at = 0.0
        self.results: list[Result] = []

    def run(self) -> None:
        """Both stacks up, the primary lost, then fault after fault. Raises where the sandbox itself fails."""
        self._bring_up()
        console.step(f"{self._project.primary.region} is lost")
        self._lost_at = time.time()
        self._sandbox.control("POST", "cut", region=self._project.primary.region)
        for row in self._rows:
            self._meet(row)
        self._complete()

    def _bring_up(self) -> None:
        console.step("Both stacks come up, and a copy of the database", "about 2 min")
        sandbox_task.deploy(self._sandbox, self._project, self._cli)
        self._waiting.until("a copy of the database", self._world.copies, minutes=90)

    # -- one fault ----------------------------------------------------------------------------------------------
    def _meet(self, row: Row) -> None:
        console.step(f"{row.name}: {row.broken}", "about a minute")
        self._estate.draw_for(row.name, self._seed)
        began, file = time.time(), self._standby.file.read_text()
        run, mend = self._promote(row)
        result = Result(row, run, self._served(row.served))
        self._settle_last(run, f"stopped further on by {row.name}" if row.error else "promoted in spite of " + row.name)
        result.problems += [
            *problems_of(result, self._taken_over()),
            *(self._changed_since(began, file) if row.outcome is Outcome.REFUSED else ()),
        ]
        self.results.append(result)
        console.note(f"{run.seconds:.0f} s, code {run.code}: {run.first_line}")
        for problem in result.problems:
            console.warn(problem)
        mend()

    def _promote(self, row: Row | None) -> tuple[Run, Mend]:
        """Run the command with the fault, which is there before or comes at its moment."""
        mend: Mend = lambda: None  # noqa: E731 - nothing is broken yet
        if row is not None and row.moment is None:
            mend = row.breaks(self._estate)
        known, began = self._records(), time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.dr", "promote", "--apply", "--confirm", self._standby.stack, "--json"],
            cwd=self._sandbox.project,
            env=self._sandbox.process_env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            if row is not None and row.moment is not None and self._comes(row.moment, process, known):
                mend = row.breaks(self._estate)
            stdout, stderr = process.communicate(timeout=HANGS_AFTER)
        except subprocess.TimeoutExpired:
            process.terminate()
            stdout, stderr = process.communicate()
            return Run(None, time.monotonic() - began, stderr, {}), mend
        finally:
            if process.poll() is None:
                process.kill()
        return Run(process.returncode, time.monotonic() - began, stderr, _json(stdout)), mend

    def _comes(self, moment: Moment, process: subprocess.Popen[str], known: set[Path]) -> bool:
        """Wait for the moment. False where the command ended before."""
        delay = self._estate.random.uniform(*moment.minutes)
        deadline = time.monotonic() + HANGS_AFTER
        while process.poll() is None and time.monotonic() < deadline:
            lines = [line for file in self._records() - known for line in _lines(file)]
            if any(moment.line.items() <= line.items() for line in lines):
                console.note(f"it comes {delay:.1f} modelled minutes after {moment.told}")
                time.sleep(self._clock.seconds(delay))
                return True
            time.sleep(LOOK_EVERY)
        return False

    def _records(self) -> set[Path]:
        """What each run of the command wrote down in the sandbox's working copy."""
        return set((self._sandbox.project / "build" / "promotions").glob("*/events.jsonl"))

    def _events_here(self) -> Iterator[dict[str, Any]]:
        return (event for event in self._world.events() if event.get("region") == self._standby.region)

    # -- judgement ----------------------------------------------------------------------------------------------
    def _changed_since(self, began: float, file: str) -> list[str]:
        """What a refused promotion changed all the same; `file` is what the stack's file held before."""
        made = calls.read(self._sandbox.directory / "calls.jsonl")
        writes = {
            f"{call.service}:{call.operation}"
            for call in made
            if call.t >= began and call.principal == "OPERATOR" and not call.operation.startswith(READS)
        }
        problems = [f"refused, but called {', '.join(sorted(writes))}"] if writes else []
        if self._standby.file.read_text() != file:
            problems.append("refused, but the stack's file is another")
        return problems

    def _settle_last(self, run: Run, how: str) -> None:
        """Whether the fault before is really over: this run must not end as that one did. `how` it went instead."""
        if not self.results:
            return
        before = self.results[-1]
        before.again = how
        if before.row.says and re.search(before.row.says, run.error, re.DOTALL):
            before.problems.append("mended, the next run fails in the same way")

    def _served(self, expected: bool) -> bool:
        """Whether people are served by this stack under the public name; waited for where it is expected."""
        if not expected:
            return self._answers()
        return bool(self._waiting.look_for(self._answers, MOVES_WITHIN))

    def _answers(self) -> bool:
        try:
            answers = [self._people.get(path) for path in self._critical_paths()]
        except Unreachable:
            return False
        return all(answer.status == 200 and answer.answered_by == self._standby.region for answer in answers)

    def _critical_paths(self) -> list[str]:
        paths = [spec.path for spec in self._estate.settings.services if spec.critical and spec.path]
        return ["/health", *(path.rstrip("*").rstrip("/") + "/health" for path in paths)]

    def _taken_over(self) -> bool:
        bucket = self._standby.physical("page")
        marker = self._world.s3(self._standby.region).get_object(Bucket=bucket, Key=MARKER_KEY)
        return marker["Body"].read().decode() == TAKEN_OVER

    # -- the end ------------------------------------------------------------------------------------------------
    def _complete(self) -> None:
        """Without any fault the same command ends well, with one database that was restored once."""
        console.step("Nothing is broken any more: the same command again", "about a minute")
        run, _ = self._promote(None)
        last = self.results[-1]
        self._settle_last(run, "completed")
        found = list(self._unfinished(run))
        last.problems += [f"run again: {problem}" for problem in found]
        last.again = f"code {run.code}: {run.first_line}" if found else "promoted, verified, one database"
        console.note(f"{run.seconds:.0f} s, code {run.code}: {run.first_line}")
        for problem in found:
            console.warn(problem)

    def _unfinished(self, run: Run) -> Iterator[str]:
        if run.code != 0:
            yield f"exit code {run.code}: {run.error[:600] or run.stderr[-600:]}"
        yield from (f"{check['name']} does not hold" for check in run.document.get("checks", []) if not check["ok"])
        if not self._served(expected=True):
            yield "people are not served"
        databases = self._world.rds(self._standby).describe_db_instances()["DBInstances"]
        if len(databases) != 1:
            yield f"{len(databases)} databases"
        if (restored := sum(event["kind"] == "database.creating" for event in self._events_here())) != 1:
            yield f"a database was restored {restored} times"
        made = calls.read(self._sandbox.directory / "calls.jsonl")
        primary = self._project.primary
        counted = calls.account(made, self._lost_at, time.time(), primary.region, primary.physical(""))
        yield from sorted({f"called {call.name}" for call in (*counted.global_control_plane, *counted.lost_region)})
        outcome = self._cli.run("preview", "--stack", self._standby.stack, "--expect-no-changes", check=False)
        if not outcome.ok:
            yield f"`pulumi preview --expect-no-changes` ended with code {outcome.code}: {outcome.tail(6)}"
        if errors := self._sandbox.control("GET", "status")["errors"]:
            raise SandboxError("The sandbox reports errors of its own:\n" + "\n".join(errors[:5]))


def problems_of(result: Result, taken_over: bool) -> list[str]:
    """The promises that a run broke, beyond what it changed. `taken_over`: whether the takeover is said."""
    row, run = result.row, result.run
    problems = []
    if run.code is None:
        problems.append(run.first_line)
    elif run.code != row.code:
        problems.append(f"exit code {run.code} instead of {row.code}")
    if TRACEBACK in run.stderr:
        problems.append("a traceback instead of a message")
    if bool(run.document.get("ok")) != (run.code == 0):
        problems.append(f"the result says ok={run.document.get('ok')} with exit code {run.code}")
    if run.code and not run.error:
        problems.append("it failed without a message")
    if row.says and not re.search(row.says, run.error, re.DOTALL):
        problems.append(f"the message does not name the cause ({row.says}): {run.error[:1500]}")
    if row.outcome is Outcome.FAILED and run.document.get("served") is not row.served:
        problems.append(f"the result says served={run.document.get('served')}")
    if result.served != row.served:
        problems.append("people are served" if result.served else "people are not served")
    if taken_over and not result.served:
        problems.append("the takeover is said although the critical services do not answer")
    return problems


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """The complete lines of a record that is being written."""
    for line in file.read_text().split("\n")[:-1]:
        yield json.loads(line)


def _json(stdout: str) -> dict[str, Any]:
    try:
        found = json.loads(stdout)
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
