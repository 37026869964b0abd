"""SQS and SNS. Sources: SQS API reference, CreateQueue; SNS API reference, Subscribe."""

from __future__ import annotations

from typing import Final

from sandbox.cloud.context import AwsError
from sandbox.cloud.refusals.rule import Parameters, refuses

# Attributes that are numbers, least and most.
RANGES: Final = {
    "DelaySeconds": (0, 900),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
}
PROTOCOLS: Final = frozenset(
    ("http", "https", "email", "email-json", "sms", "sqs", "application", "lambda", "firehose")
)


@refuses("sqs", "CreateQueue", "SetQueueAttributes")
def _attributes(parameters: Parameters, _: str) -> None:
    for name, value in (parameters.get("Attributes") or {}).items():
        limits = RANGES.get(name)
        if limits and not (value.isdigit() and limits[0] <= int(value) <= limits[1]):
            raise AwsError("InvalidAttributeValue", f"Invalid value for the parameter {name}.")


@refuses("sns", "Subscribe")
def _subscription(parameters: Parameters, _: str) -> None:
    if parameters["Protocol"] not in PROTOCOLS:
        raise AwsError("InvalidParameter", "Invalid parameter: Does not support this protocol string.")
    if parameters["Protocol"].startswith("email") and "@" not in parameters.get("Endpoint", ""):
        raise AwsError("InvalidParameter", "Invalid parameter: Email address")
