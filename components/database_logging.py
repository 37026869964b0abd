"""What can be seen of a database afterwards: its parameters for logging, its log groups, and enhanced monitoring.

Logs leave the database for people who investigate, so they must tell who did what to the structure and who connected,
and must not hold what patients said: no values, no parameters, no rows, also not in errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import pulumi
import pulumi_aws as aws

from components import naming, policies

LOG_EXPORTS: Final = ("postgresql", "upgrade")
# As long as a breach typically goes unnoticed; one of the numbers that CloudWatch Logs accepts.
LOG_DAYS: Final = 365
MONITORING_SECONDS: Final = 60


@dataclass(frozen=True)
class Parameter:
    """A parameter of PostgreSQL. `apply` as RDS calls it: a static one only ever takes effect with a reboot."""

    name: str
    value: str
    apply: Literal["immediate", "pending-reboot"] = "immediate"


# All of them are dynamic ("Parameters for RDS for PostgreSQL", RDS user guide), so none waits for a reboot.
PARAMETERS: Final = (
    Parameter("rds.force_ssl", "1"),
    # Who came, from where, and for how long.
    Parameter("log_connections", "1"),
    Parameter("log_disconnections", "1"),
    # Who changed the structure or the rights. Statements on rows are left out: too many, and people's data are in them.
    Parameter("log_statement", "ddl"),
    Parameter("log_lock_waits", "1"),
    # No slow statement's text and no values, which would be those of patients: Performance Insights shows slow
    # statements without values.
    Parameter("log_min_duration_statement", "-1"),
    Parameter("log_parameter_max_length", "0"),
    Parameter("log_parameter_max_length_on_error", "0"),
    # A failed statement is logged by its error only: neither its text, nor DETAIL with the row that broke a rule.
    Parameter("log_min_error_statement", "panic"),
    Parameter("log_error_verbosity", "terse"),
)


@dataclass(frozen=True, kw_only=True)
class DatabaseLoggingArgs:
    """`identifiers`: of every declared database, whether it exists yet or not."""

    short_name: str
    tags: naming.Tags
    account_id: str
    region: str
    key_arn: pulumi.Input[str]
    identifiers: Sequence[str]


class DatabaseLogging(pulumi.ComponentResource):
    """Log groups and the role of enhanced monitoring: there in peace time, so that a restore finds them.

    `ready`: what a database has to wait for.
    """

    monitoring_role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: DatabaseLoggingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:database:DatabaseLogging", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        # Before RDS makes them itself, which it does without a key and without an end, and only once.
        groups = [
            aws.cloudwatch.LogGroup(
                f"{name}-{identifier}-{log}",
                name=naming.database_log_group(identifier, log),
                retention_in_days=LOG_DAYS,
                kms_key_id=args.key_arn,
                tags=dict(args.tags),
                opts=child,
            )
            for identifier in args.identifiers
            for log in LOG_EXPORTS
        ]
        role = aws.iam.Role(
            f"{name}-monitoring",
            name=naming.physical(args.short_name, "rds-monitoring", "role"),
            assume_role_policy=policies.trust("monitoring.rds.amazonaws.com", only_our_databases(args)),
            tags=dict(args.tags),
            opts=child,
        )
        permission = aws.iam.RolePolicy(
            f"{name}-monitoring",
            name="monitoring",
            role=role.name,
            policy=monitoring_policy(args.region, args.account_id),
            opts=child,
        )
        self.monitoring_role_arn = role.arn
        self.ready: list[pulumi.Resource] = [*groups, permission]
        self.register_outputs({"monitoring_role_arn": role.arn})


def only_our_databases(args: DatabaseLoggingArgs) -> dict[str, dict[str, str]]:
    """Only on behalf of this account's databases ("Setting up and enabling Enhanced Monitoring", RDS user guide)."""
    database = f"arn:aws:rds:{args.region}:{args.account_id}:db:{naming.physical(args.short_name, 'rds')}*"
    return {"StringEquals": {"aws:SourceAccount": args.account_id}, "ArnLike": {"aws:SourceArn": database}}


def monitoring_policy(region: str, account_id: str) -> str:
    """What AWS's own policy AmazonRDSEnhancedMonitoringRole allows, for this region's group alone. All databases of an
    account write to one group, which RDS makes with an end of 30 days; it holds figures of the machine."""
    group = f"arn:aws:logs:{region}:{account_id}:log-group:RDS*"
    return policies.document(
        policies.allow("Group", ["logs:CreateLogGroup", "logs:PutRetentionPolicy"], [group]),
        policies.allow(
            "Figures",
            ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams", "logs:GetLogEvents"],
            [f"{group}:log-stream:*"],
        ),
    )
