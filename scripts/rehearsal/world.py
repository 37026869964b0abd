"""AWS access of a rehearsal: reads what happened and does what a disaster or a colleague would do. No decisions.

Everything is signed as REHEARSAL, so that it is told apart from what the deployment calls.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from sandbox.supervisor import Sandbox
from scripts.clients import Clients
from scripts.project import Project, StackFacts
from scripts.rehearsal.calls import REHEARSAL, Call, read
from scripts.rehearsal.evidence import DataMoment, ServiceState, Snapshot

if TYPE_CHECKING:
    from types_boto3_ecs.client import ECSClient
    from types_boto3_rds.client import RDSClient
    from types_boto3_s3.client import S3Client

QUICK = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=5, read_timeout=20)
MADE_BY = "platform:made-by"


class World:
    """The emulated AWS as the rehearsal sees it."""

    def __init__(self, sandbox: Sandbox, project: Project) -> None:
        self.sandbox = sandbox
        self.project = project
        self._clients = Clients(sandbox.env(REHEARSAL), QUICK)

    def rds(self, stack: StackFacts) -> RDSClient:
        client: RDSClient = self._clients.get("rds", stack.region)
        return client

    def s3(self, region: str) -> S3Client:
        client: S3Client = self._clients.get("s3", region)
        return client

    def client(self, service: str, region: str) -> Any:
        return self._clients.get(service, region)

    # -- copies -------------------------------------------------------------------------------------------------
    def copies(self) -> list[Snapshot]:
        """The copies in the standby region that a promotion may use, by their state now."""
        pages = self.rds(self.project.standby).get_paginator("describe_db_snapshots").paginate(SnapshotType="manual")
        found = [_snapshot(entry) for page in pages for entry in page["DBSnapshots"]]
        return [copy for copy in found if copy.status == "available" and MADE_BY in copy.tags]

    def recopy(self, original: Snapshot, name: str) -> None:
        """Copy an old copy within the standby region: its SnapshotCreateTime then looks newer than its data are."""
        self.rds(self.project.standby).copy_db_snapshot(
            SourceDBSnapshotIdentifier=original.identifier,
            TargetDBSnapshotIdentifier=name,
            Tags=[{"Key": key, "Value": value} for key, value in original.tags.items()],
        )

    def delete_copy(self, name: str) -> None:
        self.rds(self.project.standby).delete_db_snapshot(DBSnapshotIdentifier=name)

    def snapshot_of_primary(self, name: str) -> str:
        """Take a snapshot in the primary region; its ARN."""
        taken = self.rds(self.project.primary).create_db_snapshot(
            DBInstanceIdentifier=self.project.primary.database, DBSnapshotIdentifier=name
        )
        return taken["DBSnapshot"]["DBSnapshotArn"]

    def snapshot_status(self, stack: StackFacts, name: str) -> str:
        found = self.rds(stack).describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"]
        return str(found[0]["Status"])

    def copy_across(self, arn: str, name: str, like: Snapshot) -> None:
        """Copy a snapshot of the primary into the standby region as the pull function does."""
        self.rds(self.project.standby).copy_db_snapshot(
            SourceDBSnapshotIdentifier=arn,
            TargetDBSnapshotIdentifier=name,
            SourceRegion=self.project.primary.region,
            KmsKeyId=f"alias/{self.project.standby.physical('data')}",
            Tags=[{"Key": key, "Value": value} for key, value in like.tags.items()],
        )

    def backups_reach(self) -> float | None:
        """The latest time that the replicated backups in the standby region can be restored to."""
        pages = self.rds(self.project.standby).get_paginator("describe_db_instance_automated_backups").paginate()
        entries = [entry for page in pages for entry in page["DBInstanceAutomatedBackups"]]
        replicated = [entry for entry in entries if entry.get("Region") == self.project.primary.region]
        ends = [entry.get("RestoreWindow", {}).get("LatestTime") for entry in replicated]
        return max((end.timestamp() for end in ends if end is not None), default=None)

    def data_moment(self, copy: Snapshot) -> DataMoment | None:
        """Between which real moments the data of the original snapshot was fixed, as its database server saw it."""
        for event in self.events():
            if event["kind"] != "snapshot.taken":
                continue
            moment = DataMoment(float(event["not_before_epoch"]), float(event["not_after_epoch"]))
            if abs(self.sandbox.clock.at(moment.not_before).timestamp() - copy.taken) < 1:
                return moment
        return None

    # -- what runs ----------------------------------------------------------------------------------------------
    def instance(self) -> dict[str, Any]:
        """The database of the standby stack as AWS describes it; empty if there is none."""
        listed = self.rds(self.project.standby).describe_db_instances()["DBInstances"]
        name = self.project.standby.database
        return next((dict(entry) for entry in listed if entry["DBInstanceIdentifier"] == name), {})

    def available(self, stack: StackFacts) -> bool:
        """Whether a stack's database is there and can be used."""
        listed = self.rds(stack).describe_db_instances()["DBInstances"]
        return any(
            entry["DBInstanceIdentifier"] == stack.database and entry["DBInstanceStatus"] == "available"
            for entry in listed
        )

    def services(self) -> list[ServiceState]:
        stack = self.project.standby
        ecs: ECSClient = self._clients.get("ecs", stack.region)
        cluster = stack.physical("cluster")
        described = []
        # Ten a page, as many as are described at once.
        for page in ecs.get_paginator("list_services").paginate(cluster=cluster):
            if page["serviceArns"]:
                described += ecs.describe_services(cluster=cluster, services=page["serviceArns"])["services"]
        critical = {service.name for service in stack.services if service.critical}
        states = []
        for entry in described:
            name = entry["serviceName"]
            states.append(ServiceState(name, name in critical, entry["desiredCount"], entry["runningCount"]))
        return sorted(states, key=lambda state: state.name)

    def database_group(self) -> str | None:
        """The id of the security group that the program makes for databases."""
        ec2: Any = self._clients.get("ec2", self.project.standby.region)
        found = ec2.describe_security_groups()["SecurityGroups"]
        return next((group["GroupId"] for group in found if group["GroupName"].endswith("-database")), None)

    def objects(self, stack: StackFacts) -> dict[str, int]:
        """Keys and sizes in a stack's audio bucket."""
        pages = self.s3(stack.region).get_paginator("list_objects_v2").paginate(Bucket=stack.physical("audio-storage"))
        return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}

    # -- state of the lost stack --------------------------------------------------------------------------------
    def delete_state(self, stack: str) -> list[str]:
        """Delete every version of everything that the state bucket holds about a stack."""
        bucket = self.project.state_bucket
        s3 = self.s3(self.project.standby.region)
        deleted = []
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=".pulumi/"):
            for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                if belongs_to(entry["Key"], stack):
                    s3.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])
                    deleted.append(entry["Key"])
        return deleted

    # -- what the sandbox wrote down ----------------------------------------------------------------------------
    def events(self) -> Iterator[dict[str, Any]]:
        for line in (self.sandbox.directory / "events.jsonl").read_text().splitlines():
            yield json.loads(line)

    def calls(self) -> list[Call]:
        return read(self.sandbox.directory / "calls.jsonl")

    def access(self) -> dict[str, Any]:
        """The policies of all roles, and what was done by them: `roles`, `uses`, `refusals`."""
        found: dict[str, Any] = self.sandbox.control("GET", "access")
        return found

    def resolve(self) -> dict[str, Any]:
        """What a fresh question to DNS answers now."""
        found: dict[str, Any] = self.sandbox.control("GET", f"resolve?name={self.project.public_name}")
        return {"t": time.time(), "record": found["record"], "region": found["region"]}


def belongs_to(key: str, stack: str) -> bool:
    """Whether a key in the state bucket is about a stack: …/<stack>.json…, …/<stack>/…"""
    parts = key.removeprefix(".pulumi/").split("/")
    return any(part == stack or part.startswith(f"{stack}.") for part in parts)


def _snapshot(entry: Any) -> Snapshot:
    def seconds(moment: datetime | None) -> float:
        return moment.timestamp() if moment is not None else 0.0

    return Snapshot(
        identifier=entry["DBSnapshotIdentifier"],
        taken=seconds(entry.get("OriginalSnapshotCreateTime")),
        listed=seconds(entry.get("SnapshotCreateTime")),
        status=entry["Status"],
        tags={tag["Key"]: tag["Value"] for tag in entry.get("TagList", [])},
    )
