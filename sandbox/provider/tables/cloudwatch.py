"""CloudWatch: metric alarms, composite alarms, dashboards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider.operation import Operation
from sandbox.provider.table import Description, Failure, Field, Resource, Tags, call, f, fields, update

_ACTIONS: Final = fields("alarmActions insufficientDataActions", unordered=True)
_OK_ACTIONS: Final = f("okActions", "OKActions", unordered=True)
_ARN: Final = {"ResourceARN": lambda op: op.known("arn")}
# An alarm's tags are taken at its creation and by these calls, never by a later PutMetricAlarm.
_TAGS: Final = Tags(read=call("list_tags_for_resource", _ARN, "Tags"), target=_ARN)


def _pairs(dimensions: Mapping[str, str] | None) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in sorted((dimensions or {}).items())]


def _map(pairs: list[dict[str, str]] | None) -> dict[str, str] | None:
    return {pair["Name"]: pair["Value"] for pair in pairs or []} or None


def _dimensions() -> Field:
    return f("dimensions", encode=_pairs, decode=_map)


def _query(given: Mapping[str, Any]) -> dict[str, Any]:
    query: dict[str, Any] = {"Id": given["id"], "ReturnData": bool(given.get("returnData"))}
    for name, member in (("expression", "Expression"), ("label", "Label")):
        if given.get(name):
            query[member] = given[name]
    if metric := given.get("metric"):
        query["MetricStat"] = {
            "Metric": {
                "Namespace": metric["namespace"],
                "MetricName": metric["metricName"],
                "Dimensions": _pairs(metric.get("dimensions")),
            },
            "Period": int(metric["period"]),
            "Stat": metric["stat"],
        }
    return query


def _told(query: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
    for name, member in (("expression", "Expression"), ("label", "Label")):
        if query.get(member):
            told[name] = query[member]
    if stat := query.get("MetricStat"):
        metric = stat["Metric"]
        told["metric"] = {
            "namespace": metric["Namespace"],
            "metricName": metric["MetricName"],
            "period": stat["Period"],
            "stat": stat["Stat"],
            "dimensions": _map(metric.get("Dimensions")),
        }
    return told


def _create_alarm(op: Operation) -> str:
    op.call(call("put_metric_alarm"), op.creating_fields(), op.tags_at_create())
    return str(op.inputs["name"])


def _described(kind: str) -> Any:
    """A composite alarm is described only to who asks for that kind."""

    def read(op: Operation) -> Description | None:
        found = op.api("describe_alarms", AlarmNames=[op.id], AlarmTypes=[kind])[f"{kind}s"]
        return dict(found[0]) if found else None

    return read


def _judges_something(inputs: Mapping[str, Any]) -> list[Failure]:
    """PutMetricAlarm, CloudWatch API reference: one metric, or several of which one returns data."""
    queries = inputs.get("metricQueries")
    if bool(queries) == bool(inputs.get("metricName")):
        return [("metricName", "an alarm has either a metric or metric queries")]
    if queries and sum(bool(query.get("returnData")) for query in queries) != 1:
        return [("metricQueries", "exactly one metric query returns data")]
    if not queries and bool(inputs.get("statistic")) == bool(inputs.get("extendedStatistic")):
        return [("statistic", "an alarm on a metric has either a statistic or an extended statistic")]
    seconds = int(inputs.get("period") or 0) * int(inputs["evaluationPeriods"])
    if seconds > 24 * 3600 and int(inputs.get("period") or 0) < 3600:
        return [("evaluationPeriods", "an alarm with a period below an hour looks back one day at most")]
    return []


_QUERY: Final = (
    *fields("id expression label"),
    f("returnData", default=False),
    f("metric", block=(*fields("namespace metricName period stat"), f("dimensions"))),
)
METRIC_ALARM: Final = Resource(
    token="aws:cloudwatch/metricAlarm:MetricAlarm",
    service="cloudwatch",
    create=_create_alarm,
    read=_described("MetricAlarm"),
    delete=call("delete_alarms", {"AlarmNames": ["$id"]}),
    inputs=(
        f("name", "AlarmName", replace=True),
        *fields("alarmDescription namespace metricName statistic extendedStatistic period"),
        _dimensions(),
        f(
            "metricQueries",
            "Metrics",
            unordered=True,
            block=_QUERY,
            encode=lambda queries: [_query(query) for query in queries],
            decode=lambda queries: [_told(query) for query in queries or []] or None,
        ),
        *fields("comparisonOperator threshold evaluationPeriods"),
        f("treatMissingData", default="missing"),
        *_ACTIONS,
        _OK_ACTIONS,
    ),
    outputs=(f("arn", read="AlarmArn"),),
    updates=(
        # An update replaces the whole alarm: what is left out falls back to AWS's default.
        update(
            "alarmDescription namespace metricName statistic extendedStatistic period dimensions metricQueries "
            "comparisonOperator threshold evaluationPeriods treatMissingData alarmActions insufficientDataActions "
            "okActions",
            call("put_metric_alarm", {"AlarmName": "$id"}),
        ),
    ),
    tags=_TAGS,
    missing=("ResourceNotFound", "ResourceNotFoundException"),
    physical_name="name",
    check=_judges_something,
)


def _create_composite(op: Operation) -> str:
    op.call(call("put_composite_alarm"), op.creating_fields(), op.tags_at_create())
    return str(op.inputs["alarmName"])


COMPOSITE_ALARM: Final = Resource(
    token="aws:cloudwatch/compositeAlarm:CompositeAlarm",
    service="cloudwatch",
    create=_create_composite,
    read=_described("CompositeAlarm"),
    delete=call("delete_alarms", {"AlarmNames": ["$id"]}),
    inputs=(f("alarmName", replace=True), *fields("alarmDescription alarmRule"), _ACTIONS[0], _OK_ACTIONS),
    outputs=(f("arn", read="AlarmArn"),),
    updates=(
        update("alarmDescription alarmRule alarmActions okActions", call("put_composite_alarm", {"AlarmName": "$id"})),
    ),
    tags=_TAGS,
    missing=("ResourceNotFound", "ResourceNotFoundException"),
    physical_name="alarmName",
)


def _put_dashboard(op: Operation) -> str:
    name = str(op.inputs["dashboardName"])
    op.api("put_dashboard", DashboardName=name, DashboardBody=op.inputs["dashboardBody"])
    return name


def _same_source(old: Any, new: Any) -> bool:
    """Unlike a policy, a dashboard's lists have an order."""
    return bool(json.loads(old or "{}") == json.loads(new or "{}"))


DASHBOARD: Final = Resource(
    token="aws:cloudwatch/dashboard:Dashboard",
    service="cloudwatch",
    create=_put_dashboard,
    read=call("get_dashboard", {"DashboardName": "$id"}),
    delete=call("delete_dashboards", {"DashboardNames": ["$id"]}),
    inputs=(f("dashboardName", replace=True), f("dashboardBody", equal=_same_source)),
    outputs=(f("dashboardArn"),),
    updates=(update("dashboardBody", _put_dashboard),),
    missing=("ResourceNotFound", "DashboardNotFoundError"),
    physical_name="dashboardName",
)

RESOURCES: Final = (METRIC_ALARM, COMPOSITE_ALARM, DASHBOARD)
