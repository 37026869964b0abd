"""Alarms as plain data, and the one place that makes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import pulumi
import pulumi_aws as aws

from components import naming
from components.metrics import Reading

RUNBOOK: Final = "docs/alarms.md"
MINUTE: Final = 60
LONGEST_DESCRIPTION: Final = 1024
"""CloudWatch's limit (PutMetricAlarm, AlarmDescription)."""

Audience = Literal["on-call", "team-lead"]
Comparison = Literal["GreaterThanThreshold", "GreaterThanOrEqualToThreshold", "LessThanThreshold"]
Missing = Literal["missing", "ignore", "breaching", "notBreaching"]


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What is watched, from when on it is bad, and what to tell whom.

    `readings` by id; `expression` combines them and may be left out for one. It is bad when that compares so with
    `threshold` in all of `periods` periods of `seconds`. `missing`: what a period without data means. `section` is the
    part of the runbook. `follows_flag`: something of it differs between standing by and serving, so that a flip changes
    it, after the takeover. `tell_without_data`: the team lead hears when there is nothing to judge by.
    """

    noun: str
    section: str
    wrong: str
    do: str
    audience: Audience
    readings: Mapping[str, Reading]
    expression: str | None = None
    comparison: Comparison
    threshold: float
    seconds: int
    periods: int
    missing: Missing
    follows_flag: bool = False
    tell_without_data: bool = False

    @property
    def description(self) -> str:
        """What the message says. Raises ValueError where CloudWatch would refuse it."""
        text = f"{self.wrong} {self.do} {RUNBOOK}#{self.section}"
        if len(text) > LONGEST_DESCRIPTION:
            raise ValueError(f"the description of the alarm {self.noun} has {len(text)} characters of 1,024")
        return text


@dataclass(frozen=True)
class Topics:
    """Where messages go, by audience."""

    on_call: pulumi.Input[str]
    team_lead: pulumi.Input[str]

    def of(self, audience: Audience) -> pulumi.Input[str]:
        """The topic's ARN."""
        return self.on_call if audience == "on-call" else self.team_lead


@dataclass(frozen=True, kw_only=True)
class Alarms:
    """Makes alarms below `parent`. `region` is None in the stack's own; the topics are in the same one.

    `after`: what an alarm that follows the flag waits for.
    """

    parent: pulumi.Resource
    name: str
    short_name: str
    tags: naming.Tags
    topics: Topics
    region: str | None
    after: Sequence[pulumi.Resource]

    def make(self, watch: Watch) -> aws.cloudwatch.MetricAlarm:
        """The alarm, with messages when it begins and when it is over."""
        topic = self.topics.of(watch.audience)
        single = next(iter(watch.readings.values())) if watch.expression is None else None
        percentile = single is not None and single.statistic.startswith("p")
        return aws.cloudwatch.MetricAlarm(
            f"{self.name}-{watch.noun}",
            region=self.region,
            name=naming.physical(self.short_name, watch.noun, "alarm"),
            alarm_description=watch.description,
            namespace=single.metric.namespace if single else None,
            metric_name=single.metric.name if single else None,
            dimensions=dict(single.dimensions) if single else None,
            statistic=single.statistic if single and not percentile else None,
            extended_statistic=single.statistic if single and percentile else None,
            period=watch.seconds if single else None,
            metric_queries=None if single else _queries(watch),
            comparison_operator=watch.comparison,
            threshold=watch.threshold,
            evaluation_periods=watch.periods,
            treat_missing_data=watch.missing,
            alarm_actions=[topic],
            ok_actions=[topic],
            insufficient_data_actions=[self.topics.team_lead] if watch.tell_without_data else None,
            tags=dict(self.tags),
            # Before the takeover a promotion has better to do, and what is watched is not there yet.
            opts=pulumi.ResourceOptions(
                parent=self.parent, depends_on=list(self.after) if watch.follows_flag else None
            ),
        )

    def any_of(
        self, noun: str, section: str, wrong: str, do: str, alarms: Sequence[aws.cloudwatch.MetricAlarm]
    ) -> aws.cloudwatch.CompositeAlarm:
        """One alarm for who is on call that stands as soon as one of `alarms` does."""
        rule = pulumi.Output.all(*(alarm.name for alarm in alarms)).apply(
            lambda names: " OR ".join(f'ALARM("{name}")' for name in names)
        )
        return aws.cloudwatch.CompositeAlarm(
            f"{self.name}-{noun}",
            alarm_name=naming.physical(self.short_name, noun, "alarm"),
            alarm_description=f"{wrong} {do} {RUNBOOK}#{section}",
            alarm_rule=rule,
            alarm_actions=[self.topics.on_call],
            ok_actions=[self.topics.on_call],
            tags=dict(self.tags),
            opts=pulumi.ResourceOptions(parent=self.parent),
        )


def _queries(watch: Watch) -> list[aws.cloudwatch.MetricAlarmMetricQueryArgs]:
    """The readings and, last, the expression, which alone is judged."""
    readings = [
        aws.cloudwatch.MetricAlarmMetricQueryArgs(
            id=name,
            return_data=False,
            metric=aws.cloudwatch.MetricAlarmMetricQueryMetricArgs(
                namespace=reading.metric.namespace,
                metric_name=reading.metric.name,
                dimensions=dict(reading.dimensions),
                period=watch.seconds,
                stat=reading.statistic,
            ),
        )
        for name, reading in watch.readings.items()
    ]
    judged = aws.cloudwatch.MetricAlarmMetricQueryArgs(
        id="judged", expression=watch.expression, label=watch.noun, return_data=True
    )
    return [*readings, judged]
