"""`dr restore database`: freeze, another generation of the database, verified, serving, damage marked, thaw.

Each step is a change of the stack's file and a plain `pulumi up` of it, which can be done by hand (docs/restoring.md).
How far it has come stands in the file and in AWS: whatever ended it, the same command continues, and never restores a
second time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from scripts import console, project
from scripts.errors import IncompleteError, RefusedError
from scripts.freeze import MAY_GO, Freeze, Thaw, choose
from scripts.freezing import before as freezing
from scripts.freezing import checks as frozen_checks
from scripts.freezing.before import Before
from scripts.promotion import findings, verification
from scripts.promotion.adoption import USABLE
from scripts.promotion.data import duration
from scripts.promotion.estimate import Estimate
from scripts.promotion.failures import AGAIN
from scripts.promotion.plan import Command
from scripts.promotion.progress import Steps
from scripts.promotion.record import Record
from scripts.promotion.recovery import Recovery
from scripts.promotion.site import Site
from scripts.restoring import checks, marking, steps, target
from scripts.restoring.inspection import Inspection
from scripts.restoring.marking import Marked
from scripts.restoring.moment import said, written
from scripts.restoring.target import Target, Wanted
from scripts.snapshots.estate import Estate
from scripts.stack_change import Options, StackChange

UPLOADED_WITHIN = 360.0  # real seconds: the log of the last moment, with a minute to spare
LOOK_EVERY = 2.0


def run(stack: str | None, wanted: Wanted, options: Options) -> None:
    """The command. A dry run unless `options.apply`; then the stack's name has to be typed or given."""
    site = choose(project.load(project.here()), stack)
    Restore(site, Estate.around(site, os.environ), wanted, options).run()


