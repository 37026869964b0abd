"""Alarms on real metrics of the emulated cloud: their states, actions, composites and refusals."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox import traffic_world
from tests.sandbox.alarm_lab import ON_CALL, Lab
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA, wait

_names = itertools.count(1)
VISIBLE = "ApproximateNumberOfMessagesVisible"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A cloud in which a modelled minute lasts 0.1 s."""
    with traffic_world.running() as world:
        yield Lab(world, KENYA)
        world.assert_sound()


@pytest.fixture
def queue(lab: Lab) -> str:
    """The name of a new, empty queue."""
    name = f"queue-{next(_names)}"
    lab.client("sqs").create_queue(QueueName=name)
    return name


def send(lab: Lab, queue: str) -> None:
    sqs = lab.client("sqs")
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"], MessageBody="a message")


def purge(lab: Lab, queue: str) -> None:
    sqs = lab.client("sqs")
    sqs.purge_queue(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"])


def on(queue: str, name: str = VISIBLE) -> dict[str, Any]:
    """An alarm's metric: messages of a queue."""
    return {"Namespace": "AWS/SQS", "MetricName": name, "Dimensions": [{"Name": "QueueName", "Value": queue}]}


def refused(call: Any, code: str, told: str) -> None:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] == code
    assert told in error["Message"]


# -- states and messages --------------------------------------------------------------------------------------------
def test_an_alarm_follows_its_metric_and_mails_both_ways(lab: Lab, queue: str) -> None:
    topic = lab.topic(f"both-{queue}")
    lab.put("follows", **on(queue), AlarmActions=[topic], OKActions=[topic], AlarmDescription="what to do")
    assert lab.state("follows") in ("INSUFFICIENT_DATA", "OK")
    lab.becomes("follows", "OK")

    send(lab, queue)
    mail = lab.mail("follows")

    assert (mail["topic"], mail["protocol"], mail["endpoint"]) == (topic, "email", ON_CALL)
    assert mail["subject"] == 'ALARM: "follows" in EU (Ireland)'
    message = mail["message"]
    assert message["AlarmDescription"] == "what to do"
    assert message["OldStateValue"] == "OK"
    assert message["AlarmArn"] == "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:follows"
    assert message["NewStateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints [1.0 (")
    trigger = message["Trigger"]
    assert trigger["Dimensions"] == [{"value": queue, "name": "QueueName"}]
    assert {key: trigger[key] for key in ("Namespace", "MetricName", "Statistic", "Period", "Threshold")} == {
        "Namespace": "AWS/SQS",
        "MetricName": VISIBLE,
        "Statistic": "MAXIMUM",
        "Period": 60,
        "Threshold": 0.0,
    }
    events = [event for event in lab.world.events("notification") if event["topic"] == topic]
    assert 'ALARM: "follows" in EU (Ireland)' in [event["subject"] for event in events]

    purge(lab, queue)
    assert lab.mails("follows", "OK") or lab.mail("follows", "OK")
    assert any(line.startswith("Successfully executed action") for line in lab.history("follows"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"Dimensions": [{"Name": "QueueName", "Value": "another"}]},
        {"Dimensions": []},
        {"Dimensions": [{"Name": "Queue", "Value": "QUEUE"}]},
        {"Dimensions": [{"Name": "QueueName", "Value": "QUEUE"}, {"Name": "Region", "Value": KENYA}]},
        {"Namespace": "AWS/Sqs"},
        {"MetricName": "NumberOfMessagesVisible"},
        {"Unit": "Seconds"},
    ],
)
def test_a_wrong_dimension_name_or_unit_has_no_data(lab: Lab, queue: str, wrong: dict[str, Any]) -> None:
    if "Dimensions" in wrong:
        named = [{**entry, "Value": entry["Value"].replace("QUEUE", queue)} for entry in wrong["Dimensions"]]
        wrong = {"Dimensions": named}
    lab.put(f"right-{queue}", **on(queue))
    lab.put(f"wrong-{queue}", **(on(queue) | wrong))
    send(lab, queue)
    lab.becomes(f"right-{queue}", "ALARM")
    lab.minutes_pass(5)

    assert lab.state(f"wrong-{queue}") == "INSUFFICIENT_DATA"


