"""CloudWatch Logs: log groups."""

from __future__ import annotations

from typing import Final

from sandbox.provider.operation import Operation
from sandbox.provider.table import Description, Resource, Tags, call, f, update


def _create(op: Operation) -> str:
    op.call(call("create_log_group"), op.creating_fields(), op.tags_at_create())
    return str(op.inputs["name"])


def _read(op: Operation) -> Description | None:
    for page in op.client().get_paginator("describe_log_groups").paginate(logGroupNamePrefix=op.id):
        for group in page["logGroups"]:
            if group["logGroupName"] == op.id:
                return dict(group)
    return None


def _retain(op: Operation) -> None:
    days = int(op.wanted("retentionInDays"))
    if days:
        op.api("put_retention_policy", logGroupName=op.id, retentionInDays=days)
    elif not op.creating:
        op.api("delete_retention_policy", logGroupName=op.id)


def _encrypt(op: Operation) -> None:
    if op.inputs.get("kmsKeyId"):
        op.api("associate_kms_key", logGroupName=op.id, kmsKeyId=op.inputs["kmsKeyId"])
    else:
        op.api("disassociate_kms_key", logGroupName=op.id)


def _arn(op: Operation) -> str:
    return f"arn:aws:logs:{op.region}:{op.instance.account}:log-group:{op.id}"


LOG_GROUP: Final = Resource(
    token="aws:cloudwatch/logGroup:LogGroup",
    service="logs",
    create=_create,
    read=_read,
    delete=call("delete_log_group", {"logGroupName": "$id"}),
    inputs=(
        f("name", "logGroupName", replace=True),
        f("kmsKeyId"),
        f("retentionInDays", create=False, default=0),
    ),
    outputs=(f("arn", get=lambda op, _: _arn(op)),),
    updates=(update("retentionInDays", _retain, after_create=True), update("kmsKeyId", _encrypt)),
    tags=Tags(
        key="",
        create="tags",
        read=call("list_tags_for_resource", {"resourceArn": _arn}, "tags"),
        target={"resourceArn": _arn},
        items="tags",
        keys="tagKeys",
    ),
    missing=("ResourceNotFoundException",),
    physical_name="name",
)

RESOURCES: Final = (LOG_GROUP,)
