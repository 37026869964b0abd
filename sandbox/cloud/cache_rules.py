"""What ElastiCache refuses, with AWS's error codes. Pure checks: nothing here changes anything.

Sources: the API reference of CreateReplicationGroup and CopySnapshot, cfn-lint's tables of AWS's own enumerations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from moto.ec2.models import ec2_backends
from moto.elasticache.exceptions import CacheSubnetGroupNotFound, ElastiCacheException
from moto.elasticache.models import elasticache_backends
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends

from sandbox.cloud import bucket_policy
from sandbox.cloud.context import ACCOUNT

# The only special characters of an auth token: "Authenticating with the AUTH command", ElastiCache user guide.
TOKEN = re.compile(r"[A-Za-z0-9!&#$^<>-]{16,128}")
IDENTIFIER = re.compile(r"(?!.*--)[A-Za-z][A-Za-z0-9-]{0,39}(?<!-)")
RETENTION_DAYS = range(36)
NODES = range(1, 7)
LEAST_WINDOW = timedelta(hours=1)
WEEK = timedelta(days=7)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_READ = ("s3:GetObject", "s3:ListBucket", "s3:GetBucketAcl")
# Of CreateReplicationGroup; another one that is given is an error of the sandbox, never ignored.
MODELLED: Final = frozenset(
    (
        "ReplicationGroupId",
        "ReplicationGroupDescription",
        "AutomaticFailoverEnabled",
        "MultiAZEnabled",
        "NumCacheClusters",
        "CacheNodeType",
        "Engine",
        "EngineVersion",
        "CacheParameterGroupName",
        "CacheSubnetGroupName",
        "SecurityGroupIds",
        "Tags",
        "SnapshotArns",
        "SnapshotName",
        "PreferredMaintenanceWindow",
        "Port",
        "AutoMinorVersionUpgrade",
        "SnapshotRetentionLimit",
        "SnapshotWindow",
        "AuthToken",
        "TransitEncryptionEnabled",
        "AtRestEncryptionEnabled",
        "KmsKeyId",
        "TransitEncryptionMode",
    )
)


def invalid(message: str) -> ElastiCacheException:
    return ElastiCacheException("InvalidParameterValue", message)


def conflicting(message: str) -> ElastiCacheException:
    return ElastiCacheException("InvalidParameterCombination", message)


@cache
def _schema(name: str) -> Any:
    """AWS's own tables as cfn-lint carries them; read without importing it, which takes seconds."""
    package = find_spec("cfnlint")
    if package is None or not package.submodule_search_locations:
        raise LookupError("cfn-lint is not installed")
    folder = Path(
        package.submodule_search_locations[0], "data", "schemas", "extensions", "aws_elasticache_cachecluster"
    )
    return json.loads((folder / name).read_text())


@cache
def node_types(region: str) -> frozenset[str]:
    """The node types that ElastiCache offers in `region`."""
    return frozenset(_schema("cachenodetype_enum.json")[region]["enum"])


@cache
def versions(engine: str) -> tuple[str, ...]:
    """The versions that ElastiCache offers of an engine."""
    for rule in _schema("engine_version.json")["allOf"]:
        if rule["if"]["properties"]["Engine"].get("const") == engine:
            return tuple(rule["then"]["properties"]["EngineVersion"]["enum"])
    raise invalid(f"Unsupported engine {engine}, allowed: valkey, redis")


def family(engine: str, version: str) -> str:
    """The parameter group family of a version: `valkey8` of Valkey 8.1, `redis7` of Redis 7.1."""
    major = version.partition(".")[0]
    return f"redis{version}" if engine == "redis" and int(major) < 6 else f"{engine}{major}"


def check_new(region: str, wanted: Mapping[str, Any], family_of: Mapping[str, str]) -> None:
    """What CreateReplicationGroup may not ask for. `wanted` has the defaults; `family_of` the parameter groups."""
    if unmodelled := wanted.keys() - MODELLED:
        raise NotImplementedError(f"the sandbox's caches have no {', '.join(sorted(unmodelled))}")
    if not IDENTIFIER.fullmatch(wanted["ReplicationGroupId"]):
        raise invalid(
            "The parameter ReplicationGroupId must be 1 to 40 alphanumeric characters or hyphens, begin with a letter "
            "and neither end with a hyphen nor have two in a row."
        )
    engine, version = wanted["Engine"], wanted["EngineVersion"]
    if version not in versions(engine):
        raise invalid(f"Specific version selection is not allowed for '{engine}', or {version} is not offered.")
    if engine == "valkey" and "TransitEncryptionEnabled" not in wanted:
        raise conflicting("TransitEncryptionEnabled must be given for engine valkey.")
    if wanted.get("TransitEncryptionMode") and not wanted.get("TransitEncryptionEnabled"):
        raise conflicting("TransitEncryptionMode can only be given when TransitEncryptionEnabled is true.")
    if wanted.get("AuthToken") and not wanted.get("TransitEncryptionEnabled"):
        raise conflicting("The AUTH token can only be set when encryption in transit is enabled.")
    if wanted.get("TransitEncryptionEnabled") and not wanted.get("CacheSubnetGroupName"):
        raise conflicting("Encryption in transit is only offered in a VPC: CacheSubnetGroupName is required.")
    if wanted.get("KmsKeyId"):
        if not wanted.get("AtRestEncryptionEnabled"):
            raise conflicting("KmsKeyId can only be given when AtRestEncryptionEnabled is true.")
        _check_key(region, wanted["KmsKeyId"])
    if wanted.get("SnapshotArns") and wanted.get("SnapshotName"):
        raise conflicting("SnapshotArns and SnapshotName cannot be given together.")
    check_common(region, wanted, family_of)


