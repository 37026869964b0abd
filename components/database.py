"""The database generations of a stack: PostgreSQL on RDS, made empty, restored from a copy, or following its peer's.

While a stack stands by there is no database, or a replica of the peer's; everything a restore needs (subnets,
parameters, log groups, roles) is there in either case.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components import naming
from components.database_logging import (
    LOG_EXPORTS,
    MONITORING_SECONDS,
    PARAMETERS,
    DatabaseLogging,
    DatabaseLoggingArgs,
)
from components.database_plans import EMPTY, DatabasePlan
from components.facts import ENGINE, STORAGE_TYPE
from components.orderable import major
from components.secrets import MASTER_USERNAME, DatabaseEndpoint

# What is free of charge: seven days.
INSIGHTS_DAYS: Final = 7
# The provider gives up after 40 minutes by itself; a large restore with a change afterwards takes longer.
TIMEOUTS: Final = pulumi.CustomTimeouts(create="4h", update="3h", delete="2h")


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """`plans` is empty while standing by without a replica. `identifiers`: of every declared database.

    `engine_version` is the configured one, for new databases; the plan of a restored generation has its snapshot's.
    `backup_window` and `maintenance_window` in UTC. `after`: what must be done before a restore starts (no more new
    copies).
    """

    short_name: str
    tags: naming.Tags
    account_id: str
    region: str
    plans: Sequence[DatabasePlan]
    identifiers: Sequence[str]
    instance_class: str
    engine_version: str
    database_name: str
    backup_days: int
    backup_window: str
    maintenance_window: str
    subnet_ids: pulumi.Input[list[str]]
    security_group_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    master_password: pulumi.Input[str]
    after: Sequence[pulumi.Resource]


class Database(pulumi.ComponentResource):
    """Subnet group, parameter groups, log groups, and one instance for each planned generation.

    `serving` takes writes; `endpoint` is where services connect, also to a replica, which only reads. `writable`: those
    that follow no other, by generation.
    """

    writable: dict[str, aws.rds.Instance]
    serving: aws.rds.Instance | None
    endpoint: DatabaseEndpoint | None

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:database:Database", name, {}, opts)
        self._name = name
        self._args = args
        self._subnets = aws.rds.SubnetGroup(
            f"{name}-subnets",
            name=naming.physical(args.short_name, "rds-subnets"),
            description="Subnets without a route to the internet",
            subnet_ids=args.subnet_ids,
            tags=dict(args.tags),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._logging = DatabaseLogging(
            f"{name}-logging",
            DatabaseLoggingArgs(
                short_name=args.short_name,
                tags=args.tags,
                account_id=args.account_id,
                region=args.region,
                key_arn=args.key_arn,
                identifiers=args.identifiers,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        majors = {major(args.engine_version), *(major(plan.engine_version) for plan in args.plans)}
        self._parameters = {version: self._parameter_group(version) for version in sorted(majors)}
        instances = {plan: self._instance(plan) for plan in args.plans}
        used = next((instance for plan, instance in instances.items() if plan.serving), None)
        self.writable = {plan.generation.name: instance for plan, instance in instances.items() if plan.follows is None}
        following = any(plan.serving and plan.follows is not None for plan in args.plans)
        self.serving = None if following else used
        self.endpoint = None if used is None else DatabaseEndpoint(address=used.address, port=used.port)
        self.register_outputs({"serving": self.serving.identifier if self.serving else None})

    def _parameter_group(self, version: str) -> aws.rds.ParameterGroup:
        return aws.rds.ParameterGroup(
            f"{self._name}-parameters-{version}",
            name=naming.physical(self._args.short_name, f"rds-postgres{version}"),
            family=f"postgres{version}",
            description="Connections only over TLS",
            parameters=[
                aws.rds.ParameterGroupParameterArgs(name=entry.name, value=entry.value, apply_method=entry.apply)
                for entry in PARAMETERS
            ],
            tags=dict(self._args.tags),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _instance(self, plan: DatabasePlan) -> aws.rds.Instance:
        args = self._args
        return aws.rds.Instance(
            f"{self._name}-{plan.generation.name}",
            identifier=plan.identifier,
            engine=ENGINE,
            instance_class=args.instance_class,
            allocated_storage=plan.allocated_storage,
            storage_type=STORAGE_TYPE,
            storage_encrypted=True,
            kms_key_id=args.key_arn,
            # A restore takes AWS's default security group and parameters unless they are named: the database would be
            # unreachable for the services and take connections without TLS.
            db_subnet_group_name=self._subnets.name,
            vpc_security_group_ids=[args.security_group_id],
            parameter_group_name=self._parameters[major(plan.engine_version)].name,
            publicly_accessible=False,
            # A replica has backups, too: a promotion that had to begin with them would wait for the first one.
            backup_window=args.backup_window,
            backup_retention_period=args.backup_days,
            maintenance_window=args.maintenance_window,
            delete_automated_backups=False,
            copy_tags_to_snapshot=True,
            deletion_protection=not plan.leaving,
            auto_minor_version_upgrade=False,
            apply_immediately=True,
            enabled_cloudwatch_logs_exports=list(LOG_EXPORTS),
            monitoring_interval=MONITORING_SECONDS,
            monitoring_role_arn=self._logging.monitoring_role_arn,
            tags=self._tags(plan),
            **self._insights(plan),
            **self._following(plan) if plan.follows is not None else self._alone(plan),
            opts=pulumi.ResourceOptions(
                parent=self,
                # Dropping a generation from the configuration must not drop people's data: one that is given up is
                # released first, which takes this and RDS's own protection off.
                protect=not plan.leaving,
                # Other data to restore from means a new instance: without this a later deployment would replace the
                # serving database by an older state of it, because its copy was pruned or a newer one appeared.
                ignore_changes=["snapshotIdentifier", "restoreToPointInTime"],
                # A copy that starts during the restore would hold data from after the loss; a log group that RDS makes
                # itself is not encrypted.
                depends_on=[*args.after, *self._logging.ready],
                custom_timeouts=TIMEOUTS,
            ),
        )

    def _insights(self, plan: DatabasePlan) -> Mapping[str, Any]:
        """None for a database that came from automated backups: the provider drops them in a restore to a point in
        time (Terraform AWS provider, resourceInstanceCreate), so every later deployment would find a change to make."""
        if plan.from_backups:
            return {}
        return {
            "performance_insights_enabled": True,
            "performance_insights_kms_key_id": self._args.key_arn,
            "performance_insights_retention_period": INSIGHTS_DAYS,
        }

    def _following(self, plan: DatabasePlan) -> Mapping[str, Any]:
        """What is different while it follows. Leaving out the source promotes it in place (Terraform AWS provider,
        aws_db_instance); RDS lets nobody set a replica's password or take a final snapshot of it."""
        return {"replicate_source_db": plan.follows, "multi_az": False, "skip_final_snapshot": True}

    def _alone(self, plan: DatabasePlan) -> Mapping[str, Any]:
        """A database that takes writes: made empty, restored, or promoted."""
        own: dict[str, Any] = {
            "multi_az": True,
            "password": self._args.master_password,
            "skip_final_snapshot": False,
            "final_snapshot_identifier": naming.final_snapshot(plan.identifier),
            "snapshot_identifier": plan.snapshot,
        }
        if plan.backups is not None:
            own["restore_to_point_in_time"] = aws.rds.InstanceRestoreToPointInTimeArgs(
                source_db_instance_automated_backups_arn=plan.backups, use_latest_restorable_time=True
            )
        if plan.moment is not None:
            own["restore_to_point_in_time"] = aws.rds.InstanceRestoreToPointInTimeArgs(
                source_dbi_resource_id=plan.moment.resource_id, restore_time=plan.moment.rfc3339
            )
        if plan.generation.origin == EMPTY:
            # A restore brings its own database and user name, and keeps its version, or is lifted by AWS where that is
            # no longer supported: naming the old one would ask for a downgrade, refused after the whole restore.
            own.update(engine_version=plan.engine_version, db_name=self._args.database_name, username=MASTER_USERNAME)
        return own

    def _tags(self, plan: DatabasePlan) -> dict[str, str]:
        tags = {**self._args.tags, naming.ROLE_TAG: _role(plan), naming.GENERATION_TAG: plan.generation.name}
        return tags if plan.data_from is None else {**tags, naming.RESTORED_FROM_TAG: plan.data_from}


def _role(plan: DatabasePlan) -> str:
    if plan.follows is not None:
        return naming.REPLICA_ROLE
    return naming.SERVING_ROLE if plan.serving else naming.RETAINED_ROLE
