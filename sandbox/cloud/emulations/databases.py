"""RDS instances: each is a real PostgreSQL server whose status follows the modelled clock."""

from __future__ import annotations

import random
import string
import threading
from collections.abc import Callable, Sequence
from typing import Any

from moto.ec2.models import ec2_backends
from moto.rds.exceptions import DBInstanceNotFoundError, InvalidParameterCombination
from moto.rds.models import DBInstance, RDSBackend

from sandbox.clock import database_minutes, minutes
from sandbox.cloud import extensions, rds_options, rds_rules
from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations import account_quotas
from sandbox.cloud.emulations.database_changes import COMPARED_OPTIONS, INSIGHTS, NOT_A_CHANGE, SLOW
from sandbox.cloud.emulations.database_instance import Instance
from sandbox.cloud.emulations.patching import add, refuse, replace
from sandbox.cloud.postgres import Backup, Server, Servers, identifier, literal

PREPARE_SECONDS = 120.0
_UNMODELLED = (
    "stop_db_instance",
    "start_db_instance",
    "create_db_cluster",
)
_MASTER_GRANTS = "pg_monitor, pg_signal_backend, pg_checkpoint, pg_use_reserved_connections, pg_create_subscription"


class Databases:
    """All instances of all regions, and what RDS's control plane does to them."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.servers = Servers(cloud)
        self._instances: dict[str, Instance] = {}  # by DbiResourceId
        self._lock = threading.Lock()  # whether a server runs, while its region is lost or comes back
        self.on_prepared: list[Callable[[Instance], None]] = []  # a new server runs, and nobody may connect yet
        self.on_available: list[Callable[[Instance, str], None]] = []  # with the status before
        self.on_daily_backup: list[Callable[[Instance, Backup], None]] = []
        # Once a deletion is accepted, before the server stops; whether the automated backups are kept.
        self.on_delete: list[Callable[[Instance, bool], None]] = []
        cloud.on_cut(self._lose)
        cloud.on_restore(self._bring_back)
        cloud.on_stop(self._stop)

    def all(self, region: str | None = None) -> list[Instance]:
        """The instances of a region, or all."""
        return [i for i in list(self._instances.values()) if region in (None, i.region)]

    def of(self, model: DBInstance) -> Instance | None:
        """The instance behind moto's record."""
        return self._instances.get(model.dbi_resource_id)

    # -- creation -----------------------------------------------------------------------------------------------
    def add(
        self, model: DBInstance, prepare: Callable[[Instance], None], operation: str, needs: Sequence[str] = ()
    ) -> None:
        """Bring a server up for a new record; `operation` (rds.create, …) says how long RDS takes.

        `needs`: other regions without which it goes no further.
        """
        model.status = "creating"
        model.dbi_resource_id = "db-" + "".join(random.choices(string.ascii_uppercase + string.digits, k=26))
        model.pending_modified_values = {}  # type: ignore[attr-defined]
        instance = Instance(model, Server(self.servers, model.dbi_resource_id))
        self._instances[model.dbi_resource_id] = instance
        name = f"{operation} {instance.identifier} in {instance.region}"
        self.cloud.emit("database.creating", region=instance.region, database=instance.identifier, by=operation)

        def work() -> None:
            try:
                prepare(instance)
                for action in self.on_prepared:
                    action(instance)
            except Exception:
                model.status = "failed"
                raise
            finally:
                with self._lock:
                    instance.prepared.set()
                    if self.cloud.is_cut(instance.region):  # lost meanwhile, see _lose
                        instance.server.stop()

        duration = database_minutes(operation, multi_az=model.multi_az, backups=model.backup_retention_period > 0)
        regions = [instance.region, *needs]
        self.cloud.after(0, work, name, regions=regions)
        self.cloud.after(duration, lambda: self._finish(instance), name, regions=regions)

    def _finish(self, instance: Instance) -> None:
        if not instance.prepared.wait(PREPARE_SECONDS):
            raise TimeoutError(f"the server of {instance.identifier} is not ready")
        self.become(instance, "available", since="creating")

    def become(self, instance: Instance, status: str, since: str) -> None:
        """Go from one status to the next, unless something else happened meanwhile."""
        if instance.model.status != since:
            return
        instance.model.status = status
        self.cloud.emit(f"database.{status}", region=instance.region, database=instance.identifier, port=instance.port)
        for action in self.on_available if status == "available" else ():
            action(instance, since)

    def prepare_new(self, instance: Instance, password: str) -> None:
        """Make the empty server of a new instance, with its master user and database."""
        instance.server.create()
        self.configure(instance)
        instance.server.start()
        model = instance.model
        user = identifier(str(model.master_username))
        with instance.server.admin() as connection:
            connection.run("CREATE ROLE rds_superuser NOLOGIN")
            connection.run(f"GRANT {_MASTER_GRANTS} TO rds_superuser WITH ADMIN OPTION")
            connection.run(f"CREATE ROLE {user} LOGIN CREATEDB CREATEROLE PASSWORD {literal(password)}")
            connection.run(f"GRANT rds_superuser TO {user} WITH ADMIN OPTION")
            if model.db_name:
                connection.run(f"CREATE DATABASE {identifier(model.db_name)} OWNER {user}")
        if model.db_name:
            extensions.offer(instance.server, model.db_name)

    def configure(self, instance: Instance) -> None:
        """Write the server's settings from its parameter group."""
        group = instance.model.db_parameter_groups()[0]
        chosen = {name: str(value["ParameterValue"]) for name, value in group.parameters.items()}
        major = int(str(instance.model.engine_version).split(".")[0])
        force_tls = chosen.pop("rds.force_ssl", "1" if major >= 15 else "0") == "1"
        instance.server.configure(chosen, force_tls=force_tls)

    # -- changes ------------------------------------------------------------------------------------------------
    def change(
        self, original: Callable[..., DBInstance], backend: RDSBackend, name: str, wanted: dict[str, Any]
    ) -> Any:
        """ModifyDBInstance: quick changes hold at once, slow ones when the clock says so."""
        model = backend.describe_db_instances(name)[0]
        instance = self.existing(model)
        if model.status != "available":
            raise rds_rules.invalid_state("Database instance is not in available state.")
        rds_rules.check_change(model, wanted)
        rds_options.check_options(backend, wanted, {name: getattr(model, name) for name in COMPARED_OPTIONS})
        if groups := wanted.get("vpc_security_group_ids"):
            rds_rules.check_network(backend, getattr(model, "db_subnet_group", None), groups)
        changed = {key: value for key, value in wanted.items() if key not in NOT_A_CHANGE and value is not None}
        slow = {key: value for key, value in changed.items() if key in SLOW and self._differs(model, key, value)}
        quick = {key: value for key, value in changed.items() if key not in SLOW}
        answer = original(backend, name, quick)
        if "db_parameter_group_name" in quick:
            self.configure(instance)
            instance.server.reload()
        shown = {SLOW[key]: ("****" if key == "master_user_password" else value) for key, value in slow.items()}
        model.pending_modified_values = shown  # type: ignore[attr-defined]
        if slow and wanted.get("apply_immediately"):
            self._change_slowly(original, backend, instance, slow)
        return answer

    @staticmethod
    def _differs(model: DBInstance, key: str, value: Any) -> bool:
        return key == "master_user_password" or getattr(model, key) != value

    def _change_slowly(
        self, original: Callable[..., DBInstance], backend: RDSBackend, instance: Instance, slow: dict[str, Any]
    ) -> None:
        model = instance.model
        model.status = "modifying"
        self.cloud.emit("database.modifying", region=instance.region, database=instance.identifier, what=sorted(slow))
        duration = minutes("rds.multi_az") if slow.get("multi_az") else minutes("rds.modify")
        self.cloud.after(
            duration,
            lambda: self._changed(original, backend, instance, slow),
            f"modify {instance.identifier}",
            regions=[instance.region],
        )

    def _changed(
        self, original: Callable[..., DBInstance], backend: RDSBackend, instance: Instance, slow: dict[str, Any]
    ) -> None:
        model = instance.model
        if password := slow.get("master_user_password"):
            with instance.server.admin() as connection:
                user = identifier(str(model.master_username))
                connection.run(f"ALTER ROLE {user} PASSWORD {literal(password)}")
        original(backend, instance.identifier, slow)
        model.pending_modified_values = {}  # type: ignore[attr-defined]
        self.become(instance, "available", since="modifying")

    def parameters_changed(self, backend: RDSBackend, group: str) -> None:
        """Dynamic parameters hold at once in all instances of the group."""
        for instance in self.all(backend.region_name):
            if instance.prepared.is_set() and instance.model.db_parameter_group_name == group:
                self.configure(instance)
                instance.server.reload()

    def reboot(self, backend: RDSBackend, name: str) -> DBInstance:
        """RebootDBInstance: the server really restarts, so static parameters take hold."""
        model = backend.describe_db_instances(name)[0]
        instance = self.existing(model)
        if model.status != "available":
            raise rds_rules.invalid_state(f"DB Instance {name} is not in available state")
        model.status = "rebooting"

        def restart() -> None:
            instance.server.stop()
            instance.server.start()
            self.become(instance, "available", since="rebooting")

        self.cloud.after(minutes("rds.reboot"), restart, f"reboot {name}", regions=[instance.region])
        return model

    # -- deletion -----------------------------------------------------------------------------------------------
    def delete(
        self,
        backend: RDSBackend,
        name: str,
        final: str | None,
        skip: bool | None,
        keep_backups: bool,
        snapshot: Callable[[str], None],
    ) -> DBInstance:
        """DeleteDBInstance, with its final snapshot taken before the server stops."""
        model = backend.databases.get(name)
        if model is None:
            raise DBInstanceNotFoundError(name)
        instance = self.existing(model)
        if model.deletion_protection:
            raise InvalidParameterCombination(
                "Cannot delete protected DB Instance, please disable deletion protection and try again."
            )
        if model.status == "deleting":
            raise rds_rules.invalid_state(f"Instance {name} is already being deleted.")
        if not skip and not final:
            raise InvalidParameterCombination(
                "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
            )
        if final and skip:
            raise InvalidParameterCombination(
                "FinalDBSnapshotIdentifier can not be specified when deleting without a final snapshot."
            )
        if final and model.is_replica:
            raise InvalidParameterCombination(
                "FinalDBSnapshotIdentifier can not be specified when deleting a replica instance."
            )
        if final:
            snapshot(final)
        for action in self.on_delete:
            action(instance, keep_backups)
        model.status = "deleting"
        self.cloud.emit("database.deleting", region=instance.region, database=instance.identifier)
        self.cloud.after(0, lambda: self._end(instance), f"stop {name}")
        self.cloud.after(
            minutes("rds.delete"), lambda: self._gone(backend, instance), f"delete {name}", regions=[instance.region]
        )
        return model

    def _end(self, instance: Instance) -> None:
        instance.prepared.wait(PREPARE_SECONDS)
        instance.server.remove()

    def _gone(self, backend: RDSBackend, instance: Instance) -> None:
        backend.databases.pop(instance.identifier, None)
        self._instances.pop(instance.model.dbi_resource_id, None)
        self.cloud.emit("database.deleted", region=instance.region, database=instance.identifier)

    # -- lost regions -------------------------------------------------------------------------------------------
    def _lose(self, region: str) -> None:
        for instance in self.all(region):
            with self._lock:
                if instance.prepared.is_set():  # one that is still being made stops when that is done
                    instance.server.stop()

    def _bring_back(self, region: str) -> None:
        for instance in self.all(region):
            if not instance.prepared.wait(PREPARE_SECONDS):
                raise TimeoutError(f"the server of {instance.identifier} is not ready")
            with self._lock:
                if instance.status not in ("deleting", "failed"):
                    instance.server.start()

    def _stop(self) -> None:
        for instance in self.all():
            instance.server.stop()

    def existing(self, model: DBInstance) -> Instance:
        """The instance behind moto's record, which must have one."""
        instance = self.of(model)
        if instance is None:
            raise LookupError(f"{model.db_instance_identifier} has no server")
        return instance


