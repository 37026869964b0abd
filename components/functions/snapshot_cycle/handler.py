"""Pulls copies of the primary's database into this region: one stateless step towards the wanted state per tick.

Runs in the standby region every few minutes. Each tick looks at both regions and does what is missing: prune, take a
snapshot in the primary, copy the newest one here. A step that AWS refuses because something is busy or a quota is full
is logged with the reason and left to the next tick; any other error fails the tick after all steps were tried. How old
the newest copy is, and what RDS itself replicated, goes to CloudWatch in this region, where alarms wait for it.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# In Lambda the function's own folder is where imports begin; type checks see it from the project's.
if TYPE_CHECKING:
    from components.functions.snapshot_cycle.decisions import Database, Snapshot, age, due, next_copy, prunable, stamped
else:
    from decisions import Database, Snapshot, age, due, next_copy, prunable, stamped

SNAPSHOT_EVERY = timedelta(minutes=15)
COPIES_AT_ONCE = 4
CALLS = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "max_attempts": 2})
LATER = frozenset(
    {
        "DBSnapshotAlreadyExists",
        "DBSnapshotNotFound",
        "InvalidDBInstanceState",
        "InvalidDBSnapshotState",
        "SnapshotQuotaExceeded",
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
    }
)
"""Error codes that the next tick may find gone. RDS appends `Fault` to some of them."""


@dataclass(frozen=True)
class Environment:
    """What the program tells the function."""

    region: str
    source_region: str
    source_base: str
    key_arn: str
    parameter: str
    role_tag: str
    serving_role: str
    made_by_tag: str
    made_by: str
    source_tag: str
    unusable_tag: str
    metric_namespace: str
    stack: str
    copy_tags: Mapping[str, str]

    @classmethod
    def read(cls, values: Mapping[str, str]) -> "Environment":
        fields = {name: values[name.upper()] for name in cls.__annotations__ if name not in ("region", "copy_tags")}
        return cls(region=values["AWS_REGION"], copy_tags=json.loads(values["COPY_TAGS"]), **fields)


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Entry point. `event["time"]` is the tick's scheduled time and the only clock used."""
    environment = Environment.read(os.environ)
    cycle = Cycle(environment, datetime.fromisoformat(event["time"].replace("Z", "+00:00")), _client)
    return cycle.run()


def _client(service: str, region: str) -> Any:
    return boto3.client(service, region_name=region, config=CALLS)  # type: ignore[call-overload]


