"""What is true in the stack's own region right now, as far as a decision of the program depends on it.

Only reads, only the stack's own region, and of regional services only (RDS, KMS, SSM, CloudWatch, one object in S3,
STS): a deployment must work while the peer's region and the global control planes (IAM, Route 53, bucket configuration)
are gone. Failures become `pulumi.RunError`: a deployment that cannot see must not guess.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pulumi
from botocore.exceptions import BotoCoreError, ClientError

from components import naming
from components.regional_client import regional_client
from components.settings.stack import Settings
from components.witness import MARKER_KEY, TAKEN_OVER

if TYPE_CHECKING:
    from types_boto3_rds.type_defs import (
        DBInstanceAutomatedBackupTypeDef,
        DBInstanceTypeDef,
        DBSnapshotTypeDef,
        OrderableDBInstanceOptionTypeDef,
    )

T = TypeVar("T")

ENGINE: Final = "postgres"
STORAGE_TYPE: Final = "gp3"
LAG_LOOKED_BACK: Final = timedelta(minutes=30)
LAG_PERIOD: Final = 60  # seconds, the shortest that RDS publishes


@dataclass(frozen=True)
class Instance:
    """A database instance of this stack. `replica_of`: ARN of the database that it follows, None once it stands alone.

    `protected`: RDS refuses to delete it. `replication` is what RDS reports of following where that is not normal.
    """

    identifier: str
    status: str
    engine_version: str
    allocated_storage: int
    generation: str | None
    role: str | None
    restored_from: str | None
    replica_of: str | None
    replication: str | None = None
    protected: bool = True


@dataclass(frozen=True)
class Backups:
    """Automated backups of a database, also of one that is gone. They reach from `earliest` to `latest`."""

    arn: str
    source_arn: str
    status: str
    key_arn: str | None
    latest: datetime | None
    engine_version: str
    allocated_storage: int
    resource_id: str
    earliest: datetime | None


@dataclass(frozen=True)
class Offer:
    """What RDS sells here: one version of PostgreSQL on the configured class, with the storage type we use."""

    engine_version: str
    smallest_storage: int
    largest_storage: int
    lacks: tuple[str, ...]


@dataclass(frozen=True)
class Copy:
    """A snapshot in the own region. `original_created_at`: when the data was current, also for a copy of a copy."""

    identifier: str
    status: str
    source_database: str
    copied_from: str | None
    made_by: str | None
    unusable: bool
    encrypted: bool
    key_arn: str | None
    original_created_at: datetime | None
    engine_version: str
    allocated_storage: int


@dataclass(frozen=True)
class Facts:
    """`backups` are those of the other region's databases, replicated to this one; `own_backups` of this region's."""

    account: str
    instances: tuple[Instance, ...]
    copies: tuple[Copy, ...]
    data_key_arn: str | None
    sign_of_life: datetime | None
    backups: tuple[Backups, ...] = ()
    own_backups: tuple[Backups, ...] = ()
    peer_can_send_backups: bool = True
    offers: tuple[Offer, ...] = ()
    replica_lag: timedelta | None = None
    taken_over_at: datetime | None = None


class Reader:
    """Reads facts with boto3. `client` makes a client for a service in a region (replaced in tests)."""

    def __init__(self, settings: Settings, client: Callable[[str, str], Any] | None = None) -> None:
        self._settings = settings
        self._region = settings.region
        self._make = client or regional_client

    def read(self, watching: bool = False) -> Facts:
        """All facts. What a new database is made of is looked up only while a declared one is missing: later
        deployments must neither depend on a copy that was pruned meanwhile nor prefer a newer one.

        `watching`: for somebody who only looks at the data that are here. Copies and backups are read whether or not
        a deployment would need them, and what RDS sells is not.
        """
        account = self._call("the account", lambda: self._client("sts").get_caller_identity()["Account"])
        instances = self._call("the databases", self._instances)
        existing = {instance.identifier for instance in instances}
        generations = [g for g in self._settings.database.generations if not g.released]
        missing = [g for g in generations if self._settings.database_identifier(g) not in existing]
        restoring = not self._settings.standby and bool(missing)
        choosing = restoring or watching
        to_moment = restoring and any(generation.moment for generation in missing)
        promoted = None if self._settings.standby else _followed_by(instances)
        replicates, peer = self._uses_backups(choosing), self._settings.peer.region
        entries = self._call("the automated backups", self._backups) if replicates or to_moment else []
        # A region lists the backups of its own databases beside what is replicated to it.
        backups = tuple(as_backups(entry) for entry in entries if replicates and entry.get("Region") == peer)
        own_backups = tuple(as_backups(entry) for entry in entries if entry.get("Region") == self._region)
        sign = self._call("the primary's last sign of life", self._sign_of_life) if choosing or promoted else None
        selling = not watching and (restoring or self._follows_anew(existing))
        return Facts(
            account=str(account),
            instances=instances,
            copies=self._call("the database copies", self._copies) if choosing else (),
            data_key_arn=self._call("the data key", self._data_key) if choosing else None,
            sign_of_life=sign,
            backups=backups,
            own_backups=own_backups if to_moment else (),
            peer_can_send_backups=self._call("the regions that replicate backups to here", self._peer_sends)
            if self._begins_replicating(backups)
            else True,
            offers=self._call("what RDS offers", self._offers) if selling else (),
            replica_lag=self._replica_lag(promoted, sign) if promoted and sign else None,
            taken_over_at=self._call("when this stack took over", self._taken_over_at)
            if choosing or self._settings.frozen
            else None,
        )

    def _uses_backups(self, choosing: bool) -> bool:
        source = self._settings.database.standby_source
        return source == "replicated-backups" and (self._settings.standby or choosing)

    def _begins_replicating(self, backups: Sequence[Backups]) -> bool:
        database = self._settings.database
        begun = any(entry.source_arn == database.standby_source_arn for entry in backups)
        return self._settings.standby and database.standby_source == "replicated-backups" and not begun

    def _follows_anew(self, existing: set[str]) -> bool:
        generation = self._settings.serving_generation
        if not self._settings.standby or self._settings.database.standby_source != "read-replica" or generation is None:
            return False
        return self._settings.database_identifier(generation) not in existing

    def _client(self, service: str) -> Any:
        return self._make(service, self._region)

    def _call(self, what: str, read: Callable[[], T]) -> T:
        try:
            return read()
        except (ClientError, BotoCoreError) as error:
            raise pulumi.RunError(
                f"Reading {what} in {self._region} failed, nothing was changed: {error}. "
                "Check the credentials of this terminal and that the region's API answers, then run again."
            ) from None

    def _instances(self) -> tuple[Instance, ...]:
        pages = self._client("rds").get_paginator("describe_db_instances").paginate()
        found = (instance for page in pages for instance in page["DBInstances"])
        return tuple(as_instance(i) for i in found if _belongs(_tags(i.get("TagList", ())), self._settings.stack))

    def _copies(self) -> tuple[Copy, ...]:
        pages = self._client("rds").get_paginator("describe_db_snapshots").paginate(SnapshotType="manual")
        return tuple(as_copy(snapshot) for page in pages for snapshot in page["DBSnapshots"])

    def _backups(self) -> "list[DBInstanceAutomatedBackupTypeDef]":
        pages = self._client("rds").get_paginator("describe_db_instance_automated_backups").paginate()
        return [entry for page in pages for entry in page["DBInstanceAutomatedBackups"]]

    def _peer_sends(self) -> bool:
        answer = self._client("rds").describe_source_regions(RegionName=self._settings.peer.region)
        return any(entry.get("SupportsDBInstanceAutomatedBackupsReplication") for entry in answer["SourceRegions"])

    def _offers(self) -> tuple[Offer, ...]:
        options = self._client("rds").get_paginator("describe_orderable_db_instance_options")
        pages = options.paginate(
            Engine=ENGINE, DBInstanceClass=self._settings.database.instance_class, Vpc=True, MaxRecords=100
        )
        entries = (entry for page in pages for entry in page["OrderableDBInstanceOptions"])
        return tuple(as_offer(entry) for entry in entries if entry.get("StorageType") == STORAGE_TYPE)

    def _replica_lag(self, replica: Instance, sign_of_life: datetime) -> timedelta | None:
        """How far the replica was behind when the primary last answered. Afterwards the metric only counts the time.

        Not knowing it must not stop people, so a failed read is an unknown lag, which a promotion says.
        """
        try:
            answer = self._client("cloudwatch").get_metric_statistics(
                Namespace="AWS/RDS",
                MetricName="ReplicaLag",
                Dimensions=[{"Name": "DBInstanceIdentifier", "Value": replica.identifier}],
                StartTime=sign_of_life - LAG_LOOKED_BACK,
                EndTime=sign_of_life,
                Period=LAG_PERIOD,
                Statistics=["Maximum"],
            )
        except (ClientError, BotoCoreError):
            return None
        newest = max(answer["Datapoints"], key=lambda point: point["Timestamp"], default=None)
        # -1: replication is not working.
        if newest is None or newest["Maximum"] < 0:
            return None
        return timedelta(seconds=newest["Maximum"])

    def _taken_over_at(self) -> datetime | None:
        """When the marker of the takeover was written, None while it does not say so or does not exist."""
        bucket = naming.physical(self._settings.short_name, "page")
        try:
            marker = self._client("s3").get_object(Bucket=bucket, Key=MARKER_KEY)
        except ClientError as error:
            if _code(error) in ("NoSuchKey", "NoSuchBucket"):
                return None
            raise
        said: datetime = marker["LastModified"]
        return said if marker["Body"].read().decode() == TAKEN_OVER else None

    def _data_key(self) -> str | None:
        alias = naming.data_key_alias(self._settings.short_name)
        try:
            metadata = self._client("kms").describe_key(KeyId=alias)["KeyMetadata"]
        except ClientError as error:
            if _code(error) == "NotFoundException":
                return None
            raise
        return str(metadata["Arn"])

    def _sign_of_life(self) -> datetime | None:
        if self._settings.database.standby_source is None:
            return None
        name = naming.sign_of_life_parameter(self._settings.short_name)
        try:
            value = self._client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
        except ClientError as error:
            if _code(error) == "ParameterNotFound":
                return None
            raise
        return parse_sign_of_life(value)


def parse_sign_of_life(value: str) -> datetime | None:
    """The parameter's value, an ISO time with a zone. None for anything else: not knowing it must not stop people."""
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def as_instance(instance: "DBInstanceTypeDef") -> Instance:
    tags = _tags(instance.get("TagList", ()))
    return Instance(
        identifier=instance["DBInstanceIdentifier"],
        status=instance["DBInstanceStatus"],
        engine_version=instance["EngineVersion"],
        allocated_storage=instance["AllocatedStorage"],
        generation=tags.get(naming.GENERATION_TAG),
        role=tags.get(naming.ROLE_TAG),
        restored_from=tags.get(naming.RESTORED_FROM_TAG),
        # Empty after a promotion.
        replica_of=instance.get("ReadReplicaSourceDBInstanceIdentifier") or None,
        replication=_trouble(instance),
        protected=instance.get("DeletionProtection", False),
    )