def test_what_never_comes_breaches_only_where_that_is_said(lab: Lab, queue: str) -> None:
    for treatment in ("missing", "breaching", "notBreaching", "ignore"):
        lab.put(f"{treatment}-{queue}", **on("nobody"), TreatMissingData=treatment)

    lab.becomes(f"breaching-{queue}", "ALARM")
    lab.becomes(f"notBreaching-{queue}", "OK")

    for treatment in ("missing", "ignore"):
        assert lab.state(f"{treatment}-{queue}") == "INSUFFICIENT_DATA"


def test_metric_math_alarms_and_tells_its_metrics(lab: Lab, queue: str) -> None:
    topic = lab.topic(f"math-{queue}")
    stat = {"Period": 60, "Stat": "Maximum", "Metric": on(queue)}
    metrics = [
        {"Id": "m1", "MetricStat": stat, "ReturnData": False},
        {"Id": "e1", "Expression": "IF(FILL(m1, 0) > 0, 10, 0)", "Label": "messages", "ReturnData": True},
    ]
    lab.put(f"math-{queue}", Metrics=metrics, Threshold=9.0, AlarmActions=[topic])
    lab.becomes(f"math-{queue}", "OK")

    send(lab, queue)

    trigger = lab.mail(f"math-{queue}")["message"]["Trigger"]
    assert [query["Id"] for query in trigger["Metrics"]] == ["m1", "e1"]
    assert trigger["Metrics"][0]["MetricStat"]["Metric"]["Dimensions"] == [{"value": queue, "name": "QueueName"}]


def test_custom_metrics_alarm_too(lab: Lab) -> None:
    data = {
        "MetricName": "Age",
        "Dimensions": [{"Name": "Database", "Value": "main"}],
        "Value": 99.0,
        "Unit": "Seconds",
    }
    metric = {"Namespace": "Platform", "MetricName": "Age", "Dimensions": data["Dimensions"]}
    lab.put("custom", **metric, Threshold=60.0, Statistic="Average", Period=300, TreatMissingData="notBreaching")

    lab.cloudwatch.put_metric_data(Namespace="Platform", MetricData=[data])

    lab.becomes("custom", "ALARM")
    lab.becomes("custom", "OK")
    refused(
        lambda: lab.cloudwatch.put_metric_data(Namespace="AWS/RDS", MetricData=[data]), "InvalidParameterValue", "AWS/"
    )


# -- who gets the message -------------------------------------------------------------------------------------------
def test_nobody_gets_a_mail_before_confirming_the_subscription(lab: Lab, queue: str) -> None:
    topic = lab.topic(f"pending-{queue}", endpoint=None)
    sns = lab.client("sns")
    subscription = sns.subscribe(
        TopicArn=topic, Protocol="email", Endpoint="late@example.org", ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    lab.put(f"pending-{queue}", **on(queue), AlarmActions=[topic])
    listed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [entry["SubscriptionArn"] for entry in listed] == ["PendingConfirmation"]
    assert sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]["PendingConfirmation"] == "true"
    refused(lambda: sns.unsubscribe(SubscriptionArn=subscription), "InvalidParameter", "pending confirmation")

    send(lab, queue)
    lab.becomes(f"pending-{queue}", "ALARM")
    assert lab.mails(f"pending-{queue}") == []

    lab.world.control("POST", "confirm", {"endpoint": "late@example.org"})
    purge(lab, queue)
    lab.becomes(f"pending-{queue}", "OK")
    send(lab, queue)
    assert lab.mail(f"pending-{queue}")["endpoint"] == "late@example.org"
    sns.unsubscribe(SubscriptionArn=subscription)


KEYS = {
    "admits CloudWatch": (("kms:Decrypt", "kms:GenerateDataKey*"), "cloudwatch.amazonaws.com", None),
    "admits another service": (("kms:Decrypt", "kms:GenerateDataKey*"), "events.amazonaws.com", "encryption key"),
    "admits too little": (("kms:GenerateDataKey*",), "cloudwatch.amazonaws.com", "encryption key"),
    "admits nobody": ((), "", "encryption key"),
}


@pytest.mark.parametrize("case", KEYS)
def test_an_encrypted_topic_needs_a_key_that_admits_cloudwatch(lab: Lab, queue: str, case: str) -> None:
    actions, service, problem = KEYS[case]
    topic = lab.topic(f"encrypted-{queue}", lab.key(*actions, service=service))

    told = alarm_once(lab, queue, topic)

    assert (problem is None) == bool(lab.mails(f"once-{queue}"))
    assert problem is None or problem in told


