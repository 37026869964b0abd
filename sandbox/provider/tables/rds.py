"""RDS: instances, which are created, restored or follow another one.

A restore and the creation of a replica take only part of the arguments; what they can't take is changed afterwards, as
the plugin does (Terraform AWS provider, internal/service/rds/instance.go).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider import convert
from sandbox.provider.errors import ProviderError
from sandbox.provider.operation import Operation
from sandbox.provider.table import Description, Failure, Field, Resource, call, f, fields, update
from sandbox.provider.tables.rds_groups import rds_tags

SETTLED: Final = ("available", "storage-optimization")
FAILED: Final = (
    "failed",
    "stopped",
    "storage-full",
    "restore-error",
    "deleting",
    "inaccessible-encryption-credentials",
)
POSTGRES_PORT: Final = 5432

INSIGHTS: Final = ("performanceInsightsEnabled", "performanceInsightsKmsKeyId", "performanceInsightsRetentionPeriod")
MONITORING: Final = ("monitoringInterval", "monitoringRoleArn")
_ANY_WAY: Final = (
    "autoMinorVersionUpgrade",
    "availabilityZone",
    "copyTagsToSnapshot",
    "dbSubnetGroupName",
    "deletionProtection",
    "enabledCloudwatchLogsExports",
    "iamDatabaseAuthenticationEnabled",
    "instanceClass",
    "multiAz",
    "port",
    "publiclyAccessible",
    "vpcSecurityGroupIds",
)
RESTORE: Final = (*_ANY_WAY, "engine", "identifier", "parameterGroupName")
AFTER_RESTORE: Final = (
    "allocatedStorage",
    "backupRetentionPeriod",
    "backupWindow",
    "engineVersion",
    "maintenanceWindow",
    "maxAllocatedStorage",
    "password",
    "storageType",
    *INSIGHTS,
    *MONITORING,
)
# The allocated storage is the source's, whatever the program says.
REPLICA: Final = (*_ANY_WAY, "identifier", "kmsKeyId", "storageType", *INSIGHTS, *MONITORING)
AFTER_REPLICA: Final = (
    "backupRetentionPeriod",
    "backupWindow",
    "caCertIdentifier",
    "maintenanceWindow",
    "maxAllocatedStorage",
    "parameterGroupName",
    "password",
)
ORIGINS: Final = {
    "restoreTime": "RestoreTime",
    "sourceDbInstanceAutomatedBackupsArn": "SourceDBInstanceAutomatedBackupsArn",
    "sourceDbInstanceIdentifier": "SourceDBInstanceIdentifier",
    "sourceDbiResourceId": "SourceDbiResourceId",
    "useLatestRestorableTime": "UseLatestRestorableTime",
}
RFC3339: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"
NOT_OF_A_REPLICA: Final = ("dbName", "username")
POINT_IN_TIME: Final = (*_ANY_WAY, "engine", "maxAllocatedStorage", "parameterGroupName", "storageType")
# All else that a restore to a point in time can't take is left to the next deployment.
AFTER_POINT_IN_TIME: Final = ("password", *MONITORING)
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


def _fields(op: Operation, names: tuple[str, ...]) -> tuple[Field, ...]:
    return tuple(field for field in op.resource.inputs if field.name in names)


def _create(op: Operation) -> str:
    if op.inputs.get("replicateSourceDb"):
        return _create_replica(op)
    if op.inputs.get("snapshotIdentifier"):
        operation = call(
            "restore_db_instance_from_db_snapshot",
            {"DBSnapshotIdentifier": "$snapshotIdentifier"},
            "DBInstance.DbiResourceId",
        )
        return str(op.call(operation, _fields(op, RESTORE), op.tags_at_create()))
    if op.inputs.get("restoreToPointInTime"):
        return _restore_to_point_in_time(op)
    missing = [name for name in ("allocatedStorage", "engine", "password", "username") if op.inputs.get(name) is None]
    if missing:
        raise ProviderError(f"a new database needs {', '.join(missing)}")
    return str(
        op.call(
            call("create_db_instance", result="DBInstance.DbiResourceId"), op.creating_fields(), op.tags_at_create()
        )
    )


def _restore_to_point_in_time(op: Operation) -> str:
    given = op.inputs["restoreToPointInTime"]
    request: dict[str, Any] = {"TargetDBInstanceIdentifier": op.inputs["identifier"], **op.tags_at_create()}
    request |= {member: given[name] for name, member in ORIGINS.items() if given.get(name)}
    operation = call("restore_db_instance_to_point_in_time", result="DBInstance.DbiResourceId")
    return str(op.call(operation, _fields(op, POINT_IN_TIME), request))


def _create_replica(op: Operation) -> str:
    source = str(op.inputs["replicateSourceDb"])
    request = {"SourceDBInstanceIdentifier": source, **op.tags_at_create()}
    if op.inputs.get("kmsKeyId") and source.startswith("arn:"):
        request["SourceRegion"] = source.split(":")[3]
    operation = call("create_db_instance_read_replica", result="DBInstance.DbiResourceId")
    return str(op.call(operation, _fields(op, REPLICA), request))


def _after_replica(op: Operation) -> None:
    """Wait for the replica, then set what its creation couldn't take; other parameters hold after a reboot."""
    _wait(op)
    given = tuple(field for field in _fields(op, AFTER_REPLICA) if op.inputs.get(field.name) is not None)
    different = tuple(field for field in given if not convert.same(field, op.known(field.name), op.inputs[field.name]))
    if different:
        op.call(
            call("modify_db_instance", {"DBInstanceIdentifier": "$identifier", "ApplyImmediately": True}), different
        )
        _wait(op)
    if any(field.name == "parameterGroupName" for field in different):
        op.api("reboot_db_instance", DBInstanceIdentifier=op.inputs["identifier"])


