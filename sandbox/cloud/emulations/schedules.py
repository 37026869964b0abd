"""EventBridge Scheduler: schedules at a rate that invoke Lambda functions, on the modelled clock.

The first tick comes as soon as the schedule is there ("If you do not provide a StartDate for a rate-based schedule,
your schedule starts invoking the target immediately", "Schedule types", EventBridge Scheduler user guide), and one
period after it was enabled or got another rate (assumption). A tick in a lost region is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from moto.scheduler.exceptions import ValidationException
from moto.scheduler.models import EventBridgeSchedulerBackend, Schedule

from sandbox.cloud.access import queue_needs
from sandbox.cloud.access.policy import Need
from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations import access, functions, queues
from sandbox.cloud.emulations.measurements import record
from sandbox.cloud.emulations.patching import replace

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_MINUTES = {"minute": 1, "hour": 60, "day": 1440}


@dataclass(frozen=True)
class Plan:
    """When a schedule ticks: at `start` (modelled epoch seconds) if it is new, and every `period` modelled minutes."""

    start: float
    period: float

    def time(self, tick: int) -> float:
        """Modelled epoch seconds of the tick; that of a new schedule's beginning is number 0."""
        return self.start + tick * self.period * 60

    def next_tick(self, now: float) -> int:
        """The first tick after `now` that isn't the beginning."""
        return max(1, int((now - self.start) / (self.period * 60)) + 1)


class Schedules:
    """What makes schedules tick."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._plans: dict[str, Plan] = {}  # of enabled schedules, by ARN

    def changed(self, schedule: Schedule, region: str, *, new: bool) -> None:
        """Start, stop or re-time the ticks; a schedule whose rate stays the same keeps its beat."""
        if schedule.state != "ENABLED":
            self.removed(schedule)
            return
        period = period_of(schedule.schedule_expression)
        known = self._plans.get(schedule.arn)
        if known is None or known.period != period:
            plan = self._plans[schedule.arn] = Plan(self.cloud.clock.epoch(), period)
            self._wait(schedule, region, plan, 0 if new else 1)

    def removed(self, schedule: Schedule) -> None:
        """No tick begins from now on; one that runs goes on."""
        self._plans.pop(schedule.arn, None)

    def _wait(self, schedule: Schedule, region: str, plan: Plan, tick: int) -> None:
        due = max(0.0, plan.time(tick) - self.cloud.clock.epoch()) / 60
        self.cloud.after(due, lambda: self._tick(schedule, region, plan, tick), f"tick of {schedule.name}")

    def _tick(self, schedule: Schedule, region: str, plan: Plan, tick: int) -> None:
        if self._plans.get(schedule.arn) is not plan:
            return
        self._wait(schedule, region, plan, plan.next_tick(self.cloud.clock.epoch()))
        if not self.cloud.is_cut(region):
            self._invoke(schedule, datetime.fromtimestamp(plan.time(tick), UTC))

    def _invoke(self, schedule: Schedule, at: datetime) -> None:
        arn = schedule.target["Arn"]
        function = functions.by_arn(arn)
        _count(schedule, "InvocationAttemptCount")
        if function is None:
            self._give_up(schedule)
            functions.running().failed(arn.rpartition(":")[2], arn.split(":")[3], f"Function not found: {arn}")
            return
        refusal = access.running().ask(schedule.target["RoleArn"], [Need("lambda:InvokeFunction", arn)])
        if refusal is not None:
            self._give_up(schedule)
            functions.running().failed(arn.rpartition(":")[2], arn.split(":")[3], refusal.message)
            return
        event = str(schedule.target.get("Input") or "{}")
        for name, value in {
            "<aws.scheduler.scheduled-time>": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "<aws.scheduler.schedule-arn>": schedule.arn,
            "<aws.scheduler.execution-id>": str(uuid4()),
            "<aws.scheduler.attempt-number>": "1",
        }.items():
            event = event.replace(name, value)
        functions.running().invoke_later(function, event.encode())

    @staticmethod
    def _give_up(schedule: Schedule) -> None:
        """A target that isn't there: no retry is modelled; the event goes to the dead-letter queue, if there is one."""
        _count(schedule, "TargetErrorCount")
        _count(schedule, "InvocationDroppedCount")
        queue = (schedule.target.get("DeadLetterConfig") or {}).get("Arn")
        if queue:
            needs = queue_needs.using(queue, "SendMessage")
            allowed = access.running().ask(schedule.target["RoleArn"], needs) is None
            sent = allowed and queues.put_aside(queue, str(schedule.target.get("Input") or "{}"))
            failed = "InvocationsFailedToBeSentToDeadLetterCount"
            _count(schedule, "InvocationsSentToDeadLetterCount" if sent else failed)


