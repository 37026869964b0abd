"""What RDS refuses and moto accepts, with AWS's error codes. Pure checks: nothing here changes anything."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from moto.ec2.models import ec2_backends
from moto.rds.exceptions import (
    InvalidParameterCombination,
    InvalidParameterValue,
    KMSKeyNotAccessibleFault,
    RDSClientError,
)
from moto.rds.models import DBInstance, DBSnapshot, RDSBackend

from sandbox.cloud.context import ACCOUNT

LICENSE = "postgresql-license"
RETENTION_DAYS = range(36)
SNAPSHOT_QUOTA = 100  # manual ones in a region; "Quotas and constraints for Amazon RDS"
COPIES_IN_PROGRESS = 20  # to one destination; "Copying a DB snapshot", limitations
# GiB, from "Amazon RDS DB instance storage"
STORAGE = {"gp2": (20, 65536), "gp3": (20, 65536), "io1": (100, 65536), "io2": (100, 65536), "standard": (5, 3072)}
_RESERVED_USERS = {"admin", "rdsadmin", "postgres_admin", "public", "pg_monitor"}
# Instances of other engines and ways to make one that no emulation stands behind.
UNMODELLED = {"manage_master_user_password", "db_cluster_identifier", "domain", "custom_iam_instance_profile"}


def invalid_state(message: str) -> RDSClientError:
    """The instance is busy or not there yet."""
    return RDSClientError("InvalidDBInstanceState", message)


@cache
def _schema(name: str) -> Any:
    """AWS's own tables as cfn-lint carries them; read without importing it, which takes seconds."""
    package = find_spec("cfnlint")
    if package is None or not package.submodule_search_locations:
        raise LookupError("cfn-lint is not installed")
    folder = Path(package.submodule_search_locations[0], "data", "schemas", "extensions", "aws_rds_dbinstance")
    return json.loads((folder / name).read_text())


@cache
def versions() -> tuple[str, ...]:
    """The engine versions of PostgreSQL that RDS offers, ascending."""
    for rule in _schema("engine_version.json")["allOf"]:
        if rule["if"]["properties"]["Engine"].get("const") == "postgres":
            offered = rule["then"]["properties"]["EngineVersion"]["enum"]
            return tuple(sorted(offered, key=lambda version: [int(part) for part in re.findall(r"\d+", version)]))
    raise LookupError("cfn-lint's table of engine versions has no PostgreSQL")


@cache
def deprecated() -> frozenset[str]:
    """The engine versions of PostgreSQL that RDS still runs and no longer sells."""
    for rule in _schema("engine_version_deprecated.json")["allOf"]:
        conditions = rule["if"]["properties"]
        if conditions["Engine"].get("const") == "postgres":
            return frozenset(conditions["EngineVersion"]["enum"])
    raise LookupError("cfn-lint's table of deprecated engine versions has no PostgreSQL")


@cache
def classes(region: str) -> frozenset[str]:
    """The instance classes that RDS offers for PostgreSQL in `region`."""
    for rule in _schema("dbinstanceclass_enum.json")[region]["allOf"]:
        conditions = rule["if"]["properties"]
        if conditions["Engine"].get("const") == "postgres":
            return frozenset(rule["then"]["properties"]["DBInstanceClass"]["enum"])
    raise LookupError(f"cfn-lint's table of instance classes has no PostgreSQL in {region}")


def full_version(version: str | None) -> str:
    """The minor version that AWS chooses for a major one, or the given one; unknown ones are refused."""
    wanted = version or versions()[-1]
    minors = [offered for offered in versions() if offered.startswith(f"{wanted}.")]
    if minors and "." not in wanted:
        return minors[-1]
    if wanted not in versions() or wanted in deprecated():
        raise InvalidParameterCombination(f"Cannot find version {wanted} for postgres")
    return wanted


def check_common(backend: RDSBackend, wanted: Mapping[str, Any]) -> None:
    """What a creation, a restore and a modification may not ask for."""
    if unmodelled := UNMODELLED & {key for key, value in wanted.items() if value}:
        raise NotImplementedError(f"the sandbox's databases have no {', '.join(sorted(unmodelled))}")
    retention = wanted.get("backup_retention_period")
    if retention is not None and retention not in RETENTION_DAYS:
        raise InvalidParameterValue(f"Invalid backup retention period: {retention}. Must be between 0 and 35.")
    wanted_class = wanted.get("db_instance_class")
    if wanted_class is not None and wanted_class not in classes(backend.region_name):
        raise InvalidParameterValue(f"Invalid DB Instance class: {wanted_class}")
    if (password := wanted.get("master_user_password")) is not None:
        _check_password(password)


def _check_password(password: str) -> None:
    if not 8 <= len(password) <= 128:
        raise InvalidParameterValue(
            "The parameter MasterUserPassword is not a valid password because it is "
            + ("shorter than 8 characters." if len(password) < 8 else "longer than 128 characters.")
        )
    if not re.fullmatch(r"[!-~]+", password) or re.search(r'[/"@]', password):
        raise InvalidParameterValue(
            "The parameter MasterUserPassword is not a valid password. "
            "Only printable ASCII characters besides '/', '@', '\"', ' ' may be used."
        )


