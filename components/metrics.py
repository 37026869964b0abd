"""The metrics that alarms and dashboards read, each with the dimensions under which AWS publishes it.

A metric is found only by exactly its dimensions: with one too many, too few or misspelt, CloudWatch accepts the alarm
and never has any data for it. So a reading is made here or not at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi

# What functions/snapshot_cycle tells CloudWatch in the standby's region, with the dimension `Stack`.
OWN_NAMESPACE: Final = "MentalHealthPlatform"
NEWEST_COPY_AGE: Final = "NewestCopyAge"
"""Minutes since the data of the newest usable copy was current; missing while there is no copy or it is not known."""
NEWEST_BACKUP_AGE: Final = "NewestBackupAge"
"""Minutes since the moment to which replicated backups reach; missing while there are none."""
COPY_CYCLE_RUNS: Final = "CopyCycleRuns"
"""1 for each run that did all its steps; missing for one that failed."""
FULL_COPIES: Final = "FullCopies"
"""Copies of another database than before, which cannot be incremental; missing where there was none."""

_ALB: Final = (
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html"
)
_CACHE: Final = "https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/CacheMetrics.html"
_ECS: Final = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/available-metrics.html"
_INSIGHTS: Final = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-ECS.html"
_LAMBDA: Final = "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html"
_RDS: Final = "https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-metrics.html"
_ROUTE53: Final = "https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/monitoring-health-checks.html"
_S3: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html"
_SQS: Final = (
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html"
)
_ACM: Final = "https://docs.aws.amazon.com/acm/latest/userguide/cloudwatch-metrics.html"
_OWN: Final = "components/functions/snapshot_cycle publishes it at the end of each run"


@dataclass(frozen=True)
class Metric:
    """A metric as its publisher documents it."""

    namespace: str
    name: str
    dimensions: frozenset[str]
    source: str


def _metrics(namespace: str, names: str, dimensions: str, source: str) -> dict[str, Metric]:
    known = frozenset(dimensions.split())
    return {f"{namespace} {name}": Metric(namespace, name, known, source) for name in names.split()}


METRICS: Final[Mapping[str, Metric]] = {
    **_metrics("AWS/ECS", "CPUUtilization MemoryUtilization", "ClusterName ServiceName", _ECS),
    **_metrics("ECS/ContainerInsights", "RunningTaskCount DesiredTaskCount", "ClusterName ServiceName", _INSIGHTS),
    **_metrics("AWS/ApplicationELB", "HealthyHostCount", "TargetGroup LoadBalancer", _ALB),
    **_metrics(
        "AWS/ApplicationELB",
        "RequestCount TargetResponseTime HTTPCode_Target_5XX_Count HTTPCode_ELB_502_Count HTTPCode_ELB_504_Count",
        "LoadBalancer",
        _ALB,
    ),
    **_metrics(
        "AWS/RDS", "FreeStorageSpace CPUUtilization DatabaseConnections ReplicaLag", "DBInstanceIdentifier", _RDS
    ),
    **_metrics(
        "AWS/ElastiCache", "EngineCPUUtilization DatabaseMemoryUsagePercentage Evictions", "CacheClusterId", _CACHE
    ),
    **_metrics("AWS/SQS", "ApproximateAgeOfOldestMessage ApproximateNumberOfMessagesVisible", "QueueName", _SQS),
    **_metrics("AWS/Lambda", "Invocations Errors Throttles", "FunctionName", _LAMBDA),
    # The latency is published in the destination's region, the failures in the source's ("Using S3 Replication
    # metrics", S3 user guide).
    **_metrics(
        "AWS/S3", "ReplicationLatency OperationsFailedReplication", "SourceBucket DestinationBucket RuleId", _S3
    ),
    **_metrics("AWS/CertificateManager", "DaysToExpiry", "CertificateArn", _ACM),
    # In us-east-1 only.
    **_metrics("AWS/Route53", "HealthCheckStatus", "HealthCheckId", _ROUTE53),
    **_metrics(OWN_NAMESPACE, f"{NEWEST_COPY_AGE} {NEWEST_BACKUP_AGE} {COPY_CYCLE_RUNS} {FULL_COPIES}", "Stack", _OWN),
}


@dataclass(frozen=True)
class Reading:
    """A metric of one thing, by a statistic: Sum, Average, Minimum, Maximum or a percentile such as p95."""

    metric: Metric
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: str


def reading(name: str, statistic: str, **dimensions: pulumi.Input[str]) -> Reading:
    """The metric `<namespace> <name>` of what the dimensions name.

    Raises KeyError for a metric that is not in the table, ValueError for other dimensions than it is published with.
    """
    metric = METRICS[name]
    if metric.dimensions != dimensions.keys():
        raise ValueError(
            f"{name} is published with {', '.join(sorted(metric.dimensions))}, not {', '.join(sorted(dimensions))}: "
            f"an alarm on it would never have data ({metric.source})"
        )
    return Reading(metric, dimensions, statistic)
