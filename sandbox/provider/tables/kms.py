"""KMS: keys and aliases."""

from __future__ import annotations

from typing import Any, Final

from sandbox.provider.operation import Operation
from sandbox.provider.table import Description, Resource, Tags, call, f, update


def same_key(old: Any, new: Any) -> bool:
    """A key may be named by id or by ARN."""
    return str(old).rsplit("/", 1)[-1] == str(new).rsplit("/", 1)[-1]


def _rotate(op: Operation) -> None:
    if op.wanted("enableKeyRotation"):
        period = op.inputs.get("rotationPeriodInDays")
        extra = {"RotationPeriodInDays": int(period)} if period else {}
        op.api("enable_key_rotation", KeyId=op.id, **extra)
    elif not op.creating:
        op.api("disable_key_rotation", KeyId=op.id)


def _enable(op: Operation) -> None:
    if op.wanted("isEnabled"):
        if not op.creating:
            op.api("enable_key", KeyId=op.id)
    else:
        op.api("disable_key", KeyId=op.id)


def _schedule_deletion(op: Operation) -> None:
    op.api("schedule_key_deletion", KeyId=op.id, PendingWindowInDays=int(op.state.get("deletionWindowInDays") or 30))


def _read_alias(op: Operation) -> Description | None:
    for page in op.client().get_paginator("list_aliases").paginate():
        for alias in page["Aliases"]:
            if alias["AliasName"] == op.id:
                return {**alias, "TargetKeyArn": alias["AliasArn"].rsplit(":", 1)[0] + f":key/{alias['TargetKeyId']}"}
    return None


def _create_alias(op: Operation) -> str:
    op.api("create_alias", AliasName=op.inputs["name"], TargetKeyId=op.inputs["targetKeyId"])
    return str(op.inputs["name"])


KEY: Final = Resource(
    token="aws:kms/key:Key",
    service="kms",
    create=call("create_key", result="KeyMetadata.KeyId"),
    read=call("describe_key", {"KeyId": "$id"}, "KeyMetadata"),
    more=(
        call("get_key_policy", {"KeyId": "$id", "PolicyName": "default"}, "{Policy: Policy}"),
        call(
            "get_key_rotation_status", {"KeyId": "$id"}, "{Rotation: KeyRotationEnabled, Period: RotationPeriodInDays}"
        ),
    ),
    delete=_schedule_deletion,
    inputs=(
        f("description", computed=True),
        f("policy", json=True, computed=True),
        f("multiRegion", replace=True, default=False),
        f("keyUsage", replace=True, default="ENCRYPT_DECRYPT"),
        f("isEnabled", read="Enabled", create=False, default=True),
        f("enableKeyRotation", read="Rotation", create=False, default=False),
        f("rotationPeriodInDays", read="Period", create=False, computed=True),
        f("deletionWindowInDays", read=None, create=False, computed=True),
    ),
    outputs=(f("arn"), f("keyId")),
    updates=(
        update("description", call("update_key_description", {"KeyId": "$id"})),
        update("policy", call("put_key_policy", {"KeyId": "$id", "PolicyName": "default"})),
        update("enableKeyRotation rotationPeriodInDays", _rotate, after_create=True),
        update("isEnabled", _enable, after_create=True),
    ),
    tags=Tags(
        key="TagKey",
        value="TagValue",
        read=call("list_resource_tags", {"KeyId": "$id"}, "Tags"),
        target={"KeyId": "$id"},
    ),
    missing=("NotFoundException",),
    gone=lambda found: bool(found["KeyState"] in ("PendingDeletion", "PendingReplicaDeletion")),
)

ALIAS: Final = Resource(
    token="aws:kms/alias:Alias",
    service="kms",
    create=_create_alias,
    read=_read_alias,
    delete=call("delete_alias", {"AliasName": "$id"}),
    inputs=(f("name", "AliasName", replace=True), f("targetKeyId", equal=same_key)),
    outputs=(f("arn", read="AliasArn"), f("targetKeyArn")),
    updates=(update("targetKeyId", call("update_alias", {"AliasName": "$id"})),),
    missing=("NotFoundException",),
    physical_name="name",
)


RESOURCES: Final = (KEY, ALIAS)
