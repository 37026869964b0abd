"""`dr status`: both stacks at a glance, all asked at once, without waiting for a region that does not answer."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pulumi
from botocore.exceptions import BotoCoreError, ClientError

import scripts
from components import naming, origins
from components.facts import Facts
from components.guards import FIRST_EPOCH
from components.witness import MARKER_KEY, TAKEN_OVER
from scripts import console, project
from scripts.errors import DrError
from scripts.project import Project
from scripts.promotion import data, leftovers, locks, public, running
from scripts.promotion.concurrently import NoAnswer, ask
from scripts.promotion.data import Data
from scripts.promotion.preflight import HEALTH_PATH
from scripts.promotion.site import Site, answered_at
from scripts.rehearsal.sources import Source

# Real seconds. All questions together are given SECONDS, less where the start of the command took long: WHOLE is from
# its start to the last answer, so that what is printed is there before five. With less than LEAST nothing would answer.
WHOLE = 4.2
SECONDS = 2.5
LEAST = 1.5
EXPECTED = (ClientError, BotoCoreError, NoAnswer, DrError, pulumi.RunError)


@dataclass
class View:
    """One stack as far as it could be seen. None: not known; `silent`: what its region did not answer, and why."""

    stack: str
    region: str
    standby: bool | None = None
    frozen: bool = False
    epoch: int | None = None
    began: datetime | None = None  # the first deployment
    deployed_at: datetime | None = None  # the last one
    took_over: datetime | None = None
    databases: list[str] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)

    @property
    def role(self) -> str:
        return "frozen" if self.frozen else {None: "unknown", True: "standing by", False: "serving"}[self.standby]

    @property
    def since(self) -> tuple[datetime, str] | None:
        """Since when it serves, and by what: a takeover, or its first deployment where it has never stood by."""
        if self.took_over is not None:
            return self.took_over, "took over"
        return (self.began, "first deployed") if self.began is not None and self.epoch == FIRST_EPOCH else None


@dataclass
class Status:
    """Both stacks, who answers under the public name, and what would be lost now.

    `data`: what a promotion would serve, None for the reason `without`. `tolerated`: the loss that is planned with it.
    `copy`: the newest usable one with the time of its data; there are copies beside every other source, too.
    """

    domain: str
    answer: public.Answer
    views: list[View]
    now: datetime | None = None  # by AWS's clock
    data: Data | None = None
    without: str = "the standby region did not say"
    tolerated: timedelta = timedelta(0)
    copy: tuple[str, datetime] | None = None
    planned: timedelta = timedelta(0)  # age of the copies

    @property
    def rpo(self) -> timedelta | None:
        """What would be lost with the primary now."""
        return None if self.data is None or self.now is None else self.data.age(self.now)

    @property
    def copy_age(self) -> timedelta | None:
        return None if self.copy is None or self.now is None else self.now - self.copy[1]

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
        asked["data"] = lambda: _data(site, view, status)
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
    view.frozen = outputs.get("frozen") is True
    view.began = _moment(leftovers.began(document))
    view.deployed_at = _moment(document["deployment"].get("manifest", {}).get("time"))
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
        view.took_over = found["LastModified"]


def _databases(site: Site, view: View) -> None:
    pages = site.client("rds").get_paginator("describe_db_instances").paginate()
    for entry in (entry for page in pages for entry in page["DBInstances"]):
        if {"Key": "Stack", "Value": site.stack.stack} in entry.get("TagList", []):
            view.databases.append(f"{entry['DBInstanceIdentifier']} {entry['DBInstanceStatus']}")


def _services(site: Site, view: View) -> None:
    for entry in running.services(site):
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


def _data(site: Site, view: View, status: Status) -> None:
    """What a promotion would serve. AWS's clock is the one that dates it."""
    status.now = answered_at(site.client("sts").get_caller_identity())
    facts, database = site.facts(watching=True), site.settings.database
    status.planned = timedelta(minutes=database.rpo_minutes)
    status.tolerated = timedelta(minutes=database.tolerated_loss_minutes)
    try:
        status.data = data.of(site.promoted, facts)
    except pulumi.RunError:
        status.without = "there is no usable copy"
        view.wrong.append("no usable copy: a promotion would be refused")
    else:
        if status.data is None:
            status.without = "the standby's own database is there already"
            return
        if status.data.source != database.standby_source:
            view.wrong.append(f"a promotion would take {status.data.what}, not {database.standby_source}")
    faults = {copy.identifier: origins.unusable_because(site.promoted, copy, facts) for copy in facts.copies}
    usable = [
        (copy.identifier, copy.original_created_at)
        for copy in facts.copies
        if faults[copy.identifier] is None and copy.original_created_at
    ]
    status.copy = max(usable, key=lambda copy: copy[1], default=None)
    view.wrong += _copy_faults(facts, faults)


