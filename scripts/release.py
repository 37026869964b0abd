"""`dr database release`: give up a database that no longer serves, behind a final snapshot.

The stack's file and two plain deployments do it (components/database_plans.py); this adds what has to come before and
what shows that nothing else went. How far it has come stands in the file, in RDS and in the state: whatever ended it,
the same command continues, and what a plain `pulumi up` does meanwhile is a step of the same way. Killed between RDS
and the state, though, a plain one is refused, and this command mends the state.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scripts import console, project
from scripts.errors import DrError, RefusedError
from scripts.freeze import MAY_GO, choose
from scripts.freezing import before as freezing
from scripts.freezing.before import Before
from scripts.promotion import findings, leftovers, plan, verification
from scripts.promotion.adoption import DATABASE
from scripts.promotion.concurrently import ask
from scripts.promotion.estimate import Estimate
from scripts.promotion.failures import AGAIN
from scripts.promotion.plan import Command
from scripts.promotion.preflight import SECONDS
from scripts.promotion.progress import Steps
from scripts.promotion.record import Record
from scripts.promotion.recovery import Recovery
from scripts.promotion.site import Site
from scripts.releasing import checks, final, steps, target
from scripts.releasing.target import Target
from scripts.snapshots.estate import Estate
from scripts.snapshots.model import Snapshot
from scripts.stack_change import Options, StackChange

# Of a version of PostgreSQL that no other database has; a restore makes it again.
PARAMETERS = "aws:rds/parameterGroup:ParameterGroup"


def run(stack: str | None, generation: str, options: Options) -> None:
    """The command. A dry run unless `options.apply`; then the database's identifier has to be typed or given."""
    site = choose(project.load(project.here()), stack)
    Release(site, Estate.around(site, os.environ), generation, options).run()


