"""All alarms of a stack, the one that says whether it could be promoted, and its dashboard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import naming, watches, watches_recovery
from components.alarms import Alarms, Topics, Watch
from components.dashboard import Dashboard, DashboardArgs
from components.settings.database import StandbySource
from components.watches import DatabaseWatch, Entrance, QueueWatch
from components.watches_recovery import FunctionWatch, ReplicationWatch
from components.workloads import ServiceSpec


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """What there is to watch; what is None or empty is not there.

    `standby_source` says how this stack gets the data of its peer's database, if it does: copies are pulled with
    each, a replica or backups are there with one. It is the same before and after a promotion, so what it brings
    along is, too. `rpo_minutes`: how old the newest copy or backup may be. `replicates` is set where this stack
    sends recordings, `receives` where it gets them. `cache_clusters`: ids of the cache's nodes.
    `database_identifier` is the serving database's name, also while there is none. `health_checks` by the names
    that dns.py gives them. `after`: what alarms wait for that differ between standing by and serving.
    """

    stack: str
    short_name: str
    tags: naming.Tags
    region: str
    standby: bool
    frozen: bool
    topics: Topics
    health_check_region: str
    health_check_topics: Topics
    health_checks: Mapping[str, pulumi.Input[str]]
    specs: Sequence[ServiceSpec]
    cluster_name: pulumi.Input[str]
    entrance: Entrance
    certificate_arn: pulumi.Input[str]
    database_identifier: str
    database: DatabaseWatch | None
    cache_clusters: Sequence[str]
    queue: QueueWatch
    functions: Sequence[FunctionWatch]
    standby_source: StandbySource | None
    rpo_minutes: int
    replicates: ReplicationWatch | None
    receives: ReplicationWatch | None
    after: Sequence[pulumi.Resource]


class Monitoring(pulumi.ComponentResource):
    """Alarms with their messages. The same exist while standing by and serving, but for those of database and cache."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:monitoring:Monitoring", name, {}, opts)
        self._name = name
        self._args = args
        self._here = self._alarms(name, args.topics, region=None)
        elsewhere = args.health_check_region != args.region
        there = self._alarms(name, args.health_check_topics, region=args.health_check_region if elsewhere else None)
        alarms = [self._here.make(watch) for watch in self._serving()]
        protection = [self._here.make(watch) for watch in self._protection()]
        for watch in self._others():
            self._here.make(watch)
        for watch in watches_recovery.health_checks(args.health_checks):
            there.make(watch)
        if args.standby_source is not None:
            self._can_we_promote(protection)
        Dashboard(
            name,
            DashboardArgs(
                short_name=args.short_name,
                region=args.region,
                stack=args.stack,
                specs=args.specs,
                cluster_name=args.cluster_name,
                load_balancer=args.entrance.load_balancer,
                database_identifier=args.database_identifier,
                queue_name=args.queue.name,
                standby_source=args.standby_source,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"alarms": len(alarms) + len(protection)})

    def _alarms(self, name: str, topics: Topics, region: str | None) -> Alarms:
        return Alarms(
            parent=self,
            name=name,
            short_name=self._args.short_name,
            tags=self._args.tags,
            topics=topics,
            region=region,
            after=self._args.after,
        )

    def _serving(self) -> list[Watch]:
        args = self._args
        return [
            *watches.services(args.specs, args.standby, args.frozen, args.cluster_name),
            *watches.entrance(args.entrance, args.specs, args.standby, args.frozen),
            *watches.queue(args.queue, args.frozen),
            *watches.cache(args.cache_clusters),
            *(watches.database(args.database) if args.database else []),
        ]

    def _protection(self) -> list[Watch]:
        """What a promotion needs and an alarm can tell."""
        args = self._args
        pulled = watches_recovery.copies(args.stack, args.rpo_minutes, args.standby)
        lag = watches_recovery.replica_lag(args.database_identifier, args.standby)
        backups = watches_recovery.replicated_backups(args.stack, args.rpo_minutes, args.standby)
        return [
            *(pulled if args.standby_source else []),
            *([lag] if args.standby_source == "read-replica" else []),
            *([backups] if args.standby_source == "replicated-backups" else []),
            *watches_recovery.functions(args.functions),
            watches_recovery.certificate(args.certificate_arn),
        ]

    def _others(self) -> list[Watch]:
        """What concerns the protection and would not stop a promotion."""
        args = self._args
        full = [watches_recovery.full_copy(args.stack)] if args.standby_source else []
        out = [watches_recovery.replication_out(args.replicates)] if args.replicates else []
        incoming = [watches_recovery.replication_in(args.receives, args.standby)] if args.receives else []
        return [*full, *watches_recovery.failed_calls(args.functions), *out, *incoming]

    def _can_we_promote(self, protection: Sequence[aws.cloudwatch.MetricAlarm]) -> None:
        self._here.any_of(
            "can-we-promote",
            section="can-we-promote",
            wrong="A promotion would not go as planned: data, functions or certificate are not as they should be.",
            do="Look at the alarms below it and mend the first.",
            alarms=protection,
        )
