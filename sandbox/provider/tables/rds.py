"""RDS: instances (created or restored), subnet groups, parameter groups.

A restore takes only part of the arguments; what it can't take is changed afterwards, as the plugin does (Terraform AWS
provider, internal/service/rds/instance.go).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider.errors import ProviderError
from sandbox.provider.operation import Operation
from sandbox.provider.table import Call, Description, Failure, Field, Resource, Tags, call, f, fields, update

MANAGED: Final = "Managed by Pulumi"
SETTLED: Final = ("available", "storage-optimization")
FAILED: Final = (
    "failed",
    "stopped",
    "storage-full",
    "restore-error",
    "deleting",
    "inaccessible-encryption-credentials",
)
PARAMETERS_PER_CALL: Final = 20
POSTGRES_PORT: Final = 5432

RESTORE: Final = (
    "autoMinorVersionUpgrade",
    "availabilityZone",
    "copyTagsToSnapshot",
    "dbSubnetGroupName",
    "deletionProtection",
    "enabledCloudwatchLogsExports",
    "engine",
    "iamDatabaseAuthenticationEnabled",
    "identifier",
    "instanceClass",
    "multiAz",
    "parameterGroupName",
    "port",
    "publiclyAccessible",
    "vpcSecurityGroupIds",
)
AFTER_RESTORE: Final = (
    "allocatedStorage",
    "backupRetentionPeriod",
    "backupWindow",
    "engineVersion",
    "maintenanceWindow",
    "maxAllocatedStorage",
    "password",
    "performanceInsightsEnabled",
    "performanceInsightsRetentionPeriod",
    "storageType",
)
MODIFIABLE: Final = (
    *AFTER_RESTORE,
    "autoMinorVersionUpgrade",
    "caCertIdentifier",
    "copyTagsToSnapshot",
    "dbSubnetGroupName",
    "deletionProtection",
    "iamDatabaseAuthenticationEnabled",
    "instanceClass",
    "multiAz",
    "parameterGroupName",
    "publiclyAccessible",
    "vpcSecurityGroupIds",
)


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


def _fields(op: Operation, names: tuple[str, ...]) -> tuple[Field, ...]:
    return tuple(field for field in op.resource.inputs if field.name in names)


def _create(op: Operation) -> str:
    if op.inputs.get("snapshotIdentifier"):
        operation = call(
            "restore_db_instance_from_db_snapshot",
            {"DBSnapshotIdentifier": "$snapshotIdentifier"},
            "DBInstance.DbiResourceId",
        )
        return str(op.call(operation, _fields(op, RESTORE), op.tags_at_create()))
    missing = [name for name in ("allocatedStorage", "engine", "password", "username") if op.inputs.get(name) is None]
    if missing:
        raise ProviderError(f"a new database needs {', '.join(missing)}")
    return str(
        op.call(
            call("create_db_instance", result="DBInstance.DbiResourceId"), op.creating_fields(), op.tags_at_create()
        )
    )


def _after_restore(op: Operation) -> None:
    """Wait for the restored instance, then set what the restore couldn't take."""
    _wait(op)
    given = tuple(field for field in _fields(op, AFTER_RESTORE) if op.inputs.get(field.name) is not None)
    if given:
        op.call(call("modify_db_instance", {"DBInstanceIdentifier": "$identifier", "ApplyImmediately": True}), given)


def _wait(op: Operation) -> None:
    op.until(
        lambda: op.describe() and _ready(op, op.description), f"waiting for the database {op.inputs.get('identifier')}"
    )


def _ready(op: Operation, found: Description) -> bool:
    status = found["DBInstanceStatus"]
    if status in FAILED or status.startswith("incompatible-"):
        raise ProviderError(f"the database {found['DBInstanceIdentifier']} is {status}")
    return status in SETTLED


def _modify(op: Operation) -> None:
    changed = tuple(field for field in _fields(op, MODIFIABLE) if field.name in op.changed)
    extra: dict[str, Any] = {}
    if "identifier" in op.changed:
        extra["NewDBInstanceIdentifier"] = op.inputs["identifier"]
    if "enabledCloudwatchLogsExports" in op.changed:
        old, new = (
            set(values or [])
            for values in (op.known("enabledCloudwatchLogsExports"), op.inputs.get("enabledCloudwatchLogsExports"))
        )
        extra["CloudwatchLogsExportConfiguration"] = {
            "EnableLogTypes": sorted(new - old),
            "DisableLogTypes": sorted(old - new),
        }
    operation = call(
        "modify_db_instance",
        {
            "DBInstanceIdentifier": lambda op: op.known("identifier"),
            "ApplyImmediately": lambda op: bool(op.wanted("applyImmediately")),
        },
    )
    op.call(operation, changed, extra)


def _delete(op: Operation) -> None:
    request: dict[str, Any] = {"SkipFinalSnapshot": bool(op.state.get("skipFinalSnapshot"))}
    if not request["SkipFinalSnapshot"]:
        if not op.state.get("finalSnapshotIdentifier"):
            raise ProviderError("finalSnapshotIdentifier is required when skipFinalSnapshot is false")
        request["FinalDBSnapshotIdentifier"] = op.state["finalSnapshotIdentifier"]
    if op.state.get("deleteAutomatedBackups") is not None:
        request["DeleteAutomatedBackups"] = bool(op.state["deleteAutomatedBackups"])
    if not op.describe():
        return
    op.api("delete_db_instance", DBInstanceIdentifier=op.known("identifier"), **request)


