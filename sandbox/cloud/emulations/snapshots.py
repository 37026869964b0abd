"""DB snapshots: base backups with their WAL; copies of them across regions; new servers restored from them.

POST /_sandbox/automated-backup {region, database} opens an instance's backup window. AWS does that once a day; by the
clock, what a rehearsal meets would depend on the hour at which somebody starts it.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from moto.rds.exceptions import DBInstanceAlreadyExists, InvalidParameterValue, RDSClientError
from moto.rds.models import DBInstance, DBSnapshot, RDSBackend

from sandbox.cloud import rds_rules
from sandbox.cloud.context import BadRequest, Cloud
from sandbox.cloud.emulations import databases
from sandbox.cloud.emulations.database_instance import Instance
from sandbox.cloud.emulations.databases import Databases
from sandbox.cloud.emulations.durations import lasting
from sandbox.cloud.emulations.patching import replace
from sandbox.cloud.postgres import copy_tree

READY_SECONDS = 120.0
# What a restored instance has from its snapshot unless told otherwise; all else takes AWS's defaults.
INHERITED = (
    "db_instance_class",
    "allocated_storage",
    "storage_type",
    "iops",
    "port",
    "master_username",
    "db_name",
    "backup_retention_period",
    "preferred_backup_window",
    "preferred_maintenance_window",
)


@dataclass
class Content:
    """A snapshot's data on disk; `ready` once it is complete, `lost` if its region failed before that."""

    directory: Path
    ready: threading.Event = field(default_factory=threading.Event)
    lost: bool = False


class Snapshots:
    """The data behind moto's snapshot records."""

    def __init__(self, cloud: Cloud, instances: Databases) -> None:
        self.cloud = cloud
        self.databases = instances
        self._contents: dict[str, Content] = {}  # by ARN
        self._count = 0
        self._lock = threading.Lock()

    def _new_content(self, snapshot: DBSnapshot) -> Content:
        with self._lock:
            self._count += 1
            content = Content(self.databases.servers.directory / f"snapshot-{self._count}")
            self._contents[snapshot.arn] = content
        return content

    def content(self, snapshot: DBSnapshot) -> Content:
        """The data of a snapshot."""
        return self._contents[snapshot.arn]

    # -- taking -------------------------------------------------------------------------------------------------
    def take(self, snapshot: DBSnapshot, instance: Instance, until: str) -> None:
        """Back the instance up now; the record becomes available by the clock, the instance `until` again."""
        _begin(snapshot)
        content = self._new_content(snapshot)
        region, name = instance.region, snapshot.db_snapshot_identifier
        if until == "available":
            instance.model.status = "backing-up"
        self.cloud.after(0, lambda: self._back_up(snapshot, content, instance), f"back up {name}")

        def finish() -> None:
            if not content.ready.wait(READY_SECONDS):
                raise TimeoutError(f"no base backup for {name}")
            self.databases.become(instance, "available", since="backing-up")
            if content.lost:
                snapshot.status = "failed"
            else:
                self._complete(snapshot)

        self.cloud.after(lasting(self.cloud, "rds.snapshot"), finish, f"snapshot {name}", regions=[region])

    def _back_up(self, snapshot: DBSnapshot, content: Content, instance: Instance) -> None:
        try:
            backup = instance.server.backup(content.directory)
        except Exception:
            if not self.cloud.is_cut(instance.region):
                raise
            content.lost = True
        else:
            taken = self.cloud.clock.at(backup.not_before)
            snapshot.created = snapshot.original_snapshot_create_time = taken.replace(tzinfo=None)
            snapshot.taken = True  # type: ignore[attr-defined]
            self.cloud.emit(
                "snapshot.taken",
                region=instance.region,
                database=instance.identifier,
                snapshot=snapshot.db_snapshot_identifier,
                not_before=taken,  # every commit acknowledged before this is inside
                not_after=self.cloud.clock.at(backup.not_after),  # no commit that began after this is
                not_before_epoch=backup.not_before,
                not_after_epoch=backup.not_after,
            )
            for action in self.databases.on_daily_backup if snapshot.snapshot_type == "automated" else ():
                action(instance, backup)
        finally:
            content.ready.set()

    def _complete(self, snapshot: DBSnapshot) -> None:
        if snapshot.status == "creating":
            snapshot.status = "available"
            snapshot.percent_progress = 100  # type: ignore[attr-defined]
            self.cloud.emit(
                "snapshot.available",
                region=snapshot.region,
                snapshot=snapshot.db_snapshot_identifier,
                copy=hasattr(snapshot, "source_region"),
                taken=snapshot.original_snapshot_create_time,
            )

    # -- copying ------------------------------------------------------------------------------------------------
    def copy(self, snapshot: DBSnapshot, source: DBSnapshot) -> None:
        """Copy the data; across regions both must be there for it to be completed."""
        _begin(snapshot)
        snapshot.taken = True  # type: ignore[attr-defined]
        original, content = self.content(source), self._new_content(snapshot)
        snapshot.source_db_snapshot_identifier = source.arn  # type: ignore[attr-defined]
        if source.region != snapshot.region:
            snapshot.source_region = source.region  # type: ignore[attr-defined]
        name = f"copy {snapshot.db_snapshot_identifier} to {snapshot.region}"

        def work() -> None:
            copy_tree(original.directory, content.directory)
            content.ready.set()

        def finish() -> None:
            if not content.ready.wait(READY_SECONDS):
                raise TimeoutError(name)
            self._complete(snapshot)

        work()  # here, so that a source deleted the next moment does not matter; it takes a tenth of a second
        regions = sorted({source.region, snapshot.region})
        self.cloud.after(lasting(self.cloud, "rds.copy"), finish, name, regions=regions)

    def forget(self, snapshot: DBSnapshot) -> None:
        """Delete the data."""
        content = self._contents.pop(snapshot.arn)
        content.ready.wait(READY_SECONDS)
        shutil.rmtree(content.directory, ignore_errors=True)

    def forget_automated(self, backend: RDSBackend, resource_id: str) -> None:
        """Delete an instance's automated snapshots with it."""
        for name, snapshot in list(backend.database_snapshots.items()):
            if snapshot.snapshot_type == "automated" and snapshot.database.dbi_resource_id == resource_id:
                self.forget(backend.database_snapshots.pop(name))

    # -- restoring ----------------------------------------------------------------------------------------------
    def prepare(self, instance: Instance, directory: Path) -> None:
        """Make the server of a restored instance: exactly the snapshot's rows, roles and old passwords."""
        self.databases.configure(instance)
        instance.server.start()
        shutil.rmtree(directory, ignore_errors=True)


