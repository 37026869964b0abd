"""The calls on CloudWatch alarms, metric and composite, with what AWS refuses. Their states are alarm_states.py's.

Not modelled, and refused: anomaly detection, periods under a minute, action suppressors, contributors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.cloudwatch.exceptions import ResourceNotFound, ValidationError
from moto.cloudwatch.models import CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult

from sandbox.cloud import alarm_rules, metric_math
from sandbox.cloud.alarm_evaluation import COMPARISONS, MISSING
from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations import metrics
from sandbox.cloud.emulations.alarm_states import ACTIONS, Alarm, Alarms, Definition, period_of
from sandbox.cloud.emulations.patching import refuse, replace

STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
MOST_ACTIONS = 5
DAY, WEEK, HOUR = 86_400, 604_800, 3_600
_UNMODELLED = (
    "ThresholdMetricId",
    "EvaluationWindow",
    "WarmUpConfiguration",
    "EvaluationCriteria",
    "EvaluationInterval",
    "ActionConfiguration",
    "ActionsSuppressor",
)


def install(cloud: Cloud) -> None:
    """Put alarms that are evaluated in the place of moto's."""
    alarms = Alarms(cloud)
    metrics.beat().listen(alarms.evaluate)
    _install_puts(alarms)
    _install_others(alarms)
    _install_backend(alarms)
    refuse(CloudWatchResponse, "describe_alarms_for_metric")


def _answer(name: str, handler: Callable[[CloudWatchResponse, dict[str, Any]], ActionResult]) -> None:
    """Answer an operation, also one that moto lacks: it looks for a method of that name."""
    setattr(CloudWatchResponse, name, lambda response: handler(response, response._get_params()))


def _install_puts(alarms: Alarms) -> None:
    def put(response: CloudWatchResponse, asked: dict[str, Any], rule: alarm_rules.Rule | None) -> ActionResult:
        tags = asked.pop("Tags", [])
        definition = {"ActionsEnabled": True, **dict.fromkeys(ACTIONS.values(), ()), **asked}
        definition |= {name: list(definition[name]) for name in ACTIONS.values()}
        _check_common(definition, response.region)
        known = str(asked["AlarmName"]) in alarms.of(response.region)
        alarm = alarms.put(response.region, definition, rule)
        if tags and not known:  # ignored by an update (PutMetricAlarm, API reference)
            response.cloudwatch_backend.tagger.tag_resource(alarm.alarm_arn, tags)
        return EmptyResult()

    def put_metric_alarm(response: CloudWatchResponse, asked: dict[str, Any]) -> ActionResult:
        check_metric_alarm(asked)
        return put(response, asked, None)

    def put_composite_alarm(response: CloudWatchResponse, asked: dict[str, Any]) -> ActionResult:
        try:
            rule = alarm_rules.parse(asked["AlarmRule"])
        except alarm_rules.MalformedRule as error:
            raise ValidationError(f"AlarmRule is not valid: {error}") from error
        unknown = [name for name in rule.children if name not in alarms.of(response.region)]
        if unknown:
            raise ValidationError(
                f"Could not save the composite alarm as alarms [{', '.join(unknown)}] in the alarm rule do not exist"
            )
        return put(response, asked, rule)

    _answer("put_metric_alarm", put_metric_alarm)
    _answer("put_composite_alarm", put_composite_alarm)