def check_common(region: str, wanted: Mapping[str, Any], family_of: Mapping[str, str]) -> None:
    """What neither a creation nor a modification may leave behind; `wanted` is the whole of it."""
    if wanted.get("CacheNodeType") not in node_types(region):
        raise invalid(f"Invalid or missing CacheNodeType {wanted.get('CacheNodeType')} in {region}.")
    if (token := wanted.get("AuthToken")) is not None and not TOKEN.fullmatch(token):
        raise invalid(
            "Invalid AuthToken provided: 16 to 128 printable characters, of the special ones only ! & # $ ^ < > -"
        )
    if wanted["SnapshotRetentionLimit"] not in RETENTION_DAYS:
        raise invalid("SnapshotRetentionLimit must be between 0 and 35.")
    _check_parameter_group(wanted, family_of)
    _check_nodes(region, wanted)
    _check_network(region, wanted)
    _check_windows(wanted["SnapshotWindow"], wanted["PreferredMaintenanceWindow"])


def _check_parameter_group(wanted: Mapping[str, Any], family_of: Mapping[str, str]) -> None:
    name, needed = wanted["CacheParameterGroupName"], family(wanted["Engine"], wanted["EngineVersion"])
    if name == f"default.{needed}":
        return
    if name not in family_of:
        raise ElastiCacheException("CacheParameterGroupNotFound", f"CacheParameterGroup {name} not found.")
    if family_of[name] != needed:
        raise conflicting(f"The parameter group {name} is of family {family_of[name]}, the engine needs {needed}.")


def _check_nodes(region: str, wanted: Mapping[str, Any]) -> None:
    nodes = wanted["NumCacheClusters"]
    if nodes not in NODES:
        raise invalid("NumCacheClusters must be between 1 and 6.")
    if wanted["AutomaticFailoverEnabled"] and nodes < 2:
        raise conflicting("Automatic failover needs at least two nodes: NumCacheClusters must be greater than 1.")
    if not wanted["MultiAZEnabled"]:
        return
    if not wanted["AutomaticFailoverEnabled"]:
        raise conflicting("Multi-AZ needs AutomaticFailoverEnabled.")
    if len(set(zones(region, wanted.get("CacheSubnetGroupName")))) < 2:
        raise conflicting("Multi-AZ needs subnets in at least two Availability Zones.")


def zones(region: str, subnet_group: str | None) -> list[str]:
    """The availability zones of a subnet group's subnets."""
    if subnet_group is None:
        return [f"{region}a"]
    subnets = ec2_backends[ACCOUNT][region].describe_subnets(subnet_ids=_subnet_group(region, subnet_group).subnet_ids)
    return sorted(subnet.availability_zone for subnet in subnets)


def subnets(region: str, subnet_group: str | None) -> list[str]:
    """The ids of a subnet group's subnets."""
    return [] if subnet_group is None else list(_subnet_group(region, subnet_group).subnet_ids)


def _subnet_group(region: str, name: str) -> Any:
    group = elasticache_backends[ACCOUNT][region].cache_subnet_groups.get(name)
    if group is None:
        raise CacheSubnetGroupNotFound(name)
    return group


def _check_network(region: str, wanted: Mapping[str, Any]) -> None:
    name = wanted.get("CacheSubnetGroupName")
    vpc = _subnet_group(region, name).vpc_id if name else None
    for group_id in wanted.get("SecurityGroupIds") or []:
        group = ec2_backends[ACCOUNT][region].get_security_group_from_id(group_id)
        if group is None:
            raise invalid(f"Invalid security group {group_id}.")
        if group.vpc_id != vpc:
            raise ElastiCacheException(
                "InvalidVPCNetworkStateFault", f"{group_id} is in another VPC than the subnet group {name}."
            )