def _trouble(instance: "DBInstanceTypeDef") -> str | None:
    infos = [info for info in instance.get("StatusInfos", ()) if info.get("StatusType") == "read replication"]
    abnormal = next((info for info in infos if not info.get("Normal", True)), None)
    return None if abnormal is None else f"{abnormal.get('Status')} {abnormal.get('Message', '')}".strip()


def _followed_by(instances: Iterable[Instance]) -> Instance | None:
    """The instance that still follows another database."""
    return next((instance for instance in instances if instance.replica_of), None)


def as_backups(entry: "DBInstanceAutomatedBackupTypeDef") -> Backups:
    return Backups(
        arn=entry["DBInstanceAutomatedBackupsArn"],
        source_arn=entry["DBInstanceArn"],
        status=entry["Status"],
        key_arn=entry.get("KmsKeyId"),
        latest=entry.get("RestoreWindow", {}).get("LatestTime"),
        engine_version=entry["EngineVersion"],
        allocated_storage=entry["AllocatedStorage"],
        resource_id=entry["DbiResourceId"],
        earliest=entry.get("RestoreWindow", {}).get("EarliestTime"),
    )


def as_offer(option: "OrderableDBInstanceOptionTypeDef") -> Offer:
    needed = {
        "Multi-AZ": option.get("MultiAZCapable"),
        "storage encryption": option.get("SupportsStorageEncryption"),
        "enhanced monitoring": option.get("SupportsEnhancedMonitoring"),
        "Performance Insights": option.get("SupportsPerformanceInsights"),
    }
    return Offer(
        engine_version=option["EngineVersion"],
        smallest_storage=option.get("MinStorageSize", 0),
        largest_storage=option.get("MaxStorageSize", sys.maxsize),
        lacks=tuple(name for name, offered in needed.items() if not offered),
    )


