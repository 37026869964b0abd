"""A changed setting of a stack, deployed: what `dr promote`, `dr freeze`, `dr thaw` and `dr restore` have in common.

Look, show the plan, let somebody type the stack's name, change the stack's file, plain `pulumi up`, verify, write down.
Running it again after whatever ended it continues.
"""

from __future__ import annotations

import json
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from scripts import console
from scripts.errors import (
    ChecksFailedError,
    DrError,
    IncompleteError,
    NotConfirmedError,
    PulumiError,
    RefusedError,
)
from scripts.project import CHECKOUT
from scripts.promotion import findings, plan, running, verification
from scripts.promotion.estimate import Estimate
from scripts.promotion.failures import AGAIN, EXPIRED, of_credentials
from scripts.promotion.interruption import Interruption
from scripts.promotion.plan import Command, Plan
from scripts.promotion.progress import Progress, Steps
from scripts.promotion.record import Record
from scripts.promotion.site import Site

LEVELS = {"ok": "ok", "warning": "warning", "refused": "REFUSED"}
SIGNAL_BASE = 128


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the command was called. `interactive`: somebody can be asked."""

    apply: bool
    confirm: str | None
    as_json: bool
    interactive: bool


class StackChange(ABC):
    """One run of such a command.

    `command` is typed, `noun` names it in messages, `question` is what is confirmed, `records` where what it did is
    written down, and `may_go` are types that it takes away without a loss.
    """

    command: str
    noun: str
    question: str
    records: Path
    may_go: Sequence[str] = ()

    def __init__(self, site: Site, options: Options) -> None:
        self.site = site
        self.options = options
        self.stack = site.stack.stack
        self.plan: Plan | None = None
        self.checks: list[verification.Check] = []
        self.up_minutes: float | None = None  # of all deployments together
        self.changing = False  # once something may have been changed

    # -- what a command says of itself --------------------------------------------------------------------------
    @abstractmethod
    def look(self) -> None:
        """Preflight and plan, shown. Raises on the first refusal, once all of them were shown."""

    @property
    @abstractmethod
    def estimate(self) -> Estimate:
        """Of `pulumi up`."""

    @abstractmethod
    def found(self) -> Sequence[findings.Finding]:
        """What looking found."""

    @abstractmethod
    def carry_out(self, record: Record) -> None:
        """Everything after the confirmation."""

    @abstractmethod
    def told(self) -> dict[str, Any]:
        """What its result holds beyond what every result does."""

    @abstractmethod
    def say_what_people_meet(self, interrupted: bool) -> None:
        """The first words of a run that failed after it had begun to change something."""

    @abstractmethod
    def say_done(self) -> None:
        """The last words of a run that succeeded."""

    def run(self) -> None:
        """A dry run unless it is to be applied."""
        if self.options.apply:
            self.apply()
        else:
            self.rehearse()

    # -- before -------------------------------------------------------------------------------------------------
    def rehearse(self) -> None:
        """The dry run: nothing is changed, not even the stack's file. Its result is told also where it is refused."""
        error, code = None, 0
        try:
            with self._credentials_first():
                self.look()
        except DrError as failed:
            error, code = failed.message, failed.exit_code
            raise
        finally:
            if self.options.as_json:
                console.plain(json.dumps(self._document(error, code, None), indent=2, default=str))
        console.done(f"This was a dry run: `dr {self.command} -s {self.stack} --apply` does it.")

    def show(self, found: Sequence[findings.Finding]) -> None:
        """The preflight as a table. Raises on a refusal."""
        console.table("Preflight", ("", "what", "found"), [(LEVELS[f.level], f.subject, _with_hint(f)) for f in found])
        findings.raise_refusals(found)

    def preview(self, *changes: Command) -> None:
        """The plan with these changes of a copy of the stack's file, shown. Raises where it takes something away."""
        self.plan = plan.preview(self.site, self.noun, changes, self.may_go)
        plan.show(self.plan, self.estimate)
        plan.refuse_losses(self.plan, self.stack, self.noun)

    @contextmanager
    def _credentials_first(self) -> Iterator[None]:
        """Whatever failed, credentials that have expired are the reason, and S3 does not always say so.

        A HEAD request is answered without a body, so the engine reports a bare "Bad Request".
        """
        try:
            yield
        except (PulumiError, RefusedError, IncompleteError, ChecksFailedError) as error:
            try:
                self.site.caller()
            except ClientError as refused:
                code = str(refused.response.get("Error", {}).get("Code", ""))
                if code in EXPIRED:
                    raise of_credentials(f"{code}; it ended with: {error.message}") from error
            except BotoCoreError as silence:
                console.note(f"AWS does not say whose the credentials are: {silence}")
            raise

    # -- doing it -----------------------------------------------------------------------------------------------
    def apply(self) -> None:
        """The whole. A result is written whatever ends it."""
        record = Record.new(self.stack, self.records)
        started, error, code = time.time(), None, 0
        try:
            with self._credentials_first():
                self._apply(record)
        except DrError as failed:
            error, code = failed.message, failed.exit_code
            self._say_what_people_meet(interrupted=False)
            raise
        except SystemExit as ended:
            error, code = "interrupted", int(ended.code or 0)
            self._say_what_people_meet(interrupted=True)
            raise
        except BaseException as unexpected:
            error, code = repr(unexpected), DrError.exit_code
            raise
        finally:
            document = self._document(error, code, (time.time() - started) / 60)
            record.close(document)
            if self.options.as_json:
                console.plain(json.dumps(document, indent=2, default=str))
            console.note(f"record: {_shown(record.directory)}")
        self.say_done()

    def _say_what_people_meet(self, interrupted: bool) -> None:
        if self.changing:
            self.say_what_people_meet(interrupted)

    def _apply(self, record: Record) -> None:
        self.look()
        for found in self.found():
            record.add("found", **found.as_json())
        record.add("plan", **(self.plan.as_json() if self.plan else {}), expected_minutes=self.estimate.minutes)
        self._confirm()
        record.add("confirmed", stack=self.stack, by="--confirm" if self.options.confirm else "typing")
        self.changing = True
        self.carry_out(record)

    @property
    def name_to_type(self) -> str:
        """What the change is about."""
        return self.stack

    def _confirm(self) -> None:
        typed = self.options.confirm
        if typed is None and self.options.interactive:
            typed = console.err.input(f"Type [bold]{self.name_to_type}[/] to {self.question}: ").strip()
        if typed != self.name_to_type:
            raise NotConfirmedError(
                "Not confirmed: nothing was changed.", f"Type {self.name_to_type}, or --confirm {self.name_to_type}."
            )

    def configure(self, *change: str) -> None:
        """Change the stack's file, as a person would."""
        console.step(f"pulumi config {' '.join(change)} -s {self.stack}")
        self.site.cli.run("config", *change, "--stack", self.stack)
        self.site.reread()

    def up(self, record: Record, steps: Steps) -> None:
        """Plain `pulumi up`, with its progress. Raises PulumiError, or SystemExit when it was interrupted."""
        progress = Progress(steps, self.estimate.minutes, record)
        console.step(f"pulumi up -s {self.stack} --yes", f"about {self.estimate.minutes:.0f} min; Ctrl-C once stops it")
        record.add("pulumi up")
        # The engine's log holds secret values: a directory that only this user reads and that goes away.
        with (
            tempfile.TemporaryDirectory(prefix="dr-up-") as directory,
            Interruption() as interruption,
            progress.showing(console.err),
        ):
            outcome = self.site.cli.watch(
                *("up", "--stack", self.stack, "--yes"),
                log=Path(directory) / "engine-events.jsonl",
                on_event=progress.engine_event,
                check=False,
                on_start=interruption.watch,
            )
        record.add("pulumi up ended", code=outcome.code, seconds=round(outcome.seconds, 1))
        self.up_minutes = (self.up_minutes or 0.0) + outcome.seconds / 60
        if interruption.received is not None and not outcome.ok:
            console.warn("Interrupted. What was begun is recorded: run the same command again, it continues.")
            raise SystemExit(SIGNAL_BASE + interruption.received)
        if not outcome.ok:
            raise PulumiError(f"`pulumi up` ended with code {outcome.code}:\n{outcome.tail()}{self._services()}", AGAIN)

    def _services(self) -> str:
        """Why tasks do not run: the engine only says that it waited for them."""
        lines = running.short_of_tasks(self.site)
        return "\n  ".join(["\nWhat ECS says of services that run too few tasks:", *lines]) if lines else ""

    def judge(self, record: Record, checks: Sequence[verification.Check]) -> None:
        """Show what was verified, and write it down beside what was before. A partial success is a failure."""
        self.checks += checks
        rows = [("holds" if check.ok else "BROKEN", check.name, check.evidence) for check in checks]
        console.table("Verification", ("", "what", "evidence"), rows)
        for check in checks:
            record.add("check", name=check.name, ok=check.ok, evidence=check.evidence)
        if broken := [check.name for check in checks if not check.ok]:
            raise ChecksFailedError(
                f"The {self.noun} is not complete: {', '.join(broken)} of {len(checks)} checks do not hold.",
                "Mend what they name, then run the same command again: it continues and asks again.",
            )

    # -- afterwards ---------------------------------------------------------------------------------------------
    def say_how_to_commit(self, why: str) -> None:
        """On standard output, so that it can be copied; with --json the result has it."""
        console.note(why)
        if not self.options.as_json:
            for command in self.commit():
                console.plain(f"  {command}")

    @property
    @abstractmethod
    def message(self) -> str:
        """Of the commit that keeps the stack's file."""

    def commit(self) -> list[str]:
        git = f"git -C {self.site.project.directory}"
        return [f"{git} add {self.site.stack.file.name}", f"{git} commit -m '{self.message}'", f"{git} push"]

    def _document(self, error: str | None, code: int, minutes: float | None) -> dict[str, Any]:
        return {
            "stack": self.stack,
            "region": self.site.region,
            "applied": self.options.apply,
            "ok": error is None,
            "error": error,
            "exit_code": code,
            "minutes": None if minutes is None else round(minutes, 2),
            "up_minutes": None if self.up_minutes is None else round(self.up_minutes, 2),
            "on_aws": self.site.elsewhere is None,
            "expected": self._expected() if self.plan else None,
            **self.told(),
            "plan": self.plan.as_json() if self.plan else None,
            "findings": [found.as_json() for found in self.found()],
            "checks": verification.as_json(self.checks),
            "commit": self.commit(),
        }

    def _expected(self) -> dict[str, Any]:
        return {"minutes": round(self.estimate.minutes, 1), "basis": self.estimate.basis}


def _with_hint(found: findings.Finding) -> str:
    return f"{found.text} {found.hint}" if found.hint else found.text


def _shown(path: Path) -> str:
    return str(path.relative_to(CHECKOUT)) if path.is_relative_to(CHECKOUT) else str(path)