@pytest.mark.parametrize("key", ["alias/aws/sns", "disabled", "of another region"])
def test_a_key_that_cannot_be_used_loses_the_message(lab: Lab, queue: str, key: str) -> None:
    own = ("kms:Decrypt", "kms:GenerateDataKey*")
    chosen = {
        "alias/aws/sns": lambda: key,
        "disabled": lambda: lab.key(*own),
        "of another region": lambda: Lab(lab.world, SOUTH_AFRICA).key(*own),
    }[key]()
    topic = lab.topic(f"unusable-{queue}", chosen)
    if key == "disabled":
        lab.client("kms").disable_key(KeyId=chosen.rpartition("/")[2])

    assert "encryption key" in alarm_once(lab, queue, topic)
    assert lab.mails(f"once-{queue}") == []


def test_a_topic_that_is_gone_or_admits_somebody_else_loses_the_message(lab: Lab, queue: str) -> None:
    topic = lab.topic(f"gone-{queue}")
    statement = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish"}
    lab.client("sns").set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps({"Statement": [statement]})
    )
    assert "no resource-based policy allows" in alarm_once(lab, queue, topic)

    purge(lab, queue)
    lab.becomes(f"once-{queue}", "OK")
    lab.client("sns").delete_topic(TopicArn=topic)
    assert "Topic does not exist" in alarm_once(lab, queue, topic)


def alarm_once(lab: Lab, queue: str, topic: str) -> str:
    """Drive an alarm with this action to ALARM; what its history says of the action."""
    name = f"once-{queue}"
    lab.put(name, **on(queue), AlarmActions=[topic])
    send(lab, queue)
    lab.becomes(name, "ALARM")
    return wait(lambda: next((line for line in lab.history(name) if "action" in line), ""), 10, "the action")


# -- composite alarms -----------------------------------------------------------------------------------------------
def test_a_composite_alarm_follows_its_children(lab: Lab, queue: str) -> None:
    topic = lab.topic(f"composite-{queue}")
    first, second, both = f"first-{queue}", f"second-{queue}", f"both-{queue}"
    lab.put(first, **on(queue))
    lab.put(second, **on(queue, "ApproximateAgeOfOldestMessage"), Threshold=120.0)
    rule = f'ALARM("{first}") AND NOT OK("{second}")'
    lab.cloudwatch.put_composite_alarm(AlarmName=both, AlarmRule=rule, AlarmActions=[topic])
    lab.becomes(second, "OK")
    lab.becomes(both, "OK")

    send(lab, queue)

    message = lab.mail(both)["message"]
    assert message["AlarmRule"] == rule
    assert "Trigger" not in message
    assert second in message["NewStateReason"], "the child that changed last"
    assert {child["Arn"].rpartition(":")[2] for child in message["TriggeringChildren"]} == {first, second}
    cloudwatch = lab.cloudwatch
    assert cloudwatch.describe_alarms(AlarmNames=[both]) | {"ResponseMetadata": 0} == {
        "MetricAlarms": [],
        "CompositeAlarms": [],
        "ResponseMetadata": 0,
    }, "only metric alarms are described unless told otherwise"
    refused(lambda: cloudwatch.delete_alarms(AlarmNames=[first]), "ValidationError", "depending on it")
    cloudwatch.delete_alarms(AlarmNames=[both])
    cloudwatch.delete_alarms(AlarmNames=[first, second])


def test_a_composite_alarm_needs_children_that_exist(lab: Lab) -> None:
    def put(rule: str) -> Any:
        return lambda: lab.cloudwatch.put_composite_alarm(AlarmName="orphan", AlarmRule=rule)

    refused(put('ALARM("nobody-knows")'), "ValidationError", "alarms [nobody-knows] in the alarm rule do not exist")
    refused(put("ALARM("), "ValidationError", "AlarmRule is not valid")


