"""ElastiCache: replication groups with one node group, subnet groups, parameter groups.

Some of what the program gives a replication group is described of its nodes only (Terraform AWS provider,
internal/service/elasticache/replication_group.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider.errors import ProviderError
from sandbox.provider.operation import Operation
from sandbox.provider.table import Description, Failure, Resource, Tags, call, f, fields, update

MANAGED: Final = "Managed by Pulumi"
PORT: Final = 6379
PARAMETERS_PER_CALL: Final = 20
MODIFIABLE: Final = (
    "description",
    "autoMinorVersionUpgrade",
    "automaticFailoverEnabled",
    "engine",
    "engineVersion",
    "maintenanceWindow",
    "multiAzEnabled",
    "nodeType",
    "parameterGroupName",
    "securityGroupIds",
    "snapshotRetentionLimit",
    "snapshotWindow",
    "transitEncryptionEnabled",
    "transitEncryptionMode",
)
_TAGS: Final = Tags(
    read=call("list_tags_for_resource", {"ResourceName": lambda op: op.known("arn")}, "TagList"),
    target={"ResourceName": lambda op: op.known("arn")},
    add="add_tags_to_resource",
    remove="remove_tags_from_resource",
)
_FIRST_NODE: Final = (
    "CacheClusters[0].{NodeEngineVersion: EngineVersion, Maintenance: PreferredMaintenanceWindow, "
    "Subnets: CacheSubnetGroupName, Parameters: CacheParameterGroup.CacheParameterGroupName, "
    "Groups: SecurityGroups[].SecurityGroupId}"
)


def _ready(op: Operation, found: Description) -> bool:
    if found["Status"] == "create-failed":
        raise ProviderError(f"the cache {op.id} is create-failed")
    return bool(found["Status"] == "available")


def _wait(op: Operation) -> None:
    op.until(lambda: op.describe() and _ready(op, op.description), f"waiting for the cache {op.id}")


def _count(op: Operation) -> None:
    """Add or remove replicas: a modification of its own, which the others wait for."""
    wanted, present = int(op.wanted("numCacheClusters")), int(op.known("numCacheClusters"))
    operation = "increase_replica_count" if wanted > present else "decrease_replica_count"
    op.api(operation, ReplicationGroupId=op.id, NewReplicaCount=wanted - 1, ApplyImmediately=True)
    _wait(op)


def _modify(op: Operation) -> None:
    carry = tuple(field for field in op.resource.inputs if field.name in op.changed and field.name in MODIFIABLE)
    op.call(call("modify_replication_group", {"ReplicationGroupId": "$id", "ApplyImmediately": _at_once}), carry)
    _wait(op)


def _rotate(op: Operation) -> None:
    carry = tuple(f for f in op.resource.inputs if f.name in ("authToken", "authTokenUpdateStrategy"))
    op.call(call("modify_replication_group", {"ReplicationGroupId": "$id", "ApplyImmediately": True}), carry)


def _at_once(op: Operation) -> bool:
    return bool(op.wanted("applyImmediately"))


def _allowed(inputs: Mapping[str, Any]) -> list[Failure]:
    if inputs.get("port", PORT) != PORT:
        return [("port", f"only the port {PORT} is modelled, not {inputs['port']}")]
    if inputs.get("authToken") and not inputs.get("transitEncryptionEnabled"):
        return [("authToken", "authToken needs transitEncryptionEnabled")]
    if inputs.get("multiAzEnabled") and not inputs.get("automaticFailoverEnabled"):
        return [("multiAzEnabled", "multiAzEnabled needs automaticFailoverEnabled")]
    if inputs.get("automaticFailoverEnabled") and float(inputs.get("numCacheClusters") or 1) < 2:
        return [("numCacheClusters", "automaticFailoverEnabled needs at least 2 numCacheClusters")]
    return []


def _enabled(value: Any) -> bool:
    return bool(value == "enabled")


def _minor(version: str) -> str:
    """Of version 7 and later the program names major and minor version, AWS answers with the patch."""
    return ".".join(version.split(".")[:2])


REPLICATION_GROUP: Final = Resource(
    token="aws:elasticache/replicationGroup:ReplicationGroup",
    service="elasticache",
    create=call("create_replication_group", result="ReplicationGroup.ReplicationGroupId"),
    read=call("describe_replication_groups", {"ReplicationGroupId": "$id"}, "ReplicationGroups[0]"),
    more=(
        call(
            "describe_cache_clusters",
            {"CacheClusterId": lambda op: op.description["MemberClusters"][0]},
            _FIRST_NODE,
        ),
    ),
    delete=call("delete_replication_group", {"ReplicationGroupId": "$id"}),
    inputs=(
        f("replicationGroupId", replace=True, ignore_case=True),
        f("description", "ReplicationGroupDescription", read="Description"),
        f("engine", default="redis"),
        f("engineVersion", read="NodeEngineVersion", computed=True, decode=_minor),
        f("nodeType", "CacheNodeType"),
        f("numCacheClusters", read="length(MemberClusters)", default=1),
        f("automaticFailoverEnabled", read="AutomaticFailover", decode=_enabled, default=False),
        f("multiAzEnabled", "MultiAZEnabled", read="MultiAZ", decode=_enabled, default=False),
        f("parameterGroupName", "CacheParameterGroupName", read="Parameters", computed=True),
        f("subnetGroupName", "CacheSubnetGroupName", read="Subnets", replace=True, computed=True),
        f("securityGroupIds", read="Groups", unordered=True, computed=True),
        # An emulated cache listens where this machine has room, so the port asked for is never the one it has.
        f("port", read="NodeGroups[0].PrimaryEndpoint.Port", replace=True, computed=True, equal=lambda _, __: True),
        f("atRestEncryptionEnabled", replace=True, computed=True),
        f("kmsKeyId", replace=True),
        f("transitEncryptionEnabled", computed=True),
        f("transitEncryptionMode", computed=True),
        f("authToken", read=None, sensitive=True),
        f("authTokenUpdateStrategy", read=None, create=False),
        f("autoMinorVersionUpgrade", computed=True),
        f("maintenanceWindow", "PreferredMaintenanceWindow", read="Maintenance", computed=True, ignore_case=True),
        f("snapshotWindow", computed=True),
        f("snapshotRetentionLimit", default=0),
        f("snapshotName", read=None, replace=True),
        f("snapshotArns", read=None, replace=True),
        f("applyImmediately", read=None, create=False, default=False),
    ),
    outputs=(
        f("arn", read="ARN"),
        f("clusterEnabled"),
        f("engineVersionActual", read="NodeEngineVersion"),
        f("memberClusters"),
        f("primaryEndpointAddress", read="NodeGroups[0].PrimaryEndpoint.Address"),
        f("readerEndpointAddress", read="NodeGroups[0].ReaderEndpoint.Address"),
    ),
    updates=(
        update("numCacheClusters", _count),
        update(" ".join(MODIFIABLE), _modify),
        update("authToken authTokenUpdateStrategy", _rotate),
    ),
    tags=_TAGS,
    missing=("ReplicationGroupNotFoundFault", "CacheClusterNotFound"),  # its nodes may be gone a moment before
    ready=_ready,
    wait_gone=True,
    changing=("memberClusters", "engineVersionActual"),
    physical_name="replicationGroupId",
    required=("nodeType",),
    check=_allowed,
)

SUBNET_GROUP: Final = Resource(
    token="aws:elasticache/subnetGroup:SubnetGroup",
    service="elasticache",
    create=call("create_cache_subnet_group", result="CacheSubnetGroup.CacheSubnetGroupName"),
    read=call("describe_cache_subnet_groups", {"CacheSubnetGroupName": "$id"}, "CacheSubnetGroups[0]"),
    delete=call("delete_cache_subnet_group", {"CacheSubnetGroupName": "$id"}),
    inputs=(
        f("name", "CacheSubnetGroupName", replace=True, ignore_case=True),
        f("description", "CacheSubnetGroupDescription", default=MANAGED),
        f("subnetIds", read="Subnets[].SubnetIdentifier", unordered=True),
    ),
    outputs=(f("arn", read="ARN"), f("vpcId")),
    updates=(update("subnetIds description", call("modify_cache_subnet_group", {"CacheSubnetGroupName": "$id"})),),
    tags=_TAGS,
    missing=("CacheSubnetGroupNotFoundFault",),
    retry_delete=("CacheSubnetGroupInUse",),
    physical_name="name",
)


def _set_parameters(op: Operation) -> None:
    old = [] if op.creating else op.known("parameters") or []
    new = op.inputs.get("parameters") or []
    names = {item["name"] for item in new}
    for operation, items in (
        ("modify_cache_parameter_group", [item for item in new if item not in old]),
        ("reset_cache_parameter_group", [item for item in old if item["name"] not in names]),
    ):
        for start in range(0, len(items), PARAMETERS_PER_CALL):
            values = [
                {"ParameterName": str(item["name"]), "ParameterValue": str(item["value"])}
                for item in items[start : start + PARAMETERS_PER_CALL]
            ]
            op.api(operation, CacheParameterGroupName=op.id, ParameterNameValues=values)


def _user_parameters(op: Operation, _: Description) -> list[dict[str, str]]:
    pages = (
        op.client().get_paginator("describe_cache_parameters").paginate(CacheParameterGroupName=op.id, Source="user")
    )
    return [
        {"name": item["ParameterName"], "value": item["ParameterValue"]}
        for page in pages
        for item in page["Parameters"]
    ]


PARAMETER_GROUP: Final = Resource(
    token="aws:elasticache/parameterGroup:ParameterGroup",
    service="elasticache",
    create=call("create_cache_parameter_group", result="CacheParameterGroup.CacheParameterGroupName"),
    read=call("describe_cache_parameter_groups", {"CacheParameterGroupName": "$id"}, "CacheParameterGroups[0]"),
    delete=call("delete_cache_parameter_group", {"CacheParameterGroupName": "$id"}),
    inputs=(
        f("name", "CacheParameterGroupName", replace=True, ignore_case=True),
        f("family", "CacheParameterGroupFamily", replace=True),
        f("description", replace=True, default=MANAGED),
        f("parameters", get=_user_parameters, create=False, unordered=True, block=fields("name value")),
    ),
    outputs=(f("arn", read="ARN"),),
    updates=(update("parameters", _set_parameters, after_create=True),),
    tags=_TAGS,
    missing=("CacheParameterGroupNotFound",),
    retry_delete=("InvalidCacheParameterGroupState",),
    physical_name="name",
)

RESOURCES: Final = (REPLICATION_GROUP, SUBNET_GROUP, PARAMETER_GROUP)