def _promote(op: Operation) -> None:
    """A replica whose source is left out of the program stands alone from then on."""
    if op.inputs.get("replicateSourceDb"):
        raise ProviderError("cannot elect new source database for replication")
    request = {"PreferredBackupWindow": op.inputs["backupWindow"]} if op.inputs.get("backupWindow") else {}
    op.api(
        "promote_read_replica",
        DBInstanceIdentifier=op.inputs["identifier"],
        BackupRetentionPeriod=int(op.value("backupRetentionPeriod") or 0),
        **request,
    )
    _wait(op)


def _following(op: Operation) -> None:
    (_after_replica if op.creating else _promote)(op)


def _same_source(old: Any, new: Any) -> bool:
    """Within a region AWS answers with a name, also where the program gave an ARN."""
    return bool(old and new) and (old == new or (":" not in old and old == str(new).rpartition(":")[2]))


def _after_restore(op: Operation) -> None:
    """Wait for the restored instance, then set what the restore couldn't take."""
    _wait(op)
    names = AFTER_RESTORE if op.inputs.get("snapshotIdentifier") else AFTER_POINT_IN_TIME
    given = tuple(field for field in _fields(op, names) if op.inputs.get(field.name) is not None)
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
    wanted = op.changed | set(INSIGHTS) if op.changed & set(INSIGHTS) else op.changed
    changed = tuple(field for field in _fields(op, MODIFIABLE) if field.name in wanted)
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
    # "is already being deleted" is no error to the plugin (internal/service/rds/instance.go): it waits for the end.
    if not op.describe() or op.description["DBInstanceStatus"] == "deleting":
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
    moment = inputs.get("restoreToPointInTime") or {}
    others = [name for name in ("snapshotIdentifier", "replicateSourceDb") if moment and inputs.get(name)]
    if others:
        return [("restoreToPointInTime", f"restoreToPointInTime conflicts with {', '.join(others)}")]
    if moment.get("restoreTime") and moment.get("useLatestRestorableTime"):
        return [("restoreToPointInTime", "restoreTime conflicts with useLatestRestorableTime")]
    if moment.get("restoreTime") and not re.fullmatch(RFC3339, moment["restoreTime"]):
        return [("restoreToPointInTime", f"restoreTime must be in RFC3339 time format, not {moment['restoreTime']}")]
    if inputs.get("replicateSourceDb"):
        return [(name, f"{name} cannot be specified for a replica") for name in NOT_OF_A_REPLICA if inputs.get(name)]
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
        f("performanceInsightsKmsKeyId", "PerformanceInsightsKMSKeyId", computed=True),
        f("performanceInsightsRetentionPeriod", computed=True),
        f("monitoringInterval", default=0),
        f("monitoringRoleArn", computed=True),
        f(
            "replicateSourceDb",
            "SourceDBInstanceIdentifier",
            read="ReadReplicaSourceDBInstanceIdentifier",
            create=False,
            equal=_same_source,
        ),
        f("snapshotIdentifier", read=None, replace=True, create=False),
        f("restoreToPointInTime", read=None, replace=True, create=False, block=fields(" ".join(ORIGINS))),
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
        update("snapshotIdentifier restoreToPointInTime", _after_restore, after_create=True),
        update("replicateSourceDb", _following, after_create=True),
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


RESOURCES: Final = (INSTANCE,)
