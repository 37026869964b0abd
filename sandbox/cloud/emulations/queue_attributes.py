"""SQS: attributes that moto forgets, of who may use a queue for its dead letters and of the policy."""

from __future__ import annotations

from typing import Any

from moto.sqs.models import Queue

from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations.patching import replace


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
        kept = getattr(self, "policy", None)
        change(self, attributes, now)
        if "Policy" not in attributes:
            self.policy = kept

    replace(Queue, attributes=property(attributes), _set_attributes=set_attributes)
