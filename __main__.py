"""One stack of the platform, serving or standing by: what it consists of and in which order a promotion happens.

Nothing here names a stack. What differs is data in Pulumi.<stack>.yaml; `standby` is the flag that a promotion flips,
`frozen` the one that stops all writes. A freeze goes backwards on the way of a promotion, and a thaw forwards again.
"""

import atexit
import gc

# The program keeps what it makes and ends soon: looking for garbage doubled the time that it computes, and looking
# through everything once more at the end took another half second, for which the engine waits.
if __name__ == "__main__":
    gc.disable()
    atexit.register(gc.freeze)

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from components import configuration, crisis_page, facts, guards, live_counts, naming, secrets, stack_outputs
from components.alarms import Topics
from components.alerts import HEALTH_CHECK_REGION, Alerts, AlertsArgs
from components.autoscaling import Autoscaling, AutoscalingArgs
from components.cache import Cache, CacheArgs, Source
from components.cache_imports import CacheImports
from components.database import Database, DatabaseArgs
from components.database_roles import DatabaseRoles, DatabaseRolesArgs
from components.dns import Dns, DnsArgs
from components.fences import Fences, FencesArgs
from components.flow_logs import FlowLogs, FlowLogsArgs
from components.keys import DataKey, DataKeyArgs
from components.load_balancer import LoadBalancer, LoadBalancerArgs
from components.logins import Logins, LoginsArgs
from components.monitoring import Monitoring, MonitoringArgs
from components.network import Network, NetworkArgs
from components.queue import SyncQueue, SyncQueueArgs
from components.replicated_backups import ReplicatedBackups, ReplicatedBackupsArgs
from components.replication import RULE, ReplicaArgs
from components.secrets import Secrets, SecretsArgs
from components.services import Services, ServicesArgs, StandardServices, StandardServicesArgs
from components.snapshots import SnapshotCycle, SnapshotCycleArgs
from components.storage import Storage, StorageArgs
from components.takeover import GateArgs, Takeover, TakeoverArgs
from components.turns import Turns, TurnsArgs
from components.watches import DatabaseWatch, Entrance, QueueWatch
from components.watches_recovery import ReplicationWatch


