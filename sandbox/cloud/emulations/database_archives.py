"""Automated backups: of each instance in its own region, and replicated to another one.

Both are archives of the source's WAL, grown every five modelled minutes: an instance's own from its server, a
replicated one from that. A region that is lost archives nothing, and nothing arrives from it.
"""

from __future__ import annotations

import random
import string
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from moto.rds.exceptions import InvalidParameterValue, RDSClientError
from moto.rds.models import rds_backends

from sandbox.clock import Clock, minutes
from sandbox.cloud import rds_rules
from sandbox.cloud.backup_regions import replicates
from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations.database_instance import Instance
from sandbox.cloud.emulations.databases import Databases
from sandbox.cloud.postgres import Backup
from sandbox.cloud.wal_archive import WalArchive

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
_GROWING = ("active", "replicating")


@dataclass(frozen=True)
class Window:
    """Between which moments a restore is possible, in whole modelled seconds as RDS tells them."""

    earliest: datetime
    latest: datetime


@dataclass
class Archive:
    """One source's backups in one region. `since` (real epoch): when the first backup was there; None until then."""

    region: str
    source: Instance
    key: str | None
    retention: int
    wal: WalArchive
    arn: str
    status: str
    properties: dict[str, Any] = field(default_factory=dict)
    since: float | None = None

    @property
    def own(self) -> bool:
        """Whether it is in its source's region, and not replicated."""
        return self.region == self.source.region

    @property
    def kept(self) -> timedelta:
        """For how long."""
        return timedelta(days=self.retention)

    def window(self, clock: Clock) -> Window | None:
        """What can be restored; None before the first backup."""
        reach, bases = self.wal.reach, self.wal.bases[:1]
        if self.since is None or reach is None or not bases:
            return None
        latest = clock.at(reach.until).replace(microsecond=0)
        earliest = clock.at(max(self.since, bases[0].at)) + timedelta(microseconds=999_999)
        # While nothing is archived any more, nothing is given up either.
        return Window(max(earliest.replace(microsecond=0), latest - self.kept), latest)


