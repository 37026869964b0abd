"""What a row of the fault table is, and which rows can share a sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cached_property
from random import Random
from typing import Any

from components.settings.stack import Settings
from scripts.errors import DrError
from scripts.project import Project, StackFacts
from scripts.promotion.site import Site
from scripts.rehearsal.world import World


class Outcome(StrEnum):
    """How a promotion ends."""

    PROMOTED = "promoted"
    REFUSED = "refused"
    FAILED = "failed"


class Stage(IntEnum):
    """How far a promotion comes with a fault, in the order of a promotion.

    The first two leave nothing behind that the next fault would not meet again. In spite of a fault of the last one it
    ends well, which only a promotion from the beginning shows.
    """

    PREFLIGHT = 0
    RESTORE_REFUSED = 1
    DATABASE = 2
    CRITICAL_SECRETS = 3
    CRITICAL_ROLES = 4
    CRITICAL_SERVICES = 5
    STANDARD_SECRETS = 6
    STANDARD_SERVICES = 7
    WHOLE = 8


class Estate:
    """What is broken and mended: the standby region, by an operator's calls or by the sandbox's faults."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = Random()
        self.project: Project = world.project
        self.standby: StackFacts = world.project.standby
        self.region = self.standby.region

    def draw_for(self, row: str, seed: int) -> None:
        """Let what is drawn depend on the row alone, so that it can be repeated without the rows before it."""
        self.random = Random(f"{seed}/{row}")

    @cached_property
    def settings(self) -> Settings:
        """The stack's, once `dr bootstrap` has completed its file."""
        return Site(self.project, self.standby, self.world.sandbox.env()).settings

    def client(self, service: str) -> Any:
        return self.world.client(service, self.region)

    def control(self, method: str, path: str, **data: Any) -> Any:
        return self.world.sandbox.control(method, path, **data)

    def service(self, critical: bool) -> str:
        """The name of one service, the first critical one or any standard one."""
        names = [service.name for service in self.standby.services if service.critical is critical]
        return names[0] if critical else self.random.choice(names)


Mend = Callable[[], object]


@dataclass(frozen=True)
class Injected:
    """A fault that the sandbox knows, by its kind; `fields` gives the other fields of each request."""

    kind: str
    fields: Callable[[Estate], Sequence[dict[str, Any]]]

    def __call__(self, estate: Estate) -> Mend:
        requests = [{"kind": self.kind, **fields} for fields in self.fields(estate)]
        for request in requests:
            estate.control("POST", "faults", **request)
        return lambda: [estate.control("DELETE", "faults", **request) for request in requests]


Break = Callable[[Estate], Mend]


@dataclass(frozen=True)
class Moment:
    """When a fault comes: so many modelled minutes, drawn between both, after a line of the promotion's own record.

    `line` has the members that the line must have; `told` says it to people.
    """

    line: Mapping[str, str]
    minutes: tuple[float, float]
    told: str


@dataclass(frozen=True)
class Row:
    """One fault and what a promotion makes of it.

    `breaks` does it and returns how it is mended; `broken` and `mended` say both to people. `moment` is None where the
    fault is there before the promotion. `error` is the kind of failure, which has the exit code; `says` must be found
    in its message. `served`: whether people are served by this stack at the end.
    """

    name: str
    broken: str
    breaks: Break
    stage: Stage
    mended: str
    error: type[DrError] | None = None
    says: str = ""
    moment: Moment | None = None

    @property
    def outcome(self) -> Outcome:
        if self.error is None:
            return Outcome.PROMOTED
        return Outcome.REFUSED if self.stage is Stage.PREFLIGHT else Outcome.FAILED

    @property
    def code(self) -> int:
        return 0 if self.error is None else self.error.exit_code

    @property
    def served(self) -> bool:
        """The takeover comes before everything that standard services need."""
        return self.stage > Stage.CRITICAL_SERVICES

    def may_follow(self, other: Row) -> bool:
        """Whether a promotion that `other` ended still meets this fault when it is run again."""
        if self.stage is Stage.WHOLE:
            return other.stage is Stage.PREFLIGHT
        return self.stage > other.stage or self.stage is other.stage <= Stage.RESTORE_REFUSED


def chains(rows: Sequence[Row], random: Random) -> list[list[Row]]:
    """The rows in sandboxes: in each one fault follows another, and a promotion without any completes the last.

    Rows of one stage come in an order that is drawn.
    """
    drawn = sorted(random.sample(rows, len(rows)), key=lambda row: row.stage)
    found: list[list[Row]] = []
    for row in drawn:
        open_ones = [chain for chain in found if row.may_follow(chain[-1])]
        if open_ones:
            min(open_ones, key=len).append(row)
        else:
            found.append([row])
    return found
