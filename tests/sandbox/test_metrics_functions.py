"""What Lambda and EventBridge Scheduler publish and put aside when functions fail, are throttled or are gone."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox import roles, traffic_world
from tests.sandbox.alarm_lab import ACCOUNT, Lab
from tests.sandbox.traffic_world import SOUTH_AFRICA, wait

ROLE = f"arn:aws:iam::{ACCOUNT}:role/function"
VISIBLE = "ApproximateNumberOfMessagesVisible"
CODE = """
import time
def handler(event, context):
    time.sleep(event.get("sleep", 0))
    if event.get("fail"):
        raise RuntimeError("as asked")
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A cloud in which a modelled minute lasts 0.1 s."""
    with traffic_world.running() as world:
        iam = world.client("iam", "us-east-1")
        roles.make(iam, "function", "lambda.amazonaws.com", "scheduler.amazonaws.com")
        yield Lab(world, SOUTH_AFRICA)
        world.assert_sound()


def deploy(lab: Lab, name: str) -> str:
    """A function that fails or sleeps as its event says; its ARN."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("handler.py", CODE)
    client = lab.client("lambda")
    made = client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=ROLE,
        Handler="handler.handler",
        Timeout=20,
        Code={"ZipFile": content.getvalue()},
    )
    wait(lambda: client.get_function(FunctionName=name)["Configuration"]["State"] == "Active", what="Active")
    return str(made["FunctionArn"])


def queue(lab: Lab, name: str) -> tuple[str, str]:
    """(URL, ARN) of a new queue."""
    sqs = lab.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def invoke(lab: Lab, name: str, event: dict[str, Any], kind: str = "RequestResponse") -> None:
    lab.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event), InvocationType=kind)


def test_failures_alarm_and_lie_at_the_on_failure_destination(lab: Lab) -> None:
    deploy(lab, "failing")
    url, arn = queue(lab, "failing-dead")
    lab.client("lambda").put_function_event_invoke_config(
        FunctionName="failing", MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": arn}}
    )
    topic = lab.topic("functions")
    named = {"Dimensions": [{"Name": "FunctionName", "Value": "failing"}], "Statistic": "Sum", "Period": 300}
    lab.put("failing", Namespace="AWS/Lambda", MetricName="Errors", **named, AlarmActions=[topic])
    invoke(lab, "failing", {})
    lab.shows("AWS/Lambda", "Errors", 0.0, FunctionName="failing")
    lab.becomes("failing", "OK")

    invoke(lab, "failing", {"fail": True}, "Event")

    assert lab.mail("failing")["message"]["Trigger"]["MetricName"] == "Errors"
    lab.shows("AWS/SQS", VISIBLE, 1.0, QueueName="failing-dead")
    message = lab.client("sqs").receive_message(QueueUrl=url)["Messages"][0]
    told = json.loads(message["Body"])
    assert told["requestPayload"] == {"fail": True}
    assert told["responsePayload"]["errorMessage"] == "as asked"
    lab.becomes("failing", "INSUFFICIENT_DATA")


def test_a_throttled_call_is_counted(lab: Lab) -> None:
    deploy(lab, "busy")
    lab.client("lambda").put_function_concurrency(FunctionName="busy", ReservedConcurrentExecutions=1)
    invoke(lab, "busy", {"sleep": 2}, "Event")
    wait(lambda: _is_throttled(lab), what="a throttled call")

    lab.shows("AWS/Lambda", "Throttles", 1.0, FunctionName="busy")


def _is_throttled(lab: Lab) -> bool:
    try:
        invoke(lab, "busy", {})
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "TooManyRequestsException")
    return False


def test_a_schedule_whose_function_is_gone_drops_its_events_aside(lab: Lab) -> None:
    arn = deploy(lab, "going")
    _, dead = queue(lab, "schedule-dead")
    lab.client("scheduler").create_schedule(
        Name="going",
        ScheduleExpression="rate(1 minute)",
        FlexibleTimeWindow={"Mode": "OFF"},
        State="ENABLED",
        Target={"Arn": arn, "RoleArn": ROLE, "Input": "{}", "DeadLetterConfig": {"Arn": dead}},
    )
    lab.shows("AWS/Scheduler", "InvocationAttemptCount", 1.0, ScheduleGroup="default")
    assert not lab.has("AWS/Scheduler", "TargetErrorCount", ScheduleGroup="default")

    lab.client("lambda").delete_function(FunctionName="going")

    for name in ("TargetErrorCount", "InvocationDroppedCount", "InvocationsSentToDeadLetterCount"):
        lab.shows("AWS/Scheduler", name, 1.0, ScheduleGroup="default")
    wait(lambda: (lab.latest("AWS/SQS", VISIBLE, QueueName="schedule-dead") or 0) >= 1, what="the event put aside")
    lab.client("scheduler").delete_schedule(Name="going")
