"""RestoreDBInstanceToPointInTime: a new instance with exactly the commits up to a moment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.rds.exceptions import (
    DBInstanceAlreadyExists,
    InvalidParameterCombination,
    InvalidParameterValue,
    RDSClientError,
)
from moto.rds.models import DBInstance, RDSBackend

from sandbox.cloud import rds_rules
from sandbox.cloud.emulations import databases
from sandbox.cloud.emulations.database_archives import Archive, Archives
from sandbox.cloud.emulations.database_instance import Instance
from sandbox.cloud.emulations.patching import replace
from sandbox.cloud.emulations.snapshots import plain_creation

SOURCES = ("source_db_instance_identifier", "source_dbi_resource_id", "source_db_instance_automated_backups_arn")
# What a restore says of the archive and not of the instance.
_NOT_OF_THE_INSTANCE = {*SOURCES, "restore_time", "target_db_instance_identifier", "use_latest_restorable_time"}


def install(archives: Archives) -> None:
    """Restore from real archives."""

    def restore_db_instance_to_point_in_time(
        self: RDSBackend, source_db_identifier: str | None, target_db_identifier: str, overrides: Any
    ) -> DBInstance:
        told = {key: value for key, value in dict(overrides).items() if value is not None}
        if target_db_identifier in self.databases:
            raise DBInstanceAlreadyExists()
        archive = _archive(archives, self, told)
        moment = _moment(archives, archive, told.get("restore_time"), bool(told.get("use_latest_restorable_time")))
        rds_rules.check_common(self, told)
        return _restore(archives, self, archive, moment, _properties(self, archive, target_db_identifier, told))

    replace(RDSBackend, restore_db_instance_to_point_in_time=restore_db_instance_to_point_in_time)


def unknown(name: str) -> RDSClientError:
    """There are no such backups."""
    return RDSClientError("DBInstanceAutomatedBackupNotFound", f"The automated backup {name} was not found.")


def _archive(archives: Archives, backend: RDSBackend, told: Mapping[str, Any]) -> Archive:
    """The backups that a request names, in one of three ways."""
    named = [name for name in SOURCES if told.get(name)]
    if len(named) != 1:
        raise InvalidParameterCombination(
            "Exactly one of SourceDBInstanceIdentifier, SourceDbiResourceId and SourceDBInstanceAutomatedBackupsArn "
            "must be specified."
        )
    name = str(told[named[0]])
    if named[0] == "source_db_instance_identifier":
        model = backend.describe_db_instances(name)[0]
        if not model.backup_retention_period:
            raise RDSClientError(
                "PointInTimeRestoreNotEnabled", f"Point in time restore is not enabled for the instance {name}."
            )
        found = archives.own(archives.databases.existing(model))
        if found is None:
            raise _without_window()
        return found
    for archive in archives.all(backend.region_name):
        if archive.arn == name or (archive.own and archive.source.model.dbi_resource_id == name):
            return archive
    raise unknown(name)


def _without_window() -> RDSClientError:
    return rds_rules.invalid_state("The automated backup has no restore window yet.")


def _moment(archives: Archives, archive: Archive, wanted: datetime | None, newest: bool) -> datetime:
    """The modelled moment that a restore means; refused outside of what the archive reaches."""
    if (wanted is None) == (not newest):
        raise InvalidParameterCombination("Specify either UseLatestRestorableTime or RestoreTime, and not both.")
    window = archive.window(archives.cloud.clock)
    if window is None:
        raise _without_window()
    if wanted is None:
        return window.latest
    wanted = wanted.replace(tzinfo=UTC)  # moto takes the zone away
    refused = "The specified instance cannot be restored to a time"
    if wanted > window.latest:
        raise InvalidParameterValue(f"{refused} later than {window.latest:%Y-%m-%dT%H:%M:%SZ}")
    if wanted < window.earliest:
        raise InvalidParameterValue(
            f"{refused} earlier than {window.earliest:%Y-%m-%dT%H:%M:%SZ} because its backup retention period is set "
            f"to {archive.retention} days."
        )
    return wanted


def _properties(backend: RDSBackend, archive: Archive, name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """The new instance's: from the backup, then what the caller told."""
    chosen = {key: value for key, value in told.items() if key not in _NOT_OF_THE_INSTANCE}
    least = archive.properties["allocated_storage"]
    if chosen.get("allocated_storage", least) < least:
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


def _restore(
    archives: Archives, backend: RDSBackend, archive: Archive, moment: datetime, wanted: dict[str, Any]
) -> DBInstance:
    clock, until = archives.cloud.clock, archives.cloud.clock.real(moment)
    model = databases.new_record(backend, plain_creation, wanted)
    scratch = archives.databases.servers.directory / f"restore-{model.db_instance_identifier}-{archive.region}"
    recovery = archive.wal.prepare(until, scratch)  # at once: what ends the backups must not hurt the instance

    def prepare(instance: Instance) -> None:
        recovery.run(instance.server)
        archives.databases.configure(instance)
        instance.server.start()
        instance.server.recovered()
        archives.databases.configure(instance)
        instance.server.stop()
        instance.server.start()
        recovery.end()

    archives.databases.add(model, prepare, "rds.restore")
    archives.cloud.emit("database.restoring", region=archive.region, until=clock.at(until), until_epoch=until)
    return model
