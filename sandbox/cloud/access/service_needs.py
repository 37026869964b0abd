"""What AWS's services need of the roles that they are given: what they do with them, without a call at the socket."""

from __future__ import annotations

from collections.abc import Sequence

from moto.logs.models import logs_backends

from sandbox.cloud.access.policy import Need
from sandbox.cloud.context import ACCOUNT

MONITORING_GROUP = "RDSOSMetrics"


def writing_log(region: str, group: str, stream: str) -> list[Need]:
    """Make a stream in a log group and write into it; a group that isn't there has to be made, too."""
    arn = f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{group}"
    missing = [] if group in logs_backends[ACCOUNT][region].groups else [Need("logs:CreateLogGroup", arn)]
    into = f"{arn}:log-stream:{stream}"
    return [*missing, Need("logs:CreateLogStream", into), Need("logs:PutLogEvents", into)]


def flow_log(region: str, group: str) -> list[Need]:
    """A flow log to CloudWatch Logs ("IAM role for publishing flow logs to CloudWatch Logs", VPC user guide)."""
    find = Need("logs:DescribeLogGroups", f"arn:aws:logs:{region}:{ACCOUNT}:log-group:*")
    streams = Need("logs:DescribeLogStreams", f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{group}:log-stream:")
    return [find, streams, *writing_log(region, group, "eni-0-all")]


def enhanced_monitoring(region: str) -> list[Need]:
    """What AWS's own policy for it allows, AmazonRDSEnhancedMonitoringRole; all databases write to one group."""
    group = f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{MONITORING_GROUP}"
    on_group = [Need(f"logs:{action}", group) for action in ("CreateLogGroup", "PutRetentionPolicy")]
    actions = ("CreateLogStream", "PutLogEvents", "DescribeLogStreams", "GetLogEvents")
    return on_group + [Need(f"logs:{action}", f"{group}:log-stream:db-0") for action in actions]


def network_interfaces(region: str, subnets: Sequence[str], groups: Sequence[str]) -> list[Need]:
    """A function in a network ("Giving Lambda functions access to resources in an Amazon VPC", Lambda developer
    guide). Looking knows no narrower resource; making an interface is asked for on all that it is made of."""
    start = f"arn:aws:ec2:{region}:{ACCOUNT}"
    interface = f"{start}:network-interface/*"
    made_of = [
        interface,
        *(f"{start}:subnet/{subnet}" for subnet in subnets),
        *(f"{start}:security-group/{group}" for group in groups),
    ]
    changing = ("DeleteNetworkInterface", "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")
    return [
        *(Need("ec2:CreateNetworkInterface", arn) for arn in made_of),
        *(Need(f"ec2:{action}", "*") for action in ("DescribeNetworkInterfaces", "DescribeSubnets")),
        *(Need(f"ec2:{action}", interface) for action in changing),
    ]
