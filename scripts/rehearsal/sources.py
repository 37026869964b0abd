"""How the standby gets its data in a rehearsal: what differs between the sources, and what is promised of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from scripts.project import NAMESPACE


class Source(StrEnum):
    """Settings' `database.standbySource`."""

    COPIES = "snapshot-copies"
    BACKUPS = "replicated-backups"
    REPLICA = "read-replica"


@dataclass(frozen=True)
class Promise:
    """`rpo_minutes`: modelled minutes that may be lost at most. `operation`: the call that a promotion begins with.

    `dependence`: what AWS itself needs for it beyond the region ("AWS Fault Isolation Boundaries": a new instance gets
    a new DNS name, whose control plane is in us-east-1; a promoted one keeps its name).
    """

    rpo_minutes: float
    operation: str
    dependence: str


_NEW_NAME = "a new instance needs a new DNS name, so inside AWS the restore depends on us-east-1"
PROMISES = {
    # The plan: 1 hour.
    Source.COPIES: Promise(60.0, "RestoreDBInstanceFromDBSnapshot", _NEW_NAME),
    # RDS uploads logs every 5 minutes and copies them.
    Source.BACKUPS: Promise(30.0, "RestoreDBInstanceToPointInTime", _NEW_NAME),
    # Seconds; a modelled minute is the finest that a rehearsal's rows tell.
    Source.REPLICA: Promise(1.0, "PromoteReadReplica", "a promoted replica keeps its DNS name: nothing of us-east-1"),
}
# af-south-1 receives no replicated backups from anywhere: that source is rehearsed between regions that know it.
PAIR_WITH_BACKUPS = ("af-south-1", "eu-west-2")


def settings(source: Source, database_arn: str) -> dict[str, str]:
    """What the standby's file says for a source other than the copies, by configuration path."""
    prefix = f"{NAMESPACE}:database"
    return {f"{prefix}.standbySource": str(source), f"{prefix}.standbySourceArn": database_arn}


def move_standby(directory: Path) -> None:
    """Write another standby region into the stack files of a sandbox's working copy."""
    old, new = PAIR_WITH_BACKUPS
    for file in directory.glob("Pulumi.*.yaml"):
        file.write_text(file.read_text().replace(old, new))
