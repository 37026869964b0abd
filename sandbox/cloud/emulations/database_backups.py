"""RDS's calls that tell of automated backups and replicate them, which moto lacks or fakes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.rds.exceptions import InvalidParameterValue
from moto.rds.models import DBInstance
from moto.rds.responses import RDSResponse

from sandbox.clock import Clock
from sandbox.cloud import rds_rules
from sandbox.cloud.backup_regions import regions, replicates
from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations import database_restores, databases
from sandbox.cloud.emulations.database_archives import Archive, Archives
from sandbox.cloud.emulations.patching import add, replace

_NAMED = ("DBInstanceAutomatedBackupsArn", "DbiResourceId", "DBInstanceIdentifier")
_FILTERS = {"status": "Status", "db-instance-id": "DBInstanceIdentifier", "dbi-resource-id": "DbiResourceId"}


def install(cloud: Cloud) -> None:
    """Answer the calls from real archives."""
    archives = Archives(cloud, databases.running())
    _install_shape(cloud.clock, archives)
    _install_replication(cloud.clock, archives)
    database_restores.install(archives)


def _install_shape(clock: Clock, archives: Archives) -> None:
    def replications(model: DBInstance) -> list[dict[str, str]]:
        return [{"DBInstanceAutomatedBackupsArn": archive.arn} for archive in archives.replicated(model.arn)]

    def latest_restorable_time(model: DBInstance) -> datetime | None:
        instance = archives.databases.of(model)
        archive = None if instance is None else archives.own(instance)
        window = None if archive is None else archive.window(clock)
        return None if window is None else window.latest

    add(DBInstance, db_instance_automated_backups_replications=property(replications))
    replace(DBInstance, latest_restorable_time=property(latest_restorable_time))


def _install_replication(clock: Clock, archives: Archives) -> None:
    def start_db_instance_automated_backups_replication(self: RDSResponse) -> ActionResult:
        told = self.params
        key = told.get("KmsKeyId")
        if key:
            key = rds_rules.check_key(self.backend, str(key))
        retention = int(told.get("BackupRetentionPeriod") or 7)
        archive = archives.replicate(self.region, str(told.get("SourceDBInstanceArn")), key, retention)
        return ActionResult({"DBInstanceAutomatedBackup": _described(clock, archive)})

    def stop_db_instance_automated_backups_replication(self: RDSResponse) -> ActionResult:
        archive = archives.stop(self.region, str(self.params.get("SourceDBInstanceArn")))
        return ActionResult({"DBInstanceAutomatedBackup": _described(clock, archive)})

    def describe_db_instance_automated_backups(self: RDSResponse) -> ActionResult:
        asked = self.params
        found = [_described(clock, archive) for archive in archives.all(self.region)]
        wanted = {name: [asked[name]] for name in _NAMED if asked.get(name)}
        wanted |= {_FILTERS[entry["Name"]]: entry["Values"] for entry in asked.get("Filters") or ()}
        for name, values in wanted.items():
            found = [entry for entry in found if entry[name] in values]
        if asked.get("DBInstanceAutomatedBackupsArn") and not found:
            raise database_restores.unknown(str(asked["DBInstanceAutomatedBackupsArn"]))
        return ActionResult({"DBInstanceAutomatedBackups": found})

    def describe_source_regions(self: RDSResponse) -> ActionResult:
        asked = self.params.get("RegionName")
        if asked and asked not in regions():
            raise InvalidParameterValue(f"Invalid region name: {asked}")
        found = [
            {
                "RegionName": name,
                "Endpoint": f"https://rds.{name}.amazonaws.com",
                "Status": "available",
                "SupportsDBInstanceAutomatedBackupsReplication": replicates(name, self.region),
            }
            for name in regions()
            if name != self.region and asked in (None, name)
        ]
        return ActionResult({"SourceRegions": found})

    add(
        RDSResponse,
        start_db_instance_automated_backups_replication=start_db_instance_automated_backups_replication,
        stop_db_instance_automated_backups_replication=stop_db_instance_automated_backups_replication,
        describe_source_regions=describe_source_regions,
    )
    replace(RDSResponse, describe_db_instance_automated_backups=describe_db_instance_automated_backups)


def _described(clock: Clock, archive: Archive) -> dict[str, Any]:
    """DBInstanceAutomatedBackup. `Region` is the source's, as in the AWS CLI's example of this call."""
    model, kept = archive.source.model, archive.properties
    window = archive.window(clock)
    return {
        "DBInstanceArn": model.arn,
        "DbiResourceId": model.dbi_resource_id,
        "Region": archive.source.region,
        "DBInstanceIdentifier": archive.source.identifier,
        "RestoreWindow": {"EarliestTime": window.earliest, "LatestTime": window.latest} if window else {},
        "AllocatedStorage": kept["allocated_storage"],
        "Status": archive.status,
        "Port": kept["port"],
        "MasterUsername": kept["master_username"],
        "Engine": "postgres",
        "EngineVersion": kept["engine_version"],
        "LicenseModel": kept["license_model"],
        "Encrypted": kept["storage_encrypted"],
        "StorageType": kept["storage_type"],
        "KmsKeyId": archive.key,
        "BackupRetentionPeriod": archive.retention,
        "PreferredBackupWindow": kept["preferred_backup_window"],
        "DBInstanceAutomatedBackupsArn": archive.arn,
    }