class Archives:
    """All archives of all regions."""

    def __init__(self, cloud: Cloud, instances: Databases) -> None:
        self.cloud = cloud
        self.databases = instances
        self._archives: dict[str, Archive] = {}  # by ARN
        cloud.every(minutes("rds.archive"), self._receive_all, "archive WAL")
        instances.on_prepared.append(self._prepared)
        instances.on_available.append(self._available)
        instances.on_daily_backup.append(self._backed_up)
        instances.on_delete.append(self._deleted)

    def all(self, region: str) -> list[Archive]:
        """The archives in a region."""
        return [archive for archive in list(self._archives.values()) if archive.region == region]

    def replicated(self, source_arn: str, region: str | None = None) -> list[Archive]:
        """The archives of a source in another region that still receive, in one or in all."""
        return [
            archive
            for archive in list(self._archives.values())
            if not archive.own
            and archive.source.model.arn == source_arn
            and archive.status != "retained"
            and region in (None, archive.region)
        ]

    def own(self, instance: Instance) -> Archive | None:
        """The archive of an instance in its own region."""
        archives = list(self._archives.values())
        return next((archive for archive in archives if archive.own and archive.source is instance), None)

    def _new(self, region: str, source: Instance, key: str | None, retention: int, status: str) -> Archive:
        name = "".join(random.choices(string.ascii_lowercase + string.digits, k=26))
        wal = WalArchive(self.databases.servers.directory / f"archive-{name}", f"archive_{name}")
        arn = f"arn:aws:rds:{region}:{ACCOUNT}:auto-backup:ab-{name}"
        archive = Archive(region, source, key, retention, wal, arn, status)
        self._note(archive)
        self._archives[arn] = archive
        return archive

    @staticmethod
    def _note(archive: Archive) -> None:
        archive.properties = {name: getattr(archive.source.model, name) for name in KEPT}

    def _remove(self, archive: Archive) -> None:
        del self._archives[archive.arn]
        archive.wal.remove()

    # -- of an instance in its own region -----------------------------------------------------------------------
    def _prepared(self, instance: Instance) -> None:
        """The first backup is taken before an instance becomes available, and what nobody changes can be taken now."""
        if _backed_up_daily(instance):
            self._begin(instance).wal.begin(instance.server)

    def _begin(self, instance: Instance) -> Archive:
        model = instance.model
        key = str(model.kms_key_id) if model.storage_encrypted else None
        return self._new(instance.region, instance, key, int(model.backup_retention_period), "creating")

    def _available(self, instance: Instance, since: str) -> None:
        """Begin, go on with or give up the backups, as the instance's retention is now."""
        archive = self.own(instance)
        if not _backed_up_daily(instance):
            if archive is not None:
                self._remove(archive)
                archive.wal.stop_receiving(instance.server)
        elif archive is None:  # it was a replica, or had none
            self._first_backup(self._begin(instance))
        else:
            archive.retention = int(instance.model.backup_retention_period)
            if since == "creating":
                self._complete(archive)

    def _first_backup(self, archive: Archive, after: float = 0.0) -> None:
        what, regions = f"first backup of {archive.source.identifier}", [archive.region]

        def take() -> None:
            if archive.arn not in self._archives:
                return
            if archive.wal.begin(archive.source.server):
                self.cloud.after(minutes("rds.first_backup"), lambda: self._complete(archive), what, regions=regions)
            else:  # its server does not run at the moment
                self._first_backup(archive, minutes("rds.archive"))

        self.cloud.after(after, take, what, regions=regions)

    def _complete(self, archive: Archive) -> None:
        if archive.arn not in self._archives:
            return
        archive.status = "active"
        archive.since = time.time()
        self._receive(archive)
        self.cloud.emit("backups.active", region=archive.region, database=archive.source.identifier)

    def _backed_up(self, instance: Instance, backup: Backup) -> None:
        archive = self.own(instance)
        if archive is not None and archive.status == "active":
            archive.wal.add(backup)

    # -- replicated to another region ---------------------------------------------------------------------------
    def replicate(self, region: str, source_arn: str, key: str | None, retention: int) -> Archive:
        """Begin to receive: the base backup first, then WAL."""
        source = self._source(region, source_arn, key, retention)
        archive = self._new(region, source, key, retention, "pending")
        self._replicate_after(minutes("rds.snapshot") + minutes("rds.copy"), archive)
        return archive

    def _replicate_after(self, duration: float, archive: Archive) -> None:
        what = f"replicate backups of {archive.source.identifier} to {archive.region}"

        def begin() -> None:
            original = self.own(archive.source)
            if archive.status != "pending":
                return
            if original is None or original.status != "active":  # which has no backup itself yet
                self._replicate_after(minutes("rds.archive"), archive)
                return
            archive.since, archive.status = original.since, "replicating"
            self._receive(archive)
            self.cloud.emit("backups.replicating", region=archive.region, database=archive.source.identifier)

        self.cloud.after(duration, begin, what, regions=[archive.region, archive.source.region])

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
        if self.replicated(arn, region):
            raise rds_rules.invalid_state(f"The DB instance {arn} is already replicating to the current region.")
        if len([archive for archive in self.all(region) if not archive.own]) >= QUOTA:
            raise RDSClientError(
                "DBInstanceAutomatedBackupQuotaExceeded", f"Cannot replicate more than {QUOTA} backups to {region}."
            )
        return self.databases.existing(model)

    def stop(self, region: str, source_arn: str) -> Archive:
        """End a replication. What arrived is kept for its retention."""
        source_region = source_arn.split(":")[3]
        if self.cloud.is_cut(source_region):
            raise RDSClientError("ServiceUnavailable", f"The source region {source_region} does not answer.")
        found = self.replicated(source_arn, region)
        if not found:  # the plugin looks for these words
            raise rds_rules.invalid_state(f"The DB instance {source_arn} is not replicating to the current region.")
        found[0].status = "retained"
        return found[0]

    # -- growing and ending -------------------------------------------------------------------------------------
    def _receive_all(self) -> None:
        for archive in sorted(self._archives.values(), key=lambda archive: not archive.own):
            window = archive.window(self.cloud.clock)
            if archive.status in _GROWING:
                self._receive(archive)
            elif archive.status == "retained" and (window is None or window.latest < self._oldest(archive)):
                self._remove(archive)

    def _receive(self, archive: Archive) -> None:
        """Nothing arrives without both regions, the source's server, and the key; nobody is told."""
        lost = self.cloud.is_cut(archive.region) or self.cloud.is_cut(archive.source.region)
        if lost or not archive.source.reachable or not self._may_encrypt(archive):
            return
        if archive.own:
            archive.wal.receive(archive.source.server)
        elif (original := self.own(archive.source)) is not None:
            archive.wal.follow(original.wal)
        self._note(archive)
        archive.wal.forget_before(self.cloud.clock.real(self._oldest(archive)))

    def _oldest(self, archive: Archive) -> datetime:
        return self.cloud.clock.now() - archive.kept

    def _may_encrypt(self, archive: Archive) -> bool:
        if archive.key is None:
            return True
        try:
            rds_rules.check_key(rds_backends[ACCOUNT][archive.region], archive.key)
        except RDSClientError:
            return False
        return True

    def _deleted(self, source: Instance, keep: bool) -> None:
        """With its instance an archive ends: its own is kept only if somebody wants that, up to this moment."""
        archive = self.own(source)
        if archive is not None and keep and archive.status == "active":
            self._receive(archive)
        for replica in self.replicated(source.model.arn):
            replica.status = "retained"
        if archive is not None and keep and archive.status == "active":
            archive.status = "retained"
        elif archive is not None:
            self._remove(archive)


def _backed_up_daily(instance: Instance) -> bool:
    """A replica's own backups begin with its promotion: its server cannot write what recovery stops at."""
    return bool(instance.model.backup_retention_period) and not instance.model.is_replica