# -- the API --------------------------------------------------------------------------------------------------------
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "topic of another region": (
        {"AlarmActions": ["arn:aws:sns:af-south-1:123456789012:topic"]},
        "Invalid region af-south-1 specified. Only eu-west-1 is supported.",
    ),
    "no ARN": ({"AlarmActions": ["topic"]}, "Invalid arn syntax"),
    "too many actions": ({"AlarmActions": [f"arn:aws:sns:eu-west-1:1:{n}" for n in range(6)]}, "alarmActions"),
    "unknown comparison": ({"ComparisonOperator": "MoreThan"}, "comparisonOperator"),
    "unknown treatment": ({"TreatMissingData": "bad"}, "treatMissingData"),
    "unknown statistic": ({"Statistic": "Median"}, "statistic"),
    "two statistics": ({"ExtendedStatistic": "p99"}, "Exactly one of Statistic"),
    "more datapoints than periods": ({"DatapointsToAlarm": 2}, "DatapointsToAlarm"),
    "period of 90 s": ({"Period": 90}, "multiple of 60"),
    "more than a day": ({"Period": 300, "EvaluationPeriods": 289}, "more than a day"),
    "long description": ({"AlarmDescription": "x" * 1025}, "alarmDescription"),
    "metric and metrics": ({"Metrics": [{"Id": "e1", "Expression": "1"}]}, "Exactly one of MetricName"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cloudwatch_refuses(lab: Lab, case: str) -> None:
    settings, told = REFUSED[case]
    if case == "metric and metrics":
        settings = {**settings, "Statistic": "Sum", "Period": 60}

    refused(lambda: lab.put("refused", **(on("any") | settings)), "ValidationError", told)


def test_two_returned_queries_and_unknown_ids_are_refused(lab: Lab) -> None:
    stat = {"Id": "m1", "MetricStat": {"Period": 60, "Stat": "Sum", "Metric": on("any")}}
    two = [stat, {"Id": "e1", "Expression": "m1 + 1"}]
    unknown = [{**stat, "ReturnData": False}, {"Id": "e1", "Expression": "m7"}]

    refused(lambda: lab.put("two", Metrics=two), "ValidationError", "Exactly one element")
    refused(lambda: lab.put("unknown", Metrics=unknown), "ValidationError", "m7")


def test_an_update_keeps_the_state_and_replaces_the_rest(lab: Lab, queue: str) -> None:
    lab.put("updated", **on(queue), Tags=[{"Key": "kept", "Value": "yes"}], AlarmDescription="first")
    send(lab, queue)
    lab.becomes("updated", "ALARM")

    lab.put("updated", **on(queue), Tags=[{"Key": "ignored", "Value": "yes"}])

    found = lab.described("updated")
    assert found["StateValue"] == "ALARM"
    assert "AlarmDescription" not in found
    tags = lab.cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    assert tags == [{"Key": "kept", "Value": "yes"}]


def test_a_set_state_mails_and_lasts_until_the_next_evaluation(lab: Lab, queue: str) -> None:
    topic = lab.topic(f"set-{queue}")
    lab.put(f"set-{queue}", **on(queue), AlarmActions=[topic])
    lab.becomes(f"set-{queue}", "OK")

    lab.cloudwatch.set_alarm_state(AlarmName=f"set-{queue}", StateValue="ALARM", StateReason="trying")

    assert lab.mail(f"set-{queue}")["message"]["NewStateReason"] == "trying"
    lab.becomes(f"set-{queue}", "OK")


def test_disabled_actions_say_nothing(lab: Lab, queue: str) -> None:
    topic = lab.topic(f"disabled-{queue}")
    lab.put(f"quiet-{queue}", **on(queue), AlarmActions=[topic])
    lab.cloudwatch.disable_alarm_actions(AlarmNames=[f"quiet-{queue}"])

    send(lab, queue)
    lab.becomes(f"quiet-{queue}", "ALARM")

    assert lab.mails(f"quiet-{queue}") == []


# -- a lost region --------------------------------------------------------------------------------------------------
def test_a_lost_region_publishes_and_evaluates_nothing() -> None:
    with traffic_world.running() as world:
        kenya, south_africa = Lab(world, KENYA), Lab(world, SOUTH_AFRICA)
        for lab in (kenya, south_africa):
            lab.client("sqs").create_queue(QueueName="sync")
            lab.put("dead", **on("sync"), ComparisonOperator="LessThanThreshold", TreatMissingData="breaching")
            lab.becomes("dead", "OK")
        world.control("POST", "cut", {"region": KENYA})
        changes = len(world.events("alarm.changed"))
        south_africa.minutes_pass(10)
        assert len(world.events("alarm.changed")) == changes
        assert south_africa.state("dead") == "OK"

        world.control("POST", "restore", {"region": KENYA})

        kenya.becomes("dead", "OK")
        kenya.shows("AWS/SQS", VISIBLE, 0.0, QueueName="sync")
        world.assert_sound()