_databases: Databases | None = None


def running() -> Databases:
    """The databases of this process."""
    if _databases is None:
        raise RuntimeError("the databases are not installed")
    return _databases


def instance(region: str, identifier: str) -> Instance | None:
    """The instance of that name, with .port, .status, .security_groups and .subnets."""
    return next((i for i in running().all(region) if i.identifier == identifier.lower()), None)


def instances(region: str) -> list[Instance]:
    """All instances of a region."""
    return running().all(region)


def by_port(region: str, port: int) -> Instance | None:
    """The instance of a region whose server listens on this port."""
    return next((i for i in running().all(region) if i.port == port), None)


def install(cloud: Cloud) -> None:
    """Put servers behind moto's DB instances."""
    global _databases
    databases = _databases = Databases(cloud)
    _install_shape(databases)
    _install_operations(databases)


def _install_shape(databases: Databases) -> None:
    """What DescribeDBInstances shows of the server."""

    def endpoint(model: DBInstance) -> dict[str, Any] | None:
        found = databases.of(model)
        if found is None or model.status == "creating":
            return None
        return {"Address": "127.0.0.1", "Port": found.port, "HostedZoneId": "Z2BJ6XQ5FK7U4H"}

    # moto would record an automated snapshot at once, without data; daily backups are not modelled.
    replace(DBInstance, endpoint=property(endpoint), save_automated_backup=lambda self: None)
    add(DBInstance, performance_insights_enabled=property(lambda self: bool(getattr(self, INSIGHTS[0]))))