def _check_key(region: str, key_id: str) -> None:
    backend = kms_backends[ACCOUNT][region]
    elsewhere = key_id.startswith("arn:") and key_id.split(":")[3] != region
    key = None if elsewhere else backend.keys.get(backend.get_key_id(key_id))
    if key is None or key.key_state != "Enabled":
        raise ElastiCacheException("InvalidKMSKeyFault", f"{key_id} is no enabled key of {region}.")


# -- windows ------------------------------------------------------------------------------------------------------
def _clock(text: str) -> timedelta | None:
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", text)
    return timedelta(hours=int(found[1]), minutes=int(found[2])) if found else None


def _span(begin: timedelta, end: timedelta, around: timedelta) -> tuple[timedelta, timedelta]:
    """Begin and end, which may lie after midnight or in the next week."""
    return begin, end if end > begin else end + around


def _daily(text: str) -> tuple[timedelta, timedelta] | None:
    begin, _, end = text.partition("-")
    first, last = _clock(begin), _clock(end)
    return None if first is None or last is None else _span(first, last, timedelta(days=1))


def _weekly(text: str) -> tuple[timedelta, timedelta] | None:
    found = re.fullmatch(r"(\w{3}):([\d:]{5})-(\w{3}):([\d:]{5})", text.lower())
    if found is None or found[1] not in _DAYS or found[3] not in _DAYS:
        return None
    times = [(found[day], _clock(found[day + 1])) for day in (1, 3)]
    moments = [timedelta(days=_DAYS.index(day)) + time for day, time in times if time is not None]
    return _span(moments[0], moments[1], WEEK) if len(moments) == 2 else None


def _check_windows(snapshot: str, maintenance: str) -> None:
    daily, weekly = _daily(snapshot), _weekly(maintenance)
    if daily is None or daily[1] - daily[0] < LEAST_WINDOW:
        raise invalid(f"SnapshotWindow {snapshot} must be a range of at least 60 minutes.")
    if weekly is None or weekly[1] - weekly[0] < LEAST_WINDOW:
        raise invalid(f"PreferredMaintenanceWindow {maintenance} must be a range of at least 60 minutes.")
    days = [timedelta(days=day) for day in range(-1, 9)]
    if any(day + daily[0] < weekly[1] and weekly[0] < day + daily[1] for day in days):
        raise invalid("The snapshot window and maintenance window must not overlap.")


# -- RDB files ----------------------------------------------------------------------------------------------------
def rdb_object(region: str, arn: str) -> bytes:
    """The content of an RDB file that a new cache of `region` may load; refused otherwise."""
    found = re.fullmatch(r"arn:aws:s3:::([^/]+)/([^,]+)", arn)
    if found is None:
        raise invalid(f"Invalid S3 ARN of a snapshot file: {arn}.")
    name, key = found[1], found[2]
    bucket = _bucket(region, name, _READ, key)
    file = bucket.keys.get(key)
    if file is None:
        raise invalid(f"Unable to fetch metadata from S3 for bucket: {name} and object: {key}.")
    return bytes(file.value)


def export_bucket(region: str, name: str, key: str) -> None:
    """Refuse a bucket that ElastiCache of `region` cannot write `key` to."""
    bucket = _bucket(region, name, (*_READ, "s3:PutObject", "s3:ListMultipartUploadParts"), key)
    if key in bucket.keys:
        raise invalid(f"The S3 bucket {name} already contains an object with key {key}.")


def _bucket(region: str, name: str, actions: Iterable[str], key: str) -> Any:
    bucket = s3_backends[ACCOUNT]["aws"].buckets.get(name)
    if bucket is None:
        raise invalid(f"The S3 bucket {name} does not exist.")
    if bucket.region_name != region:
        raise invalid(f"The S3 bucket {name} is outside of the region.")
    service = f"{region}.elasticache-snapshot.amazonaws.com"
    missing = [action for action in actions if not _granted(bucket.policy, service, action, name, key)]
    if missing:
        raise invalid(
            f"ElastiCache has not been granted the permissions {', '.join(missing)} on the S3 bucket {name}: its "
            f"policy must allow them to {service}."
        )
    return bucket


def _granted(policy: bytes | None, service: str, action: str, bucket: str, key: str) -> bool:
    on_bucket = action in ("s3:ListBucket", "s3:GetBucketAcl")
    resource = f"arn:aws:s3:::{bucket}" if on_bucket else f"arn:aws:s3:::{bucket}/{key}"
    return bucket_policy.admits(policy, service, action, resource, {})


def manual_quota(taken: Sequence[float], now: float) -> None:
    """20 manual snapshots of a node in 24 hours: "Backup constraints", ElastiCache user guide."""
    if sum(now - moment < timedelta(days=1).total_seconds() for moment in taken) >= 20:
        raise ElastiCacheException("SnapshotQuotaExceededFault", "20 manual snapshots a node in 24 hours are taken.")
