"""RDS's calls for replicated automated backups and restores to a point in time, which moto lacks or fakes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from moto.core.responses import ActionResult
from moto.rds.exceptions import DBInstanceAlreadyExists, InvalidParameterValue, RDSClientError
from moto.rds.models import DBInstance, RDSBackend
from moto.rds.responses import RDSResponse

from sandbox.clock import Clock, minutes
from sandbox.cloud import rds_rules
from sandbox.cloud.backup_regions import regions, replicates
from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations import databases
from sandbox.cloud.emulations.database_archives import Archive, Archives
from sandbox.cloud.emulations.patching import add, replace

_NAMES = {  # what a restore says of the archive and not of the instance
    "restore_time",
    "source_db_instance_automated_backups_arn",
    "source_db_instance_identifier",
    "source_dbi_resource_id",
    "target_db_instance_identifier",
    "use_latest_restorable_time",
}


def install(cloud: Cloud) -> None:
    """Answer the calls from real archives."""
    archives = Archives(cloud, databases.running())
    _install_shape(cloud.clock, archives)
    _install_replication(cloud.clock, archives)
    _install_restore(archives)


def _install_shape(clock: Clock, archives: Archives) -> None:
    def replications(model: DBInstance) -> list[dict[str, str]]:
        return [{"DBInstanceAutomatedBackupsArn": archive.arn} for archive in archives.of(model.arn)]

    def latest_restorable_time(model: DBInstance) -> datetime | None:
        """At the last upload of its logs, which is as old as the time between two at most."""
        return clock.now() - timedelta(minutes=minutes("rds.archive")) if model.backup_retention_period else None

    add(DBInstance, db_instance_automated_backups_replications=property(replications))
    replace(DBInstance, latest_restorable_time=property(latest_restorable_time))


def _install_replication(clock: Clock, archives: Archives) -> None:
    def start_db_instance_automated_backups_replication(self: RDSResponse) -> ActionResult:
        told = self.params
        key = told.get("KmsKeyId")
        if key:
            key = rds_rules.check_key(self.backend, str(key))
        retention = int(told.get("BackupRetentionPeriod") or 7)
        archive = archives.start(self.region, str(told.get("SourceDBInstanceArn")), key, retention)
        return ActionResult({"DBInstanceAutomatedBackup": _described(clock, archive)})

    def stop_db_instance_automated_backups_replication(self: RDSResponse) -> ActionResult:
        archive = archives.stop(self.region, str(self.params.get("SourceDBInstanceArn")))
        return ActionResult({"DBInstanceAutomatedBackup": _described(clock, archive)})

    def describe_db_instance_automated_backups(self: RDSResponse) -> ActionResult:
        asked = self.params
        found = [_described(clock, archive) for archive in archives.all(self.region)]
        for name in ("DBInstanceAutomatedBackupsArn", "DbiResourceId", "DBInstanceIdentifier"):
            if asked.get(name):
                found = [entry for entry in found if entry[name] == asked[name]]
        if asked.get("DBInstanceAutomatedBackupsArn") and not found:
            raise _unknown(str(asked["DBInstanceAutomatedBackupsArn"]))
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


def _unknown(arn: str) -> RDSClientError:
    return RDSClientError("DBInstanceAutomatedBackupNotFound", f"The automated backup {arn} was not found.")


def _described(clock: Clock, archive: Archive) -> dict[str, Any]:
    """DBInstanceAutomatedBackup. `Region` is the source's, as in the AWS CLI's example of this call."""
    model, kept = archive.source.model, archive.properties
    window: dict[str, datetime] = {}
    if archive.earliest is not None and archive.latest is not None:
        window = {"EarliestTime": clock.at(archive.earliest), "LatestTime": clock.at(archive.latest)}
    return {
        "DBInstanceArn": model.arn,
        "DbiResourceId": model.dbi_resource_id,
        "Region": archive.source.region,
        "DBInstanceIdentifier": archive.source.identifier,
        "RestoreWindow": window,
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


def _install_restore(archives: Archives) -> None:
    def restore_db_instance_to_point_in_time(
        self: RDSBackend, source_db_identifier: str | None, target_db_identifier: str, overrides: Any
    ) -> DBInstance:
        told = {key: value for key, value in dict(overrides).items() if value is not None}
        arn = told.get("source_db_instance_automated_backups_arn")
        if not arn:
            raise NotImplementedError("the sandbox restores to a point in time from replicated backups only")
        if target_db_identifier in self.databases:
            raise DBInstanceAlreadyExists()
        archive = next((archive for archive in archives.all(self.region_name) if archive.arn == arn), None)
        if archive is None:
            raise _unknown(str(arn))
        moment = archives.moment(archive, told.get("restore_time"), bool(told.get("use_latest_restorable_time")))
        rds_rules.check_common(self, told)
        return archives.restore(self, archive, moment, _restored(self, archive, target_db_identifier, told))

    replace(RDSBackend, restore_db_instance_to_point_in_time=restore_db_instance_to_point_in_time)


def _restored(backend: RDSBackend, archive: Archive, name: str, told: dict[str, Any]) -> dict[str, Any]:
    """The new instance's properties: from the backup, then what the caller told."""
    chosen = {key: value for key, value in told.items() if key not in _NAMES}
    if (
        chosen.get("allocated_storage", archive.properties["allocated_storage"])
        < archive.properties["allocated_storage"]
    ):
        raise InvalidParameterValue("The allocated storage size can't be less than the source snapshot or backup size.")
    wanted = {
        **{key: value for key, value in archive.properties.items() if value is not None},
        "engine": "postgres",
        "backup_retention_period": archive.retention,
        **chosen,
        "db_instance_identifier": name,
    }
    if archive.key:
        wanted["kms_key_id"] = rds_rules.check_key(backend, archive.key)
    return wanted