def _begin(snapshot: DBSnapshot) -> None:
    snapshot.status = "creating"
    snapshot.percent_progress = 0  # type: ignore[attr-defined]
    snapshot.taken = False  # type: ignore[attr-defined]


def install(cloud: Cloud) -> None:
    """Put data behind moto's snapshots."""
    snapshots = Snapshots(cloud, databases.running())
    _install_shape()
    _install_automated(snapshots)
    _install_snapshots(snapshots)
    _install_restore(snapshots)
    _install_deletion(snapshots)


def _install_shape() -> None:
    def snapshot_create_time(snapshot: DBSnapshot) -> datetime | None:
        """The moment of the data; not known while it is still being taken."""
        return snapshot.created if getattr(snapshot, "taken", True) else None

    replace(DBSnapshot, snapshot_create_time=property(snapshot_create_time))


def _install_automated(snapshots: Snapshots) -> None:
    create: Callable[..., DBSnapshot] = RDSBackend.create_db_snapshot

    def back_up(data: dict[str, Any]) -> str:
        instance = databases.instance(str(data.get("region")), str(data.get("database")))
        if instance is None or instance.status != "available" or not instance.model.backup_retention_period:
            raise BadRequest(f"{data.get('database')} is not an available instance with automated backups")
        name = f"rds:{instance.identifier}-{snapshots.cloud.clock.now():%Y-%m-%d-%H-%M}"
        snapshot = create(instance.model.backend, instance.identifier, name, snapshot_type="automated")
        snapshots.take(snapshot, instance, until="available")
        return name

    snapshots.cloud.route("POST", "automated-backup", back_up)


def _install_snapshots(snapshots: Snapshots) -> None:
    create, copy, delete = RDSBackend.create_db_snapshot, RDSBackend.copy_db_snapshot, RDSBackend.delete_db_snapshot

    def create_db_snapshot(
        self: RDSBackend, db_instance_identifier: str, db_snapshot_identifier: str, **rest: Any
    ) -> DBSnapshot:
        database = self.databases.get(db_instance_identifier)
        if database is not None and database.status != "available":
            raise rds_rules.invalid_state(
                f"Cannot create a snapshot because the database instance {db_instance_identifier} "
                "is not currently in the available state."
            )
        rds_rules.check_snapshot_quota(self)
        snapshot = create(self, db_instance_identifier, db_snapshot_identifier, **rest)
        snapshots.take(snapshot, _instance(snapshots, self, db_instance_identifier), until="available")
        return snapshot

    def copy_db_snapshot(
        self: RDSBackend, source_db_snapshot_identifier: str, target_db_snapshot_identifier: str, **rest: Any
    ) -> DBSnapshot:
        region = source_db_snapshot_identifier.split(":")[3] if source_db_snapshot_identifier.startswith("arn") else ""
        if region and snapshots.cloud.is_cut(region):
            raise RDSClientError("ServiceUnavailable", f"The source region {region} does not answer.")
        source = self.get_db_snapshot(source_db_snapshot_identifier)
        key = rest.get("kms_key_id")
        rds_rules.check_copy(self, source, key, rest.get("pre_signed_url"))
        if key:
            rest["kms_key_id"] = rds_rules.check_key(self, key)
        snapshot = copy(self, source_db_snapshot_identifier, target_db_snapshot_identifier, **rest)
        snapshots.copy(snapshot, source)
        return snapshot

    def delete_db_snapshot(self: RDSBackend, db_snapshot_identifier: str) -> DBSnapshot:
        found = self.database_snapshots.get(db_snapshot_identifier)
        if found is not None and found.status == "creating":
            raise RDSClientError(
                "InvalidDBSnapshotState", f"The snapshot {db_snapshot_identifier} is still being created."
            )
        if found is not None and found.snapshot_type == "automated":
            raise RDSClientError(
                "InvalidDBSnapshotState", f"The automated snapshot {db_snapshot_identifier} cannot be deleted."
            )
        snapshot = delete(self, db_snapshot_identifier)
        snapshots.forget(snapshot)
        snapshot.status = "deleted"
        return snapshot

    replace(
        RDSBackend,
        create_db_snapshot=create_db_snapshot,
        copy_db_snapshot=copy_db_snapshot,
        delete_db_snapshot=delete_db_snapshot,
    )


