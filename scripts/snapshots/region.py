"""RDS and KMS of one region, as far as snapshots go. No decisions, no printing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from components import naming
from components.settings.stack import Settings
from scripts.clients import Clients
from scripts.project import StackFacts
from scripts.promotion.site import Site
from scripts.snapshots import model
from scripts.snapshots.model import Database, Key, Snapshot


class Region:
    """A stack's region. `patient` makes the clients that change something: those wait longer than a look may."""

    def __init__(self, site: Site, patient: Clients) -> None:
        self._site = site
        self._patient = patient
        self.name = site.region

    @property
    def stack(self) -> StackFacts:
        return self._site.stack

    @property
    def settings(self) -> Settings:
        return self._site.settings

    def caller(self) -> tuple[str, str, datetime]:
        """Account and ARN of the credentials, and AWS's time."""
        return self._site.caller()

    # -- looking ------------------------------------------------------------------------------------------------
    def snapshots(self) -> list[Snapshot]:
        """All of the platform's databases, of either stack: copies of the other's lie here."""
        pages = self._site.client("rds").get_paginator("describe_db_snapshots").paginate()
        found = [model.snapshot(self.name, entry) for page in pages for entry in page["DBSnapshots"]]
        return [entry for entry in found if entry.copy.source_database.startswith(f"{naming.PLATFORM}-")]

    def others(self) -> int:
        """How many manual snapshots the account has here that the cycle did not make, whoever else did."""
        pages = self._site.client("rds").get_paginator("describe_db_snapshots").paginate(SnapshotType="manual")
        found = [model.snapshot(self.name, entry) for page in pages for entry in page["DBSnapshots"]]
        return sum(entry.copy.made_by != naming.SNAPSHOT_CYCLE for entry in found)

    def snapshot(self, identifier: str) -> Snapshot | None:
        """One of them as it is now; None where there is none."""
        try:
            found = self._changing().describe_db_snapshots(DBSnapshotIdentifier=identifier)["DBSnapshots"]
        except ClientError as error:
            if code(error) == "DBSnapshotNotFound":
                return None
            raise
        return model.snapshot(self.name, found[0]) if found else None

    def databases(self) -> list[Database]:
        """Those with the role tag of a serving one: exactly one, except while a restore is under way."""
        pages = self._site.client("rds").get_paginator("describe_db_instances").paginate()
        entries = [entry for page in pages for entry in page["DBInstances"]]
        return [model.database(entry) for entry in entries if self._serves(entry)]

    def _serves(self, entry: Mapping[str, Any]) -> bool:
        return {"Key": naming.ROLE_TAG, "Value": naming.SERVING_ROLE} in entry.get("TagList", []) and model.named_after(
            entry["DBInstanceIdentifier"], self.stack.database
        )

    def key(self) -> Key:
        """The data key that copies in this region are encrypted with."""
        alias = naming.data_key_alias(self.stack.short)
        try:
            found = self._site.client("kms").describe_key(KeyId=alias)["KeyMetadata"]
        except ClientError as error:
            if code(error) != "NotFoundException":
                raise
            return Key(alias, None, "missing")
        return Key(alias, found["Arn"], found["KeyState"])

    # -- changing -----------------------------------------------------------------------------------------------
    def create(self, database: str, identifier: str, tags: Mapping[str, str]) -> Snapshot:
        """Begin a snapshot. Raises ClientError as AWS says it."""
        made = self._changing().create_db_snapshot(
            DBInstanceIdentifier=database, DBSnapshotIdentifier=identifier, Tags=_tag_list(tags)
        )
        return model.snapshot(self.name, made["DBSnapshot"])

    def copy(self, original: Snapshot, identifier: str, key_arn: str, tags: Mapping[str, str]) -> Snapshot:
        """Begin a copy of another region's snapshot here."""
        made = self._changing().copy_db_snapshot(
            SourceDBSnapshotIdentifier=original.arn,
            TargetDBSnapshotIdentifier=identifier,
            KmsKeyId=key_arn,
            SourceRegion=original.region,  # boto3 signs the request to it from this
            Tags=_tag_list(tags),
        )
        return model.snapshot(self.name, made["DBSnapshot"])

    def delete(self, identifier: str) -> None:
        """Give one up. One that is gone already is no error."""
        try:
            self._changing().delete_db_snapshot(DBSnapshotIdentifier=identifier)
        except ClientError as error:
            if code(error) != "DBSnapshotNotFound":
                raise

    def mark_unusable(self, arn: str, why: str) -> None:
        """Nothing restores it any more, and nothing prunes it."""
        self._changing().add_tags_to_resource(ResourceName=arn, Tags=_tag_list({naming.UNUSABLE_TAG: why}))

    def _changing(self) -> Any:
        return self._patient.get("rds", self.name)


def code(error: ClientError) -> str:
    """RDS appends `Fault` to some of its codes."""
    return str(error.response.get("Error", {}).get("Code", "")).removesuffix("Fault")


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
