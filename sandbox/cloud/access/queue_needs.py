"""What working with a queue needs of a role: SQS's action, and those on the key that encrypts its messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moto.sqs.models import sqs_backends

from sandbox.cloud.access import key_needs
from sandbox.cloud.access.policy import Need
from sandbox.cloud.context import ACCOUNT

# "Configuring KMS permissions for Amazon SQS" (SQS developer guide): who sends also decrypts, to verify its data key.
_KEY: Mapping[str, Sequence[str]] = {
    "SendMessage": ("kms:GenerateDataKey", "kms:Decrypt"),
    "ReceiveMessage": ("kms:Decrypt",),
}


def using(arn: str, operation: str) -> list[Need]:
    """Needs of one SQS operation on the queue with this ARN."""
    region, name = arn.split(":")[3], arn.rpartition(":")[2]
    queue = sqs_backends[ACCOUNT][region].queues.get(name)
    key: str | None = queue.kms_master_key_id if queue is not None else None  # type: ignore[attr-defined]
    of_key = key_needs.through("sqs", region, key, _KEY.get(operation, ()), {"aws:sqs:arn": arn})
    return [Need(f"sqs:{operation}", arn), *of_key]
