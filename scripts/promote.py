"""`dr promote`: let the standby serve. Preflight, plan, confirmation, plain `pulumi up`, verification, evidence.

Everything it does can be done by hand with the commands it names (docs/promotion.md). Running it again after whatever
ended it continues.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from scripts import console, project
from scripts.errors import (
    ChecksFailedError,
    DrError,
    IncompleteError,
    NotConfirmedError,
    PulumiError,
    RefusedError,
)
from scripts.project import CHECKOUT, Project, StackFacts
from scripts.promotion import estimate, findings, plan, preflight, replicas, running, verification
from scripts.promotion.estimate import Estimate
from scripts.promotion.failures import AGAIN, EXPIRED, continuing, of_credentials
from scripts.promotion.interruption import Interruption
from scripts.promotion.plan import Plan
from scripts.promotion.preflight import Before
from scripts.promotion.progress import Progress
from scripts.promotion.record import Record
from scripts.promotion.recovery import Recovery
from scripts.promotion.site import Site

LEVELS = {"ok": "ok", "warning": "warning", "refused": "REFUSED"}
SIGNAL_BASE = 128


@dataclass(frozen=True)
class Options:
    """How the command was called. `interactive`: somebody can be asked."""

    apply: bool
    confirm: str | None
    primary_is_lost: bool
    as_json: bool
    interactive: bool


def run(stack: str | None, options: Options) -> None:
    """The command. A dry run unless `options.apply`; then the stack's name has to be typed or given."""
    facts = project.load(project.here())
    chosen = choose(facts, stack)
    promotion = Promotion(Site(facts, chosen, os.environ), options)
    if options.apply:
        promotion.apply()
    else:
        promotion.rehearse()


def choose(facts: Project, stack: str | None) -> StackFacts:
    """The stack that stands by. Raises RefusedError for another one: it needs what the lost region holds."""
    standby = facts.standby
    if stack in (None, standby.stack):
        return standby
    known = ", ".join(found.stack for found in facts.stacks)
    raise RefusedError(
        f"{stack} is no stack that stands by (dns.role secondary); stacks: {known}. Nothing was changed.",
        f"dr promote -s {standby.stack}",
    )


