"""The database generations of a stack: PostgreSQL on RDS, made empty or restored from a copy.

While a stack stands by there is no database, but everything a restore needs (subnets, parameters) is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components import naming
from components.guards import EMPTY, DatabasePlan
from components.secrets import MASTER_USERNAME, DatabaseEndpoint

BACKUP_WINDOW: Final = "03:00-03:30"
BACKUP_DAYS: Final = 7
# UTC, well away from the backup window, which RDS refuses to overlap.
MAINTENANCE_WINDOW: Final = "sun:04:30-sun:05:30"
LOG_EXPORTS: Final = ("postgresql", "upgrade")
# The provider gives up after 40 minutes by itself; a large restore with a change afterwards takes longer.
TIMEOUTS: Final = pulumi.CustomTimeouts(create="4h", update="3h", delete="2h")


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """`plans` is empty while standing by. `after`: what must be done before a restore starts (no more new copies).

    `engine_version` is the configured one, for new databases; the plan of a restored generation has its snapshot's.
    """

    short_name: str
    tags: naming.Tags
    plans: Sequence[DatabasePlan]
    instance_class: str
    engine_version: str
    database_name: str
    subnet_ids: pulumi.Input[list[str]]
    security_group_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    master_password: pulumi.Input[str]
    after: Sequence[pulumi.Resource]


class Database(pulumi.ComponentResource):
    """Subnet group, parameter groups, and one instance for each planned generation."""

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
        majors = {major(args.engine_version), *(major(plan.engine_version) for plan in args.plans)}
        self._parameters = {version: self._parameter_group(version) for version in sorted(majors)}
        instances = {plan: self._instance(plan) for plan in args.plans}
        self.serving = next((instance for plan, instance in instances.items() if plan.serving), None)
        self.endpoint = None
        if self.serving is not None:
            self.endpoint = DatabaseEndpoint(address=self.serving.address, port=self.serving.port)
        self.register_outputs({"serving": self.serving.identifier if self.serving else None})

    def _parameter_group(self, version: str) -> aws.rds.ParameterGroup:
        return aws.rds.ParameterGroup(
            f"{self._name}-parameters-{version}",
            name=naming.physical(self._args.short_name, f"rds-postgres{version}"),
            family=f"postgres{version}",
            description="Connections only over TLS",
            parameters=[aws.rds.ParameterGroupParameterArgs(name="rds.force_ssl", value="1")],
            tags=dict(self._args.tags),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _instance(self, plan: DatabasePlan) -> aws.rds.Instance:
        empty = plan.generation.origin == EMPTY
        return aws.rds.Instance(
            f"{self._name}-{plan.generation.name}",
            identifier=plan.identifier,
            engine="postgres",
            # A restore keeps its snapshot's version, or is lifted by AWS where that is no longer supported: naming the
            # old one would then ask for a downgrade, which RDS refuses after the whole restore.
            engine_version=plan.engine_version if empty else None,
            instance_class=self._args.instance_class,
            allocated_storage=plan.allocated_storage,
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=self._args.key_arn,
            multi_az=True,
            # A restore takes AWS's default security group and parameters unless they are named: the database would be
            # unreachable for the services and take connections without TLS.
            db_subnet_group_name=self._subnets.name,
            vpc_security_group_ids=[self._args.security_group_id],
            parameter_group_name=self._parameters[major(plan.engine_version)].name,
            publicly_accessible=False,
            # A snapshot brings its own database and user name.
            db_name=self._args.database_name if empty else None,
            username=MASTER_USERNAME if empty else None,
            password=self._args.master_password,
            snapshot_identifier=plan.snapshot,
            backup_window=BACKUP_WINDOW,
            backup_retention_period=BACKUP_DAYS,
            maintenance_window=MAINTENANCE_WINDOW,
            delete_automated_backups=False,
            copy_tags_to_snapshot=True,
            skip_final_snapshot=False,
            final_snapshot_identifier=naming.final_snapshot(plan.identifier),
            deletion_protection=True,
            auto_minor_version_upgrade=False,
            apply_immediately=True,
            enabled_cloudwatch_logs_exports=list(LOG_EXPORTS),
            tags=self._tags(plan),
            opts=pulumi.ResourceOptions(
                parent=self,
                # Dropping a generation from the configuration must not drop people's data.
                protect=True,
                # Another snapshot means a new instance: without this a later deployment would replace the serving
                # database by an older state of it, because its copy was pruned or a newer one appeared.
                ignore_changes=["snapshotIdentifier"],
                # A copy that starts during the restore would hold data from after the loss.
                depends_on=list(self._args.after),
                custom_timeouts=TIMEOUTS,
            ),
        )

    def _tags(self, plan: DatabasePlan) -> dict[str, str]:
        tags = {
            **self._args.tags,
            naming.ROLE_TAG: naming.SERVING_ROLE if plan.serving else naming.RETAINED_ROLE,
            naming.GENERATION_TAG: plan.generation.name,
        }
        return tags if plan.snapshot is None else {**tags, naming.RESTORED_FROM_TAG: plan.snapshot}


def major(engine_version: str) -> str:
    """Major version of PostgreSQL: `17` of `17.6`."""
    return engine_version.partition(".")[0]
