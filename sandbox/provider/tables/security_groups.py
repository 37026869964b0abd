"""EC2: security groups and their rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider.operation import Operation
from sandbox.provider.table import Description, Failure, Resource, call, f, fields, update
from sandbox.provider.tables.network import arn, tags

RULE_SOURCES: Final = ("cidrIpv4", "referencedSecurityGroupId")
ALL_PROTOCOLS: Final = "-1"


def _create_group(op: Operation) -> str:
    group = str(op.call(call("create_security_group", result="GroupId"), op.creating_fields(), op.tags_at_create()))
    # AWS lets a new group speak to everybody; the plugin takes that away, so that only written rules apply.
    found = op.api("describe_security_groups", GroupIds=[group])["SecurityGroups"][0]
    if found["IpPermissionsEgress"]:
        op.api("revoke_security_group_egress", GroupId=group, IpPermissions=found["IpPermissionsEgress"])
    return group


def _permission(op: Operation) -> dict[str, Any]:
    described = {"Description": op.inputs["description"]} if op.inputs.get("description") else {}
    permission: dict[str, Any] = {"IpProtocol": str(op.inputs["ipProtocol"])}
    for name in ("fromPort", "toPort"):
        if op.inputs.get(name) is not None:
            permission[f"{name[0].upper()}{name[1:]}"] = int(op.inputs[name])
    if op.inputs.get("cidrIpv4"):
        permission["IpRanges"] = [{"CidrIp": op.inputs["cidrIpv4"], **described}]
    if op.inputs.get("referencedSecurityGroupId"):
        permission["UserIdGroupPairs"] = [{"GroupId": op.inputs["referencedSecurityGroupId"], **described}]
    return permission


def _authorize(direction: str) -> Any:
    def create(op: Operation) -> str:
        answer = op.api(
            f"authorize_security_group_{direction}",
            GroupId=op.inputs["securityGroupId"],
            IpPermissions=[_permission(op)],
            **op.tags_at_create(),
        )
        return str(answer["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    return create


def _modify(op: Operation) -> None:
    rule: dict[str, Any] = {"IpProtocol": str(op.inputs["ipProtocol"])}
    for name, member in (
        ("fromPort", "FromPort"),
        ("toPort", "ToPort"),
        ("cidrIpv4", "CidrIpv4"),
        ("referencedSecurityGroupId", "ReferencedGroupId"),
        ("description", "Description"),
    ):
        if op.inputs.get(name) is not None:
            rule[member] = op.inputs[name]
    op.api(
        "modify_security_group_rules",
        GroupId=op.value("securityGroupId"),
        SecurityGroupRules=[{"SecurityGroupRuleId": op.id, "SecurityGroupRule": rule}],
    )


def _one_source(inputs: Mapping[str, Any]) -> list[Failure]:
    given = [name for name in RULE_SOURCES if inputs.get(name)]
    if len(given) > 1:
        return [(given[0], f"a rule takes one of {', '.join(RULE_SOURCES)}, not {len(given)}")]
    return []


def _port(name: str) -> Any:
    """Where a rule has no ports (all protocols), AWS answers -1 for both."""

    def read(_: Operation, found: Description) -> Any:
        return None if found["IpProtocol"] == ALL_PROTOCOLS else found.get(f"{name[0].upper()}{name[1:]}")

    return read


def _rule(direction: str) -> Resource:
    return Resource(
        token=f"aws:vpc/securityGroup{direction.title()}Rule:SecurityGroup{direction.title()}Rule",
        service="ec2",
        create=_authorize(direction),
        read=call("describe_security_group_rules", {"SecurityGroupRuleIds": ["$id"]}, "SecurityGroupRules[0]"),
        delete=call(
            f"revoke_security_group_{direction}", {"GroupId": "$securityGroupId", "SecurityGroupRuleIds": ["$id"]}
        ),
        inputs=(
            f("securityGroupId", read="GroupId", replace=True),
            *fields("ipProtocol cidrIpv4 description"),
            *(f(name, get=_port(name)) for name in ("fromPort", "toPort")),
            f("referencedSecurityGroupId", read="ReferencedGroupInfo.GroupId"),
        ),
        outputs=(arn("security-group-rule"), f("securityGroupRuleId")),
        updates=(update("ipProtocol fromPort toPort cidrIpv4 referencedSecurityGroupId description", _modify),),
        tags=tags("security-group-rule"),
        missing=("InvalidSecurityGroupRuleId.NotFound", "InvalidPermission.NotFound", "InvalidGroup.NotFound"),
        check=_one_source,
    )


SECURITY_GROUP: Final = Resource(
    token="aws:ec2/securityGroup:SecurityGroup",
    service="ec2",
    create=_create_group,
    read=call("describe_security_groups", {"GroupIds": ["$id"]}, "SecurityGroups[0]"),
    delete=call("delete_security_group", {"GroupId": "$id"}),
    inputs=(
        f("name", "GroupName", replace=True),
        f("description", replace=True, default="Managed by Pulumi"),
        f("vpcId", replace=True, computed=True),
    ),
    outputs=(arn("security-group"), f("ownerId")),
    tags=tags("security-group"),
    missing=("InvalidGroup.NotFound", "InvalidGroupId.Malformed"),
    retry_delete=("DependencyViolation", "InvalidGroup.InUse"),
    physical_name="name",
)

RESOURCES: Final = (SECURITY_GROUP, _rule("ingress"), _rule("egress"))
