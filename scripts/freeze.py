"""`dr freeze` and `dr thaw`: stop all writes, and let them go on with as many tasks as before.

Everything they do can be done by hand with the commands they name (docs/freeze.md). Running one again after whatever
ended it continues; a freeze that was interrupted may also be taken back by a thaw.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from scripts import console, project
from scripts.errors import RefusedError
from scripts.freezing import before, checks, steps
from scripts.freezing.before import Before
from scripts.project import Project
from scripts.promotion import findings, verification
from scripts.promotion.estimate import Estimate
from scripts.promotion.plan import Command
from scripts.promotion.record import Record
from scripts.promotion.recovery import READ_AGAIN, Recovery
from scripts.promotion.site import Site
from scripts.stack_change import Options, StackChange

# Taken away, a call that was made does nothing.
MAY_GO = ("aws:lambda/invocation:Invocation",)


def freeze(stack: str | None, options: Options) -> None:
    """The command. A dry run unless `options.apply`; then the stack's name has to be typed or given."""
    Freeze(choose(project.load(project.here()), stack), options).run()


def thaw(stack: str | None, options: Options) -> None:
    """The same for the way back."""
    Thaw(choose(project.load(project.here()), stack), options).run()


def choose(facts: Project, stack: str | None) -> Site:
    """The stack that serves. Raises RefusedError for one that stands by, and where a name is needed."""
    sites = {found.stack: Site(facts, found, os.environ) for found in facts.stacks}
    serving = [name for name, site in sites.items() if not site.settings.standby]
    if stack is None and len(serving) == 1:
        return sites[serving[0]]
    if stack in serving:
        return sites[stack]
    known = ", ".join(serving) or "none"
    problem = f"{stack} is no stack that serves" if stack else "Which stack is meant has to be said"
    raise RefusedError(
        f"{problem}; serving by their files: {known}. Nothing was changed.", f"Add -s with one of: {known}."
    )


class _Change(StackChange):
    """What both have in common."""

    may_go = MAY_GO

    def __init__(self, site: Site, options: Options) -> None:
        super().__init__(site, options)
        self.before = Before()

    @property
    @abstractmethod
    def counts(self) -> dict[str, int]:
        """How many tasks of each service a thaw starts."""

    @abstractmethod
    def changes(self) -> list[Command]:
        """What becomes of the stack's file; nothing where it says so already."""

    def look(self) -> None:
        console.step(f"Looking at {self.stack} in {self.site.region}", "seconds")
        self.before = before.look(self.site)
        self.show(self.before.found)
        console.step("pulumi preview, with the flag set in a copy of the stack's file", "about 15 s")
        self.preview(*self.changes())
        told = ", ".join(f"{name} {tasks}" for name, tasks in self.counts.items())
        console.note(f"tasks that a thaw starts: {told or 'as configured'}")

    def found(self) -> Sequence[findings.Finding]:
        return self.before.found

    def clear_the_way(self, record: Record) -> None:
        """Also read again what a hand may have changed meanwhile: where the state says so already, nothing is done."""
        recovery = Recovery(self.site, record)
        recovery.run()
        recovery.read_again(READ_AGAIN)

    def say_what_people_meet(self, interrupted: bool) -> None:
        console.warn(f"What people meet under the public name now: {checks.met(self.site)}")

    def told(self) -> dict[str, Any]:
        return {"resumed": self.before.resumed, "counts": self.counts}


class Freeze(_Change):
    """Nobody writes any more."""

    command = noun = "freeze"
    question = "stop all writes: people see the crisis page until it is thawed"

    def __init__(self, site: Site, options: Options) -> None:
        super().__init__(site, options)
        self.records = steps.FREEZES

    @property
    def estimate(self) -> Estimate:
        return steps.freeze_estimate(self.stack)

    @property
    def counts(self) -> dict[str, int]:
        return before.counts(self.site.settings, self.before)

    def changes(self) -> list[Command]:
        """One write of the file: killed, it has either both or nothing."""
        if self.site.settings.frozen:
            return []
        values = {"frozen": "true", **{f"thawCounts.{name}": str(tasks) for name, tasks in self.counts.items()}}
        plain = [part for key, value in values.items() for part in ("--plaintext", f"{key}={value}")]
        stale: list[Command] = [("rm", "thawCounts")] if self.site.settings.thaw_counts else []
        return [*stale, ("set-all", "--path", *plain)]

    def carry_out(self, record: Record) -> None:
        # The counts that autoscaling chose while somebody thought about the plan are the ones to come back to.
        self.before = before.look(self.site)
        findings.raise_refusals(self.before.found)
        counts = self.counts
        # First: where somebody else deploys, the file must not say what nobody has done.
        self.clear_the_way(record)
        for change in self.changes():
            self.configure(*change)
        record.add("flag set", file=self.site.stack.file.name, frozen=True, counts=counts)
        self.up(record, steps.freeze())
        console.step("Asking under the public name, of ECS, and inside the network", "up to 5 min: tasks have to end")
        self.judge(record, verification.hold(checks.of_freeze(self.site)))

    def say_done(self) -> None:
        console.done(f"{self.stack} is frozen: nobody writes. `dr thaw -s {self.stack} --apply` lets it go on.")
        self.say_how_to_commit("Keep the flag, so that no other deployment thaws it:")

    @property
    def message(self) -> str:
        return f"Freeze {self.stack}"


class Thaw(_Change):
    """Writes go on, with as many tasks as before."""

    command = noun = "thaw"
    question = "let people write again"

    def __init__(self, site: Site, options: Options) -> None:
        super().__init__(site, options)
        self.records = steps.THAWS
        # Kept for the verification: the file forgets them at the end.
        self._configured = site.settings.thaw_counts

    @property
    def estimate(self) -> Estimate:
        return steps.thaw_estimate(self.stack)

    @property
    def counts(self) -> dict[str, int]:
        known = {**self.before.kept, **self._configured}
        return {name: known[name] for name in sorted(known)}

    def changes(self) -> list[Command]:
        """Counts that only the outputs hold go into the file with the flag: a thaw that fails forgets those outputs."""
        if not self.site.settings.frozen:
            return []
        values = {"frozen": "false", **{f"thawCounts.{name}": str(tasks) for name, tasks in self.counts.items()}}
        plain = [part for key, value in values.items() for part in ("--plaintext", f"{key}={value}")]
        return [("set-all", "--path", *plain)]

    def carry_out(self, record: Record) -> None:
        self.clear_the_way(record)
        for change in self.changes():
            self.configure(*change)
        record.add("flag set", file=self.site.stack.file.name, frozen=False, counts=self.counts)
        self.up(record, steps.thaw(frozenset(s.name for s in self.site.settings.services if s.critical)))
        console.step("Asking through DNS, load balancer and task", "up to 5 min")
        self.judge(record, verification.hold(checks.of_thaw(self.site, self.counts)))
        if "thawCounts" in self.site.cli.config_keys(self.stack):
            self.configure("rm", "thawCounts")

    def say_done(self) -> None:
        console.done(f"{self.stack} serves again.")
        self.say_how_to_commit("Keep the flag as it is now:")

    @property
    def message(self) -> str:
        return f"Thaw {self.stack}"