class Cycle:
    """One tick. `log` collects what was done and what was put off, and is the function's result."""

    def __init__(self, environment: Environment, now: datetime, client: Callable[[str, str], Any]) -> None:
        self._environment = environment
        self._now = now
        self._here = client("rds", environment.region)
        self._there = client("rds", environment.source_region)
        self._parameters = client("ssm", environment.region)
        self._metrics = client("cloudwatch", environment.region)
        self._full_copies = 0
        self._log: list[dict[str, str]] = []
        self._errors: list[str] = []

    def run(self) -> dict[str, Any]:
        """All steps in order. Raises RuntimeError at the end if one failed for a reason that waiting does not mend."""
        copies = self._step("list copies", lambda: self._snapshots(self._here, self._environment.source_base))
        found = self._step("find source", self._sources)
        if found is not None:
            self._step("sign of life", self._sign_of_life)
        source = self._only(found)
        # Without a primary nothing new arrives, so nothing old is given up either: it may be all that is left.
        if copies is not None and source is not None:
            self._prune("prune here", self._here, copies, frozenset())
            self._pull(source, copies)
        backed_up = self._step("list backups", self._backed_up)
        self._step("metrics", lambda: self._publish(copies, backed_up))
        result = {"time": self._now.isoformat(), "log": self._log, "errors": self._errors}
        print(json.dumps(result))
        if self._errors:
            raise RuntimeError("; ".join(self._errors))
        return result

    def _pull(self, source: Database, copies: list[Snapshot]) -> None:
        snapshots = self._step("list snapshots", lambda: self._snapshots(self._there, source.identifier))
        if snapshots is None:
            return
        running = frozenset(copy.identifier for copy in copies if not copy.available)
        self._prune("prune there", self._there, snapshots, running)
        if due(snapshots, self._now, SNAPSHOT_EVERY):
            self._step("snapshot", lambda: self._take(source))
        chosen = next_copy(snapshots, copies, COPIES_AT_ONCE)
        if chosen is None:
            self._note("copy", "nothing newer to copy, or enough copies are running")
            return
        started = self._step("copy", lambda: self._copy(source, chosen))
        # One that is not complete, or failed, is no base for the next: that one carries all of it, too.
        previous = {copy.source for copy in copies if copy.source is not None and copy.available}
        if started and previous and source.resource_id not in previous:
            self._full_copies += 1
            self._note(
                "copy",
                f"FULL COPY: the primary is another database now ({source.resource_id}, before "
                f"{', '.join(sorted(previous))}). Nothing of the earlier copies can be reused: until this one is "
                "available, which can take hours, the newest copy is of the earlier database.",
            )

    def _sources(self) -> list[Database]:
        pages = self._there.get_paginator("describe_db_instances").paginate()
        return [
            Database(entry["DBInstanceIdentifier"], entry["DbiResourceId"], entry["DBInstanceStatus"])
            for page in pages
            for entry in page["DBInstances"]
            if _tags(entry).get(self._environment.role_tag) == self._environment.serving_role
            and _named_after(entry["DBInstanceIdentifier"], self._environment.source_base)
        ]

    def _only(self, found: list[Database] | None) -> Database | None:
        """The one serving database. With none or two (a restore may be under way) the cycle waits and never guesses."""
        if found is None:
            return None
        if len(found) != 1:
            names = ", ".join(database.identifier for database in found) or "none"
            self._note("find source", f"waiting for exactly one serving database, found {names}")
            return None
        return found[0]

    def _snapshots(self, client: Any, database: str) -> list[Snapshot]:
        """Snapshots of a database and its generations: of exactly this one in the primary, of all of them here."""
        pages = client.get_paginator("describe_db_snapshots").paginate()
        exact = client is self._there
        return [
            self._snapshot(entry)
            for page in pages
            for entry in page["DBSnapshots"]
            if entry["DBInstanceIdentifier"] == database
            or (not exact and _named_after(entry["DBInstanceIdentifier"], database))
        ]

    def _snapshot(self, entry: Mapping[str, Any]) -> Snapshot:
        tags = _tags(entry)
        return Snapshot(
            identifier=entry["DBSnapshotIdentifier"],
            arn=entry["DBSnapshotArn"],
            status=entry["Status"],
            automated=entry.get("SnapshotType") == "automated",
            ours=tags.get(self._environment.made_by_tag) == self._environment.made_by,
            unusable=self._environment.unusable_tag in tags,
            source=tags.get(self._environment.source_tag),
            data_time=_data_time(entry),
        )

    def _backed_up(self) -> datetime | None:
        """The newest moment that backups which RDS replicates to here can be restored to; None without any.

        This region lists the backups of its own databases, too.
        """
        pages = self._here.get_paginator("describe_db_instance_automated_backups").paginate()
        times = [
            entry.get("RestoreWindow", {}).get("LatestTime")
            for page in pages
            for entry in page["DBInstanceAutomatedBackups"]
            if entry.get("Region") == self._environment.source_region
            and _named_after(entry["DBInstanceIdentifier"], self._environment.source_base)
        ]
        return max((time for time in times if time is not None), default=None)

    def _sign_of_life(self) -> None:
        """Record that the primary answered. A tick that ran late never sets the time back."""
        last = self._last_sign_of_life()
        if last is None or last < self._now:
            self._parameters.put_parameter(
                Name=self._environment.parameter, Value=self._now.isoformat(), Type="String", Overwrite=True
            )

    def _last_sign_of_life(self) -> datetime | None:
        try:
            answer = self._parameters.get_parameter(Name=self._environment.parameter)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ParameterNotFound":
                raise
            return None
        return _time(answer["Parameter"]["Value"])

    def _prune(self, step: str, client: Any, snapshots: list[Snapshot], in_use: frozenset[str]) -> None:
        for snapshot in prunable(snapshots, self._now, in_use):
            self._step(step, partial(self._delete, client, step, snapshot.identifier))

    def _delete(self, client: Any, step: str, identifier: str) -> None:
        client.delete_db_snapshot(DBSnapshotIdentifier=identifier)
        self._note(step, f"deleted {identifier}")

    def _take(self, source: Database) -> None:
        name = stamped(source.identifier, self._now)
        # The instance's own tags come with it (copy_tags_to_snapshot); these two say who made it and of what.
        tags = self._tag_list({})
        tags.append({"Key": self._environment.source_tag, "Value": source.resource_id})
        self._there.create_db_snapshot(DBInstanceIdentifier=source.identifier, DBSnapshotIdentifier=name, Tags=tags)
        self._note("snapshot", f"started {name}")

    def _copy(self, source: Database, snapshot: Snapshot) -> str:
        """Start the copy; its name."""
        if snapshot.data_time is None:
            raise ValueError(f"{snapshot.identifier} has no time")
        name = stamped(source.identifier, snapshot.data_time) if snapshot.automated else snapshot.identifier
        tags = self._tag_list(self._environment.copy_tags)
        tags.append({"Key": self._environment.source_tag, "Value": snapshot.source or source.resource_id})
        self._here.copy_db_snapshot(
            SourceDBSnapshotIdentifier=snapshot.arn,
            TargetDBSnapshotIdentifier=name,
            KmsKeyId=self._environment.key_arn,
            # boto3 signs the request to the source region from this.
            SourceRegion=self._environment.source_region,
            Tags=tags,
        )
        self._note("copy", f"started {name}")
        return name

    def _publish(self, copies: list[Snapshot] | None, backed_up: datetime | None) -> None:
        """Tell how old the newest copy and backup are, and that this tick did its work. What is not known is not told:
        alarms take silence for the worst."""
        figures = {"CopyCycleRuns": 0 if self._errors else 1, "FullCopies": self._full_copies}
        values = {name: float(count) for name, count in figures.items() if count}
        newest = age(copies, self._now) if copies is not None else None
        if newest is not None:
            values["NewestCopyAge"] = newest.total_seconds() / 60
            self._note("metrics", f"the newest copy is {values['NewestCopyAge']:.0f} minutes old")
        if backed_up is not None:
            values["NewestBackupAge"] = (self._now - backed_up).total_seconds() / 60
            self._note("metrics", f"the replicated backups end {values['NewestBackupAge']:.0f} minutes ago")
        if not values:
            return
        dimension = {"Name": "Stack", "Value": self._environment.stack}
        self._metrics.put_metric_data(
            Namespace=self._environment.metric_namespace,
            MetricData=[
                # CloudWatch has no unit for minutes.
                {"MetricName": name, "Dimensions": [dimension], "Timestamp": self._now, "Value": value, "Unit": "None"}
                for name, value in values.items()
            ],
        )

    def _tag_list(self, extra: Mapping[str, str]) -> list[dict[str, str]]:
        tags = {**extra, self._environment.made_by_tag: self._environment.made_by}
        return [{"Key": key, "Value": value} for key, value in tags.items()]

    def _step(self, name: str, act: Callable[[], Any]) -> Any:
        """Run one step; None if it has to wait or failed. Failures are kept for the end, so that others still run."""
        try:
            return act()
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "")).removesuffix("Fault")
            if code in LATER:
                self._note(name, f"later: {error}")
            else:
                self._errors.append(f"{name}: {error}")
        except BotoCoreError as error:
            self._errors.append(f"{name}: {error}")
        return None

    def _note(self, step: str, text: str) -> None:
        self._log.append({"step": step, "text": text})


def _time(value: str) -> datetime | None:
    """A recorded time; None for anything unreadable, which the next record replaces."""
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def _data_time(entry: Mapping[str, Any]) -> datetime | None:
    """When the data was current. A copy's own SnapshotCreateTime is when it was copied, so it never stands in."""
    original: datetime | None = entry.get("OriginalSnapshotCreateTime")
    if original is None and not entry.get("SourceDBSnapshotIdentifier"):
        original = entry.get("SnapshotCreateTime")
    return original


def _named_after(identifier: str, base: str) -> bool:
    return identifier == base or identifier.startswith(f"{base}-")


def _tags(entry: Mapping[str, Any]) -> dict[str, str]:
    tags: Iterable[Mapping[str, str]] = entry.get("TagList", ())
    return {tag["Key"]: tag["Value"] for tag in tags}