async def main() -> None:
    settings, secure = configuration.load()
    own = await stack_outputs.read_own(settings.project, settings.stack)
    peer = await stack_outputs.read_peer(settings.project, settings.peer.stack) if settings.reads_peer else None
    decision = guards.decide(settings, facts.Reader(settings).read(), own, peer)
    for warning in decision.warnings:
        pulumi.log.warn(warning)
    live = live_counts.read(settings)
    counts = live_counts.decide(settings, live, own)
    tags = naming.tags(settings.stack)

    network = Network(
        "network",
        NetworkArgs(
            short_name=settings.short_name,
            tags=tags,
            region=settings.region,
            cidr=settings.network.cidr,
            nat=settings.runs_something,
            service_ports=tuple(service.port for service in settings.services),
        ),
    )
    key = DataKey(
        "keys",
        DataKeyArgs(short_name=settings.short_name, tags=tags, account_id=settings.account_id, region=settings.region),
    )

    # A promotion, step by step, begun with what takes longest: no more copies of the lost primary …
    snapshots = (
        SnapshotCycle(
            "snapshots",
            SnapshotCycleArgs(
                short_name=settings.short_name,
                tags=tags,
                account_id=settings.account_id,
                region=settings.region,
                source_region=settings.peer.region,
                source_short_name=settings.peer.short_name,
                key_arn=key.arn,
                running=settings.standby,
            ),
        )
        if settings.database.standby_source is not None
        else None
    )
    if settings.database.standby_source == "replicated-backups":
        ReplicatedBackups(
            "replicated-backups",
            ReplicatedBackupsArgs(
                source_arn=str(settings.database.standby_source_arn),
                key_arn=key.arn,
                retention_days=settings.database.backup_retention_days,
            ),
        )
    # … the database …
    database = Database(
        "database",
        DatabaseArgs(
            short_name=settings.short_name,
            tags=tags,
            account_id=settings.account_id,
            region=settings.region,
            plans=decision.databases,
            identifiers=[settings.database_identifier(generation) for generation in settings.database.generations],
            instance_class=settings.database.instance_class,
            engine_version=settings.database.engine_version,
            database_name=settings.database.name,
            backup_days=settings.database.backup_retention_days,
            backup_window=settings.database.backup_window,
            maintenance_window=settings.database.maintenance_window,
            subnet_ids=network.isolated_subnet_ids,
            security_group_id=network.database_security_group_id,
            key_arn=key.arn,
            master_password=secure.database_master_password,
            after=snapshots.stopped if snapshots else [],
        ),
    )
    region_secrets = Secrets(
        "secrets",
        SecretsArgs(
            short_name=settings.short_name,
            tags=tags,
            peer_region=settings.peer.region,
            key_arn=key.arn,
            database_name=settings.database.name,
            database=database.endpoint,
            database_services=settings.database_services,
            master_password=secure.database_master_password,
            registry_credential=secure.registry_credential,
            signing_key=secure.signing_key if settings.owns_shared else None,
            shared_signing_key_arn=secrets.replica_arn(peer.require("signingKeyArn"), settings.region)
            if peer and not settings.owns_shared
            else None,
        ),
    )
    roles = DatabaseRoles(
        "database-roles",
        DatabaseRolesArgs(
            short_name=settings.short_name,
            tags=tags,
            account_id=settings.account_id,
            region=settings.region,
            key_arn=key.arn,
            subnet_ids=network.private_subnet_ids,
            security_group_id=network.function_security_group_id,
            master_secret_arn=region_secrets.master_arn,
            master_value=region_secrets.master_value,
            service_secret_arns=region_secrets.database_arns,
            after=network.ready,
        ),
    )

    # Whether each database is locked or open comes before what locks or opens it, and stays when that fails.
    turns = Turns(
        "turns",
        TurnsArgs(
            locked={
                generation.name: settings.frozen or generation.name != settings.database.serving
                for generation in settings.database.generations
                if not generation.released or generation.name in database.writable
            },
            function_name=roles.function_name,
            function_ready=roles.ready,
        ),
    ).tokens

    def logins(services: list[str], after: list[pulumi.Resource]) -> LoginsArgs:
        return LoginsArgs(
            database_name=settings.database.name,
            database=database.endpoint,
            database_resource_id=database.serving.resource_id if database.serving else None,
            turn=turns[settings.database.serving],
            frozen=settings.frozen,
            passwords={service: secure.database_passwords[service] for service in services},
            secrets=region_secrets.database_arns,
            schema_owner=settings.schema_owner,
            master_secret=region_secrets.master_arn,
            master_version=region_secrets.master_value.version_id,
            function_name=roles.function_name,
            function_ready=roles.ready,
            after=after,
        )

    # … the critical services' logins at it …
    critical_logins = Logins("critical-logins", logins(settings.critical_logins, after=[]))

    # Buckets, the queue, records of who came and the way in are the same before and after it.
    FlowLogs(
        "flow-logs",
        FlowLogsArgs(
            short_name=settings.short_name,
            tags=tags,
            account_id=settings.account_id,
            region=settings.region,
            vpc_id=network.vpc_id,
            key_arn=key.arn,
        ),
    )
    storage = Storage(
        "storage",
        StorageArgs(
            short_name=settings.short_name,
            tags=tags,
            account_id=settings.account_id,
            region=settings.region,
            key_arn=key.arn,
            crisis_page_html=crisis_page.full_page(settings.crisis.phone_lines, settings.crisis.text),
            replica=ReplicaArgs(
                region=settings.peer.region,
                bucket_arn=peer.require("audioBucketArn"),
                key_arn=peer.require("dataKeyArn"),
            )
            if settings.protects and peer
            else None,
        ),
    )
    queue = SyncQueue(
        "queue",
        SyncQueueArgs(
            short_name=settings.short_name,
            tags=tags,
            account_id=settings.account_id,
            region=settings.region,
            key_arn=key.arn,
        ),
    )
    imports = CacheImports("cache-imports", settings.short_name, tags, settings.region)
    load_balancer = LoadBalancer(
        "load-balancer",
        LoadBalancerArgs(
            short_name=settings.short_name,
            tags=tags,
            domain=settings.dns.domain,
            zone_id=settings.zone_id,
            owns_validation_record=settings.owns_shared,
            validation_ttl=settings.dns.ttl,
            vpc_id=network.vpc_id,
            subnet_ids=network.public_subnet_ids,
            security_group_id=network.alb_security_group_id,
            access_log_bucket=storage.access_log_bucket_name,
            services=settings.services,
            health_service=settings.health_service,
        ),
    )

    def takeover_by(gate: GateArgs | None) -> Takeover:
        return Takeover(
            "takeover",
            TakeoverArgs(
                short_name=settings.short_name,
                tags=tags,
                region=settings.region,
                standby=settings.standby,
                frozen=settings.frozen,
                listener_arn=load_balancer.listener_arn,
                page_bucket_name=storage.page_bucket_name,
                crisis_html=crisis_page.short_page(settings.crisis.phone_lines, settings.crisis.text),
                gate=gate,
            ),
        )

    def autoscaling(deployed: Mapping[str, aws.ecs.Service], after: list[pulumi.Resource]) -> Autoscaling:
        return Autoscaling(
            "autoscaling",
            AutoscalingArgs(
                tags=tags,
                specs=settings.services,
                cluster_name=naming.physical(settings.short_name, "cluster"),
                frozen=settings.frozen,
                services=deployed,
                after=after,
            ),
        )

    # A freeze: the crisis page, then nothing that could raise a service again, then the services, then the locks.
    nothing = GateArgs(cluster_name=naming.physical(settings.short_name, "cluster"), critical=[], after=[])
    page = takeover_by(nothing) if settings.frozen else None
    page_shown = [*page.page, *autoscaling({}, page.page).targets] if page else []
    # … the critical services, and when they answer the takeover, which moves the public name …
    services = Services(
        "services",
        ServicesArgs(
            short_name=settings.short_name,
            tags=tags,
            account_id=settings.account_id,
            region=settings.region,
            specs=settings.services,
            counts=counts,
            frozen=settings.frozen,
            subnet_ids=network.private_subnet_ids,
            security_group_id=network.service_security_group_id,
            target_group_arns=load_balancer.target_group_arns,
            audio_bucket_arn=storage.audio_bucket_arn,
            audio_bucket_name=storage.audio_bucket_name,
            queue_arn=queue.arn,
            queue_url=queue.url,
            key_arn=key.arn,
            registry_secret_arn=region_secrets.registry_arn,
            signing_key_secret_arn=region_secrets.signing_key_arn,
            database_secret_arns=region_secrets.database_arns,
            cache_secret_arn=region_secrets.cache_arn,
            critical_after=[
                *network.outbound,
                *network.ready,
                *load_balancer.forwarding,
                *region_secrets.values,
                *critical_logins.ready,
                *page_shown,
            ],
        ),
    )
    gate = GateArgs(cluster_name=services.cluster_name, critical=services.critical, after=services.critical_resources)
    takeover = page or takeover_by(None if settings.standby else gate)
    # … and the rest, which nobody in distress has to wait for.
    taken_over = [] if settings.standby else takeover.done
    standard_logins = Logins("standard-logins", logins(settings.standard_logins, after=taken_over))
    standard_services = StandardServices(
        "standard-services",
        StandardServicesArgs(services=services, after=[*taken_over, *standard_logins.ready]),
    )
    deployed = {**services.deployed, **standard_services.deployed}
    if not settings.standby and not settings.frozen:
        autoscaling(deployed, taken_over)
    fenced = {
        generation: instance
        for generation, instance in database.writable.items()
        if settings.frozen or generation != settings.database.serving
    }
    if fenced:
        Fences(
            "fences",
            FencesArgs(
                databases=fenced,
                turns=turns,
                secrets=region_secrets.database_arns,
                master_secret=region_secrets.master_arn,
                function_name=roles.function_name,
                function_ready=roles.ready,
                # A standard service that does not stop must not leave the database open.
                after=[
                    *(services.critical_resources if settings.frozen else taken_over),
                    *critical_logins.values,
                    *standard_logins.values,
                ],
            ),
        )
    cache = Cache(
        "cache",
        CacheArgs(
            short_name=settings.short_name,
            tags=tags,
            running=not settings.standby,
            node_type=settings.cache.node_type,
            nodes=settings.cache.nodes,
            retention_days=settings.cache.retention_days,
            source=Source.of(settings.cache, imports.bucket_arn),
            subnet_ids=network.isolated_subnet_ids,
            security_group_id=network.cache_security_group_id,
            key_arn=key.arn,
            secret_id=region_secrets.cache_arn,
            token=secure.cache_auth_token,
            after=[*taken_over, *standard_logins.ready],
        ),
    )
    dns = Dns(
        "dns",
        DnsArgs(
            short_name=settings.short_name,
            tags=tags,
            domain=settings.dns.domain,
            zone_id=settings.zone_id,
            role=settings.dns.role,
            alb_dns_name=load_balancer.dns_name,
            alb_zone_id=load_balancer.zone_id,
            page_bucket_host=storage.page_bucket_host,
            peer_witness_ids=peer.require("witnessCheckIds") if peer and settings.dns.role == "primary" else [],
        ),
    )

    def alerts(name: str, region: str) -> Alerts:
        return Alerts(
            name,
            AlertsArgs(
                short_name=settings.short_name,
                tags=tags,
                account_id=settings.account_id,
                region=region,
                elsewhere=region != settings.region,
                on_call=settings.alerts.on_call,
                team_lead=settings.alerts.team_lead,
            ),
        )

    # Whom alarms reach: here, and for the health checks where Route 53 measures them. No flip changes either.
    own_alerts = alerts("alerts", settings.region)
    health_check_alerts = own_alerts
    if settings.region != HEALTH_CHECK_REGION:
        health_check_alerts = alerts("health-check-alerts", HEALTH_CHECK_REGION)
    peer_bucket = naming.physical(settings.peer.short_name, "audio-storage")
    # What differs between standing by and serving changes after the takeover; the rest is the same.
    Monitoring(
        "monitoring",
        MonitoringArgs(
            stack=settings.stack,
            short_name=settings.short_name,
            tags=tags,
            region=settings.region,
            standby=settings.standby,
            frozen=settings.frozen,
            topics=Topics(own_alerts.on_call, own_alerts.team_lead),
            health_check_region=HEALTH_CHECK_REGION,
            health_check_topics=Topics(health_check_alerts.on_call, health_check_alerts.team_lead),
            health_checks=dns.check_ids,
            specs=settings.services,
            cluster_name=services.cluster_name,
            entrance=Entrance(
                load_balancer=load_balancer.arn_suffix, target_groups=load_balancer.target_group_suffixes
            ),
            certificate_arn=load_balancer.certificate_arn,
            database_identifier=settings.serving_identifier,
            database=DatabaseWatch(
                identifier=database.serving.identifier,
                allocated_storage=settings.database.allocated_storage,
                connections=settings.alerts.database_connections,
            )
            if database.serving
            else None,
            cache_clusters=cache.nodes,
            queue=QueueWatch(name=queue.queue_name, dead_letters=queue.dead_letter_name),
            functions=[roles.watch, *([snapshots.watch] if snapshots else [])],
            standby_source=settings.database.standby_source,
            rpo_minutes=settings.database.rpo_minutes,
            replicates=ReplicationWatch(source=storage.audio_bucket_name, destination=peer_bucket, rule=RULE)
            if settings.protects
            else None,
            receives=ReplicationWatch(source=peer_bucket, destination=storage.audio_bucket_name, rule=RULE)
            if settings.database.standby_source
            else None,
            after=taken_over,
        ),
    )

    pulumi.export("account", settings.account_id)
    pulumi.export("region", settings.region)
    pulumi.export("standby", settings.standby)
    pulumi.export("frozen", settings.frozen)
    pulumi.export("thawCounts", live_counts.thaw_counts(settings, live, own) if settings.frozen else None)
    pulumi.export("epoch", decision.epoch)
    pulumi.export("url", f"https://{settings.dns.domain}")
    pulumi.export("database", database.serving.identifier if database.serving else None)
    pulumi.export("databaseArn", database.serving.arn if database.serving else None)
    pulumi.export("audioBucketArn", storage.audio_bucket_arn)
    pulumi.export("dataKeyArn", key.arn)
    pulumi.export("signingKeyArn", region_secrets.signing_key_arn)
    pulumi.export("witnessCheckIds", dns.witness_check_ids)


pulumi.run(main)
