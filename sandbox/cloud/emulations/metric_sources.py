"""What AWS's services publish each minute of what they run: names, dimensions, units and the conditions for it.

Levels that nothing here has (CPU, memory, free storage) are those of an idle platform; a `metric` fault moves them.
Not published: series per zone, and the many that no alarm could want.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pg8000.native
from moto.acm.models import acm_backends
from moto.ecs.models import ecs_backends
from moto.elbv2.models import elbv2_backends
from moto.route53.models import route53_backends

from sandbox.clock import Clock
from sandbox.cloud.context import ACCOUNT
from sandbox.cloud.emulations import caches as cache_emulation
from sandbox.cloud.emulations import (
    certificates,
    database_replicas,
    databases,
    dns,
    load_balancers,
    objects,
    queues,
    targets,
)
from sandbox.cloud.emulations.database_instance import Instance
from sandbox.cloud.emulations.ecs_model import EcsService
from sandbox.cloud.emulations.measurements import Measure

GIB = 1024.0**3
IDLE_PERCENT = 10.0
FREE_SHARE = 0.6  # of a database's storage

Collector = Callable[[], Iterator[Measure]]


def services() -> Iterator[Measure]:
    """AWS/ECS and ECS/ContainerInsights: only of services with a running task, however many it should have.

    Sources: "Amazon ECS CloudWatch metrics" and "Container Insights considerations", ECS developer guide.
    """
    for region, backend in list(ecs_backends[ACCOUNT].items()):
        for service in list(backend.services.values()):
            if not isinstance(service, EcsService) or not service.running_count:
                continue
            dimensions = {"ClusterName": str(service.cluster_name), "ServiceName": str(service.name)}
            for name in ("CPUUtilization", "MemoryUtilization"):
                yield Measure(region, "AWS/ECS", name, dimensions, IDLE_PERCENT, "Percent")
            if not _insights(backend.clusters[service.cluster_name]):
                continue
            counts = {
                "DesiredTaskCount": service.desired_count,
                "RunningTaskCount": service.running_count,
                "PendingTaskCount": service.pending_count,
                "DeploymentCount": len(service.deployments),
            }
            for name, count in counts.items():
                yield Measure(region, "ECS/ContainerInsights", name, dimensions, float(count), "Count")


def _insights(cluster: Any) -> bool:
    chosen = {setting["name"]: setting["value"] for setting in cluster.settings or []}
    return chosen.get("containerInsights") in ("enabled", "enhanced")


def target_groups() -> Iterator[Measure]:
    """AWS/ApplicationELB: healthy and unhealthy hosts of groups in use ("Reported if health checks are enabled").

    Assumption: a group in which nothing is registered reports nothing, as Network Load Balancers document it.
    """
    for region, backend in list(elbv2_backends[ACCOUNT].items()):
        for arn, balancers in targets.forwarders(backend).items():
            states = targets.states(arn)
            for balancer in {found.arn: found for found in balancers if states and found.state == "active"}.values():
                dimensions = {
                    "TargetGroup": arn.rpartition(":")[2],
                    "LoadBalancer": load_balancers.dimension(balancer.arn),
                }
                for name, state in (("HealthyHostCount", "healthy"), ("UnHealthyHostCount", "unhealthy")):
                    yield Measure(region, "AWS/ApplicationELB", name, dimensions, float(states.count(state)), "Count")


class DatabaseServers:
    """AWS/RDS. Connections and lag are asked of the servers; the connection to count others is kept."""

    # Our own connection doesn't count.
    _QUESTION = (
        "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
    )

    def __init__(self) -> None:
        self._connections: dict[str, pg8000.native.Connection] = {}

    def __call__(self) -> Iterator[Measure]:
        """Of instances whose server runs; RDS reports every minute."""
        for instance in databases.running().all():
            if not instance.reachable:
                self._drop(instance)
                continue
            size = float(instance.model.allocated_storage or 0) * GIB
            yield self._of(instance, "CPUUtilization", IDLE_PERCENT, "Percent")
            yield self._of(instance, "FreeStorageSpace", size * FREE_SHARE, "Bytes")
            yield self._of(instance, "FreeableMemory", GIB, "Bytes")
            yield from self._asked(instance)

    def _asked(self, instance: Instance) -> Iterator[Measure]:
        key = str(instance.model.dbi_resource_id)
        try:
            if key not in self._connections:
                self._connections[key] = instance.server.connect_as_admin()
            ((connections,),) = self._connections[key].run(self._QUESTION)
            lag = database_replicas.running().lag(instance)
        except (OSError, pg8000.native.InterfaceError, pg8000.native.DatabaseError):
            self._drop(instance)  # it restarts, or has just been lost: no data for this minute
            return
        yield self._of(instance, "DatabaseConnections", float(connections), "Count")
        if lag is not None:
            yield self._of(instance, "ReplicaLag", lag, "Seconds")

    def _drop(self, instance: Instance) -> None:
        self._connections.pop(str(instance.model.dbi_resource_id), None)

    @staticmethod
    def _of(instance: Instance, name: str, value: float, unit: str) -> Measure:
        dimensions = {"DBInstanceIdentifier": instance.identifier}
        return Measure(instance.region, "AWS/RDS", name, dimensions, value, unit)


def caches() -> Iterator[Measure]:
    """AWS/ElastiCache: of each node of a group that runs, by cluster and by node ("Metrics for Valkey …")."""
    levels = {
        "CPUUtilization": (IDLE_PERCENT, "Percent"),
        "EngineCPUUtilization": (IDLE_PERCENT, "Percent"),
        "DatabaseMemoryUsagePercentage": (IDLE_PERCENT, "Percent"),
        "FreeableMemory": (GIB, "Bytes"),
        "CurrConnections": (1.0, "Count"),
        "Evictions": (0.0, "Count"),
    }
    for group in cache_emulation.running().of():
        for cluster in group.members if group.reachable else ():
            for dimensions in ({"CacheClusterId": cluster}, {"CacheClusterId": cluster, "CacheNodeId": "0001"}):
                for name, (value, unit) in levels.items():
                    yield Measure(group.region, "AWS/ElastiCache", name, dimensions, value, unit)


def replication() -> Iterator[Measure]:
    """AWS/S3: what waits, in the destination's region, of rules with metrics, also while nothing is replicated.

    Source: "Using S3 Replication metrics", S3 user guide. Failures are counted in the source's region as they happen.
    """
    for backlog in objects.replication().backlogs():
        values = {
            "OperationsPendingReplication": (float(backlog.operations), "Count"),
            "BytesPendingReplication": (float(backlog.size), "Bytes"),
            "ReplicationLatency": (backlog.seconds, "Seconds"),
        }
        for name, (value, unit) in values.items():
            yield Measure(backlog.region, "AWS/S3", name, backlog.dimensions, value, unit)


def message_queues() -> Iterator[Measure]:
    """AWS/SQS: of queues that were used or not empty within six hours ("Monitoring Amazon SQS queues")."""
    for region, queue in queues.active():
        dimensions = {"QueueName": str(queue.name)}
        values = {
            "ApproximateNumberOfMessagesVisible": (float(queue.approximate_number_of_messages), "Count"),
            "ApproximateNumberOfMessagesNotVisible": (
                float(queue.approximate_number_of_messages_not_visible),
                "Count",
            ),
            "ApproximateAgeOfOldestMessage": (queues.oldest_age(queue), "Seconds"),
        }
        for name, (value, unit) in values.items():
            yield Measure(region, "AWS/SQS", name, dimensions, value, unit)


def health_checks() -> Iterator[Measure]:
    """AWS/Route53: only in us-east-1; nothing of a disabled check ("Monitoring health checks using CloudWatch")."""
    for check in list(route53_backends[ACCOUNT]["aws"].health_checks.values()):
        if check.disabled:
            continue
        dimensions = {"HealthCheckId": str(check.id)}
        healthy = dns.health().healthy(check.id)
        yield Measure("us-east-1", "AWS/Route53", "HealthCheckStatus", dimensions, float(healthy), "None")
        if check.type_ == "CALCULATED":
            alive = sum(dns.health().healthy(child) for child in check.children or [])
            yield Measure("us-east-1", "AWS/Route53", "ChildHealthCheckHealthyCount", dimensions, float(alive), "None")


class Certificates:
    """AWS/CertificateManager: twice a day of each certificate until it ends ("Supported CloudWatch metrics", ACM)."""

    EVERY_SECONDS = 12 * 3600

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[str, float] = {}  # by ARN, modelled epoch seconds

    def __call__(self) -> Iterator[Measure]:
        """Of those whose half day is over; the first time as soon as they are issued."""
        now = self._clock.epoch()
        for region, backend in list(acm_backends[ACCOUNT].items()):
            for arn, bundle in list(backend._certificates.items()):
                days = (certificates.ends_at(bundle) - now) // (24 * 3600)
                if bundle.status != "ISSUED" or days < 0 or now < self._due.get(arn, 0.0):
                    continue
                self._due[arn] = now + self.EVERY_SECONDS
                dimensions = {"CertificateArn": arn}
                yield Measure(region, "AWS/CertificateManager", "DaysToExpiry", dimensions, days, "None")


def collectors(clock: Clock) -> tuple[Collector, ...]:
    """The table: what is asked each minute."""
    return (
        services,
        target_groups,
        DatabaseServers(),
        caches,
        replication,
        message_queues,
        health_checks,
        Certificates(clock),
    )
