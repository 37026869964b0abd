"""Who talked to whom in a region's network: flow logs of the VPC, for forensics after an incident."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import naming, policies

LOG_DAYS = 90
# Seconds over which flows are summed up: the finest that AWS offers, so that an incident can be put in order.
INTERVAL_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class FlowLogsArgs:
    """`key_arn` encrypts the log group."""

    short_name: str
    tags: naming.Tags
    account_id: str
    region: str
    vpc_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]


class FlowLogs(pulumi.ComponentResource):
    """Accepted and refused connections of the whole VPC in a log group of its own; nothing waits for it."""

    def __init__(self, name: str, args: FlowLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:network:FlowLogs", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = dict(args.tags)
        group = aws.cloudwatch.LogGroup(
            name,
            name=naming.checked(f"/{naming.PLATFORM}/{args.short_name}/flow-logs", "log-group"),
            retention_in_days=LOG_DAYS,
            kms_key_id=args.key_arn,
            tags=tags,
            opts=child,
        )
        role = aws.iam.Role(
            name,
            name=naming.physical(args.short_name, "flow-logs", "role"),
            assume_role_policy=flow_log_trust(args.account_id, args.region),
            tags=tags,
            opts=child,
        )
        policy = group.arn.apply(lambda arn: flow_log_policy(arn, args.account_id, args.region))
        permissions = aws.iam.RolePolicy(name, name="write-flow-logs", role=role.name, policy=policy, opts=child)
        aws.ec2.FlowLog(
            name,
            vpc_id=args.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=INTERVAL_SECONDS,
            tags={**tags, "Name": naming.physical(args.short_name, "flow-logs")},
            # Started before its role may write, a flow log reports "Access error" and loses what it saw until then.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permissions]),
        )
        self.register_outputs({})


def flow_log_trust(account_id: str, region: str) -> str:
    """Only on behalf of this account's flow logs in this region (VPC user guide, IAM role for flow logs)."""
    source = {
        "StringEquals": {"aws:SourceAccount": account_id},
        "ArnLike": {"aws:SourceArn": f"arn:aws:ec2:{region}:{account_id}:vpc-flow-log/*"},
    }
    return policies.trust("vpc-flow-logs.amazonaws.com", source)


def flow_log_policy(log_group_arn: str, account_id: str, region: str) -> str:
    """Write into the one log group, which exists: none is created."""
    every_group = f"arn:aws:logs:{region}:{account_id}:log-group:*"
    actions = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    return policies.document(
        policies.allow("Write", actions, [f"{log_group_arn}:*"]),
        policies.allow("Find", ["logs:DescribeLogGroups"], [every_group]),
    )
