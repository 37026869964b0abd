"""The longest chain of AWS waits of a promotion that no program can avoid, computed from the clock's table beforehand."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.clock import DURATIONS, database_minutes, minutes

CHECK_INTERVAL_SECONDS = 10  # shortest that the load balancer's health checks are set to
BOUND = 1.15


@dataclass(frozen=True)
class Link:
    """One wait, in modelled minutes, and why it can't be avoided."""

    title: str
    minutes: float
    why: str


def promotion() -> list[Link]:
    """Each link needs what the one before it leaves."""
    return [
        Link(
            "restore the database",
            database_minutes("rds.restore", multi_az=True, backups=True),
            "a new instance from the copy, its second zone and its first backup: " + DURATIONS["rds.restore"].source,
        ),
        Link(
            "settings that a restore can't take",
            minutes("rds.modify"),
            "master password and retention only by a modification afterwards: " + DURATIONS["rds.modify"].source,
        ),
        Link("application roles", minutes("lambda.cold_start"), "one invocation: " + DURATIONS["lambda.cold_start"].source),
        Link(
            "start the critical tasks",
            minutes("ecs.task_start"),
            "they need the database's address and login: " + DURATIONS["ecs.task_start"].source,
        ),
        Link(
            "become healthy",
            CHECK_INTERVAL_SECONDS / 60,
            "the first check comes within one interval of the target group's health check",
        ),
        Link("crisis page off", minutes("elb.rule"), "only with healthy targets behind it: " + DURATIONS["elb.rule"].source),
        Link("say the takeover", minutes("elb.rule"), "only with the crisis page out of the way"),
        Link(
            "start the standard tasks",
            minutes("ecs.task_start"),
            "after the takeover, so that they can't hold it up; `pulumi up` waits until they run",
        ),
    ]


def total(links: list[Link]) -> float:
    return sum(link.minutes for link in links)
