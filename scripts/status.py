"""`dr status`: both stacks at a glance, all asked at once, without waiting for a region that does not answer."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pulumi
from botocore.exceptions import BotoCoreError, ClientError

import scripts
from components import naming, origins
from components.facts import Facts
from components.witness import MARKER_KEY, TAKEN_OVER
from scripts import console, project
from scripts.errors import DrError
from scripts.project import Project
from scripts.promotion import leftovers, locks, public
from scripts.promotion.concurrently import NoAnswer, ask
from scripts.promotion.preflight import HEALTH_PATH
from scripts.promotion.site import Site, answered_at

# Real seconds. All questions together are given SECONDS, less where the start of the command took long: WHOLE is from
# its start to the last answer, so that what is printed is there before five. With less than LEAST nothing would answer.
WHOLE = 4.4
SECONDS = 2.5
LEAST = 1.5
EXPECTED = (ClientError, BotoCoreError, NoAnswer, DrError, pulumi.RunError)


@dataclass
class View:
    """One stack as far as it could be seen. None: not known; `silent`: what its region did not answer, and why."""

    stack: str
    region: str
    standby: bool | None = None
    epoch: int | None = None
    deployed_at: str | None = None
    since: datetime | None = None  # when it took over
    databases: list[str] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)

    @property
    def role(self) -> str:
        return {None: "unknown", True: "standing by", False: "serving"}[self.standby]


@dataclass
class Status:
    """Both stacks, who answers under the public name, and what would be lost now."""

    domain: str
    answer: public.Answer
    views: list[View]
    now: datetime | None = None  # by AWS's clock
    copy: str | None = None
    copy_minutes: float | None = None  # age of the newest usable copy's data, now
    loss_minutes: float | None = None  # the same, to the primary's last sign of life
    rpo_minutes: int | None = None

    @property
    def serving(self) -> View | None:
        """The stack that the public name leads to."""
        return next((view for view in self.views if self.answer.healthy and view.region == self.answer.region), None)


def run(as_json: bool) -> None:
    """Print how things stand. Always exits with 0: what it says is the result."""
    facts = project.load(project.here())
    status = look(facts, os.environ, patience(time.monotonic() - scripts.STARTED))
    if as_json:
        console.plain(json.dumps(document(status), indent=2, default=str))
    else:
        show(status)


def patience(spent: float) -> float:
    """How long the questions may take, where the command has been running for `spent` seconds."""
    return min(SECONDS, max(LEAST, WHOLE - spent))


def look(facts: Project, environment: Mapping[str, str], seconds: float = SECONDS) -> Status:
    """Ask everything at once; what is not answered within `seconds` is silent."""
    sites = [Site(facts, stack, environment) for stack in (facts.primary, facts.standby)]
    views = {site.stack.stack: View(site.stack.stack, site.region) for site in sites}
    status = Status(facts.public_name, public.Answer(None, "not asked"), list(views.values()))
    questions: dict[str, Callable[[], None]] = {"public name": lambda: _public_name(status, seconds)}
    for site in sites:
        for what, question in _questions(site, views[site.stack.stack], status).items():
            questions[f"{site.stack.stack} {what}"] = question
    for name, found in ask(questions, seconds).items():
        if isinstance(found, Exception):
            if not isinstance(found, EXPECTED):
                raise found
            told, (stack, _, what) = " ".join(str(found).split()), name.partition(" ")
            if stack in views:
                views[stack].silent[what] = told
            else:
                status.answer = public.Answer(None, told)
    return status


def _questions(site: Site, view: View, status: Status) -> dict[str, Callable[[], None]]:
    asked: dict[str, Callable[[], None]] = {
        "state": lambda: _state(site, view),
        "lock": lambda: _lock(site, view),
        "takeover": lambda: _takeover(site, view),
        "databases": lambda: _databases(site, view),
        "services": lambda: _services(site, view),
        "alarms": lambda: _alarms(site, view),
    }
    if site.settings.database.standby_source is not None:
        asked["copies"] = lambda: _copies(site, view, status)
        asked["schedule"] = lambda: _schedule(site, view)
    return asked


def _public_name(status: Status, seconds: float) -> None:
    status.answer = public.get(f"https://{status.domain}{HEALTH_PATH}", seconds - 0.5)


# -- one stack ----------------------------------------------------------------------------------------------------
def _state(site: Site, view: View) -> None:
    """From the state bucket in the standby's region, for both stacks."""
    document = site.checkpoint()
    outputs = leftovers.outputs(document)
    if not outputs:
        view.wrong.append("its state has no outputs: never deployed, or lost")
        return
    view.standby, view.epoch = bool(outputs.get("standby")), int(outputs.get("epoch", 0))
    view.deployed_at = document["deployment"].get("manifest", {}).get("time")
    if left := leftovers.find(document):
        names = ", ".join(item.name for item in left)
        view.wrong.append(f"an interrupted deployment left {names}: `dr promote` continues")


