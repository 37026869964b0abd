"""The longest chain of AWS waits that no promotion can avoid, computed from the clock's table beforehand.

Only waits that the sandbox really imposes are in it, so that the bound means something: calls that answer at once
(listener rules, secrets, the schedule) count as nothing, and so does the first health check, which the sandbox makes as
soon as a target is registered. NAT runs beside the database. After the takeover the public name, the standard services
and the cache follow beside each other, and the longest of them counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from components.dns import FAILURES, INTERVAL_SECONDS
from sandbox.clock import DURATIONS, database_minutes, minutes
from scripts.rehearsal.sources import Source

BOUND = 1.15
ALIAS_TTL_SECONDS = 60


@dataclass(frozen=True)
class Link:
    """One wait in modelled minutes, why it can't be avoided, and where the figure comes from."""

    title: str
    minutes: float
    why: str
    source: str


def promotion(source: Source | None = Source.COPIES) -> list[Link]:
    """Each link needs what the one before it leaves. `source`: of the data; None where the database stands already."""
    database = [] if source is None else _promoted_replica() if source is Source.REPLICA else _restored()
    return [
        *database,
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
        max(_public_name(), _standard_tasks(), _cache(), key=lambda link: link.minutes),
    ]


def _restored() -> list[Link]:
    return [
        Link(
            "restore the database",
            database_minutes("rds.restore", multi_az=True, backups=True),
            "a new instance from copy or backups, its second zone and its first backup",
            _sources("rds.restore", "rds.multi_az", "rds.first_backup"),
        ),
        Link(
            "settings after the restore",
            minutes("rds.modify"),
            "the AWS provider sends password, backup retention and windows in a modification of the restored instance",
            _sources("rds.modify"),
        ),
    ]


def _promoted_replica() -> list[Link]:
    return [
        Link(
            "promote the replica",
            minutes("rds.promote") + minutes("rds.first_backup"),
            "it stops following, begins its own backups and takes writes after a reboot",
            _sources("rds.promote", "rds.first_backup"),
        ),
        Link(
            "settings after the promotion",
            minutes("rds.multi_az"),
            "the AWS provider sends what else differs in a modification of the promoted instance: its second zone",
            _sources("rds.multi_az"),
        ),
    ]


def _sources(*operations: str) -> str:
    return "; ".join(DURATIONS[name].source for name in operations)


def _public_name() -> Link:
    return Link(
        "move the public name",
        (FAILURES * INTERVAL_SECONDS + ALIAS_TTL_SECONDS) / 60,
        "health checkers see the takeover in a row of checks, and answers given before live as long as an alias's",
        "components/dns.py; the time to live of an alias to a load balancer is 60 s (Route 53 developer guide)",
    )


def _standard_tasks() -> Link:
    return Link(
        "start the standard tasks",
        minutes("ecs.task_start"),
        "after the takeover, so that they can't hold it up; `pulumi up` waits until they run",
        DURATIONS["ecs.task_start"].source,
    )


def _cache() -> Link:
    return Link(
        "make the cache",
        minutes("elasticache.create"),
        "after the takeover, beside the standard services; `pulumi up` waits until it is available",
        DURATIONS["elasticache.create"].source,
    )


def total(links: Sequence[Link]) -> float:
    """Modelled minutes of the whole chain."""
    return sum(link.minutes for link in links)