def as_copy(snapshot: "DBSnapshotTypeDef") -> Copy:
    tags = _tags(snapshot.get("TagList", ()))
    return Copy(
        identifier=snapshot["DBSnapshotIdentifier"],
        status=snapshot["Status"],
        source_database=snapshot["DBInstanceIdentifier"],
        copied_from=snapshot.get("SourceDBSnapshotIdentifier"),
        made_by=tags.get(naming.MADE_BY_TAG),
        unusable=naming.UNUSABLE_TAG in tags,
        encrypted=snapshot.get("Encrypted", False),
        key_arn=snapshot.get("KmsKeyId"),
        original_created_at=_data_time(snapshot),
        engine_version=snapshot["EngineVersion"],
        allocated_storage=snapshot["AllocatedStorage"],
    )


def _data_time(snapshot: "DBSnapshotTypeDef") -> datetime | None:
    """When the data was current. SnapshotCreateTime is that only for a snapshot that is its own original: of a copy it
    is the moment of copying, and an old copy made again would pass for the newest."""
    original = snapshot.get("OriginalSnapshotCreateTime")
    if original is None and not snapshot.get("SourceDBSnapshotIdentifier"):
        return snapshot.get("SnapshotCreateTime")
    return original


def _tags(entries: Iterable[Mapping[str, str]] | Sequence[Any]) -> dict[str, str]:
    return {entry["Key"]: entry["Value"] for entry in entries}


def _belongs(tags: Mapping[str, str], stack: str) -> bool:
    return tags.get("Platform") == naming.PLATFORM and tags.get("Stack") == stack


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
