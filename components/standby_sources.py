"""What can be said of the ways in which a standby gets its data, before a disaster: pairs of regions, changed sources.

The pairs between which RDS replicates automated backups are AWS's: asked at run time. The table is for the message
that names a way out, and for people who plan a region.
"""

from typing import Final

import pulumi

from components.facts import Backups, Facts
from components.settings.stack import Settings

_AMERICA: Final = ("us-east-1", "us-east-2", "us-west-1", "us-west-2")
BACKUP_DESTINATIONS: Final[dict[str, tuple[str, ...]]] = {
    "ap-northeast-1": ("ap-northeast-2", "ap-northeast-3", "ap-southeast-1", "us-east-1", "us-east-2", "us-west-2"),
    "ap-northeast-2": ("ap-northeast-1", "ap-southeast-1", "us-east-1", "us-east-2", "us-west-2"),
    "ap-northeast-3": ("ap-northeast-1",),
    "ap-south-1": ("ap-southeast-1", "us-east-1", "us-east-2", "us-west-2"),
    "ap-southeast-1": (
        *("ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-2"),
        *("us-east-1", "us-east-2", "us-west-2"),
    ),
    "ap-southeast-2": ("ap-southeast-1", "us-east-1", "us-west-1", "us-west-2"),
    "ca-central-1": ("eu-west-1", *_AMERICA),
    "eu-central-1": ("eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "us-east-1", "us-east-2", "us-west-2"),
    "eu-north-1": ("eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3", "us-east-1"),
    "eu-west-1": ("ca-central-1", "eu-central-1", "eu-north-1", "eu-west-2", "eu-west-3", *_AMERICA),
    "eu-west-2": ("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-3", "us-east-1"),
    "eu-west-3": ("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "us-east-1"),
    "sa-east-1": ("us-east-1", "us-east-2"),
    "us-east-1": (
        *("ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1"),
        *("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1"),
        *("us-east-2", "us-west-1", "us-west-2"),
    ),
    "us-east-2": (
        *("ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ca-central-1", "eu-central-1"),
        *("eu-west-1", "sa-east-1", "us-east-1", "us-west-1", "us-west-2"),
    ),
    "us-west-1": ("ap-southeast-2", "ca-central-1", "eu-west-1", "us-east-1", "us-east-2", "us-west-2"),
    "us-west-2": (
        *("ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1"),
        *("eu-central-1", "eu-west-1", "us-east-1", "us-east-2", "us-west-1"),
    ),
}
"""Where automated backups of a region can be replicated to. Source: RDS user guide, "Replicating automated backups to
another AWS Region", table of regions, as published in the guide's repository (2023); AWS adds pairs, so the answer of
DescribeSourceRegions counts and not this table."""


def refuse_unsupported_pair(settings: Settings, facts: Facts) -> None:
    """Refuse replicated backups between regions where RDS has none, with what can be had instead."""
    if facts.peer_can_send_backups:
        return
    known = ", ".join(BACKUP_DESTINATIONS.get(settings.peer.region, ())) or "none"
    raise pulumi.RunError(
        f"RDS does not replicate automated backups from {settings.peer.region} to {settings.region} "
        "(DescribeSourceRegions says so). Nothing was changed. Set database.standbySource to snapshot-copies or "
        f"read-replica, which work between all regions; known destinations of {settings.peer.region}: {known}."
    )


def source_warnings(settings: Settings, facts: Facts) -> list[str]:
    """What people should know of the configured source while there is time: nothing of it stops a deployment."""
    configured = settings.database.standby_source_arn
    if configured is None:
        return []
    warnings = []
    for instance in facts.instances:
        if instance.replica_of not in (None, configured):
            warnings.append(
                f"Replica {instance.identifier} follows {instance.replica_of} and stays there, although "
                f"database.standbySourceArn is {configured} now: RDS cannot change what a replica follows. To follow "
                "that one, delete the replica on purpose and deploy again; until then what is written there is only "
                "in the snapshot copies."
            )
        if instance.replica_of is not None and instance.replication is not None:
            warnings.append(f"Replica {instance.identifier} does not follow normally: {instance.replication}")
    return [*warnings, *(text for entry in facts.backups if (text := _of_backups(entry, configured)))]


def _of_backups(entry: Backups, configured: str) -> str | None:
    if entry.source_arn != configured:
        return (
            f"Backups of {entry.source_arn} are replicated to here, although database.standbySourceArn is {configured} "
            "now. They are kept, because replacing the replication would call the other region and lose what is here. "
            "To replicate the other one, stop this replication in RDS and run `pulumi state delete --force` with its "
            "URN."
        )
    if entry.status != "replicating":
        return f"The replication of the backups of {entry.source_arn} is {entry.status}: nothing newer arrives."
    return None
