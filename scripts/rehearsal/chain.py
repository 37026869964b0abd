"""The longest chain of AWS waits that no promotion can avoid, computed from the clock's table beforehand.

Only waits that the sandbox really imposes are in it, so that the bound means something: calls that answer at once
(listener rules, secrets, the schedule) count as nothing, and so does the first health check, which the sandbox makes as
soon as a target is registered. NAT runs beside the restore, DNS beside the standard services.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.clock import DURATIONS, database_minutes, minutes

BOUND = 1.15


@dataclass(frozen=True)
class Link:
    """One wait in modelled minutes, why it can't be avoided, and where the figure comes from."""

    title: str
    minutes: float
    why: str
    source: str


def promotion() -> list[Link]:
    """Each link needs what the one before it leaves."""
    return [
        Link(
            "restore the database",
            database_minutes("rds.restore", multi_az=True, backups=True),
            "a new instance from the copy, its second zone and its first backup",
            "; ".join(DURATIONS[name].source for name in ("rds.restore", "rds.multi_az", "rds.first_backup")),
        ),
        Link(
            "set the master password",
            minutes("rds.modify"),
            "a restore brings the old one and takes no new one: a modification of the available instance",
            DURATIONS["rds.modify"].source,
        ),
        Link(
            "make the application roles",
            minutes("lambda.cold_start"),
            "one invocation of the function inside the VPC",
            DURATIONS["lambda.cold_start"].source,
        ),
        Link(
            "start the critical tasks",
            minutes("ecs.task_start"),
            "they need the database's address and login; at their first health check the takeover follows",
            DURATIONS["ecs.task_start"].source,
        ),
        Link(
            "start the standard tasks",
            minutes("ecs.task_start"),
            "after the takeover, so that they can't hold it up; `pulumi up` waits until they run",
            DURATIONS["ecs.task_start"].source,
        ),
    ]


def total(links: Sequence[Link]) -> float:
    """Modelled minutes of the whole chain."""
    return sum(link.minutes for link in links)
