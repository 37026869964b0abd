"""Automated backups replicated to another region, and the restore to any moment that they reach.

An archive is a base backup and the WAL since then: the source's own, copied every five modelled minutes.
"""

from __future__ import annotations

import random
import shutil
import string
import threading
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from moto.rds.exceptions import InvalidParameterCombination, InvalidParameterValue, RDSClientError
from moto.rds.models import DBInstance, RDSBackend, rds_backends

from sandbox.clock import minutes
from sandbox.cloud import rds_rules
from sandbox.cloud.backup_regions import replicates
from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations import databases
from sandbox.cloud.emulations.database_instance import Instance
from sandbox.cloud.emulations.databases import Databases
from sandbox.cloud.emulations.snapshots import plain_creation

QUOTA = 20  # "You can replicate up to 20 backups to each destination AWS Region for each account", RDS user guide
KEPT = (  # what the source has when the archive is described or restored
    "allocated_storage",
    "db_instance_class",
    "db_name",
    "engine_version",
    "iops",
    "license_model",
    "master_username",
    "port",
    "preferred_backup_window",
    "preferred_maintenance_window",
    "storage_encrypted",
    "storage_type",
)


@dataclass
class Archive:
    """One source's backups in one region. Moments are real epoch seconds; none until the base backup arrived."""

    region: str
    source: Instance
    key: str | None
    retention: int
    directory: Path
    arn: str
    properties: dict[str, Any]
    status: str = "pending"
    earliest: float | None = None
    latest: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def base(self) -> Path:
        """The base backup."""
        return self.directory / "base"

    @property
    def wal(self) -> Path:
        """The WAL since."""
        return self.directory / "wal"

    @property
    def slot(self) -> str:
        """The source's replication slot that keeps what is not archived yet."""
        return "archive_" + self.arn.rpartition("-")[2]


