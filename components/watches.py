"""What is watched of a stack that serves: services, the way in, database, cache, queue. Plain data, see alarms.py.

People on call hear of what people suffer from, or will before the next working day; the team lead hears of the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi

from components.alarms import MINUTE, Audience, Missing, Watch
from components.metrics import reading
from components.workloads import ServiceSpec, writes

BUSY_PERCENT: Final = 85
FULL_PERCENT: Final = 90
FAILED_PERCENT: Final = 5
GATEWAY_ERRORS: Final = 10
SLOW_SECONDS: Final = 2
FREE_SHARE: Final = 0.15
GIB: Final = 1024**3
EVICTED: Final = 1000
OLDEST_SECONDS: Final = 15 * MINUTE
# While frozen, what is lost soon still counts: the queue keeps messages for 14 days.
KEPT_SECONDS: Final = 13 * 24 * 60 * MINUTE


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """The load balancer as its metrics name it; `target_groups` by service."""

    load_balancer: pulumi.Input[str]
    target_groups: Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True, kw_only=True)
class DatabaseWatch:
    """`allocated_storage` in GiB; `connections` is how many are too many."""

    identifier: pulumi.Input[str]
    allocated_storage: int
    connections: int


@dataclass(frozen=True, kw_only=True)
class QueueWatch:
    """Names of the queue and of its dead letters."""

    name: pulumi.Input[str]
    dead_letters: pulumi.Input[str]


def services(specs: Sequence[ServiceSpec], standby: bool, frozen: bool, cluster: pulumi.Input[str]) -> list[Watch]:
    """Tasks, processor and memory of each service."""
    return [watch for spec in specs for watch in _service(spec, standby, frozen, cluster)]


def _service(spec: ServiceSpec, standby: bool, frozen: bool, cluster: pulumi.Input[str]) -> list[Watch]:
    by_name = {"ClusterName": cluster, "ServiceName": spec.name}
    running = Watch(
        noun=f"{spec.name}-running",
        section="too-few-tasks",
        wrong=f"{spec.name} has run fewer tasks than desired for five minutes, or none.",
        do="Read its newest ECS events and its log.",
        audience=_audience(spec),
        readings={
            "desired": reading("ECS/ContainerInsights DesiredTaskCount", "Average", **by_name),
            "running": reading("ECS/ContainerInsights RunningTaskCount", "Average", **by_name),
        },
        expression="desired - running",
        comparison="GreaterThanThreshold",
        threshold=0,
        seconds=MINUTE,
        periods=5,
        # Container Insights says nothing of a service without a running task: right at a count of 0, else the worst.
        missing=_unless_idle(spec, standby, frozen),
        follows_flag=True,
    )
    return [
        running,
        _level(spec, by_name, "cpu", "CPUUtilization", BUSY_PERCENT, "processor"),
        _level(spec, by_name, "memory", "MemoryUtilization", FULL_PERCENT, "memory"),
    ]


def _level(
    spec: ServiceSpec, by_name: Mapping[str, pulumi.Input[str]], noun: str, metric: str, percent: int, what: str
) -> Watch:
    return Watch(
        noun=f"{spec.name}-{noun}",
        section="busy-service",
        wrong=f"{spec.name} has used {percent} % of its {what} for 15 minutes.",
        do="Look for a leak or more people; raise its task count or size.",
        audience="team-lead",
        readings={noun: reading(f"AWS/ECS {metric}", "Average", **by_name)},
        comparison="GreaterThanOrEqualToThreshold",
        threshold=percent,
        seconds=5 * MINUTE,
        periods=3,
        # No task, nothing used: that there should be some, the other alarm says.
        missing="notBreaching",
    )


def _audience(spec: ServiceSpec) -> Audience:
    return "on-call" if spec.critical else "team-lead"


def _unless_idle(spec: ServiceSpec, standby: bool, frozen: bool) -> Missing:
    """A freeze is no outage: what it stops is silent on purpose, and `dr status` says so."""
    idle = (standby and not spec.standby_count) or (frozen and writes(spec))
    return "notBreaching" if idle else "breaching"


def entrance(given: Entrance, specs: Sequence[ServiceSpec], standby: bool, frozen: bool) -> list[Watch]:
    """Answers of the load balancer and healthy targets of each group.

    A fixed response counts among the load balancer's own 5xx: the crisis page's 503 would hide what is wrong, so 502
    and 504 are watched, which no rule of ours answers. No healthy target, the 503 of an empty group, has its own alarm.
    """
    balancer = given.load_balancer
    groups = [
        _healthy(spec, standby, frozen, balancer, given.target_groups[spec.name])
        for spec in specs
        if spec.name in given.target_groups
    ]
    failing = Watch(
        noun="answers-failing",
        section="failing-answers",
        wrong=f"More than {FAILED_PERCENT} % of the answers have been errors (5xx) of a service for three minutes.",
        do="Find the service in the load balancer's log; go back to the version before if there is a new one.",
        audience="on-call",
        readings={
            "failed": reading("AWS/ApplicationELB HTTPCode_Target_5XX_Count", "Sum", LoadBalancer=balancer),
            "requests": reading("AWS/ApplicationELB RequestCount", "Sum", LoadBalancer=balancer),
        },
        expression="100 * failed / requests",
        comparison="GreaterThanThreshold",
        threshold=FAILED_PERCENT,
        seconds=MINUTE,
        periods=3,
        # The count of errors exists only where there was one.
        missing="notBreaching",
    )
    unreachable = Watch(
        noun="targets-unreachable",
        section="failing-answers",
        wrong="The load balancer has got no or broken answers (502, 504) from the services for three minutes.",
        do="See whether tasks die or hang; read their logs.",
        audience="on-call",
        readings={
            "broken": reading("AWS/ApplicationELB HTTPCode_ELB_502_Count", "Sum", LoadBalancer=balancer),
            "late": reading("AWS/ApplicationELB HTTPCode_ELB_504_Count", "Sum", LoadBalancer=balancer),
        },
        expression="FILL(broken, 0) + FILL(late, 0)",
        comparison="GreaterThanOrEqualToThreshold",
        threshold=GATEWAY_ERRORS,
        seconds=MINUTE,
        periods=3,
        # Counted only where there was one.
        missing="notBreaching",
    )
    slow = Watch(
        noun="answers-slow",
        section="slow-answers",
        wrong=f"One answer in twenty has taken more than {SLOW_SECONDS} seconds for 15 minutes.",
        do="Look at the database's and the services' processor first.",
        audience="on-call",
        readings={"slow": reading("AWS/ApplicationELB TargetResponseTime", "p95", LoadBalancer=balancer)},
        comparison="GreaterThanThreshold",
        threshold=SLOW_SECONDS,
        seconds=5 * MINUTE,
        periods=3,
        # Nobody asked, nobody waited.
        missing="notBreaching",
    )
    return [*groups, failing, unreachable, slow]


def _healthy(
    spec: ServiceSpec, standby: bool, frozen: bool, balancer: pulumi.Input[str], group: pulumi.Input[str]
) -> Watch:
    return Watch(
        noun=f"{spec.name}-targets",
        section="no-healthy-target",
        wrong=f"No task of {spec.name} has been healthy at the load balancer for three minutes: people get errors.",
        do="Read its newest ECS events, its log and what its health check answers.",
        audience=_audience(spec),
        readings={
            "healthy": reading(
                "AWS/ApplicationELB HealthyHostCount", "Maximum", TargetGroup=group, LoadBalancer=balancer
            )
        },
        comparison="LessThanThreshold",
        threshold=1,
        seconds=MINUTE,
        periods=3,
        # Nothing is published of a group without targets: right at a count of 0, else the worst.
        missing=_unless_idle(spec, standby, frozen),
        follows_flag=True,
    )


def database(given: DatabaseWatch) -> list[Watch]:
    """Storage, processor, connections. They exist where the database does."""
    by_name = {"DBInstanceIdentifier": given.identifier}
    storage = Watch(
        noun="database-storage",
        section="database-full",
        wrong=f"The database has less than {FREE_SHARE:.0%} of its storage left, or has reported nothing.",
        do="Raise database.allocatedStorage; a full database stops every service.",
        audience="on-call",
        readings={"free": reading("AWS/RDS FreeStorageSpace", "Minimum", **by_name)},
        comparison="LessThanThreshold",
        threshold=round(given.allocated_storage * GIB * FREE_SHARE),
        seconds=5 * MINUTE,
        periods=3,
        # RDS reports this all the time: silence means a database that has stopped.
        missing="breaching",
        follows_flag=True,
    )
    others = [
        _database(by_name, "cpu", "CPUUtilization", FULL_PERCENT, f"has used {FULL_PERCENT} % of its processor"),
        _database(
            by_name,
            "connections",
            "DatabaseConnections",
            given.connections,
            f"has had {given.connections} connections or more",
        ),
    ]
    return [storage, *others]


def _database(by_name: Mapping[str, pulumi.Input[str]], noun: str, metric: str, threshold: int, wrong: str) -> Watch:
    return Watch(
        noun=f"database-{noun}",
        section="busy-database",
        wrong=f"The database {wrong} for 15 minutes.",
        do="Look for slow queries and for a service that opens too many connections.",
        audience="team-lead",
        readings={noun: reading(f"AWS/RDS {metric}", "Average", **by_name)},
        comparison="GreaterThanOrEqualToThreshold",
        threshold=threshold,
        seconds=5 * MINUTE,
        periods=3,
        # A database that says nothing has its alarm: storage.
        missing="notBreaching",
        follows_flag=True,
    )


def cache(clusters: Sequence[str]) -> list[Watch]:
    """Processor, memory and evictions of each node, by its cache cluster's id: slower, never broken."""
    levels = (
        ("cpu", "EngineCPUUtilization", "Average", FULL_PERCENT, f"has used {FULL_PERCENT} % of its processor"),
        ("memory", "DatabaseMemoryUsagePercentage", "Average", FULL_PERCENT, f"has been {FULL_PERCENT} % full"),
        ("evictions", "Evictions", "Sum", EVICTED, f"has thrown away {EVICTED} entries or more in five minutes"),
    )
    return [
        Watch(
            noun=f"cache-{number}-{noun}",
            section="busy-cache",
            wrong=f"The cache node {cluster} {wrong} for 15 minutes.",
            do="Take a larger node; nothing is lost, answers get slower.",
            audience="team-lead",
            readings={noun: reading(f"AWS/ElastiCache {metric}", statistic, CacheClusterId=cluster)},
            comparison="GreaterThanOrEqualToThreshold",
            threshold=threshold,
            seconds=5 * MINUTE,
            periods=3,
            # The services answer without a cache: its absence shows in how slow they are.
            missing="notBreaching",
            follows_flag=True,
        )
        for number, cluster in enumerate(clusters, start=1)
        for noun, metric, statistic, threshold, wrong in levels
    ]