def _install_others(alarms: Alarms) -> None:
    def describe(response: CloudWatchResponse, asked: dict[str, Any]) -> ActionResult:
        kinds = asked.get("AlarmTypes") or ["MetricAlarm"]  # "If you omit this parameter, only metric alarms"
        found = [alarm for _, alarm in sorted(alarms.of(response.region).items()) if _is_asked_for(alarm, asked)]
        shown: dict[str, list[Any]] = {"MetricAlarms": [], "CompositeAlarms": []}
        for alarm in found:
            kind = "CompositeAlarm" if alarm.rule else "MetricAlarm"
            if kind in kinds:
                shown[f"{kind}s"].append(alarm.shown())
        return ActionResult(shown)

    def delete(response: CloudWatchResponse, asked: dict[str, Any]) -> ActionResult:
        names = list(asked["AlarmNames"])
        known = alarms.of(response.region)
        if sum(bool(known[name].rule) for name in names if name in known) > 1:
            raise ValidationError("You can delete at most one composite alarm in one operation.")
        for name in names:
            if any(
                name in rule.children for alarm in known.values() if (rule := alarm.rule) and alarm.name not in names
            ):
                raise ValidationError(f"Cannot delete {name} as there are composite alarm(s) depending on it.")
        response.cloudwatch_backend.delete_alarms(names)
        return EmptyResult()

    def set_state(response: CloudWatchResponse, asked: dict[str, Any]) -> ActionResult:
        alarm = alarms.of(response.region).get(asked["AlarmName"])
        if alarm is None:
            raise ResourceNotFound("Alarm not found")
        if asked["StateValue"] not in ACTIONS:
            raise ValidationError(f"Member must satisfy enum value set: [{', '.join(ACTIONS)}]")
        alarms.change(alarm, asked["StateValue"], asked["StateReason"], asked.get("StateReasonData"))
        alarms.settle(response.region)
        return EmptyResult()

    def history(response: CloudWatchResponse, asked: dict[str, Any]) -> ActionResult:
        items = [
            item
            for alarm in alarms.of(response.region).values()
            if asked.get("AlarmName") in (None, alarm.name)
            for item in alarm.history
            if asked.get("HistoryItemType") in (None, item["HistoryItemType"])
        ]
        return ActionResult({"AlarmHistoryItems": sorted(items, key=lambda item: item["Timestamp"], reverse=True)})

    def enable(wanted: bool) -> Callable[[CloudWatchResponse, dict[str, Any]], ActionResult]:
        def handler(response: CloudWatchResponse, asked: dict[str, Any]) -> ActionResult:
            for name, alarm in alarms.of(response.region).items():
                if name in asked["AlarmNames"]:
                    alarm.definition["ActionsEnabled"] = wanted
            return EmptyResult()

        return handler

    _answer("describe_alarms", describe)
    _answer("delete_alarms", delete)
    _answer("set_alarm_state", set_state)
    _answer("describe_alarm_history", history)
    _answer("enable_alarm_actions", enable(True))
    _answer("disable_alarm_actions", enable(False))


def _is_asked_for(alarm: Alarm, asked: dict[str, Any]) -> bool:
    actions = [arn for name in ACTIONS.values() for arn in alarm.definition[name]]
    prefix = str(asked.get("ActionPrefix") or "")
    return (
        (not asked.get("AlarmNames") or alarm.name in asked["AlarmNames"])
        and alarm.name.startswith(str(asked.get("AlarmNamePrefix") or ""))
        and asked.get("StateValue") in (None, alarm.state)
        and (not prefix or any(arn.startswith(prefix) for arn in actions))
    )


def _install_backend(alarms: Alarms) -> None:
    """What moto itself does: target tracking puts and deletes alarms, tagging asks for all of them."""
    names = {
        "name": "AlarmName",
        "namespace": "Namespace",
        "metric_name": "MetricName",
        "comparison_operator": "ComparisonOperator",
        "evaluation_periods": "EvaluationPeriods",
        "period": "Period",
        "threshold": "Threshold",
        "statistic": "Statistic",
        "description": "AlarmDescription",
        "dimensions": "Dimensions",
        "alarm_actions": "AlarmActions",
        "unit": "Unit",
    }

    def put(self: CloudWatchBackend, metric_data_queries: Any = None, **given: Any) -> Alarm:
        definition: Definition = {"ActionsEnabled": True, "OKActions": [], "InsufficientDataActions": []}
        return alarms.put(self.region_name, definition | {names[key]: value for key, value in given.items()}, None)

    def delete(self: CloudWatchBackend, alarm_names: list[str]) -> None:
        for name in alarm_names:
            self.tagger.delete_all_tags_for_resource(f"arn:aws:cloudwatch:{self.region_name}:{ACCOUNT}:alarm:{name}")
        alarms.remove(self.region_name, alarm_names)

    replace(
        CloudWatchBackend,
        put_metric_alarm=put,
        delete_alarms=delete,
        describe_alarms=lambda self: list(alarms.of(self.region_name).values()),
    )