def new_record(backend: RDSBackend, original: Callable[..., DBInstance], wanted: dict[str, Any]) -> DBInstance:
    """Let moto make its record, with the network defaults that AWS has."""
    account_quotas.check_databases(backend, int(wanted.get("allocated_storage") or 0))
    group = wanted.get("db_subnet_group_name")
    subnet_group = backend.describe_db_subnet_groups(group)[0] if group else None
    if not wanted.get("vpc_security_group_ids") and subnet_group is not None:
        default = ec2_backends[ACCOUNT][backend.region_name].get_default_security_group(subnet_group.vpc_id)
        wanted["vpc_security_group_ids"] = [default.id] if default else []
    rds_rules.check_network(backend, subnet_group, wanted.get("vpc_security_group_ids") or [])
    rds_options.check_options(backend, wanted, {})
    model = original(backend, wanted)
    for name in INSIGHTS:  # moto forgets them
        setattr(model, name, wanted.get(name))
    return model


def _install_operations(databases: Databases) -> None:
    create, modify = RDSBackend.create_db_instance, RDSBackend.modify_db_instance

    def create_db_instance(self: RDSBackend, db_kwargs: Any) -> DBInstance:
        wanted = {key: value for key, value in dict(db_kwargs).items() if value is not None}
        rds_rules.check_new(self, wanted)
        wanted["engine_version"] = rds_rules.full_version(wanted.get("engine_version"))
        wanted["license_model"] = rds_rules.LICENSE
        wanted.setdefault("storage_type", "gp2")
        if wanted.get("storage_encrypted"):
            wanted["kms_key_id"] = rds_rules.check_key(self, wanted.get("kms_key_id") or "alias/aws/rds")
        model = new_record(self, create, wanted)
        password = str(wanted["master_user_password"])
        databases.add(model, lambda made: databases.prepare_new(made, password), "rds.create")
        return model

    def modify_db_instance(self: RDSBackend, db_instance_identifier: str, db_kwargs: Any) -> DBInstance:
        answer: DBInstance = databases.change(modify, self, db_instance_identifier, dict(db_kwargs))
        return answer

    def reboot_db_instance(self: RDSBackend, db_instance_identifier: str) -> DBInstance:
        return databases.reboot(self, db_instance_identifier)

    replace(
        RDSBackend,
        create_db_instance=create_db_instance,
        modify_db_instance=modify_db_instance,
        reboot_db_instance=reboot_db_instance,
    )
    refuse(RDSBackend, *_UNMODELLED)
