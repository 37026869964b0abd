"""Read replicas: servers that stream from their source's, within a region or across two, until they are promoted.

GET /_sandbox/replica-lag?region=R&database=D answers the metric ReplicaLag.
"""

from __future__ import annotations

from typing import Any

from moto.rds.exceptions import (
    DBInstanceAlreadyExists,
    InvalidParameterCombination,
    InvalidParameterValue,
    RDSClientError,
)
from moto.rds.models import DBInstance, RDSBackend

from sandbox.clock import minutes
from sandbox.cloud import rds_options, rds_rules
from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations import databases
from sandbox.cloud.emulations.database_instance import Instance
from sandbox.cloud.emulations.databases import Databases
from sandbox.cloud.emulations.patching import add, replace
from sandbox.cloud.emulations.snapshots import plain_creation

# What a replica takes from its source and nobody can choose, and what it takes unless told otherwise
# (CreateDBInstanceReadReplica, API reference).
FIXED = ("allocated_storage", "engine_version", "license_model", "master_username", "db_name", "storage_encrypted")
INHERITED = ("db_instance_class", "storage_type", "iops", "port", "preferred_maintenance_window")
FOLLOWABLE = ("available", "backing-up")
# Nothing is written on an idle source but what RDS itself writes every five minutes ("Monitoring read replication").
IDLE_LAG_SECONDS = 300.0
NOT_FOLLOWING = -1.0


class Replicas:
    """Who follows whom."""

    def __init__(self, cloud: Cloud, instances: Databases) -> None:
        self.cloud = cloud
        self.databases = instances
        self._sources: dict[str, Instance] = {}  # by the follower's DbiResourceId
        instances.on_delete.append(self._deleted)

    def source(self, replica: Instance) -> Instance | None:
        """The instance that this one follows."""
        return self._sources.get(replica.model.dbi_resource_id)

    # -- creation -----------------------------------------------------------------------------------------------
    def create(self, model: DBInstance, source: Instance) -> None:
        """Bring the follower's server up, from a base backup of the source's."""
        self._sources_of_new(model, source)

        def prepare(replica: Instance) -> None:
            replica.server.create_following(source.server, _slot(replica))
            self.databases.configure(replica)
            replica.server.start()

        self.databases.add(model, prepare, "rds.replica", needs=[source.region])
        self._sources[model.dbi_resource_id] = source

    def _sources_of_new(self, model: DBInstance, source: Instance) -> None:
        across = source.region != model.region
        model.source_db_instance_identifier = source.model.arn if across else source.identifier
        model.set_as_replica()
        source.model.add_replica(model)

    # -- state --------------------------------------------------------------------------------------------------
    def streaming(self, replica: Instance) -> bool:
        """Whether the source is there to be followed."""
        source = self.source(replica)
        return source is not None and source.server.process is not None and source.status != "deleting"

    def lag(self, replica: Instance) -> float | None:
        """AWS's metric ReplicaLag in modelled seconds: the age of the newest replayed commit; -1 without a source.

        None where nothing can be measured: it is no replica, or its server does not run.
        """
        if not replica.model.is_replica or not replica.reachable:
            return None
        if self.source(replica) is None:
            return NOT_FOLLOWING
        age = replica.server.replay_age()
        lag = 0.0 if age is None else max(age, 0.0) * self.cloud.clock.speed
        return min(lag, IDLE_LAG_SECONDS) if self.streaming(replica) else lag

    # -- promotion ----------------------------------------------------------------------------------------------
    def promote(self, replica: Instance, retention: int, window: str | None) -> None:
        """Make it stand alone with all that it received: it stops following now, and takes writes after a reboot."""
        model = replica.model
        model.status = "modifying"
        replica.server.stop_following()
        self.databases.configure(replica)
        replica.server.reload()
        begins_backups = retention > 0 and model.backup_retention_period == 0
        duration = minutes("rds.promote") + (minutes("rds.first_backup") if begins_backups else 0.0)
        self.cloud.emit("database.promoting", region=replica.region, database=replica.identifier)

        def finish() -> None:
            replica.server.promote()
            self.databases.configure(replica)
            replica.server.stop()
            replica.server.start()
            model.backup_retention_period = retention
            if window:
                model.preferred_backup_window = window
            self._part(replica)
            model.is_replica = False
            model.source_db_instance_identifier = None
            self.databases.become(replica, "available", since="modifying")

        self.cloud.after(duration, finish, f"promote {replica.identifier}", regions=[replica.region])

    def _part(self, replica: Instance) -> None:
        """The source learns that nobody follows it any more once its region can be reached."""
        source = self._sources.pop(replica.model.dbi_resource_id, None)
        if source is None:
            return
        name = replica.model.arn if source.region != replica.region else replica.identifier

        def forget() -> None:
            if source.status != "deleting":
                source.server.forget_follower(_slot(replica))
                source.model.replicas.remove(name)

        self.cloud.after(0, forget, f"{source.identifier} without {name}", regions=[source.region])

    def _deleted(self, instance: Instance, _: bool) -> None:
        """A follower leaves; a source leaves its followers: alone in its region, without a source in another."""
        self._part(instance)
        followers = [replica for replica in self.databases.all() if self.source(replica) is instance]
        for replica in followers:
            if replica.region == instance.region and replica.status == "available":
                self.promote(replica, replica.model.backup_retention_period, None)
            self._sources.pop(replica.model.dbi_resource_id)


