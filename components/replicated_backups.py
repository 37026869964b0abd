"""Automated backups of the peer's database, replicated into this region by RDS itself."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

# The provider waits 75 minutes by itself; the first snapshot of a large database takes longer to arrive.
TIMEOUTS = pulumi.CustomTimeouts(create="6h")


@dataclass(frozen=True, kw_only=True)
class ReplicatedBackupsArgs:
    """`source_arn` is the peer's database, `key_arn` this region's key: without one RDS refuses encrypted backups."""

    source_arn: str
    key_arn: pulumi.Input[str]
    retention_days: int


class ReplicatedBackups(pulumi.ComponentResource):
    """The replication, in the region that receives. It stays after a promotion."""

    def __init__(self, name: str, args: ReplicatedBackupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:database:ReplicatedBackups", name, {}, opts)
        replication = aws.rds.InstanceAutomatedBackupsReplication(
            name,
            source_db_instance_arn=args.source_arn,
            kms_key_id=args.key_arn,
            retention_period=args.retention_days,
            opts=pulumi.ResourceOptions(
                parent=self,
                # Ending the replication calls the source's region, which may be the lost one: a promotion that had to
                # do it would fail, and would lose the backups that it is about to need.
                protect=True,
                retain_on_delete=True,
                # Each of them would end it and begin another: the guards say that the source changed.
                ignore_changes=["sourceDbInstanceArn", "retentionPeriod"],
                custom_timeouts=TIMEOUTS,
            ),
        )
        self.arn = replication.id
        self.register_outputs({"arn": replication.id})
