"""SNS: topics and subscriptions."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import ClientError

from sandbox.provider import errors
from sandbox.provider.operation import Operation
from sandbox.provider.table import Resource, Tags, call, f, fields, update

_ATTRIBUTES: Final = (f("kmsMasterKeyId"), f("policy", json=True, computed=True))
_TOPIC: Final = {"ResourceArn": "$id"}


def _member(name: str) -> str:
    return name[0].upper() + name[1:]


def _create_topic(op: Operation) -> str:
    given = {_member(field.name): op.inputs[field.name] for field in _ATTRIBUTES if op.inputs.get(field.name)}
    return str(op.api("create_topic", Name=op.inputs["name"], Attributes=given, **op.tags_at_create())["TopicArn"])


def _set_attributes(op: Operation) -> None:
    """One call for each."""
    for field in _ATTRIBUTES:
        if field.name in op.changed:
            value = op.wanted(field.name) or ""
            op.api("set_topic_attributes", TopicArn=op.id, AttributeName=_member(field.name), AttributeValue=value)


TOPIC: Final = Resource(
    token="aws:sns/topic:Topic",
    service="sns",
    create=_create_topic,
    read=call("get_topic_attributes", {"TopicArn": "$id"}, "Attributes"),
    delete=call("delete_topic", {"TopicArn": "$id"}),
    inputs=(f("name", get=lambda op, _: op.id.rpartition(":")[2], replace=True), *_ATTRIBUTES),
    outputs=(f("arn", read="TopicArn"),),
    updates=(update("kmsMasterKeyId policy", _set_attributes),),
    tags=Tags(read=call("list_tags_for_resource", _TOPIC, "Tags"), target=_TOPIC),
    missing=("NotFound", "NotFoundException"),
    physical_name="name",
)


def _unsubscribe(op: Operation) -> None:
    """AWS refuses for a subscription that nobody confirmed, and drops it itself after days: the plugin lets it be."""
    try:
        op.api("unsubscribe", SubscriptionArn=op.id)
    except ClientError as error:
        if errors.code(error) != "InvalidParameter" or "pending confirmation" not in str(error):
            raise


SUBSCRIPTION: Final = Resource(
    token="aws:sns/topicSubscription:TopicSubscription",
    service="sns",
    create=call("subscribe", {"ReturnSubscriptionArn": True}, "SubscriptionArn"),
    read=call("get_subscription_attributes", {"SubscriptionArn": "$id"}, "Attributes"),
    delete=_unsubscribe,
    inputs=(f("topic", "TopicArn", replace=True), *fields("protocol endpoint", replace=True)),
    outputs=(
        f("arn", read="SubscriptionArn"),
        f("pendingConfirmation", read="PendingConfirmation", decode=lambda text: text == "true"),
    ),
    missing=("NotFound", "NotFoundException"),
    # What the subscriber does, not the program.
    changing=("pendingConfirmation",),
)

RESOURCES: Final = (TOPIC, SUBSCRIPTION)
