"""What is true in the stack's own region right now, as far as a decision of the program depends on it.

Only reads, only the stack's own region, and of the services RDS, KMS, SSM and STS only: a deployment must work while
the peer's region and the global control planes (IAM, Route 53, bucket configuration) are gone. Failures become
`pulumi.RunError`: a deployment that cannot see must not guess.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import boto3
import pulumi
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from components import naming
from components.settings.stack import Settings

if TYPE_CHECKING:
    from types_boto3_rds.type_defs import DBInstanceTypeDef, DBSnapshotTypeDef

T = TypeVar("T")

CALLS: Final = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "max_attempts": 4},
    user_agent_extra="mental-health-platform-program",
)


@dataclass(frozen=True)
class Instance:
    """A database instance of this stack."""

    identifier: str
    status: str
    engine_version: str
    allocated_storage: int
    generation: str | None
    role: str | None
    restored_from: str | None
    replica_of: str | None


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
    account: str
    instances: tuple[Instance, ...]
    copies: tuple[Copy, ...]
    data_key_arn: str | None
    sign_of_life: datetime | None


class Reader:
    """Reads facts with boto3. `client` makes a client for a service in a region (replaced in tests)."""

    def __init__(self, settings: Settings, client: Callable[[str, str], Any] | None = None) -> None:
        self._settings = settings
        self._region = settings.region
        self._make = client or _client

    def read(self) -> Facts:
        """All facts. Copies and key are looked up only while a declared database is missing: later deployments must
        neither depend on a copy that was pruned meanwhile nor prefer a newer one."""
        account = self._call("the account", lambda: self._client("sts").get_caller_identity()["Account"])
        instances = self._call("the databases", self._instances)
        existing = {instance.identifier for instance in instances}
        declared = {self._settings.database_identifier(g) for g in self._settings.database.generations}
        lookup = not self._settings.standby and not declared <= existing
        return Facts(
            account=str(account),
            instances=instances,
            copies=self._call("the database copies", self._copies) if lookup else (),
            data_key_arn=self._call("the data key", self._data_key) if lookup else None,
            sign_of_life=self._call("the primary's last sign of life", self._sign_of_life) if lookup else None,
        )

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
        replica_of=instance.get("ReadReplicaSourceDBInstanceIdentifier"),
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


def _client(service: str, region: str) -> Any:
    """A client for the region's own endpoint, STS included: boto3's default since 1.40."""
    return boto3.session.Session(region_name=region).client(service, config=CALLS)  # type: ignore[call-overload]