class Promotion:
    """One run of the command."""

    def __init__(self, site: Site, options: Options) -> None:
        self.site = site
        self.options = options
        self.stack = site.stack.stack
        self.before = Before()
        self.plan: Plan | None = None
        self.checks: list[verification.Check] = []
        self.served: bool | None = None  # None: not asked, as long as nothing was changed
        self.up_minutes: float | None = None
        self._changing = False

    @property
    def estimate(self) -> Estimate:
        """Of `pulumi up`, by where the data come from."""
        return estimate.promotion(self.stack, self.before.data.source if self.before.data else None)

    # -- before -------------------------------------------------------------------------------------------------
    def look(self) -> Plan:
        """Preflight and plan, shown. Raises on the first refusal, once all of them were shown."""
        console.step(f"Looking at {self.stack} in {self.site.region}", "seconds")
        self.before = preflight.look(self.site, self.options.primary_is_lost)
        if self.options.apply and self._settled():
            self.before = preflight.look(self.site, self.options.primary_is_lost)
        rows = [(LEVELS[found.level], found.subject, _with_hint(found)) for found in self.before.found]
        console.table("Preflight", ("", "what", "found"), rows)
        findings.raise_refusals(self.before.found)
        console.step("pulumi preview, with the flag flipped in a copy of the stack's file", "about 15 s")
        self.plan = plan.preview(self.site)
        plan.show(self.plan, self.before, self.estimate)
        plan.refuse_losses(self.plan, self.stack)
        return self.plan

    def _settled(self) -> bool:
        """Whether a replica was waited for that only its state kept from being promoted, as after an interruption."""
        if any(found.refusal and found.subject != "database" for found in self.before.found):
            return False
        with continuing():
            return replicas.settle(self.site, self.before.document, time.sleep)

    def rehearse(self) -> None:
        """The dry run: nothing is changed, not even the stack's file."""
        with self._credentials_first():
            self.look()
        if self.options.as_json:
            console.plain(json.dumps(self._document(None, 0, None), indent=2, default=str))
        console.done(f"This was a dry run: `dr promote -s {self.stack} --apply` does it.")

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
        record = Record.new(self.stack)
        started, error, code = time.time(), None, 0
        try:
            with self._credentials_first():
                self._apply(record)
        except DrError as failed:
            error, code = failed.message, failed.exit_code
            self._say_whether_served(verification.MOVES_WITHIN)
            raise
        except SystemExit as ended:
            error, code = "interrupted", int(ended.code or 0)
            self._say_whether_served(0.0)
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
        console.done(f"{self.stack} serves {self.site.stack.domain} from {self.site.region}.")
        self._say_how_to_commit()

    def _apply(self, record: Record) -> None:
        planned = self.look()
        for found in self.before.found:
            record.add("found", **found.as_json())
        record.add("plan", **planned.as_json(), expected_minutes=self.estimate.minutes)
        self._confirm()
        record.add("confirmed", stack=self.stack, by="--confirm" if self.options.confirm else "typing")
        self._changing = True
        self._flip(record)
        Recovery(self.site, record).run()
        self._up(record)
        self._verify(record)

    def _confirm(self) -> None:
        typed = self.options.confirm
        if typed is None and self.options.interactive:
            typed = console.err.input(f"Type [bold]{self.stack}[/] to let it serve from now on: ").strip()
        if typed != self.stack:
            raise NotConfirmedError(
                "Not confirmed: nothing was changed.", f"Type {self.stack}, or --confirm {self.stack}."
            )

    def _flip(self, record: Record) -> None:
        console.step(f"pulumi config set standby false -s {self.stack}")
        self.site.cli.set_plain(self.stack, "standby", "false")
        record.add("flag set", file=self.site.stack.file.name, standby=False)

    def _up(self, record: Record) -> None:
        critical = frozenset(service.name for service in self.site.stack.services if service.critical)
        progress = Progress(critical, self.estimate.minutes, record)
        console.step(f"pulumi up -s {self.stack} --yes", f"about {self.estimate.minutes:.0f} min; Ctrl-C once stops it")
        record.add("pulumi up")
        # The engine's log holds secret values: a directory that only this user reads and that goes away.
        with (
            tempfile.TemporaryDirectory(prefix="dr-promote-") as directory,
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
        self.up_minutes = outcome.seconds / 60
        if interruption.received is not None and not outcome.ok:
            console.warn("Interrupted. What was begun is recorded: run the same command again, it continues.")
            raise SystemExit(SIGNAL_BASE + interruption.received)
        if not outcome.ok:
            raise PulumiError(f"`pulumi up` ended with code {outcome.code}:\n{outcome.tail()}{self._services()}", AGAIN)

    def _services(self) -> str:
        """Why tasks do not run: the engine only says that it waited for them."""
        lines = running.short_of_tasks(self.site)
        return "\n  ".join(["\nWhat ECS says of services that run too few tasks:", *lines]) if lines else ""

    def _verify(self, record: Record) -> None:
        console.step(
            "Asking through DNS, load balancer and task", "up to 5 min: the public name moves by health checks"
        )
        self.checks = verification.verify(self.site)
        self.served = verification.judged_served(self.checks).ok
        rows = [("holds" if check.ok else "BROKEN", check.name, check.evidence) for check in self.checks]
        console.table("Verification", ("", "what", "evidence"), rows)
        for check in self.checks:
            record.add("check", name=check.name, ok=check.ok, evidence=check.evidence)
        if broken := [check.name for check in self.checks if not check.ok]:
            raise ChecksFailedError(
                f"The promotion is not complete: {', '.join(broken)} of {len(self.checks)} checks do not hold.",
                "Mend what they name, then run the same command again: it continues and asks again.",
            )

    def _say_whether_served(self, patience: float) -> None:
        """What whoever is in distress has of it, before all that is wrong. Nothing is asked before the first change."""
        if not self._changing:
            return
        asked = verification.judged_served(self.checks) if self.checks else verification.served(self.site, patience)
        self.served = asked.ok
        if asked.ok:
            console.done(f"People ARE served by {self.stack}.")
        else:
            console.warn(f"People are NOT served by {self.stack}: {asked.evidence}")

    # -- afterwards ---------------------------------------------------------------------------------------------
    def _say_how_to_commit(self) -> None:
        """On standard output, so that it can be copied; with --json the result has it."""
        console.note("Keep the flag, so that no later deployment tries to go back (it would be refused):")
        if not self.options.as_json:
            for command in self._commit():
                console.plain(f"  {command}")

    def _commit(self) -> list[str]:
        git = f"git -C {self.site.project.directory}"
        file = self.site.stack.file.name
        return [f"{git} add {file}", f"{git} commit -m 'Let {self.stack} serve'", f"{git} push"]

    def _document(self, error: str | None, code: int, minutes: float | None) -> dict[str, Any]:
        before, planned = self.before, self.plan
        return {
            "stack": self.stack,
            "region": self.site.region,
            "applied": self.options.apply,
            "ok": error is None,
            "error": error,
            "exit_code": code,
            "served": self.served,
            "minutes": None if minutes is None else round(minutes, 2),
            "up_minutes": None if self.up_minutes is None else round(self.up_minutes, 2),
            "resumed": bool(before.left or before.dead_locks or before.standby is False),
            "on_aws": self.site.elsewhere is None,
            "expected": {"minutes": round(self.estimate.minutes, 1), "basis": self.estimate.basis} if planned else None,
            "data": before.data.as_json() if before.data else None,
            "lost_minutes": None if before.lost_minutes is None else round(before.lost_minutes, 1),
            "plan": planned.as_json() if planned else None,
            "findings": [found.as_json() for found in before.found],
            "checks": verification.as_json(self.checks),
            "commit": self._commit(),
        }


def _with_hint(found: findings.Finding) -> str:
    return f"{found.text} {found.hint}" if found.hint else found.text


def _shown(path: Path) -> str:
    return str(path.relative_to(CHECKOUT)) if path.is_relative_to(CHECKOUT) else str(path)
