"""SQS: standard queues. Their attributes are text in one map; only those that the program sets are modelled."""

from __future__ import annotations

from typing import Any, Final

from sandbox.provider.operation import Operation
from sandbox.provider.table import Description, Field, Resource, Tags, call, f, update

_ATTRIBUTES: Final = (
    f("messageRetentionSeconds", "MessageRetentionPeriod", default=345600, decode=int),
    f("visibilityTimeoutSeconds", "VisibilityTimeout", default=30, decode=int),
    f("receiveWaitTimeSeconds", "ReceiveMessageWaitTimeSeconds", default=0, decode=int),
    f("kmsMasterKeyId"),
    f("sqsManagedSseEnabled", computed=True, decode=lambda text: text == "true"),
    f("policy", json=True),
    f("redrivePolicy", json=True),
    f("redriveAllowPolicy", json=True),
)


def _member(field: Field) -> str:
    return field.aws or field.name[0].upper() + field.name[1:]


def _wanted(op: Operation, field: Field) -> str:
    """The attribute's text; an empty one removes it."""
    value = op.wanted(field.name)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(int(value) if isinstance(value, float) else value)


def _create(op: Operation) -> str:
    given = {_member(field): _wanted(op, field) for field in _ATTRIBUTES if op.inputs.get(field.name) is not None}
    name, tags = op.inputs["name"], op.tags()
    answer = op.api("create_queue", QueueName=name, Attributes=given, **({"tags": tags} if tags else {}))
    return str(answer["QueueUrl"])


def _read(op: Operation) -> Description | None:
    found: dict[str, Any] = op.api("get_queue_attributes", QueueUrl=op.id, AttributeNames=["All"])["Attributes"]
    return {**found, "Name": found["QueueArn"].rpartition(":")[2]}


def _set(op: Operation) -> None:
    changed = {_member(field): _wanted(op, field) for field in _ATTRIBUTES if field.name in op.changed}
    op.api("set_queue_attributes", QueueUrl=op.id, Attributes=changed)


QUEUE: Final = Resource(
    token="aws:sqs/queue:Queue",
    service="sqs",
    create=_create,
    read=_read,
    delete=call("delete_queue", {"QueueUrl": "$id"}),
    inputs=(f("name", replace=True), *_ATTRIBUTES),
    outputs=(f("arn", read="QueueArn"), f("url", get=lambda op, _: op.id)),
    updates=(update(" ".join(field.name for field in _ATTRIBUTES), _set),),
    tags=Tags(
        key="",
        create="tags",
        read=call("list_queue_tags", {"QueueUrl": "$id"}, "Tags"),
        target={"QueueUrl": "$id"},
        add="tag_queue",
        remove="untag_queue",
    ),
    missing=("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
    physical_name="name",
)

RESOURCES: Final = (QUEUE,)
