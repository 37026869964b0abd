"""Alarms as seen from outside: topics with confirmed addressees, states, and the mails that were captured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.sandbox.traffic_world import World, wait

ACCOUNT = "123456789012"
ON_CALL = "on-call@example.org"
SECONDS = 20.0  # within which an alarm changes: several modelled minutes, and a busy machine


@dataclass
class Lab:
    """One region's alarms in a running world."""

    world: World
    region: str

    def client(self, service: str) -> Any:
        return self.world.client(service, self.region)

    @property
    def cloudwatch(self) -> Any:
        return self.client("cloudwatch")

    # -- topics -----------------------------------------------------------------------------------------------
    def key(self, *actions: str, service: str = "cloudwatch.amazonaws.com") -> str:
        """A key whose policy lets `service` do these actions, and the account everything."""
        own = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*"}
        other = {"Effect": "Allow", "Principal": {"Service": service}, "Action": list(actions)}
        statements = [{**statement, "Resource": "*"} for statement in ([own, other] if actions else [own])]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        return str(self.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"])

    def topic(self, name: str, key: str | None = None, endpoint: str | None = ON_CALL) -> str:
        """A topic, with a confirmed addressee unless `endpoint` is None."""
        sns = self.client("sns")
        arn = str(sns.create_topic(Name=name, Attributes={"KmsMasterKeyId": key} if key else {})["TopicArn"])
        if endpoint:
            sns.subscribe(TopicArn=arn, Protocol="email", Endpoint=endpoint, ReturnSubscriptionArn=True)
            self.world.control("POST", "confirm", {"endpoint": endpoint})
        return arn

    def mails(self, alarm: str | None = None, state: str | None = None) -> list[dict[str, Any]]:
        """Captured notifications with their parsed message, of one alarm and new state if given."""
        found = [
            {**entry, "message": json.loads(entry["message"])}
            for entry in self.world.control("GET", "notifications")
            if entry["region"] == self.region
        ]
        return [
            entry
            for entry in found
            if alarm in (None, entry["message"]["AlarmName"]) and state in (None, entry["message"]["NewStateValue"])
        ]

    def mail(self, alarm: str, state: str = "ALARM") -> dict[str, Any]:
        """The first mail about an alarm's change to a state, once it has come."""
        found = wait(lambda: self.mails(alarm, state), SECONDS, f"a mail: {alarm} is {state}", lambda: self.told(alarm))
        return found[0]

    # -- alarms -----------------------------------------------------------------------------------------------
    def put(self, name: str, **settings: Any) -> None:
        """A metric alarm: more than 0 in one minute, unless told otherwise."""
        defaults = {
            "Statistic": "Maximum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 0.0,
            "ComparisonOperator": "GreaterThanThreshold",
        }
        if "Metrics" in settings:
            defaults = {key: value for key, value in defaults.items() if key not in ("Statistic", "Period")}
        self.cloudwatch.put_metric_alarm(AlarmName=name, **(defaults | settings))

    def described(self, name: str) -> dict[str, Any]:
        found = self.cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        return dict([*found["MetricAlarms"], *found["CompositeAlarms"]][0])

    def state(self, name: str) -> str:
        return str(self.described(name)["StateValue"])

    def becomes(self, name: str, state: str) -> None:
        """Wait for a state."""
        wait(lambda: self.state(name) == state, SECONDS, f"{name} to be {state}", lambda: self.told(name))

    def told(self, name: str) -> Any:
        """What a failed wait shows."""
        return self.described(name), self.history(name)[:5], self.world.control("GET", "status")["errors"][:3]

    def history(self, name: str) -> list[str]:
        items = self.cloudwatch.describe_alarm_history(AlarmName=name)["AlarmHistoryItems"]
        return [item["HistorySummary"] for item in items]

    # -- metrics ----------------------------------------------------------------------------------------------
    def latest(self, namespace: str, name: str, statistic: str = "Maximum", **dimensions: str) -> float | None:
        """The newest value of the last two modelled hours, of exactly these dimensions."""
        now = self.world.clock.now()
        points = self.cloudwatch.get_metric_statistics(
            Namespace=namespace,
            MetricName=name,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=now - timedelta(hours=2),
            EndTime=now,
            Period=60,
            Statistics=[statistic],
        )["Datapoints"]
        newest = max(points, key=lambda point: point["Timestamp"], default=None)
        return None if newest is None else float(newest[statistic])

    def shows(self, namespace: str, name: str, value: float, statistic: str = "Maximum", **dimensions: str) -> None:
        """Wait until a metric's newest value is this one."""
        wait(
            lambda: self.latest(namespace, name, statistic, **dimensions) == value,
            SECONDS,
            f"{name} {dimensions} = {value}",
            lambda: (self.listed(namespace), self.latest(namespace, name, statistic, **dimensions)),
        )

    def listed(self, namespace: str) -> list[dict[str, Any]]:
        """The region's series of a namespace."""
        return list(self.cloudwatch.list_metrics(Namespace=namespace)["Metrics"])

    def has(self, namespace: str, name: str, **dimensions: str) -> bool:
        """Whether such a series was ever published."""
        wanted = [{"Name": key, "Value": value} for key, value in sorted(dimensions.items())]
        return any(found["MetricName"] == name and found["Dimensions"] == wanted for found in self.listed(namespace))

    def minutes_pass(self, minutes: float) -> None:
        """Wait until so much modelled time has gone."""
        end = datetime.now(UTC) + timedelta(seconds=self.world.clock.seconds(minutes))
        wait(lambda: datetime.now(UTC) > end, SECONDS, f"{minutes} modelled minutes")
