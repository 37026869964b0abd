"""`dr promote`: let the standby serve. Preflight, plan, confirmation, plain `pulumi up`, verification, evidence.

Everything it does can be done by hand with the commands it names (docs/promotion.md). Running it again after whatever
ended it continues.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scripts import console, project
from scripts.errors import RefusedError
from scripts.prerequisites.aws import explained
from scripts.project import Project, StackFacts
from scripts.promotion import estimate, findings, preflight, progress, record, replicas, verification
from scripts.promotion.estimate import Estimate
from scripts.promotion.preflight import Before
from scripts.promotion.record import Record
from scripts.promotion.recovery import Recovery
from scripts.promotion.site import Site
from scripts.stack_change import Options as ChangeOptions
from scripts.stack_change import StackChange


@dataclass(frozen=True, kw_only=True)
class Options(ChangeOptions):
    """How the command was called."""

    primary_is_lost: bool


def run(stack: str | None, options: Options) -> None:
    """The command. A dry run unless `options.apply`; then the stack's name has to be typed or given."""
    facts = project.load(project.here())
    chosen = choose(facts, stack)
    Promotion(Site(facts, chosen, os.environ), options).run()


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


class Promotion(StackChange):
    """One run of the command."""

    command = "promote"
    noun = "promotion"
    question = "let it serve from now on"

    def __init__(self, site: Site, options: Options) -> None:
        super().__init__(site, options)
        self.records = record.PROMOTIONS
        self._primary_is_lost = options.primary_is_lost
        self.before = Before()
        self.served: bool | None = None  # None: not asked, as long as nothing was changed

    @property
    def estimate(self) -> Estimate:
        """By where the data come from."""
        return estimate.promotion(self.stack, self.before.data.source if self.before.data else None)

    # -- before -------------------------------------------------------------------------------------------------
    def look(self) -> None:
        console.step(f"Looking at {self.stack} in {self.site.region}", "seconds")
        self.before = preflight.look(self.site, self._primary_is_lost)
        if self.options.apply and self._settled():
            self.before = preflight.look(self.site, self._primary_is_lost)
        self.show(self.before.found)
        console.step("pulumi preview, with the flag flipped in a copy of the stack's file", "about 15 s")
        self.preview(("set", "standby", "false"))
        console.note(f"data: {self.before.data.told() if self.before.data else self.before.without_data}")
        if self.before.left:
            names = ", ".join(item.name for item in self.before.left)
            console.note(f"left by an interrupted promotion, adopted or made again with --apply: {names}")

    def found(self) -> Sequence[findings.Finding]:
        return self.before.found

    def _settled(self) -> bool:
        """Whether a replica was waited for that only its state kept from being promoted, as after an interruption."""
        if any(found.refusal and found.subject != "database" for found in self.before.found):
            return False
        with explained():
            return replicas.settle(self.site, self.before.document, time.sleep)

    # -- doing it -----------------------------------------------------------------------------------------------
    def carry_out(self, record: Record) -> None:
        Recovery(self.site, record).run()  # first: what it refuses is refused with the stack's file as it was
        self.configure("set", "standby", "false")
        record.add("flag set", file=self.site.stack.file.name, standby=False)
        critical = frozenset(service.name for service in self.site.stack.services if service.critical)
        self.up(record, progress.promotion(critical))
        console.step(
            "Asking through DNS, load balancer and task", "up to 5 min: the public name moves by health checks"
        )
        checks = verification.verify(self.site)
        self.served = verification.judged_served(checks).ok
        self.judge(record, checks)

    def say_what_people_meet(self, interrupted: bool) -> None:
        """What whoever is in distress has of it, before all that is wrong."""
        patience = 0.0 if interrupted else verification.MOVES_WITHIN
        asked = verification.judged_served(self.checks) if self.checks else verification.served(self.site, patience)
        self.served = asked.ok
        if asked.ok:
            console.done(f"People ARE served by {self.stack}.")
        else:
            console.warn(f"People are NOT served by {self.stack}: {asked.evidence}")

    # -- afterwards ---------------------------------------------------------------------------------------------
    def say_done(self) -> None:
        console.done(f"{self.stack} serves {self.site.stack.domain} from {self.site.region}.")
        self.say_how_to_commit("Keep the flag, so that no later deployment tries to go back (it would be refused):")

    @property
    def message(self) -> str:
        return f"Let {self.stack} serve"

    def told(self) -> dict[str, Any]:
        before = self.before
        return {
            "served": self.served,
            "resumed": bool(before.left or before.dead_locks or before.standby is False),
            "data": before.data.as_json() if before.data else None,
            "lost_minutes": None if before.lost_minutes is None else round(before.lost_minutes, 1),
        }
