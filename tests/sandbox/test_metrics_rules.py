"""When an alarm changes, from points alone: AWS's tables of missing data, rules, metric math and policies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.sqs.models import sqs_backends

from sandbox.cloud import alarm_rules, metric_math, service_policy
from sandbox.cloud.alarm_evaluation import Criteria, Point, evaluate, reason
from sandbox.cloud.emulations import queues
from sandbox.cloud.metric_store import KEPT_MINUTES, Samples, Series, Store

KEEPS = "whatever it was"
# "Configuring how CloudWatch alarms treat missing data": points (X breaches), needed of 3, then the state for missing,
# ignore, breaching, notBreaching. The last rows are the text's own examples below the tables.
AWS_TABLES = [
    ("0 - X - X", 3, "OK", "OK", "OK", "OK"),
    ("0 - - - -", 3, "OK", "OK", "OK", "OK"),
    ("- - - - -", 3, "INSUFFICIENT_DATA", KEEPS, "ALARM", "OK"),
    ("0 X X - X", 3, "ALARM", "ALARM", "ALARM", "ALARM"),
    ("- - X - -", 3, "ALARM", KEEPS, "ALARM", "OK"),
    ("0 - X - X", 2, "ALARM", "ALARM", "ALARM", "ALARM"),
    ("0 0 X 0 X", 2, "ALARM", "ALARM", "ALARM", "ALARM"),
    ("0 - X - -", 2, "OK", "OK", "ALARM", "OK"),
    ("- - - - 0", 2, "OK", "OK", "ALARM", "OK"),
    ("- - - X -", 2, "ALARM", KEEPS, "ALARM", "OK"),
    ("- - - - X", 3, KEEPS, KEEPS, "ALARM", "OK"),
    ("- - - X -", 3, KEEPS, KEEPS, "ALARM", "OK"),
    ("- - X - 0", 3, "OK", "OK", "OK", "OK"),
]
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")


def points(text: str) -> list[Point]:
    """X is over the threshold of 5, 0 under it, - missing."""
    return [{"X": 9.0, "0": 0.0, "-": None}[mark] for mark in text.split()]


@pytest.mark.parametrize(
    ("text", "needed", "missing", "wanted"),
    [
        (text, needed, missing, wanted)
        for text, needed, *states in AWS_TABLES
        for missing, wanted in zip(TREATMENTS, states, strict=True)
    ],
)
@pytest.mark.parametrize("current", ["OK", "ALARM", "INSUFFICIENT_DATA"])
def test_missing_data_is_treated_as_in_awss_tables(
    text: str, needed: int, missing: str, wanted: str, current: str
) -> None:
    criteria = Criteria("GreaterThanThreshold", 5.0, 3, needed, missing)

    assert evaluate(points(text), criteria, current) == (current if wanted == KEEPS else wanted)


@pytest.mark.parametrize(
    ("comparison", "breaching"),
    [
        ("GreaterThanThreshold", [6.0]),
        ("GreaterThanOrEqualToThreshold", [5.0, 6.0]),
        ("LessThanThreshold", [4.0]),
        ("LessThanOrEqualToThreshold", [4.0, 5.0]),
    ],
)
def test_each_comparison(comparison: str, breaching: list[float]) -> None:
    criteria = Criteria(comparison, 5.0, 1, 1)

    assert [value for value in (4.0, 5.0, 6.0) if evaluate([value], criteria, "OK") == "ALARM"] == breaching


def test_the_reasons_read_as_cloudwatch_writes_them() -> None:
    begin = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
    starts = [begin + timedelta(minutes=n) for n in range(3)]
    criteria = Criteria("GreaterThanOrEqualToThreshold", 5.0, 1, 1, "breaching")

    assert reason([None, None, 9.0], starts, criteria, "OK", "ALARM") == (
        "Threshold Crossed: 1 out of the last 1 datapoints [9.0 (23/11/26 22:02:00)] was greater than or equal to the "
        "threshold (5.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )
    assert reason([None] * 3, starts, criteria, "OK", "ALARM") == (
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
        "[Breaching]."
    )
    assert reason([None] * 3, starts, criteria, "OK", "INSUFFICIENT_DATA") == (
        "Insufficient Data: 1 datapoint was unknown."
    )


# -- composite rules ------------------------------------------------------------------------------------------------
STATES = {"a": "ALARM", "b": "OK", "c c": "INSUFFICIENT_DATA"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("ALARM(a)", True),
        ('ALARM("b")', False),
        ('INSUFFICIENT_DATA("c c")', True),
        ("NOT ALARM(a)", False),
        ('ALARM(a) AND OK("b")', True),
        ('ALARM("b") AND ALARM("b") OR ALARM(a)', True),
        ('ALARM("b") AND (ALARM("b") OR ALARM(a))', False),
        ("NOT ALARM(b) AND NOT FALSE", True),
        ("ALARM(arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a)", True),
        ("TRUE", True),
    ],
)
def test_a_rule_says_what_its_grammar_says(text: str, holds: bool) -> None:
    assert alarm_rules.parse(text).holds(STATES.__getitem__) is holds


def test_a_rule_names_its_children_once() -> None:
    rule = alarm_rules.parse('ALARM("x") OR (OK("y") AND NOT ALARM("x"))')

    assert rule.children == ("x", "y")


@pytest.mark.parametrize("text", ["", "ALARM(a", "ALARM(a) OK(b)", "a", "ALARM(a) AND", "(ALARM(a)", "BROKEN(a)"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(alarm_rules.MalformedRule):
        alarm_rules.parse(text)


# -- metric math ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("expression", "values", "wanted"),
    [
        ("m1 - m2", {"m1": 3.0, "m2": 1.0}, 2.0),
        ("100 * m1 / m2", {"m1": 1.0, "m2": 4.0}, 25.0),
        ("m1 / m2", {"m1": 1.0, "m2": 0.0}, None),
        ("m1 - m2", {"m1": 3.0, "m2": None}, None),
        ("m1 - FILL(m2, 0)", {"m1": 3.0, "m2": None}, 3.0),
        ("IF(m1 > 2, 1, 0)", {"m1": 3.0}, 1.0),
        ("IF(m1 < m2 AND m2 > 0, 1, 0)", {"m1": 1.0, "m2": 2.0}, 1.0),
        ("IF(m1 > 2, m1)", {"m1": 1.0}, None),
        ("MAX([m1, m2])", {"m1": 1.0, "m2": 2.0}, 2.0),
        ("SUM(METRICS())", {"m1": 1.0, "m2": None}, 1.0),
        ("m1 == 0 || -m1 >= 1", {"m1": 0.0}, 1.0),
    ],
)
def test_metric_math(expression: str, values: dict[str, Point], wanted: Point) -> None:
    metric_math.check(expression, set(values))

    assert metric_math.calculate(expression, values) == wanted


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("m1 + m9", "m9"),
        ("SEARCH('x', 'Sum', 60)", "SEARCH"),
        ("m1 +", "invalid syntax"),
        ("RATE(m1)", "RATE"),
        ("__import__('os')", "__import__"),
    ],
)
def test_unknown_math_is_refused_when_the_alarm_is_put(expression: str, told: str) -> None:
    with pytest.raises(metric_math.Unsupported, match=told):
        metric_math.check(expression, {"m1"})


# -- policies -------------------------------------------------------------------------------------------------------
SERVICE = {"Service": "cloudwatch.amazonaws.com"}


@pytest.mark.parametrize(
    ("statement", "admitted"),
    [
        ({"Principal": SERVICE, "Action": "kms:Decrypt"}, True),
        ({"Principal": SERVICE, "Action": ["kms:GenerateDataKey*", "kms:Dec*"]}, True),
        ({"Principal": SERVICE, "Action": "kms:GenerateDataKey*"}, False),
        ({"Principal": {"Service": "sns.amazonaws.com"}, "Action": "kms:*"}, False),
        ({"Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "kms:*"}, False),
        ({"Principal": "*", "Action": "*"}, True),
        (
            {"Principal": SERVICE, "Action": "*", "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}},
            True,
        ),
        ({"Principal": SERVICE, "Action": "*", "Condition": {"StringEquals": {"aws:SourceAccount": "1"}}}, False),
        ({"Principal": SERVICE, "Action": "*", "Condition": {"ArnLike": {"aws:SourceArn": "arn:*:alarm:*"}}}, True),
        ({"Principal": SERVICE, "Action": "*", "Condition": {"StringEquals": {"kms:ViaService": "x"}}}, False),
    ],
)
def test_whether_a_policy_admits_a_service(statement: dict[str, Any], admitted: bool) -> None:
    policy = {"Statement": [{"Effect": "Allow", **statement}]}
    facts = {"aws:SourceAccount": "123456789012", "aws:SourceArn": "arn:aws:cloudwatch:eu-west-1:1:alarm:a"}

    assert service_policy.admits(policy, SERVICE["Service"], "kms:Decrypt", facts) is admitted


def test_a_deny_wins() -> None:
    statements = [{"Effect": effect, "Principal": SERVICE, "Action": "*"} for effect in ("Allow", "Deny")]

    assert not service_policy.admits({"Statement": statements}, SERVICE["Service"], "kms:Decrypt", {})


# -- the store ------------------------------------------------------------------------------------------------------
def test_a_period_has_what_its_minutes_got() -> None:
    store, series = Store(), Series.of("N", "M", {"D": "1"})
    for minute, value in ((0, 1.0), (1, 3.0), (5, 100.0)):
        store.put(series, minute * 60 + 59, Samples(1.0, value, value, value, [value]))

    samples = store.period(series, 0, 300)

    assert samples is not None
    found = {name: samples.statistic(name) for name in ("Sum", "Average", "Minimum", "Maximum", "SampleCount", "p50")}
    assert found == {"Sum": 4.0, "Average": 2.0, "Minimum": 1.0, "Maximum": 3.0, "SampleCount": 2.0, "p50": 1.0}
    assert store.period(series, 120, 180) is None
    assert store.period(Series.of("N", "M", {}), 0, 300) is None, "other dimensions are another metric"


def test_a_series_keeps_one_day() -> None:
    store, series = Store(), Series.of("N", "M", {})
    for minute in range(KEPT_MINUTES + 10):
        store.put(series, minute * 60.0, Samples(1.0, 1.0, 1.0, 1.0, [1.0]))

    samples = store.period(series, 0, (KEPT_MINUTES + 10) * 60)

    assert samples is not None
    assert samples.count == KEPT_MINUTES


# -- queues ---------------------------------------------------------------------------------------------------------
def test_an_unused_empty_queue_is_silent_after_six_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = sqs_backends["123456789012"]["eu-west-3"]
    created = backend.create_queue("idle", {}).created_timestamp

    def is_active(after_hours: float) -> bool:
        monkeypatch.setattr(queues, "unix_time", lambda: created + after_hours * 3600)
        return "idle" in [queue.name for _, queue in queues.active()]

    assert is_active(5.9)
    assert not is_active(6.1)
    backend.send_message("idle", "a message")
    assert is_active(100.0), "a message keeps it active"