def _same_version(old: Any, new: Any) -> bool:
    """A major version in the program stands for any of its minor versions."""
    return str(old) == str(new) or str(old).startswith(f"{new}.")


def _allowed(inputs: Mapping[str, Any]) -> list[Failure]:
    retention = inputs.get("backupRetentionPeriod")
    if retention is not None and not 0 <= float(retention) <= 35:
        return [("backupRetentionPeriod", f"backupRetentionPeriod must be 0 to 35 days, not {retention}")]
    if inputs.get("port", POSTGRES_PORT) != POSTGRES_PORT:
        return [("port", f"only the port {POSTGRES_PORT} is modelled, not {inputs['port']}")]
    return []


def _found(op: Operation) -> Description | None:
    """By resource id, which is what a creation remembers, or by name, which is what people import with."""
    if re.fullmatch("db-[0-9A-Za-z]{2,255}", op.id):
        by_id = op.api("describe_db_instances", Filters=[{"Name": "dbi-resource-id", "Values": [op.id]}])
        if by_id["DBInstances"]:
            return dict(by_id["DBInstances"][0])
    return dict(op.api("describe_db_instances", DBInstanceIdentifier=op.id)["DBInstances"][0])


def _endpoint(_: Operation, found: Description) -> str | None:
    endpoint = found.get("Endpoint") or {}
    return f"{endpoint['Address']}:{endpoint['Port']}" if endpoint.get("Address") else None


INSTANCE: Final = Resource(
    token="aws:rds/instance:Instance",
    service="rds",
    create=_create,
    read=_found,
    delete=_delete,
    inputs=(
        f("identifier", "DBInstanceIdentifier"),
        f("instanceClass", "DBInstanceClass"),
        f("engine", replace=True, computed=True),
        f("engineVersion", computed=True, equal=_same_version),
        f("allocatedStorage", computed=True),
        f("maxAllocatedStorage", default=0),
        f("storageType", computed=True),
        f("storageEncrypted", replace=True, default=False),
        f("kmsKeyId", replace=True, computed=True),
        f("dbName", replace=True, computed=True),
        f("username", "MasterUsername", replace=True, computed=True),
        f("password", "MasterUserPassword", read=None, sensitive=True),
        # An emulated instance listens where this machine has room, so the port asked for is never the one it has.
        f("port", read="Endpoint.Port", computed=True, equal=lambda _, __: True),
        f("multiAz", computed=True),
        f("availabilityZone", replace=True, computed=True),
        f("publiclyAccessible", default=False),
        f("dbSubnetGroupName", read="DBSubnetGroup.DBSubnetGroupName", computed=True, ignore_case=True),
        f("vpcSecurityGroupIds", read="VpcSecurityGroups[].VpcSecurityGroupId", unordered=True, computed=True),
        f(
            "parameterGroupName",
            "DBParameterGroupName",
            read="DBParameterGroups[0].DBParameterGroupName",
            computed=True,
        ),
        f("backupRetentionPeriod", computed=True),
        f("backupWindow", "PreferredBackupWindow", computed=True, ignore_case=True),
        f("maintenanceWindow", "PreferredMaintenanceWindow", computed=True, ignore_case=True),
        f("autoMinorVersionUpgrade", default=True),
        f("copyTagsToSnapshot", default=False),
        f("deletionProtection", default=False),
        f("caCertIdentifier", "CACertificateIdentifier", computed=True),
        f(
            "iamDatabaseAuthenticationEnabled",
            "EnableIAMDatabaseAuthentication",
            read="IAMDatabaseAuthenticationEnabled",
            default=False,
        ),
        f(
            "enabledCloudwatchLogsExports",
            "EnableCloudwatchLogsExports",
            read="EnabledCloudwatchLogsExports",
            unordered=True,
        ),
        f("performanceInsightsEnabled", "EnablePerformanceInsights", read="PerformanceInsightsEnabled", default=False),
        f("performanceInsightsRetentionPeriod", computed=True),
        f("snapshotIdentifier", read=None, replace=True, create=False),
        f("applyImmediately", read=None, create=False, default=False),
        f("skipFinalSnapshot", read=None, create=False, default=False),
        f("finalSnapshotIdentifier", read=None, create=False),
        f("deleteAutomatedBackups", read=None, create=False, default=True),
    ),
    outputs=(
        f("arn", read="DBInstanceArn"),
        f("address", read="Endpoint.Address"),
        f("endpoint", get=_endpoint),
        f("resourceId", read="DbiResourceId"),
        f("status", read="DBInstanceStatus"),
        f("engineVersionActual", read="EngineVersion"),
    ),
    updates=(
        update("snapshotIdentifier", _after_restore, after_create=True),
        update(" ".join((*MODIFIABLE, "identifier", "enabledCloudwatchLogsExports")), _modify),
    ),
    tags=rds_tags("TagList"),
    missing=("DBInstanceNotFound", "DBInstanceNotFoundFault"),
    ready=_ready,
    wait_gone=True,
    patience=240,  # what the program gives a restore
    physical_name="identifier",
    check=_allowed,
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

RESOURCES: Final = (INSTANCE, SUBNET_GROUP, PARAMETER_GROUP)