# -- refusals -----------------------------------------------------------------------------------------------------
def _check_common(definition: Definition, region: str) -> None:
    if unknown := [name for name in _UNMODELLED if definition.get(name)]:
        raise NotImplementedError(f"the sandbox's alarms have no {', '.join(unknown)}")
    if not 1 <= len(definition["AlarmName"]) <= 255:
        raise ValidationError("1 validation error detected: AlarmName must have length between 1 and 255")
    if len(definition.get("AlarmDescription") or "") > 1024:
        raise ValidationError("1 validation error detected: AlarmDescription must have length at most 1024")
    for name in ACTIONS.values():
        if len(definition[name]) > MOST_ACTIONS:
            raise ValidationError(f"1 validation error detected: {name} must have at most {MOST_ACTIONS} members")
        for arn in definition[name]:
            _check_action(arn, region)


def _check_action(arn: str, region: str) -> None:
    """The topic itself isn't looked at: "CloudWatch doesn't test or validate the actions that you specify"."""
    parts = arn.split(":")
    if len(parts) < 6 or parts[0] != "arn":
        raise ValidationError(f"Invalid arn syntax: {arn}")
    if parts[2] not in ("sns", "autoscaling"):
        raise NotImplementedError(f"the sandbox's alarms have no action {arn}")
    if parts[3] != region:
        raise ValidationError(f"Invalid region {parts[3]} specified. Only {region} is supported.")


def check_metric_alarm(asked: Definition) -> None:
    """Refuse what PutMetricAlarm refuses, with its messages as far as they are known."""
    _check_choice("comparisonOperator", asked.get("ComparisonOperator"), tuple(COMPARISONS))
    _check_choice("treatMissingData", asked.get("TreatMissingData", "missing"), MISSING)
    if "Threshold" not in asked:
        raise ValidationError("Threshold must be specified for this comparison operator.")
    if ("MetricName" in asked) == bool(asked.get("Metrics")):
        raise ValidationError("Exactly one of MetricName and Metrics must be specified.")
    periods = int(asked["EvaluationPeriods"])
    if not 1 <= int(asked.get("DatapointsToAlarm") or periods) <= periods:
        raise ValidationError("DatapointsToAlarm must be between 1 and EvaluationPeriods.")
    period = _check_queries(asked["Metrics"]) if asked.get("Metrics") else _check_metric(asked)
    if period % 60 or period < 60:
        raise ValidationError(f"Metric period must be a multiple of 60, not {period}.")
    if periods * period > (DAY if period < HOUR else WEEK):
        raise ValidationError(
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400)."
            if period < HOUR
            else "Metrics cannot be checked across more than a week (EvaluationPeriods * Period must be <= 604800)."
        )


def _check_choice(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValidationError(
            f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: Member must "
            f"satisfy enum value set: [{', '.join(allowed)}]"
        )


def _check_metric(asked: Definition) -> int:
    if not asked.get("Namespace") or not asked.get("Period"):
        raise ValidationError("Namespace and Period must be specified with MetricName.")
    if bool(asked.get("Statistic")) == bool(asked.get("ExtendedStatistic")):
        raise ValidationError("Exactly one of Statistic and ExtendedStatistic must be specified.")
    _check_statistic(asked.get("Statistic") or asked["ExtendedStatistic"])
    return int(asked["Period"])


def _check_statistic(name: str) -> None:
    if not name.startswith("p"):
        _check_choice("statistic", name, STATISTICS)


def _check_queries(queries: list[Any]) -> int:
    if sum(query.get("ReturnData", True) for query in queries) != 1:
        raise ValidationError("Exactly one element of the metrics list should return data.")
    known: set[str] = set()
    for query in queries:
        if "MetricStat" in query:
            _check_statistic(query["MetricStat"]["Stat"])
            known.add(query["Id"])
    for query in [query for query in queries if "MetricStat" not in query]:
        try:
            metric_math.check(query["Expression"], known)
        except metric_math.Unsupported as error:
            raise ValidationError(f"Error in expression '{query['Id']}': {error}") from error
        known.add(query["Id"])
    return period_of(queries)