def _copy_faults(facts: Facts, faults: Mapping[str, str | None]) -> Iterator[str]:
    """Copies that a promotion passes over, apart from those that are on their way and of other databases."""
    for copy in facts.copies:
        fault = faults[copy.identifier]
        if fault is not None and copy.made_by in naming.SNAPSHOT_MAKERS and copy.status != "creating":
            yield f"copy {copy.identifier}: {fault}"


def _moment(said: str | None) -> datetime | None:
    return None if said is None else datetime.fromisoformat(said).astimezone(UTC)


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
    yield from (("", text) for text in _old_data(status))
    for view in status.views:
        if view.frozen:
            yield view.stack, "frozen: people see the crisis page and nobody writes; `dr thaw` lets it go on"
        by_reason: dict[str, list[str]] = {}
        for what, why in view.silent.items():
            by_reason.setdefault(why, []).append(what)
        for why, what_not in by_reason.items():
            yield view.stack, f"{view.region}: {why} ({', '.join(what_not)})"
        for text in view.wrong:
            yield view.stack, text


def _old_data(status: Status) -> Iterator[str]:
    if status.data is not None and status.rpo is None:
        yield f"how far {status.data.what} is behind is unknown"
    if status.data is not None and status.rpo is not None and status.rpo > status.tolerated:
        limit = data.duration(status.tolerated)
        yield f"{status.data.what} is {data.duration(status.rpo)} behind, planned are at most {limit}"
    elsewhere = status.data is not None and status.data.source is not Source.COPIES
    if elsewhere and status.copy_age is not None and status.copy_age > status.planned:
        limit = data.duration(status.planned)
        yield f"the newest usable copy is {data.duration(status.copy_age)} old, planned are at most {limit}"
    if elsewhere and status.copy is None:
        yield "no usable copy beside it: what is corrupted there is corrupted everywhere"


def show(status: Status) -> None:
    """For people."""
    serving = status.serving
    if serving is None:
        console.plain(f"{status.domain}: nobody serves")
    else:
        since = " since {:%Y-%m-%d %H:%M} UTC ({})".format(*serving.since) if serving.since else ""
        how = "frozen at" if serving.frozen else "served by"
        console.plain(f"{status.domain}: {how} {serving.stack} ({serving.region}){since}, epoch {serving.epoch}")
    for view in status.views:
        deployed = f"last deployed {view.deployed_at:%Y-%m-%d %H:%M} UTC" if view.deployed_at else ""
        seen = "; ".join(filter(None, (deployed, ", ".join(view.databases), ", ".join(view.services))))
        console.plain(f"  {view.stack:14} {view.region:12} {view.role:12} epoch {view.epoch or '?'}  {seen or '–'}")
    console.plain(f"RPO now: {_rpo(status)}")
    wrong = list(_wrong(status))
    for stack, text in wrong:
        console.plain(f"  ! {stack + ': ' if stack else ''}{text}")
    if not wrong:
        console.plain("Nothing is wrong.")


def _rpo(status: Status) -> str:
    if status.data is None:
        serving = status.serving
        if serving is not None and serving.took_over is not None:
            return f"everything: {serving.stack} serves and protects nobody"
        return f"unknown: {status.without}"
    told = f"{data.duration(status.rpo) if status.rpo is not None else 'unknown'} ({status.data.what})"
    if status.serving is None and status.data.lost is not None:
        told += f"; to the primary's last sign of life {data.duration(status.data.lost)}"
    if status.data.source is not Source.COPIES and status.copy is not None and status.copy_age is not None:
        told += f"; newest copy {data.duration(status.copy_age)} ({status.copy[0]})"
    return told


def _minutes(time: timedelta | None) -> float | None:
    return None if time is None else round(time.total_seconds() / 60, 1)


def document(status: Status) -> dict[str, Any]:
    """For programs."""
    serving = status.serving
    return {
        "domain": status.domain,
        "serving": serving.stack if serving else None,
        "since": serving.since[0] if serving and serving.since else None,
        "now": status.now,
        "data": status.data.as_json() if status.data else None,
        "rpo_minutes": _minutes(status.rpo),
        "loss_minutes": _minutes(status.data.lost) if status.data else None,
        "newest_copy": status.copy[0] if status.copy else None,
        "copy_minutes": _minutes(status.copy_age),
        "stacks": [
            {
                "stack": view.stack,
                "region": view.region,
                "role": view.role,
                "frozen": view.frozen,
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