def check_storage(kind: str, size: int) -> None:
    """Refuse a size that this storage type does not have."""
    least, most = STORAGE.get(kind, (0, -1))
    if not least <= size <= most:
        raise InvalidParameterValue(f"Invalid storage size for engine name postgres and storage type {kind}: {size}")


def check_new(backend: RDSBackend, wanted: Mapping[str, Any]) -> None:
    """What CreateDBInstance may not ask for."""
    if wanted.get("engine") != "postgres":
        raise NotImplementedError(f"the sandbox's databases are PostgreSQL, not {wanted.get('engine')}")
    check_common(backend, wanted)
    missing = {"db_instance_class", "allocated_storage", "master_username", "master_user_password"} - {*wanted}
    if missing:
        raise InvalidParameterCombination(f"The request must contain the parameter {sorted(missing)[0]}")
    check_storage(wanted.get("storage_type") or "gp2", wanted["allocated_storage"])
    user = wanted["master_username"]
    if user.lower() in _RESERVED_USERS or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,62}", user):
        raise InvalidParameterValue(f"MasterUsername {user} cannot be used as it is a reserved word used by the engine")
    if (name := wanted.get("db_name")) and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", name):
        raise InvalidParameterValue("DBName must begin with a letter and contain only alphanumeric characters.")


def check_network(backend: RDSBackend, subnet_group: Any | None, group_ids: list[str]) -> None:
    """Security groups must exist and lie in the VPC of the subnets."""
    ec2 = ec2_backends[ACCOUNT][backend.region_name]
    for group_id in group_ids:
        group = ec2.get_security_group_from_id(group_id)
        if group is None:
            raise InvalidParameterValue(f"Invalid security group , groupId= {group_id}, groupName=.")
        if subnet_group is not None and group.vpc_id != subnet_group.vpc_id:
            raise RDSClientError(
                "InvalidVPCNetworkStateFault", "The DB instance and EC2 security group are in different VPCs."
            )


def check_key(backend: RDSBackend, key_id: str) -> str:
    """The ARN of an enabled key of this region; anything else is AWS's KMSKeyNotAccessibleFault."""
    region = key_id.split(":")[3] if key_id.startswith("arn:") else backend.region_name
    if region != backend.region_name:
        raise KMSKeyNotAccessibleFault(key_id)
    kms = backend.kms
    alias = kms.get_alias_name(key_id)
    found = kms.get_key_id_from_alias(alias) if alias.startswith("alias/") else kms.get_key_id(key_id)
    key = kms.keys.get(kms.get_key_id(found or ""))
    if key is None or key.key_state != "Enabled":
        raise KMSKeyNotAccessibleFault(key_id)
    return str(key.arn)


def check_snapshot_quota(backend: RDSBackend) -> None:
    """A region holds 100 manual snapshots."""
    if sum(snapshot.snapshot_type == "manual" for snapshot in backend.database_snapshots.values()) >= SNAPSHOT_QUOTA:
        raise RDSClientError("SnapshotQuotaExceeded", f"Cannot create more than {SNAPSHOT_QUOTA} manual snapshots")


def check_copy(backend: RDSBackend, source: DBSnapshot, key_id: str | None, presigned: str | None) -> None:
    """What CopyDBSnapshot may not ask for."""
    check_snapshot_quota(backend)
    if source.status != "available":
        raise RDSClientError(
            "InvalidDBSnapshotState", f"Source snapshot {source.db_snapshot_identifier} is not available"
        )
    if source.region == backend.region_name:
        return
    copying = [s for s in backend.database_snapshots.values() if s.status == "creating" and hasattr(s, "source_region")]
    if len(copying) >= COPIES_IN_PROGRESS:
        raise RDSClientError(
            "SnapshotQuotaExceeded", f"Cannot copy more than {COPIES_IN_PROGRESS} snapshots to {backend.region_name}"
        )
    if not source.encrypted:
        return
    if not key_id:
        raise InvalidParameterValue("Must specify new KMS key for cross region encrypted snapshot copy.")
    if not presigned:  # boto3 makes it from SourceRegion; without it RDS may not use the source's key
        raise RDSClientError(
            "KMSKeyNotAccessibleFault",
            f"The source snapshot KMS key [{source.kms_key_id}] does not exist, is not enabled or you do not have "
            "permissions to access it.",
        )


def check_change(database: DBInstance, wanted: Mapping[str, Any]) -> None:
    """What ModifyDBInstance may not ask for."""
    check_common(database.backend, wanted)
    if database.is_replica and wanted.get("master_user_password") is not None:
        raise InvalidParameterCombination("The master user password of a read replica cannot be changed.")
    if "engine_version" in wanted and wanted["engine_version"] != database.engine_version:
        raise NotImplementedError("the sandbox's databases are not upgraded")
    if "new_db_instance_identifier" in wanted:
        raise NotImplementedError("the sandbox's databases are not renamed")
    size = wanted.get("allocated_storage")
    if size is not None and size < database.allocated_storage:
        raise InvalidParameterCombination(
            f"Invalid storage size: the new value {size} is less than the current {database.allocated_storage}."
        )
    if size is not None:
        check_storage(wanted.get("storage_type") or database.storage_type, size)