def _slot(replica: Instance) -> str:
    """The replication slot's name, of the characters that PostgreSQL allows."""
    return "rds_" + str(replica.model.dbi_resource_id).lower().replace("-", "_")


_replicas: Replicas | None = None


def running() -> Replicas:
    """The replicas of this process."""
    if _replicas is None:
        raise RuntimeError("the replicas are not installed")
    return _replicas


def lag(region: str, identifier: str) -> float | None:
    """ReplicaLag of an instance, see Replicas.lag."""
    instance = databases.instance(region, identifier)
    return None if instance is None else running().lag(instance)


def install(cloud: Cloud) -> None:
    """Let moto's read replicas follow."""
    global _replicas
    replicas = _replicas = Replicas(cloud, databases.running())

    def status_infos(model: DBInstance) -> list[dict[str, Any]]:
        instance = replicas.databases.of(model)
        if instance is None or not model.is_replica or model.status == "creating":
            return []
        follows = replicas.streaming(instance)
        status = "replicating" if follows else "terminated" if replicas.source(instance) is None else "error"
        return [{"StatusType": "read replication", "Normal": follows, "Status": status}]

    add(DBInstance, status_infos=property(status_infos))
    cloud.route("GET", "replica-lag", lambda data: lag(str(data.get("region")), str(data.get("database"))))
    _install_operations(replicas)


def _install_operations(replicas: Replicas) -> None:
    def create_db_instance_read_replica(self: RDSBackend, db_kwargs: Any) -> DBInstance:
        told = {key: value for key, value in dict(db_kwargs).items() if value is not None}
        wanted = told | {"db_instance_identifier": str(told["db_instance_identifier"]).lower()}
        if wanted["db_instance_identifier"] in self.databases:
            raise DBInstanceAlreadyExists()
        source = _source(replicas, self, str(wanted.pop("source_db_instance_identifier")))
        presigned = wanted.pop("pre_signed_url", None)
        rds_rules.check_common(self, wanted)
        _check(source, self.region_name, wanted, presigned)
        fixed = {name: getattr(source.model, name) for name in FIXED}
        inherited = {name: getattr(source.model, name) for name in INHERITED}
        same_region = source.region == self.region_name
        if fixed["storage_encrypted"]:
            key = source.model.kms_key_id if same_region else wanted["kms_key_id"]
            wanted["kms_key_id"] = rds_rules.check_key(self, str(key))
        if same_region:
            wanted["db_parameter_group_name"] = source.model.db_parameter_group_name
        record = {**inherited, **wanted, **fixed, "engine": "postgres", "backup_retention_period": 0}
        model = databases.new_record(self, plain_creation, {k: v for k, v in record.items() if v is not None})
        replicas.create(model, source)
        return model

    def promote_read_replica(self: RDSBackend, db_kwargs: Any) -> DBInstance:
        told = {key: value for key, value in dict(db_kwargs).items() if value is not None}
        model = self.describe_db_instances(told["db_instance_identifier"])[0]
        rds_rules.check_common(self, told)
        if not model.is_replica:
            raise rds_rules.invalid_state("DB Instance is not a read replica.")
        if model.status != "available":
            raise rds_rules.invalid_state(f"DB Instance {model.db_instance_identifier} is not in available state.")
        maintenance = {"preferred_maintenance_window": model.preferred_maintenance_window}
        rds_options.check_windows(told, maintenance)
        replica = replicas.databases.existing(model)
        replicas.promote(replica, int(told.get("backup_retention_period", 1)), told.get("preferred_backup_window"))
        return model

    replace(
        RDSBackend,
        create_db_instance_read_replica=create_db_instance_read_replica,
        promote_read_replica=promote_read_replica,
    )


def _source(replicas: Replicas, backend: RDSBackend, name: str) -> Instance:
    region = name.split(":")[3] if name.startswith("arn:") else backend.region_name
    if replicas.cloud.is_cut(region):
        raise RDSClientError("ServiceUnavailable", f"The source region {region} does not answer.")
    return replicas.databases.existing(backend.find_db_from_id(name))


def _check(source: Instance, region: str, wanted: dict[str, Any], presigned: str | None) -> None:
    """What CreateDBInstanceReadReplica may not ask for."""
    if source.status not in FOLLOWABLE:
        raise rds_rules.invalid_state(f"DB instance {source.identifier} is not in an available state.")
    if not source.model.backup_retention_period:
        raise rds_rules.invalid_state(
            "Automated backups are not enabled for this database instance. To enable automated backups, "
            "use ModifyDBInstance to set the backup retention period to a non-zero value."
        )
    if "db_parameter_group_name" in wanted:
        # https://github.com/hashicorp/terraform-provider-aws/issues/38056
        raise InvalidParameterCombination(
            "A parameter group can't be specified during Read Replica creation for the following DB engine: postgres"
        )
    if wanted.get("allocated_storage", source.model.allocated_storage) < source.model.allocated_storage:
        raise InvalidParameterCombination("The allocated storage of a read replica can't be less than its source's.")
    if source.region == region:
        return
    encrypted, key = source.model.storage_encrypted, wanted.get("kms_key_id")
    if encrypted and not key:
        raise InvalidParameterCombination(
            "Cannot create a cross region unencrypted read replica from encrypted source."
        )
    if not encrypted and key:
        raise InvalidParameterCombination("Cannot create an encrypted read replica from an unencrypted source.")
    if encrypted and not presigned:  # boto3 makes it from SourceRegion: https://github.com/boto/boto3/issues/3596
        raise InvalidParameterValue("PreSignedUrl could not be authenticated.")