class Archives:
    """All archives of all regions."""

    def __init__(self, cloud: Cloud, instances: Databases) -> None:
        self.cloud = cloud
        self.databases = instances
        self._archives: dict[str, Archive] = {}  # by ARN
        cloud.every(minutes("rds.archive"), self._ship_all, "archive WAL")
        instances.on_delete.append(self._source_deleted)

    def all(self, region: str) -> list[Archive]:
        """The archives in a region."""
        return [archive for archive in list(self._archives.values()) if archive.region == region]

    def of(self, source_arn: str, region: str | None = None) -> list[Archive]:
        """The archives of a source that still receive, in one region or all."""
        return [
            archive
            for archive in list(self._archives.values())
            if archive.source.model.arn == source_arn
            and archive.status != "retained"
            and region in (None, archive.region)
        ]

    # -- receiving ----------------------------------------------------------------------------------------------
    def start(self, region: str, source_arn: str, key: str | None, retention: int) -> Archive:
        """Begin to receive: the base backup first, then WAL."""
        source = self._source(region, source_arn, key, retention)
        name = "".join(random.choices(string.ascii_lowercase + string.digits, k=26))
        arn = f"arn:aws:rds:{region}:{ACCOUNT}:auto-backup:ab-{name}"
        properties = {name: getattr(source.model, name) for name in KEPT}
        archive = Archive(
            region, source, key, retention, self.databases.servers.directory / f"archive-{name}", arn, properties
        )
        self._archives[arn] = archive
        both, what = [region, source.region], f"replicate backups of {source.identifier} to {region}"
        self.cloud.after(0, lambda: self._take_base(archive), what, regions=both)
        duration = minutes("rds.snapshot") + minutes("rds.copy")
        self.cloud.after(duration, lambda: self._receive(archive), what, regions=both)
        return archive

    def _source(self, region: str, arn: str, key: str | None, retention: int) -> Instance:
        """The source, if its backups may be replicated to `region` like this."""
        parts = arn.split(":")
        if len(parts) != 7 or parts[3] == region:
            raise InvalidParameterValue("The source DB instance must be in another AWS Region, and named by its ARN.")
        if not replicates(parts[3], region):  # https://github.com/boto/boto3/issues/3201
            raise InvalidParameterValue(f"Feature is not available in region {region}.")
        if self.cloud.is_cut(parts[3]):
            raise RDSClientError("ServiceUnavailable", f"The source region {parts[3]} does not answer.")
        model = rds_backends[ACCOUNT][parts[3]].describe_db_instances(parts[-1])[0]
        if not model.backup_retention_period:
            raise rds_rules.invalid_state("Automated backups are not enabled for the source DB instance.")
        if retention not in range(1, 36):
            raise InvalidParameterValue(f"Invalid backup retention period: {retention}. Must be between 1 and 35.")
        if model.storage_encrypted and not key:
            raise InvalidParameterValue("Must specify a KMS key of this region for encrypted automated backups.")
        if self.of(arn, region):
            raise rds_rules.invalid_state(f"The DB instance {arn} is already replicating to the current region.")
        if len(self.all(region)) >= QUOTA:
            raise RDSClientError(
                "DBInstanceAutomatedBackupQuotaExceeded", f"Cannot replicate more than {QUOTA} backups to {region}."
            )
        return self.databases.existing(model)

    def _take_base(self, archive: Archive) -> None:
        with archive.lock:
            archive.wal.mkdir(parents=True)
            archive.source.server.keep_wal(archive.slot)
            archive.earliest = archive.source.server.backup(archive.base).not_after

    def _receive(self, archive: Archive) -> None:
        if archive.status == "pending":
            archive.status = "replicating"
            self._ship(archive)
            self.cloud.emit("backups.replicating", region=archive.region, database=archive.source.identifier)

    def _ship_all(self) -> None:
        for archive in list(self._archives.values()):
            if archive.status == "replicating":
                self._ship(archive)

    def _ship(self, archive: Archive) -> None:
        """Nothing arrives without both regions, the source's server, and the key; nobody is told."""
        lost = self.cloud.is_cut(archive.region) or self.cloud.is_cut(archive.source.region)
        if lost or not archive.source.reachable or not self._may_encrypt(archive):
            return
        with archive.lock:
            try:
                archive.latest = archive.source.server.archive_wal(archive.slot, archive.wal)
            except Exception:
                if not self.cloud.is_cut(archive.source.region):
                    raise

    def _may_encrypt(self, archive: Archive) -> bool:
        if archive.key is None:
            return True
        try:
            rds_rules.check_key(rds_backends[ACCOUNT][archive.region], archive.key)
        except RDSClientError:
            return False
        return True

    def stop(self, region: str, source_arn: str) -> Archive:
        """End it. What arrived is kept for its retention."""
        source_region = source_arn.split(":")[3]
        if self.cloud.is_cut(source_region):
            raise RDSClientError("ServiceUnavailable", f"The source region {source_region} does not answer.")
        found = self.of(source_arn, region)
        if not found:  # the plugin looks for these words
            raise rds_rules.invalid_state(f"The DB instance {source_arn} is not replicating to the current region.")
        with found[0].lock:
            found[0].status = "retained"
            found[0].source.server.forget_follower(found[0].slot)
        return found[0]

    def _source_deleted(self, source: Instance) -> None:
        for archive in self.of(source.model.arn):
            archive.status = "retained"

    # -- restoring ----------------------------------------------------------------------------------------------
    def moment(self, archive: Archive, wanted: datetime | None, newest: bool) -> float:
        """The real moment that a restore means; refused outside of what the archive reaches."""
        if (wanted is None) == (not newest):
            raise InvalidParameterCombination("Specify either UseLatestRestorableTime or RestoreTime, and not both.")
        if archive.earliest is None or archive.latest is None:
            raise rds_rules.invalid_state("The automated backup has no restore window yet.")
        if wanted is None:
            return archive.latest
        clock = self.cloud.clock
        asked = clock.started_at + (wanted.timestamp() - clock.started_at) / clock.speed
        for least, most, word, limit in (
            (float("-inf"), archive.latest, "later", archive.latest),
            (archive.earliest, float("inf"), "earlier", archive.earliest),
        ):
            if not least <= asked <= most:
                raise InvalidParameterValue(
                    f"The specified instance cannot be restored to a time {word} than "
                    f"{clock.at(limit):%Y-%m-%dT%H:%M:%SZ}"
                )
        return asked

    def restore(self, backend: RDSBackend, archive: Archive, moment: float, wanted: dict[str, Any]) -> DBInstance:
        """A new instance with every commit up to `moment`."""
        model = databases.new_record(backend, plain_creation, wanted)
        copy = archive.directory.with_name(f"restore-{model.db_instance_identifier}-{archive.region}")
        with archive.lock:  # at once: ending the replication a moment later must not hurt the instance
            shutil.copytree(archive.wal, copy)

        def prepare(instance: Instance) -> None:
            server = instance.server
            server.create_until(archive.base, copy, moment)
            self.databases.configure(instance)
            server.start()
            server.recovered()
            self.databases.configure(instance)
            server.stop()
            server.start()
            shutil.rmtree(copy)

        self.databases.add(model, prepare, "rds.restore")
        self.cloud.emit(
            "database.restoring", region=archive.region, until=self.cloud.clock.at(moment), until_epoch=moment
        )
        return model