def _lock(site: Site, view: View) -> None:
    for lock in site.locks():
        gone = " and has ended" if locks.ours_and_dead(lock) else ""
        view.wrong.append(f"locked by {lock.holder}{gone}")


def _takeover(site: Site, view: View) -> None:
    s3, bucket = site.client("s3"), naming.physical(site.stack.short, "page")
    found = s3.get_object(Bucket=bucket, Key=MARKER_KEY)
    if TAKEN_OVER in found["Body"].read().decode():
        view.since = found["LastModified"]


def _databases(site: Site, view: View) -> None:
    pages = site.client("rds").get_paginator("describe_db_instances").paginate()
    for entry in (entry for page in pages for entry in page["DBInstances"]):
        if {"Key": "Stack", "Value": site.stack.stack} in entry.get("TagList", []):
            view.databases.append(f"{entry['DBInstanceIdentifier']} {entry['DBInstanceStatus']}")


def _services(site: Site, view: View) -> None:
    ecs, cluster = site.client("ecs"), naming.physical(site.stack.short, "cluster")
    arns = ecs.list_services(cluster=cluster)["serviceArns"]  # as many as one call describes: ten
    for entry in ecs.describe_services(cluster=cluster, services=arns)["services"] if arns else ():
        counts = f"{entry['runningCount']}/{entry['desiredCount']}"
        view.services.append(f"{entry['serviceName']} {counts}")
        if entry["runningCount"] < entry["desiredCount"]:
            view.wrong.append(f"{entry['serviceName']} runs {counts}")


def _alarms(site: Site, view: View) -> None:
    pages = site.client("cloudwatch").get_paginator("describe_alarms").paginate(StateValue="ALARM")
    for page in pages:
        for alarm in (*page.get("MetricAlarms", []), *page.get("CompositeAlarms", [])):
            # Autoscaling's own: its low ones are in ALARM whenever nobody comes.
            if not alarm["AlarmName"].startswith("TargetTracking-"):
                view.wrong.append(f"alarm {alarm['AlarmName']}: {alarm.get('StateReason', '')}")


def _schedule(site: Site, view: View) -> None:
    """A standby whose snapshot cycle is off gets no copies and says so to nobody."""
    name = naming.physical(site.stack.short, naming.SNAPSHOT_CYCLE, "schedule")
    state = site.client("scheduler").get_schedule(Name=name)["State"]
    outputs = leftovers.outputs(site.checkpoint())
    if state != "ENABLED" and outputs.get("standby"):
        view.wrong.append(f"the schedule {name} is {state} while the stack stands by: no copies are made")


def _copies(site: Site, view: View, status: Status) -> None:
    """The age of what a promotion would restore. AWS's clock is the one that dates the copies."""
    now = status.now = answered_at(site.client("sts").get_caller_identity())
    facts = site.facts()
    status.rpo_minutes = site.settings.database.rpo_minutes
    faults = {copy.identifier: origins.unusable_because(site.promoted, copy, facts) for copy in facts.copies}
    newest = max(
        (copy for copy in facts.copies if faults[copy.identifier] is None and copy.original_created_at),
        key=lambda copy: copy.original_created_at.timestamp() if copy.original_created_at else 0.0,
        default=None,
    )
    if newest is not None and newest.original_created_at is not None:
        status.copy = newest.identifier
        status.copy_minutes = (now - newest.original_created_at).total_seconds() / 60
        if facts.sign_of_life is not None:
            status.loss_minutes = max(0.0, (facts.sign_of_life - newest.original_created_at).total_seconds() / 60)
    view.wrong += _copy_faults(facts, faults, newest is None)


