"""RDS: automated backups of a database in another region, replicated to here.

As the plugin does (Terraform AWS provider, internal/service/rds/instance_automated_backups_replication.go): a deletion
also asks the source's region until the source has forgotten the replication.
"""

from __future__ import annotations

from typing import Final

from botocore.exceptions import ClientError

from sandbox.provider import errors
from sandbox.provider.operation import Operation
from sandbox.provider.table import Description, Resource, call, f

NOT_REPLICATING: Final = "not replicating to the current region"
MISSING: Final = ("DBInstanceAutomatedBackupNotFound", "DBInstanceNotFound")


def _create(op: Operation) -> str:
    source = str(op.inputs["sourceDbInstanceArn"])
    operation = call(
        "start_db_instance_automated_backups_replication",
        {"SourceRegion": source.split(":")[3]},
        "DBInstanceAutomatedBackup.DBInstanceAutomatedBackupsArn",
    )
    return str(op.call(operation, op.creating_fields()))


def _stop(op: Operation) -> None:
    if not op.describe():
        return
    source = str(op.known("sourceDbInstanceArn"))
    try:
        op.api("stop_db_instance_automated_backups_replication", SourceDBInstanceArn=source)
    except ClientError as error:
        if NOT_REPLICATING not in errors.text(error):
            raise
        return
    there = op.instance.clients.get("rds", source.split(":")[3])

    def forgotten() -> bool:
        (found,) = there.describe_db_instances(DBInstanceIdentifier=source.rpartition(":")[2])["DBInstances"]
        known = found.get("DBInstanceAutomatedBackupsReplications", [])
        return all(entry["DBInstanceAutomatedBackupsArn"] != op.id for entry in known)

    op.until(forgotten, f"waiting for {source} to forget {op.id}")


def _stopped(found: Description) -> bool:
    return str(found["Status"]).lower() == "retained"


def _ready(_: Operation, found: Description) -> bool:
    return str(found["Status"]).lower() == "replicating"


REPLICATION: Final = Resource(
    token="aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication",
    service="rds",
    create=_create,
    read=call(
        "describe_db_instance_automated_backups",
        {"DBInstanceAutomatedBackupsArn": "$id"},
        "DBInstanceAutomatedBackups[0]",
    ),
    delete=_stop,
    inputs=(
        f("sourceDbInstanceArn", read="DBInstanceArn", replace=True),
        f("kmsKeyId", replace=True, computed=True),
        f("retentionPeriod", "BackupRetentionPeriod", replace=True, default=7),
    ),
    missing=MISSING,
    gone=_stopped,
    ready=_ready,
    patience=75,
)

RESOURCES: Final = (REPLICATION,)
