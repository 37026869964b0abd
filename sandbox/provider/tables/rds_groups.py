"""RDS: subnet groups and parameter groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider.operation import Operation
from sandbox.provider.table import Call, Description, Resource, Tags, call, f, fields, update

MANAGED: Final = "Managed by Pulumi"
PARAMETERS_PER_CALL: Final = 20

_TAGGED: Final = {"ResourceName": lambda op: op.known("arn")}
_LISTED: Final = call("list_tags_for_resource", _TAGGED, "TagList")


def rds_tags(read: str | Call) -> Tags:
    """RDS identifies what is tagged by ARN; only an instance's description has its tags."""
    return Tags(
        read=read,
        target=_TAGGED,
        add="add_tags_to_resource",
        remove="remove_tags_from_resource",
    )


SUBNET_GROUP: Final = Resource(
    token="aws:rds/subnetGroup:SubnetGroup",
    service="rds",
    create=call("create_db_subnet_group", result="DBSubnetGroup.DBSubnetGroupName"),
    read=call("describe_db_subnet_groups", {"DBSubnetGroupName": "$id"}, "DBSubnetGroups[0]"),
    delete=call("delete_db_subnet_group", {"DBSubnetGroupName": "$id"}),
    inputs=(
        f("name", "DBSubnetGroupName", replace=True),
        f("description", "DBSubnetGroupDescription", default=MANAGED),
        f("subnetIds", read="Subnets[].SubnetIdentifier", unordered=True),
    ),
    outputs=(f("arn", read="DBSubnetGroupArn"), f("vpcId")),
    updates=(update("subnetIds description", call("modify_db_subnet_group", {"DBSubnetGroupName": "$id"})),),
    tags=rds_tags(_LISTED),
    missing=("DBSubnetGroupNotFoundFault",),
    physical_name="name",
)


def _set_parameters(op: Operation) -> None:
    old = [] if op.creating else op.known("parameters") or []
    new = op.inputs.get("parameters") or []
    wanted = [_parameter(item) for item in new if item not in old]
    for start in range(0, len(wanted), PARAMETERS_PER_CALL):
        op.api(
            "modify_db_parameter_group",
            DBParameterGroupName=op.id,
            Parameters=wanted[start : start + PARAMETERS_PER_CALL],
        )
    names = {item["name"] for item in new}
    dropped = [{**_parameter(item), "ApplyMethod": "pending-reboot"} for item in old if item["name"] not in names]
    if dropped:
        op.api("reset_db_parameter_group", DBParameterGroupName=op.id, Parameters=dropped)


def _parameter(item: Mapping[str, Any]) -> dict[str, str]:
    return {
        "ParameterName": str(item["name"]),
        "ParameterValue": str(item["value"]),
        "ApplyMethod": str(item.get("applyMethod") or "immediate"),
    }


def _user_parameters(op: Operation, _: Description) -> list[dict[str, str]]:
    pages = op.client().get_paginator("describe_db_parameters").paginate(DBParameterGroupName=op.id, Source="user")
    return [
        {
            "name": item["ParameterName"],
            "value": item["ParameterValue"],
            "applyMethod": item.get("ApplyMethod") or "immediate",
        }
        for page in pages
        for item in page["Parameters"]
    ]


PARAMETER_GROUP: Final = Resource(
    token="aws:rds/parameterGroup:ParameterGroup",
    service="rds",
    create=call("create_db_parameter_group", result="DBParameterGroup.DBParameterGroupName"),
    read=call("describe_db_parameter_groups", {"DBParameterGroupName": "$id"}, "DBParameterGroups[0]"),
    delete=call("delete_db_parameter_group", {"DBParameterGroupName": "$id"}),
    inputs=(
        f("name", "DBParameterGroupName", replace=True),
        f("family", "DBParameterGroupFamily", replace=True),
        f("description", replace=True, default=MANAGED),
        f(
            "parameters",
            get=_user_parameters,
            create=False,
            unordered=True,
            block=(*fields("name value"), f("applyMethod", default="immediate")),
        ),
    ),
    outputs=(f("arn", read="DBParameterGroupArn"),),
    updates=(update("parameters", _set_parameters, after_create=True),),
    tags=rds_tags(_LISTED),
    missing=("DBParameterGroupNotFound", "DBParameterGroupNotFoundFault"),
    retry_delete=("InvalidDBParameterGroupState",),
    physical_name="name",
)

RESOURCES: Final = (SUBNET_GROUP, PARAMETER_GROUP)
