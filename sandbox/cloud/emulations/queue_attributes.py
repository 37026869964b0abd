"""SQS: attributes that moto forgets, and values that it takes although SQS refuses them."""

from __future__ import annotations

from typing import Any

from moto.sqs.exceptions import InvalidAttributeValue
from moto.sqs.models import Queue

from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations.patching import replace

# SetQueueAttributes, SQS API reference: seconds.
RANGES = {
    "DelaySeconds": range(901),
    "KmsDataKeyReusePeriodSeconds": range(60, 86_401),
    "MessageRetentionPeriod": range(60, 1_209_601),
    "ReceiveMessageWaitTimeSeconds": range(21),
    "VisibilityTimeout": range(43_201),
}


def install(_cloud: Cloud) -> None:
    """Answer GetQueueAttributes as the SQS API reference says."""
    described: property = vars(Queue)["attributes"]
    change = Queue._set_attributes

    def attributes(self: Queue) -> dict[str, Any]:
        found: dict[str, Any] = described.__get__(self)
        allow = getattr(self, "redrive_allow_policy", None)
        if self.kms_master_key_id:  # type: ignore[attr-defined]
            found["SqsManagedSseEnabled"] = "false"
        return {**found, "RedriveAllowPolicy": allow} if allow else found

    def set_attributes(self: Queue, attributes: dict[str, Any], now: float | None = None) -> None:
        """moto takes the policy away with every change of something else."""
        for name, allowed in RANGES.items():
            if name in attributes and int(attributes[name]) not in allowed:
                raise InvalidAttributeValue(name)
        kept = getattr(self, "policy", None)
        change(self, attributes, now)
        if "Policy" not in attributes:
            self.policy = kept

    replace(Queue, attributes=property(attributes), _set_attributes=set_attributes)
