"""CloudWatch alarms: evaluated each modelled minute in the regions that are not cut, with their actions.

An action to a topic arrives only if CloudWatch may publish there and, where the topic is encrypted, use its key: what
fails is told as the event notification.failed and in the alarm's history, as in AWS, and nowhere else.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sandbox.cloud import alarm_evaluation, service_policy
from sandbox.cloud.alarm_evaluation import INSUFFICIENT, OK, Criteria, Point
from sandbox.cloud.alarm_rules import Rule
from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations import alarm_messages, keys, measurements, metrics, notifications

PUBLISHER = "cloudwatch.amazonaws.com"
# What publishing to an encrypted topic needs: "Encrypting messages published by AWS services", SNS developer guide.
KEY_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")
ACTIONS = {OK: "OKActions", alarm_evaluation.ALARM: "AlarmActions", INSUFFICIENT: "InsufficientDataActions"}
MOST_HISTORY = 100  # items of an alarm; AWS keeps two weeks

Definition = dict[str, Any]  # as the API puts and shows it


@dataclass
class Alarm:
    """A metric alarm, or with a rule a composite one. moto looks at name and alarm_arn."""

    region: str
    definition: Definition
    rule: Rule | None
    updated_at: datetime
    state_at: datetime
    state: str = INSUFFICIENT
    reason: str = "Unchecked: Initial alarm creation"
    reason_data: str | None = None
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.definition["AlarmName"])

    @property
    def alarm_arn(self) -> str:
        """Its ARN."""
        return f"arn:aws:cloudwatch:{self.region}:{ACCOUNT}:alarm:{self.name}"

    def shown(self) -> dict[str, Any]:
        """As DescribeAlarms shows it."""
        return {
            **self.definition,
            "AlarmArn": self.alarm_arn,
            "AlarmConfigurationUpdatedTimestamp": self.updated_at,
            "StateValue": self.state,
            "StateReason": self.reason,
            **({"StateReasonData": self.reason_data} if self.reason_data else {}),
            "StateUpdatedTimestamp": self.state_at,
            "StateTransitionedTimestamp": self.state_at,
        }

    def note(self, at: datetime, kind: str, summary: str) -> None:
        """Add an item to its history, the newest first."""
        item = {"AlarmName": self.name, "Timestamp": at, "HistoryItemType": kind, "HistorySummary": summary}
        self.history.insert(0, {**item, "AlarmType": "CompositeAlarm" if self.rule else "MetricAlarm"})
        del self.history[MOST_HISTORY:]

    @property
    def criteria(self) -> Criteria:
        """When it alarms."""
        periods = int(self.definition["EvaluationPeriods"])
        return Criteria(
            str(self.definition["ComparisonOperator"]),
            float(self.definition["Threshold"]),
            periods,
            int(self.definition.get("DatapointsToAlarm") or periods),
            str(self.definition.get("TreatMissingData") or "missing"),
        )

    def queries(self) -> tuple[list[metrics.Query], str, int]:
        """(its metrics and expressions, the id of the one that counts, the period in seconds)."""
        wanted = self.definition
        if "Metrics" not in wanted:
            names = ("Namespace", "MetricName", "Dimensions")
            metric = {name: wanted[name] for name in names if name in wanted}
            statistic = wanted.get("Statistic") or wanted["ExtendedStatistic"]
            unit = {"Unit": wanted["Unit"]} if wanted.get("Unit") else {}
            return [{"Id": "own", "MetricStat": {"Metric": metric, "Stat": statistic, **unit}}], "own", wanted["Period"]
        listed = wanted["Metrics"]
        counting = next(query["Id"] for query in listed if query.get("ReturnData", True))
        return listed, counting, period_of(listed)


def period_of(queries: list[Any]) -> int:
    """The period of metric math: that of its metrics, or what the expression itself says."""
    periods = (query.get("MetricStat", query).get("Period") for query in queries)
    return int(next(found for found in periods if found))


class Alarms:
    """All alarms of all regions."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.lock = threading.RLock()
        self._alarms: dict[tuple[str, str], Alarm] = {}

    # -- definitions ------------------------------------------------------------------------------------------
    def of(self, region: str) -> dict[str, Alarm]:
        """A region's alarms by name."""
        with self.lock:
            return {name: alarm for (found, name), alarm in self._alarms.items() if found == region}

    def put(self, region: str, definition: Definition, rule: Rule | None) -> Alarm:
        """Create an alarm, or replace all of one but its state (PutMetricAlarm, CloudWatch API reference)."""
        now = self._cloud.clock.now()
        key = region, str(definition["AlarmName"])
        with self.lock:
            known = self._alarms.get(key)
            if known is None:
                known = self._alarms[key] = Alarm(region, definition, rule, now, now)
            else:
                known.definition, known.rule, known.updated_at = definition, rule, now
            known.note(now, "ConfigurationUpdate", f'Alarm "{known.name}" created or updated')
        self.settle(region)
        return known

    def remove(self, region: str, names: list[str]) -> None:
        """Forget alarms; unknown names are fine."""
        with self.lock:
            for name in names:
                self._alarms.pop((region, name), None)

    # -- evaluation -------------------------------------------------------------------------------------------
    def evaluate(self, end: float) -> None:
        """Look at the periods that end at the modelled epoch `end`, in every living region."""
        with self.lock:
            found = list(self._alarms.values())
        for alarm in found:
            if alarm.rule is None and not self._cloud.is_cut(alarm.region):
                self._evaluate(alarm, end)
        for region in {alarm.region for alarm in found if alarm.rule and not self._cloud.is_cut(alarm.region)}:
            self.settle(region)

    def _evaluate(self, alarm: Alarm, end: float) -> None:
        criteria = alarm.criteria
        queries, counting, period = alarm.queries()
        store = measurements.running().store(alarm.region)
        starts = [end - period * back for back in range(criteria.range, 0, -1)]
        points = [metrics.results(store, queries, start, period)[counting] for start in starts]
        state = alarm_evaluation.evaluate(points, criteria, alarm.state)
        if state != alarm.state:
            moments = [datetime.fromtimestamp(start, UTC) for start in starts]
            reason = alarm_evaluation.reason(points, moments, criteria, alarm.state, state)
            self.change(alarm, state, reason, _reason_data(alarm, points, moments, self._cloud.clock.now()))

    def settle(self, region: str) -> None:
        """Bring the composite alarms up to date; one may depend on another, so until nothing changes."""
        composites = [(alarm, alarm.rule) for alarm in self.of(region).values() if alarm.rule]
        for _ in composites:
            if not [alarm for alarm, rule in composites if self._settle(alarm, rule)]:
                return

    def _settle(self, alarm: Alarm, rule: Rule) -> bool:
        known = self.of(alarm.region)
        children = [known[name] for name in rule.children if name in known]
        states = {child.name: child.state for child in children}
        state = alarm_evaluation.ALARM if rule.holds(lambda name: states.get(name, INSUFFICIENT)) else OK
        if state == alarm.state:
            return False
        latest = max(children, key=lambda child: child.state_at, default=None)
        if alarm.state == INSUFFICIENT or latest is None:
            reason = f"{alarm.alarm_arn} was created and its alarm rule evaluates to {state}"
        else:
            moment = f"{latest.state_at:%A %d %B, %Y %H:%M:%S} UTC"
            reason = f"{latest.alarm_arn} transitioned to {latest.state} at {moment}"
        self.change(alarm, state, reason, None, [_child(child) for child in children if child.state != OK])
        return True

    def change(
        self, alarm: Alarm, state: str, reason: str, data: str | None, children: list[dict[str, Any]] | None = None
    ) -> None:
        """Put an alarm into a state and do what it says for that."""
        now, before = self._cloud.clock.now(), alarm.state
        with self.lock:
            alarm.state, alarm.reason, alarm.reason_data, alarm.state_at = state, reason, data, now
            alarm.note(now, "StateUpdate", f"Alarm updated from {before} to {state}")
        self._cloud.emit(
            "alarm.changed", region=alarm.region, alarm=alarm.name, before=before, state=state, reason=reason
        )
        if not alarm.definition["ActionsEnabled"] or before == state:
            return
        told = {"new": state, "old": before, "reason": reason, "at": now, "updated": alarm.updated_at}
        text = alarm_messages.message(alarm.definition, alarm.alarm_arn, told, children or [])
        for arn in alarm.definition[ACTIONS[state]]:
            self._act(alarm, arn, alarm_messages.subject(alarm.name, state, alarm.region), text)

    # -- actions ----------------------------------------------------------------------------------------------
    def _act(self, alarm: Alarm, arn: str, subject: str, text: str) -> None:
        if arn.split(":")[2] == "sns":
            problem = self._obstacle(alarm, arn)
            if problem is not None:
                alarm.note(
                    self._cloud.clock.now(), "Action", f'Failed to execute action {arn}. Received error: "{problem}"'
                )
                self._cloud.emit("notification.failed", region=alarm.region, alarm=alarm.name, topic=arn, error=problem)
                return
            topic = notifications.topic(arn)
            if topic is not None:
                topic.publish(text, subject=subject)
        alarm.note(self._cloud.clock.now(), "Action", f"Successfully executed action {arn}")

    def _obstacle(self, alarm: Alarm, arn: str) -> str | None:
        """Why CloudWatch cannot publish to this topic; None where it can."""
        topic = notifications.topic(arn)
        if topic is None:
            return "Topic does not exist"
        own = {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": alarm.alarm_arn}
        if not service_policy.admits(topic.policy, PUBLISHER, "sns:Publish", {**own, "AWS:SourceOwner": ACCOUNT}):
            return (
                f"Resource: {alarm.alarm_arn} is not authorized to perform: SNS:Publish on resource: {arn} because no "
                "resource-based policy allows the SNS:Publish action"
            )
        if not topic.kms_master_key_id:
            return None
        # The AWS managed key's policy admits no service, and nobody can change it.
        managed = topic.kms_master_key_id.endswith("alias/aws/sns")
        key = None if managed else keys.find(alarm.region, topic.kms_master_key_id)
        usable = key is not None and str(key.key_state) == "Enabled"
        if (
            key is not None
            and usable
            and all(service_policy.admits(key.policy, PUBLISHER, a, own) for a in KEY_ACTIONS)
        ):
            return None
        return "CloudWatch Alarms does not have authorization to access the SNS topic encryption key."


def _child(alarm: Alarm) -> dict[str, Any]:
    return {
        "Arn": alarm.alarm_arn,
        "State": {"Value": alarm.state, "Timestamp": alarm_messages.stamp(alarm.state_at)},
    }


def _reason_data(alarm: Alarm, points: list[Point], starts: list[datetime], now: datetime) -> str:
    present = [(value, start) for value, start in zip(points, starts, strict=True) if value is not None]
    first = {"startDate": alarm_messages.stamp(present[0][1])} if present else {}
    return json.dumps(
        {
            "version": "1.0",
            "queryDate": alarm_messages.stamp(now),
            **first,
            "period": alarm.queries()[2],
            "recentDatapoints": [value for value, _ in present],
            "threshold": alarm.criteria.threshold,
        }
    )