def _copy_faults(facts: Facts, faults: Mapping[str, str | None], none: bool) -> Iterator[str]:
    """Copies that a promotion passes over, apart from those that are on their way and of other databases."""
    for copy in facts.copies:
        fault = faults[copy.identifier]
        if fault is not None and copy.made_by == naming.SNAPSHOT_CYCLE and copy.status != "creating":
            yield f"copy {copy.identifier}: {fault}"
    if none and not facts.instances:
        yield "no usable copy: a promotion would be refused"


# -- the whole ----------------------------------------------------------------------------------------------------
def _wrong(status: Status) -> Iterator[tuple[str, str]]:
    """(stack, what is wrong), the most important first."""
    serving = [view for view in status.views if view.standby is False]
    if status.serving is None:
        said = status.answer.status or status.answer.text
        yield "", f"nobody serves: https://{status.domain}{HEALTH_PATH} answers {said}"
    if len(serving) > 1:
        newest = max(serving, key=lambda view: view.epoch or 0)
        for view in serving:
            if view is not newest:
                yield view.stack, f"was deployed as serving, but {newest.stack} has the newer epoch {newest.epoch}"
    if status.copy_minutes is not None and status.rpo_minutes is not None and status.copy_minutes > status.rpo_minutes:
        yield "", f"the newest usable copy is {status.copy_minutes:.0f} minutes old, planned are {status.rpo_minutes}"
    for view in status.views:
        by_reason: dict[str, list[str]] = {}
        for what, why in view.silent.items():
            by_reason.setdefault(why, []).append(what)
        for why, what_not in by_reason.items():
            yield view.stack, f"{view.region}: {why} ({', '.join(what_not)})"
        for text in view.wrong:
            yield view.stack, text


def show(status: Status) -> None:
    """For people."""
    serving = status.serving
    if serving is None:
        console.plain(f"{status.domain}: nobody serves")
    else:
        since = f" since {serving.since:%Y-%m-%d %H:%M} UTC" if serving.since else ""
        console.plain(f"{status.domain}: served by {serving.stack} ({serving.region}){since}, epoch {serving.epoch}")
    for view in status.views:
        seen = "; ".join(filter(None, (", ".join(view.databases), ", ".join(view.services))))
        console.plain(f"  {view.stack:14} {view.region:12} {view.role:12} epoch {view.epoch or '?'}  {seen or '–'}")
    console.plain(f"RPO now: {_rpo(status)}")
    wrong = list(_wrong(status))
    for stack, text in wrong:
        console.plain(f"  ! {stack + ': ' if stack else ''}{text}")
    if not wrong:
        console.plain("Nothing is wrong.")


def _rpo(status: Status) -> str:
    if status.copy is None or status.copy_minutes is None:
        serving = status.serving
        if serving is not None and serving.since is not None:
            return f"everything: {serving.stack} serves and protects nobody"
        return "unknown: no usable copy is known"
    told = f"{status.copy_minutes:.0f} min (copy {status.copy})"
    if status.serving is None and status.loss_minutes is not None:
        told += f"; to the primary's last sign of life {status.loss_minutes:.0f} min"
    return told


def document(status: Status) -> dict[str, Any]:
    """For programs."""
    serving = status.serving
    return {
        "domain": status.domain,
        "serving": serving.stack if serving else None,
        "since": serving.since if serving else None,
        "now": status.now,
        "rpo_minutes": None if status.copy_minutes is None else round(status.copy_minutes, 1),
        "loss_minutes": None if status.loss_minutes is None else round(status.loss_minutes, 1),
        "newest_copy": status.copy,
        "stacks": [
            {
                "stack": view.stack,
                "region": view.region,
                "role": view.role,
                "epoch": view.epoch,
                "deployed_at": view.deployed_at,
                "databases": view.databases,
                "services": view.services,
                "silent": view.silent,
            }
            for view in status.views
        ],
        "wrong": [{"stack": stack or None, "text": text} for stack, text in _wrong(status)],
    }