class Release(StackChange):
    """One run of the command."""

    noun = "release"
    question = "delete this database, behind a final snapshot"
    may_go = (*MAY_GO, PARAMETERS)

    def __init__(self, site: Site, estate: Estate, generation: str, options: Options) -> None:
        super().__init__(site, options)
        self.command = f"database release {generation}"
        self.records = steps.RELEASES
        self.before = Before()
        self.target: Target | None = None
        self.snapshot: Snapshot | None = None
        self._estate = estate
        self._name = generation

    @property
    def estimate(self) -> Estimate:
        return steps.estimate(self.stack)

    @property
    def name_to_type(self) -> str:
        return self._chosen().identifier

    def found(self) -> Sequence[findings.Finding]:
        return self.before.found

    # -- before -------------------------------------------------------------------------------------------------
    def look(self) -> None:
        console.step(f"Looking at {self.stack} in {self.site.region}", "seconds")
        self.before = freezing.look(self.site)
        self.show(self.before.found)
        chosen = self.target = self._choose()
        console.table("Release", ("", ""), self._told_in_words(chosen))
        if self._late_in_state(chosen):
            console.note("RDS protects it no more, the state still does: killed between the two. --apply mends that")
        elif not chosen.complete:
            console.step("pulumi preview of the next deployment, with a copy of the stack's file", "about 15 s")
            self._preview_release(self._changes(chosen))

    def _choose(self) -> Target:
        follower = self._estate.peer.settings
        question = {"database": lambda: target.choose(self.site, self._estate.home, follower, self._name)}
        answer = ask(question, SECONDS)["database"]
        if isinstance(answer, DrError):
            raise answer
        if isinstance(answer, Exception):
            findings.raise_refusals([findings.failed("database", answer, self.site.region)])
            raise answer
        return answer

    def _chosen(self) -> Target:
        assert self.target is not None  # noqa: S101 - `look` comes first
        return self.target

    def _late_in_state(self, chosen: Target) -> str | None:
        """The URN of a database that the state protects although RDS does so no more. Pulumi previews nothing then."""
        if chosen.complete or chosen.protected or not chosen.generation.released:
            return None
        return leftovers.protected(self.site.checkpoint(), DATABASE, chosen.resource)

    def _told_in_words(self, chosen: Target) -> list[tuple[str, str]]:
        settings = self.site.settings
        status = "gone" if chosen.database is None else chosen.database.status
        rows = [
            ("database", f"{chosen.identifier} (generation {chosen.generation.name}), {status}"),
            ("serves", f"{settings.serving_identifier}, which stays as it is"),
        ]
        if chosen.complete:
            return [*rows, ("left to do", "nothing; with --apply it is verified again")]
        kept = "its automated backups, as long as RDS was told to keep them, and two final snapshots, for good"
        return [*rows, ("stays", kept), ("left to do", ", ".join(self._left(chosen)))]

    def _left(self, chosen: Target) -> list[str]:
        """The steps that are not done yet."""
        released = [] if chosen.generation.released else ["released: true in the stack's file"]
        first = ["locked, tried", "final snapshot", *released] if chosen.stands else []
        off = ["protection off"] if chosen.protected else []
        return [*first, *off, f"delete {chosen.resource} with what locked it", "mark what RDS took at its deletion"]

    def _changes(self, chosen: Target) -> list[Command]:
        if chosen.generation.released:
            return []
        return [("set", "--path", f"database.generations[{chosen.position}].released", "true")]

    def _preview_release(self, changes: Sequence[Command]) -> None:
        """The plan of the next deployment. Raises where it takes away anything but this database."""
        wanted = f"delete {self._chosen().resource} ({DATABASE})"
        found = plan.preview(self.site, self.noun, changes, self.may_go)
        self.plan = replace(found, losses=[loss for loss in found.losses if loss != wanted])
        plan.show(self.plan, self.estimate)
        if wanted in found.losses:
            console.note(f"the plan would {wanted}, as it is meant to")
        if self.plan.losses:
            raise RefusedError(
                f"The plan would {', '.join(self.plan.losses)}. A release deletes one database and nothing else. "
                "Nothing was deleted.",
                "Stack file, program or state are not what was deployed: set back what differs. To look at it: "
                f"`pulumi preview --diff -s {self.stack}`.",
            )

    # -- doing it -----------------------------------------------------------------------------------------------
    def carry_out(self, record: Record) -> None:
        # The world went on while somebody thought about the plan.
        chosen = self.target = self._choose()
        record.add("target", target=chosen.as_json())
        home = self._estate.home
        if chosen.database is not None and chosen.stands:
            if chosen.protected or checks.fenced(self.site, chosen):
                console.step(f"Trying whether anybody can write to {chosen.identifier}", "seconds")
                self.judge(record, verification.hold(checks.before(self.site, chosen)))
            self.snapshot = final.take(home, chosen, chosen.database, record)
            for change in self._changes(chosen):
                self.configure(*change)
            record.add("released", file=self.site.stack.file.name, generation=chosen.generation.name)
            if chosen.protected:
                self._up(record, steps.unprotect())
        elif not chosen.complete:
            self.snapshot = final.found(home.snapshots(), chosen, home.caller()[2])
        if urn := self._late_in_state(chosen):
            Recovery(self.site, record).run()
            self.site.cli.run("state", "unprotect", urn, "--stack", self.stack, "--yes")
            record.add("unprotected in the state", urn=urn)
        if not chosen.complete:
            console.step("pulumi preview of the deletion", "about 15 s")
            self._preview_release([])
            self._up(record, steps.delete())
        final.mark(home, chosen, record)
        console.step("Asking RDS and Pulumi", "about 15 s")
        self.judge(record, verification.hold(checks.afterwards(self.site, home, chosen, self.snapshot)))

    def _up(self, record: Record, of: Steps) -> None:
        Recovery(self.site, record).run()
        self.up(record, of)

    def say_what_people_meet(self, interrupted: bool) -> None:
        console.warn(f"{self.site.settings.serving_identifier} serves as before. {AGAIN}")

    # -- afterwards ---------------------------------------------------------------------------------------------
    def say_done(self) -> None:
        chosen = self._chosen()
        console.done(f"{chosen.identifier} is given up.")
        if self.snapshot is not None:
            console.note(f"its final snapshot: {self.snapshot.identifier}; nothing prunes it")
        self.say_how_to_commit(
            "Keep the stack's file, or the next deployment from elsewhere is refused or makes it again:"
        )

    @property
    def message(self) -> str:
        return f"Release {self._chosen().identifier}" if self.target else f"Release {self._name}"

    def told(self) -> dict[str, Any]:
        chosen = self.target
        return {
            "resumed": self.before.resumed or (chosen is not None and chosen.generation.released),
            "target": None if chosen is None else chosen.as_json(),
            "final_snapshot": None if self.snapshot is None else self.snapshot.identifier,
        }
