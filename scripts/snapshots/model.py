"""Snapshots and databases as `dr snapshot` sees them. No AWS calls, no printing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from components import naming
from components.facts import Copy, as_copy
from scripts.promotion.adoption import LOST, USABLE

if TYPE_CHECKING:
    from types_boto3_rds.type_defs import DBInstanceTypeDef, DBSnapshotTypeDef

RUNNING = ("creating", "copying", "pending")


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of one region. `copy`: the same as a promotion sees it; `percent`: how much of it is done."""

    region: str
    arn: str
    copy: Copy
    automated: bool
    tags: Mapping[str, str]
    percent: int
    full_bytes: int | None = None  # of the written blocks, where AWS tells

    @property
    def identifier(self) -> str:
        return self.copy.identifier

    @property
    def status(self) -> str:
        return self.copy.status

    @property
    def data_time(self) -> datetime | None:
        """When the data was current; not known while it is being taken."""
        return self.copy.original_created_at

    @property
    def by_hand(self) -> bool:
        return self.copy.made_by == naming.SNAPSHOT_BY_HAND

    @property
    def reason(self) -> str | None:
        return self.tags.get(naming.REASON_TAG)

    @property
    def available(self) -> bool:
        return self.status == "available"

    @property
    def running(self) -> bool:
        return self.status in RUNNING

    @property
    def failed(self) -> bool:
        return self.status == "failed"

    @property
    def origin(self) -> str:
        """What a snapshot and its copies have in common: the ARN of the first of them."""
        return self.copy.copied_from or self.arn


@dataclass(frozen=True)
class Database:
    """The database that serves a stack."""

    identifier: str
    resource_id: str
    status: str
    allocated_storage: int

    @property
    def ready(self) -> bool:
        """Whether RDS takes a snapshot of it now."""
        return self.status in USABLE

    @property
    def lost(self) -> bool:
        """Whether waiting for it is in vain."""
        return self.status in LOST or self.status.startswith("incompatible-")


@dataclass(frozen=True)
class Key:
    """A region's data key, by its alias."""

    alias: str
    arn: str | None
    state: str

    @property
    def usable(self) -> bool:
        return self.state == "Enabled"


def snapshot(region: str, entry: DBSnapshotTypeDef) -> Snapshot:
    """From an answer of DescribeDBSnapshots, CreateDBSnapshot or CopyDBSnapshot."""
    return Snapshot(
        region=region,
        arn=entry["DBSnapshotArn"],
        copy=as_copy(entry),
        automated=entry.get("SnapshotType") == "automated",
        tags={tag["Key"]: tag["Value"] for tag in entry.get("TagList", ())},
        percent=entry.get("PercentProgress", 0),
        full_bytes=entry.get("FullSnapshotSizeInBytes"),
    )


def database(entry: DBInstanceTypeDef) -> Database:
    return Database(
        identifier=entry["DBInstanceIdentifier"],
        resource_id=entry["DbiResourceId"],
        status=entry["DBInstanceStatus"],
        allocated_storage=entry["AllocatedStorage"],
    )


def named_after(identifier: str, base: str) -> bool:
    """Whether an identifier is the database `base` or a later generation of it."""
    return identifier == base or identifier.startswith(f"{base}-")
