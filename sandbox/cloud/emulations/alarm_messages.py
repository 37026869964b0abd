"""What CloudWatch writes: an alarm's message to a topic, its subject, and the JSON beside a state's reason.

Shapes as in messages published by many: "Sample Amazon SNS notification" in the CloudWatch user guide and mails quoted
in public repositories.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from botocore.loaders import Loader

from sandbox.cloud.context import ACCOUNT

MOST_SUBJECT = 100  # characters; SNS API reference, Publish
_KEPT = ("Period", "EvaluationPeriods", "DatapointsToAlarm", "ComparisonOperator", "Threshold", "TreatMissingData")


def stamp(moment: datetime) -> str:
    """A moment as these messages write it: 2026-11-23T22:10:31.482+0000."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"


@cache
def region_name(region: str) -> str:
    """EU (Ireland) for eu-west-1."""
    known = Loader().load_data("endpoints")["partitions"][0]["regions"]
    return str(known[region]["description"]).replace("Europe", "EU")


def subject(name: str, state: str, region: str) -> str:
    """The mail's subject."""
    return f'{state}: "{name}" in {region_name(region)}'[:MOST_SUBJECT]


def message(definition: Mapping[str, Any], arn: str, change: Mapping[str, Any], children: Sequence[Any]) -> str:
    """The text; `change` has new, old, reason, at and updated, `children` are a composite alarm's that made it."""
    head = {
        "AlarmName": definition["AlarmName"],
        "AlarmDescription": definition.get("AlarmDescription"),
        "AWSAccountId": ACCOUNT,
        "AlarmConfigurationUpdatedTimestamp": stamp(change["updated"]),
        "NewStateValue": change["new"],
        "NewStateReason": change["reason"],
        "StateChangeTime": stamp(change["at"]),
        "Region": region_name(arn.split(":")[3]),
        "AlarmArn": arn,
        "OldStateValue": change["old"],
        **{name: definition[name] for name in ("OKActions", "AlarmActions", "InsufficientDataActions")},
    }
    if "AlarmRule" in definition:
        return json.dumps({**head, "AlarmRule": definition["AlarmRule"], "TriggeringChildren": list(children)})
    return json.dumps({**head, "Trigger": _trigger(definition)})


def _trigger(definition: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: definition[name] for name in _KEPT if name in definition}
    common = {"TreatMissingData": "", "EvaluateLowSampleCountPercentile": "", **kept}
    if "Metrics" in definition:
        return {**common, "Metrics": [_query(query) for query in definition["Metrics"]]}
    extended = definition.get("ExtendedStatistic")
    statistic = (
        {"StatisticType": "ExtendedStatistic", "ExtendedStatistic": extended}
        if extended
        else {"StatisticType": "Statistic", "Statistic": str(definition["Statistic"]).upper()}
    )
    return {
        "MetricName": definition["MetricName"],
        "Namespace": definition["Namespace"],
        **statistic,
        "Unit": definition.get("Unit"),
        "Dimensions": _dimensions(definition.get("Dimensions")),
        **common,
    }


def _query(query: Mapping[str, Any]) -> dict[str, Any]:
    shown = {**query, "ReturnData": query.get("ReturnData", True)}
    if wanted := query.get("MetricStat"):
        metric = {**wanted["Metric"], "Dimensions": _dimensions(wanted["Metric"].get("Dimensions"))}
        shown["MetricStat"] = {**wanted, "Metric": metric}
    return shown


def _dimensions(listed: Sequence[Mapping[str, str]] | None) -> list[dict[str, str]]:
    return [{"value": entry["Value"], "name": entry["Name"]} for entry in listed or []]