class Restore(StackChange):
    """One run of the command."""

    noun = "restore"
    question = "restore its database: until it ends, people see the crisis page"
    may_go = MAY_GO

    def __init__(self, site: Site, estate: Estate, wanted: Wanted, options: Options) -> None:
        super().__init__(site, options)
        self.command = f"restore database {wanted.arguments}"
        self.records = steps.RESTORES
        self.before = Before()
        self.target: Target | None = None
        self.marked = Marked()
        self.gap: dict[str, Any] | None = None
        self.inspection: Inspection | None = None  # of the new database, before it serves
        self._estate = estate
        self._wanted = wanted
        self._now = datetime.now(UTC)  # by AWS's clock, once it was asked
        self._doing: Estimate | None = None

    @property
    def estimate(self) -> Estimate:
        """Of the deployment that runs, else of the whole."""
        return self._doing or steps.estimate(self.stack)

    # -- before -------------------------------------------------------------------------------------------------
    def look(self) -> None:
        console.step(f"Looking at {self.stack} in {self.site.region}", "seconds")
        self.before = freezing.look(self.site)
        self.show(self.before.found)
        _, _, self._now = self.site.caller()
        self.target = target.choose(self.site, self._wanted, self._now)
        console.table("Restore", ("", ""), self._told_in_words(self.target))
        if not self.target.complete:
            console.step("pulumi preview of what will be different at the end, with a copy of the stack's file")
            self.preview(*self._changes(self.target))

    def found(self) -> Sequence[findings.Finding]:
        return self.before.found

    def _told_in_words(self, chosen: Target) -> list[tuple[str, str]]:
        settings = self.site.settings
        rows = [("from", chosen.source), ("to", f"{chosen.identifier} (generation {chosen.generation.name})")]
        if chosen.complete:
            return [*rows, ("left to do", "nothing; with --apply it is verified again")]
        if chosen.at is not None:
            since = f"what was written in the {duration(self._now - chosen.at)} since {said(chosen.at)}"
            rows.append(("lost", f"{since}, but for what is taken from the databases that stay"))
        rows.append(("stay", ", ".join(self._identifiers()) + ": locked, protected, with their backups"))
        if chosen.damage_from is not None:
            rows.append(("unusable", f"snapshots and copies of data from after {said(chosen.damage_from)}"))
        if self._estate.protected:
            gap = f"the first copy in {settings.peer.region} is a full one: until it is there, losing the region loses"
            rows.append(("RPO", f"{gap} what was written since the newest copy that is not damaged"))
        rows.append(("left to do", ", ".join(self._left(chosen))))
        return rows

    def _identifiers(self) -> list[str]:
        settings = self.site.settings
        restoring = settings.database.restoring
        new = None if restoring is None else restoring.generation
        kept = [g for g in settings.database.generations if g.name != new and not g.released]
        return [settings.database_identifier(generation) for generation in kept]

    def _left(self, chosen: Target) -> list[str]:
        """The steps that are not done yet, by the stack's file."""
        settings, serves = self.site.settings, self._serves(chosen)
        first = [] if serves else [*([] if settings.frozen else ["freeze"]), "restore", "verify"]
        moved = ["thaw"] if serves and not settings.frozen else ["let it serve", "mark what is damaged", "thaw"]
        return [*first, *moved]

    def _serves(self, chosen: Target) -> bool:
        return self.site.settings.database.serving == chosen.generation.name

    # -- the stack's file ---------------------------------------------------------------------------------------
    def _declare(self, chosen: Target) -> Command:
        """One write of the file: killed, there is either a restore under way or none."""
        place = f"database.generations[{len(self.site.settings.database.generations)}]"
        generation = chosen.generation
        values = {f"{place}.name": generation.name, f"{place}.origin": generation.origin}
        if generation.of is not None:
            values[f"{place}.of"] = generation.of
        values["database.restoring.generation"] = generation.name
        if chosen.damage_from is not None:
            values["database.restoring.damageFrom"] = written(chosen.damage_from)
        return (
            "set-all",
            "--path",
            *(part for key, value in values.items() for part in ("--plaintext", f"{key}={value}")),
        )

    def _serve(self, chosen: Target) -> list[Command]:
        return [] if self._serves(chosen) else [("set", "--path", "database.serving", chosen.generation.name)]

    def _changes(self, chosen: Target) -> list[Command]:
        """All of them together, for the preview: freeze and thaw undo each other."""
        declared = [] if chosen.under_way else [self._declare(chosen)]
        thawed: list[Command] = [("set", "frozen", "false")] if self.site.settings.frozen else []
        return [*declared, *self._serve(chosen), *thawed]

    # -- doing it -----------------------------------------------------------------------------------------------
    def carry_out(self, record: Record) -> None:
        chosen = self._chosen()
        record.add("target", target=chosen.as_json())
        if not chosen.complete:
            if not self._serves(chosen):
                chosen = self._restored(chosen, record)
            if self.site.settings.frozen:
                self._let_serve(chosen, record)
            if chosen.damage_from is not None:
                self._mark(chosen, chosen.damage_from, record)
            self._thaw(record)
        console.step("Asking Pulumi, RDS, and inside the network", "about 15 s")
        self.judge(record, verification.hold(checks.afterwards(self.site)))
        self.gap = marking.gap(self._estate, self.site.caller()[2])
        if self.marked.silent:
            raise IncompleteError(
                f"{self.stack} serves {chosen.identifier}. Copies in {', '.join(self.marked.silent)} are not marked: a "
                f"promotion there would bring back what is later than {said(chosen.damage_from or self._now)}.",
                "Run the same command again once that region answers: only that is left to do.",
            )
        if not chosen.complete:
            self.configure("rm", "--path", "database.restoring")

    def _chosen(self) -> Target:
        assert self.target is not None  # noqa: S101 - `look` comes first
        return self.target

    def _restored(self, chosen: Target, record: Record) -> Target:
        """Frozen, made, and found to be what it has to be."""
        if not chosen.under_way:
            self._part(Freeze(self.site, self.options), record)
            chosen = self.target = self._chosen_again()
            self.configure(*self._declare(chosen))
            record.add("declared", file=self.site.stack.file.name, target=chosen.as_json())
        elif not self.site.settings.frozen:
            # Thawed by hand meanwhile, or the file was set back: one deployment freezes and restores.
            freeze = Freeze(self.site, self.options)
            freeze.before = freezing.look(self.site)
            for change in freeze.changes():
                self.configure(*change)
        self._up(record, steps.restore(), steps.restore_estimate())
        console.step(f"Verifying {chosen.identifier}, which nobody can write to", "up to 5 min")
        inspection = Inspection(self.site, chosen.identifier, self.site.settings.serving_identifier, chosen.at)
        self.inspection = inspection
        try:
            self.judge(record, verification.hold(checks.before_serving(self.site, chosen, inspection)))
        finally:
            inspection.tell(record)
        return chosen

    def _chosen_again(self) -> Target:
        """The world went on while the stack was frozen: the newest moment is a later one now.

        It is waited for until backups hold all that was written: RDS uploads the log every five minutes. A broken
        instance uploads nothing more.
        """
        deadline = time.monotonic() + (UPLOADED_WITHIN if self._wanted.latest else 0.0)
        _, _, frozen = self.site.caller()
        try:
            found = target.choose(self.site, self._wanted, frozen)
            if self._misses(found, frozen):
                console.step("Waiting until backups hold what was written before the freeze", "up to 6 min")
            while self._misses(found, frozen) and time.monotonic() < deadline:
                time.sleep(LOOK_EVERY)
                found = target.choose(self.site, self._wanted, frozen)
            return found
        except RefusedError as refused:
            problem = refused.message.replace(" Nothing was changed.", "")
            raise IncompleteError(f"{self.stack} is frozen, and was not restored: {problem}", refused.hint) from refused

    def _misses(self, found: Target, frozen: datetime) -> bool:
        instance = self.site.instance(self.site.settings.serving_identifier) if self._wanted.latest else None
        uploads = instance is not None and instance["DBInstanceStatus"] in USABLE
        return uploads and found.at is not None and found.at < frozen

    def _let_serve(self, chosen: Target, record: Record) -> None:
        for change in self._serve(chosen):
            self.configure(*change)
        record.add("serving set", file=self.site.stack.file.name, serving=chosen.generation.name)
        self._up(record, steps.serve(), steps.serve_estimate())

    def _mark(self, chosen: Target, since: datetime, record: Record) -> None:
        console.step(f"Marking snapshots and copies of data from after {said(since)}", "seconds")
        self.marked = marking.mark(self._estate, chosen.identifier, since, record)

    def _thaw(self, record: Record) -> None:
        thaw = Thaw(self.site, self.options)
        thaw.before = freezing.look(self.site)
        findings.raise_refusals(thaw.before.found)
        self._part(thaw, record)

    def _part(self, change: Freeze | Thaw, record: Record) -> None:
        """A freeze or a thaw as its own command does it. What it deployed and verified is part of this."""
        try:
            change.carry_out(record)
        finally:
            self.up_minutes = (self.up_minutes or 0.0) + (change.up_minutes or 0.0)
            self.checks += change.checks
            self.site.reread()

    def _up(self, record: Record, of: Steps, expected: Estimate) -> None:
        """What an interrupted one was making is adopted: a restore is never begun twice."""
        Recovery(self.site, record).run()
        with self._showing(expected):
            self.up(record, of)

    @contextmanager
    def _showing(self, expected: Estimate) -> Iterator[None]:
        self._doing = expected
        try:
            yield
        finally:
            self._doing = None

    def say_what_people_meet(self, interrupted: bool) -> None:
        console.warn(f"What people meet under the public name now: {frozen_checks.met(self.site)}")
        settings = self.site.settings
        console.warn(f"By the stack's file {settings.serving_identifier} serves, and every database is kept. {AGAIN}")
        if settings.frozen:
            console.warn(f"`dr thaw -s {self.stack} --apply` lets people write to it without waiting for the rest.")

    # -- afterwards ---------------------------------------------------------------------------------------------
    def say_done(self) -> None:
        chosen = self._chosen()
        console.done(f"{self.stack} serves {chosen.identifier}, from {chosen.source}.")
        if self.gap is not None:
            minutes = self.gap["minutes"]
            age = "there is no usable one" if minutes is None else f"the newest usable one is {minutes:.0f} minutes old"
            console.warn(
                f"RPO gap: the first copy of {chosen.identifier} in {self.gap['region']} is a full one and can take "
                f"hours. Until it is there, {age}: `dr snapshot list` shows it."
            )
        source = self._estate.peer.settings.database.standby_source_arn
        if source is not None and not source.endswith(f":{chosen.identifier}"):
            console.warn(
                f"{self._estate.peer.stack.stack} still follows {source}: its database.standbySourceArn has to name "
                f"{chosen.identifier} (docs/restoring.md)."
            )
        kept = ", ".join(name for name in self._identifiers() if name != chosen.identifier)
        console.note(f"kept, locked and protected: {kept}")
        self.say_how_to_commit("Keep the stack's file, or the next deployment from elsewhere is refused:")

    @property
    def message(self) -> str:
        return f"Restore the database of {self.stack}"

    def told(self) -> dict[str, Any]:
        chosen = self.target
        at = None if chosen is None else chosen.at
        return {
            "resumed": self.before.resumed or (chosen is not None and chosen.under_way),
            "target": None if chosen is None else chosen.as_json(),
            "lost_minutes": None if at is None else round((self._now - at).total_seconds() / 60, 1),
            "marked_unusable": self.marked.names,
            "not_marked": self.marked.silent,
            "rpo_gap": self.gap,
            "inspection": None if self.inspection is None else self.inspection.as_json(),
        }
