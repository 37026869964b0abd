"""The modelled clock: AWS's time passes `speed` times faster than ours, and every wait has a stated source."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

DEFAULT_SPEED = 10.0  # one modelled minute lasts six real seconds


@dataclass(frozen=True)
class Duration:
    """How long AWS takes for one kind of operation, in modelled minutes, and where the figure comes from."""

    minutes: float
    source: str


# A figure whose source begins with "assumption" was found nowhere in print; the text then says what it rests on.
_RDS_EVENTS = "RDS event log quoted in https://github.com/hashicorp/terraform/issues/498"
DURATIONS: dict[str, Duration] = {
    "rds.create": Duration(8.0, f"{_RDS_EVENTS}: 5 to 10 minutes for one zone"),
    "rds.restore": Duration(
        12.0,
        "assumption: a creation (8) and attaching volumes from the snapshot; blocks load lazily, so it does not grow "
        "with the data (https://aws.amazon.com/blogs/database/amazon-rds-snapshot-restore-and-recovery-demystified/)",
    ),
    "rds.multi_az": Duration(6.0, f"{_RDS_EVENTS}: conversion to Multi-AZ from 5:16:59 to 5:22:56"),
    "rds.first_backup": Duration(
        2.0,
        f"{_RDS_EVENTS}: 5:23:40 to 5:25:44; that a restore is backed up at once, before it is available: "
        "https://github.com/hashicorp/terraform-provider-aws/issues/44104",
    ),
    "rds.modify": Duration(
        2.75,
        "https://dev.nhabook.com/blog/technical/aws-rds-modification-downtime-notes/: storage modified from 16:49:52 "
        "to 16:52:37; assumption that a new password or retention takes as long",
    ),
    "rds.snapshot": Duration(2.0, f"{_RDS_EVENTS}: a backup of a small instance took 1:43 and 2:04"),
    "rds.copy": Duration(
        4.0,
        "assumption: twice a snapshot, for a small or incremental one; AWS says only that it can take hours "
        "(https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_CopySnapshot.html)",
    ),
    "rds.archive": Duration(
        5.0,
        "'RDS uploads transaction logs for DB instances to Amazon S3 every five minutes' "
        "(https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIT.html); assumption that the copy to another "
        "region adds nothing to it",
    ),
    "rds.replica": Duration(
        15.0,
        "assumption: a whole test of a replica across regions (source, replica, modification, reboot, deletions) took "
        "38 minutes (https://github.com/hashicorp/terraform-provider-aws/pull/40426), of which creation (8), "
        "modification (2.75), reboot (1) and two deletions (4 each) leave 18",
    ),
    "rds.promote": Duration(
        5.0,
        "assumption from 'takes several minutes or longer', with a reboot before it is available "
        "(https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ReadRepl.Promote.html)",
    ),
    "rds.reboot": Duration(1.0, "assumption: about as long as a failover, 60 to 120 seconds"),
    "rds.delete": Duration(4.0, "assumption: about half a creation"),
    "elasticache.create": Duration(
        8.0,
        "assumption: one node is made and deleted again in 395 s by a test (TestAccAWSElasticacheCluster_basic in "
        "https://github.com/hashicorp/terraform/pull/8275); a replica joins after its primary",
    ),
    "elasticache.modify": Duration(5.0, "assumption: about half a creation, node after node"),
    "elasticache.delete": Duration(3.0, "assumption: the rest of those 395 s"),
    "elasticache.snapshot": Duration(2.0, "assumption: as a snapshot of a small database"),
    "ec2.nat": Duration(1.75, "assumption: provider logs commonly show 1.5 to 2 minutes"),
    "ecs.task_start": Duration(
        1.5,
        "from 45 s (https://dev.to/garrett_yan/optimizing-container-cold-starts-from-5s-to-500ms-484c) "
        "to 1-3 minutes (https://taourl.com/read-2234348.html)",
    ),
    "elb.create": Duration(
        2.9, "https://github.com/DataBiosphere/azul/pull/5780: aws_lb creation complete after 2m54s"
    ),
    "route53.change": Duration(
        1.0, "Route 53 FAQ: changes propagate within 60 seconds (https://aws.amazon.com/route53/faqs/)"
    ),
    "acm.issue": Duration(3.0, "assumption: minutes, once the record is visible in Route 53"),
    "s3.replicate": Duration(
        0.5,
        "assumption within 'most objects in seconds, 99.99 percent within 15 minutes' "
        "(https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-time-control.html)",
    ),
    "lambda.create": Duration(0.25, "assumption: a function without a VPC is active within seconds"),
    "lambda.create_vpc": Duration(
        1.5,
        "assumption from 'can take up to 90 seconds' for the network interface, AWS Compute blog "
        "(https://aws.amazon.com/blogs/compute/announcing-improved-vpc-networking-for-aws-lambda-functions/)",
    ),
    "lambda.cold_start": Duration(0.01, "assumption: well under a second for a small Python function"),
}


def minutes(operation: str) -> float:
    """Modelled minutes that `operation` takes; an unknown operation is an error, not zero."""
    return DURATIONS[operation].minutes


def database_minutes(operation: str, *, multi_az: bool, backups: bool) -> float:
    """Modelled minutes until an instance is available after `operation` (rds.create or rds.restore).

    A second zone and, where automated backups are on, the first backup come before the status `available`.
    """
    return (
        minutes(operation)
        + (minutes("rds.multi_az") if multi_az else 0.0)
        + (minutes("rds.first_backup") if backups else 0.0)
    )


class Clock:
    """Converts between real and modelled time. Modelled time equals real time at `started_at` (epoch seconds)."""

    def __init__(self, speed: float = DEFAULT_SPEED, started_at: float | None = None) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be positive, not {speed}")
        self.speed = speed
        self.started_at = time.time() if started_at is None else started_at

    @classmethod
    def of(cls, directory: Path) -> Clock:
        """The clock of the running sandbox in `directory` (reads its cloud.json)."""
        data = json.loads((directory / "cloud.json").read_text())
        return cls(speed=float(data["speed"]), started_at=float(data["started_at"]))

    def epoch(self) -> float:
        """Modelled time now, as seconds since 1970."""
        return self.started_at + (time.time() - self.started_at) * self.speed

    def now(self) -> datetime:
        """Modelled time now, UTC."""
        return datetime.fromtimestamp(self.epoch(), UTC)

    def at(self, real_epoch: float) -> datetime:
        """The modelled time that belongs to a real moment (epoch seconds)."""
        return datetime.fromtimestamp(self.started_at + (real_epoch - self.started_at) * self.speed, UTC)

    def real(self, at: datetime) -> float:
        """The real moment (epoch seconds) that belongs to a modelled time."""
        return self.started_at + (at.timestamp() - self.started_at) / self.speed

    def seconds(self, modelled_minutes: float) -> float:
        """Real seconds that `modelled_minutes` last."""
        return modelled_minutes * 60.0 / self.speed

    def minutes_between(self, real_start: float, real_end: float) -> float:
        """Modelled minutes between two real moments (epoch seconds)."""
        return (real_end - real_start) * self.speed / 60.0