def queue(given: QueueWatch, frozen: bool) -> list[Watch]:
    """Messages that wait too long, and those that nobody could process. While frozen they wait on purpose."""
    limit, told = (KEPT_SECONDS, "13 days") if frozen else (OLDEST_SECONDS, "15 minutes")
    waiting = Watch(
        noun="sync-waiting",
        section="waiting-messages",
        wrong=f"The oldest message of the sync queue has waited for more than {told}.",
        do="See whether the sync service runs and keeps up; messages are kept for 14 days.",
        audience="team-lead",
        readings={"oldest": reading("AWS/SQS ApproximateAgeOfOldestMessage", "Maximum", QueueName=given.name)},
        comparison="GreaterThanThreshold",
        threshold=limit,
        seconds=5 * MINUTE,
        periods=3,
        # A queue that nothing has touched for six hours reports nothing, and holds nothing.
        missing="notBreaching",
        follows_flag=True,
    )
    return [waiting, dead_letters("sync", given.dead_letters)]


def dead_letters(noun: str, queue_name: pulumi.Input[str]) -> Watch:
    """Something lies where failures are put aside."""
    return Watch(
        noun=f"{noun}-dead-letters",
        section="dead-letters",
        wrong=f"At least one message of {noun} could not be processed and lies among the dead letters.",
        do="Mend the cause, then `dr replay sync-queue`: docs/replay.md.",
        audience="team-lead",
        readings={"dead": reading("AWS/SQS ApproximateNumberOfMessagesVisible", "Maximum", QueueName=queue_name)},
        comparison="GreaterThanOrEqualToThreshold",
        threshold=1,
        seconds=5 * MINUTE,
        periods=1,
        # As above: silent when empty and untouched.
        missing="notBreaching",
    )