def _instance(snapshots: Snapshots, backend: RDSBackend, name: str) -> Instance:
    instance = snapshots.databases.of(backend.databases[name])
    if instance is None:
        raise LookupError(f"{name} has no server")
    return instance


def _install_restore(snapshots: Snapshots) -> None:
    def restore_db_instance_from_db_snapshot(self: RDSBackend, from_snapshot_id: str, overrides: Any) -> DBInstance:
        snapshot = self.get_db_snapshot(from_snapshot_id)
        told = {key: value for key, value in dict(overrides).items() if value is not None}
        told.pop("db_snapshot_identifier", None)
        if told["db_instance_identifier"] in self.databases:
            raise DBInstanceAlreadyExists()
        if snapshot.status != "available":
            raise RDSClientError(
                "InvalidDBSnapshotState", f"The snapshot {snapshot.db_snapshot_identifier} is not in available state."
            )
        if snapshot.region != self.region_name:
            raise InvalidParameterValue(f"The snapshot {from_snapshot_id} is in another region.")
        rds_rules.check_common(self, told)
        wanted = _restored(self, snapshot, told)
        model = databases.new_record(self, plain_creation, wanted)
        # Copied at once: pruning the snapshot a moment later must not hurt the instance.
        content = snapshots.content(snapshot)
        source = content.directory.with_name(f"restore-{model.db_instance_identifier}-{self.region_name}")
        copy_tree(content.directory, source)

        def prepare(instance: Instance) -> None:
            instance.server.create_from(source)
            snapshots.prepare(instance, source)

        snapshots.databases.add(model, prepare, "rds.restore")
        return model

    replace(RDSBackend, restore_db_instance_from_db_snapshot=restore_db_instance_from_db_snapshot)


def plain_creation(backend: RDSBackend, wanted: dict[str, Any]) -> DBInstance:
    """moto's own bookkeeping of a new instance, without the checks of a creation from nothing."""
    backend._validate_db_identifier(wanted["db_instance_identifier"])
    record: Any = DBInstance  # abstract only as far as CloudFormation is concerned
    model: DBInstance = record(backend, **wanted)
    backend.databases[wanted["db_instance_identifier"]] = model
    model.add_event("DB_INSTANCE_CREATE")
    return model


def _restored(backend: RDSBackend, snapshot: DBSnapshot, told: dict[str, Any]) -> dict[str, Any]:
    """The new instance's properties: from the snapshot, from AWS's defaults, then what the caller told."""
    if told.get("engine", "postgres") != "postgres" or told.get("db_name"):
        raise InvalidParameterValue("Engine and DBName of a PostgreSQL snapshot cannot be changed by a restore.")
    size = told.get("allocated_storage")
    if size is not None and size < snapshot.allocated_storage:
        raise InvalidParameterValue("The allocated storage size can't be less than the source snapshot or backup size.")
    kept = {name: getattr(snapshot.database, name) for name in INHERITED}
    wanted = {
        **{name: value for name, value in kept.items() if value is not None},
        "engine": "postgres",
        "engine_version": snapshot.engine_version,
        "license_model": rds_rules.LICENSE,
        "storage_encrypted": snapshot.encrypted,
        **told,
    }
    rds_rules.check_storage(wanted["storage_type"], wanted["allocated_storage"])
    if snapshot.encrypted:
        wanted["kms_key_id"] = rds_rules.check_key(backend, str(snapshot.kms_key_id))
    return wanted


def _install_deletion(snapshots: Snapshots) -> None:
    take_record: Callable[..., DBSnapshot] = RDSBackend.create_db_snapshot

    def delete_db_instance(
        self: RDSBackend,
        db_instance_identifier: str,
        final_db_snapshot_identifier: str | None = None,
        skip_final_snapshot: bool | None = False,
        delete_automated_backups: bool | None = True,
    ) -> DBInstance:
        def final(name: str) -> None:
            snapshot = take_record(self, db_instance_identifier, name)
            if not snapshots.content(snapshot).ready.wait(READY_SECONDS):
                raise TimeoutError(f"no base backup for {name}")

        keep = delete_automated_backups is False
        answer = snapshots.databases.delete(
            self, db_instance_identifier, final_db_snapshot_identifier, skip_final_snapshot, keep, final
        )
        if not keep:
            snapshots.forget_automated(self, answer.dbi_resource_id)
        return answer

    replace(RDSBackend, delete_db_instance=delete_db_instance)