def _count(schedule: Schedule, name: str) -> None:
    """AWS/Scheduler: "Monitoring Amazon EventBridge Scheduler with Amazon CloudWatch", user guide."""
    region = schedule.arn.split(":")[3]
    record(region, "AWS/Scheduler", name, {"ScheduleGroup": str(schedule.group_name)}, 1.0, "Count")


def period_of(expression: str) -> float:
    """Modelled minutes between ticks; only rates are modelled."""
    found = _RATE.fullmatch(expression)
    if found is None:
        raise NotImplementedError(f"the sandbox's schedules have no {expression}")
    if int(found[1]) == 0:
        raise ValidationException(f"Invalid Schedule Expression {expression}.")
    return float(found[1]) * _MINUTES[found[2]]


def install(cloud: Cloud) -> None:
    """Make moto's schedules tick."""
    schedules = Schedules(cloud)
    create, update = EventBridgeSchedulerBackend.create_schedule, EventBridgeSchedulerBackend.update_schedule
    delete = EventBridgeSchedulerBackend.delete_schedule

    def create_schedule(self: EventBridgeSchedulerBackend, **wanted: Any) -> Schedule:
        _check(wanted, self.region_name)
        schedule = create(self, **wanted)
        schedules.changed(schedule, self.region_name, new=True)
        return schedule

    def update_schedule(self: EventBridgeSchedulerBackend, **wanted: Any) -> Schedule:
        _check(wanted, self.region_name)
        schedule = update(self, **{**wanted, "state": wanted["state"] or "ENABLED"})
        schedules.changed(schedule, self.region_name, new=False)
        return schedule

    def delete_schedule(self: EventBridgeSchedulerBackend, group_name: str | None, name: str) -> None:
        schedule = self.get_schedule(group_name, name)
        delete(self, group_name, name)
        schedules.removed(schedule)

    replace(
        EventBridgeSchedulerBackend,
        create_schedule=create_schedule,
        update_schedule=update_schedule,
        delete_schedule=delete_schedule,
    )


def _check(wanted: dict[str, Any], region: str) -> None:
    """Refuse what AWS refuses, and what is not modelled."""
    period_of(wanted["schedule_expression"])
    if (wanted["flexible_time_window"] or {}).get("Mode") != "OFF":
        raise NotImplementedError("the sandbox's schedules have no flexible time window")
    if wanted.get("start_date") or wanted.get("end_date"):
        raise NotImplementedError("the sandbox's schedules have no start or end date")
    target = wanted["target"]
    if target["Arn"].split(":")[2] != "lambda":
        raise NotImplementedError(f"the sandbox's schedules cannot invoke {target['Arn']}")
    # On behalf of the schedule's group ("Confused deputy prevention", EventBridge Scheduler user guide).
    group = f"arn:aws:scheduler:{region}:{ACCOUNT}:schedule-group/{wanted.get('group_name') or 'default'}"
    if not access.may_assume(target["RoleArn"], "scheduler.amazonaws.com", group):
        raise ValidationException(
            "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
        )
