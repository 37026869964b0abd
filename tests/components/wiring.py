"""The front half of a stack, wired as the program wires it, with made-up values for the other half."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import pulumi

from components import live_counts, naming
from components.autoscaling import Autoscaling, AutoscalingArgs
from components.dns import Dns, DnsArgs
from components.flow_logs import FlowLogs, FlowLogsArgs
from components.load_balancer import LoadBalancer, LoadBalancerArgs
from components.network import Network, NetworkArgs
from components.replication import ReplicaArgs
from components.services import Services, ServicesArgs, StandardServices, StandardServicesArgs
from components.storage import Storage, StorageArgs
from components.takeover import GateArgs, Takeover, TakeoverArgs
from components.workloads import Count, QueueUse
from tests.components.recording import ACCOUNT, Recording, record

ZONE = "Z0123456789"
TAGS = naming.tags("test")
QUEUE_ARN = f"arn:aws:sqs:af-south-1:{ACCOUNT}:mental-health-platform-sa-sync"
QUEUE_URL = f"https://sqs.af-south-1.amazonaws.com/{ACCOUNT}/mental-health-platform-sa-sync"


@dataclass(frozen=True)
class Spec:
    """A service as settings would describe it."""

    name: str
    critical: bool
    path: str | None
    port: int = 8080
    desired_count: int = 2
    standby_count: int = 0
    cpu: int = 256
    memory: int = 512
    needs_database: bool = True
    queue: QueueUse = "none"
    min_count: int = 1
    max_count: int = 10
    audio: Literal["none", "read", "write"] = "none"
    scratch: bool = False
    needs_cache: bool = False

    @property
    def image_reference(self) -> str:
        return f"ghcr.io/mental-health-platform/{self.name}:1.4.2@sha256:{'a' * 64}"


SPECS = (
    Spec("crisis-detection", True, "/crisis/*", audio="read"),
    Spec("api-gateway", True, "/api/*", port=8081, audio="write", scratch=True, queue="send"),
    Spec("sync", False, None, port=8082, desired_count=1, queue="receive"),
)


class Login(pulumi.CustomResource):
    """Stands for the invocation that creates database logins."""

    def __init__(self, name: str) -> None:
        super().__init__("test:index:Login", name, {}, None)


@dataclass(frozen=True)
class Stack:
    """What varies between the stacks and states under test."""

    standby: bool
    short_name: str = "sa"
    region: str = "af-south-1"
    role: Literal["primary", "secondary"] = "secondary"
    specs: Sequence[Spec] = SPECS
    live: int | None = None  # how many tasks each service of a stack that served before has

    @property
    def counts(self) -> dict[str, Count]:
        served = self.live is not None
        return {spec.name: live_counts.count(spec, self.standby, self.live, served) for spec in self.specs}

    def recorded(self) -> Recording:
        return _recorded(self)

    def build(self) -> None:
        network = Network(
            "network",
            NetworkArgs(
                short_name=self.short_name,
                tags=TAGS,
                region=self.region,
                cidr="10.20.0.0/16",
                nat=any(count.tasks for count in self.counts.values()),
                service_ports=tuple(spec.port for spec in self.specs),
            ),
        )
        FlowLogs(
            "flow-logs",
            FlowLogsArgs(
                short_name=self.short_name,
                tags=TAGS,
                account_id=ACCOUNT,
                region=self.region,
                vpc_id=network.vpc_id,
                key_arn="arn:aws:kms:own",
            ),
        )
        storage = self._storage()
        balancer = LoadBalancer(
            "load-balancer",
            LoadBalancerArgs(
                short_name=self.short_name,
                tags=TAGS,
                domain="platform.example.org",
                zone_id=ZONE,
                owns_validation_record=self.role == "secondary",
                validation_ttl=300,
                vpc_id=network.vpc_id,
                subnet_ids=network.public_subnet_ids,
                security_group_id=network.alb_security_group_id,
                access_log_bucket=storage.access_log_bucket_name,
                services=self.specs,
                health_service="crisis-detection",
            ),
        )
        services = self._services(network, storage, balancer)
        gate = GateArgs(
            cluster_name=services.cluster_name, critical=services.critical, after=services.critical_resources
        )
        takeover = Takeover(
            "takeover",
            TakeoverArgs(
                short_name=self.short_name,
                tags=TAGS,
                region=self.region,
                standby=self.standby,
                frozen=False,
                listener_arn=balancer.listener_arn,
                page_bucket_name=storage.page_bucket_name,
                crisis_html="<p>Call +254 722 178 177</p>",
                gate=None if self.standby else gate,
            ),
        )
        taken_over = [] if self.standby else takeover.done
        standard = StandardServices("standard", StandardServicesArgs(services=services, after=taken_over))
        if not self.standby:
            Autoscaling(
                "autoscaling",
                AutoscalingArgs(
                    tags=TAGS,
                    specs=self.specs,
                    cluster_name=naming.physical(self.short_name, "cluster"),
                    frozen=False,
                    services={**services.deployed, **standard.deployed},
                    after=taken_over,
                ),
            )
        Dns(
            "dns",
            DnsArgs(
                short_name=self.short_name,
                tags=TAGS,
                domain="platform.example.org",
                zone_id=ZONE,
                role=self.role,
                alb_dns_name=balancer.dns_name,
                alb_zone_id=balancer.zone_id,
                page_bucket_host=storage.page_bucket_host,
                peer_witness_ids=["witness-1", "witness-2"] if self.role == "primary" else [],
            ),
        )

    def _storage(self) -> Storage:
        replica = ReplicaArgs(region="af-south-1", bucket_arn="arn:aws:s3:::peer", key_arn="arn:aws:kms:peer")
        return Storage(
            "storage",
            StorageArgs(
                short_name=self.short_name,
                tags=TAGS,
                account_id=ACCOUNT,
                region=self.region,
                key_arn="arn:aws:kms:own",
                crisis_page_html="<h1>Help</h1>",
                replica=replica if self.role == "primary" else None,
            ),
        )

    def _services(self, network: Network, storage: Storage, balancer: LoadBalancer) -> Services:
        login = [] if self.standby else [Login("login")]
        return Services(
            "services",
            ServicesArgs(
                short_name=self.short_name,
                tags=TAGS,
                account_id=ACCOUNT,
                region=self.region,
                specs=self.specs,
                counts=self.counts,
                frozen=False,
                subnet_ids=network.private_subnet_ids,
                security_group_id=network.service_security_group_id,
                target_group_arns=balancer.target_group_arns,
                audio_bucket_arn=storage.audio_bucket_arn,
                audio_bucket_name=storage.audio_bucket_name,
                queue_arn=QUEUE_ARN,
                queue_url=QUEUE_URL,
                key_arn="arn:aws:kms:own",
                registry_secret_arn="arn:aws:secretsmanager:registry",
                signing_key_secret_arn="arn:aws:secretsmanager:signing",
                database_secret_arns={spec.name: f"arn:aws:secretsmanager:{spec.name}" for spec in self.specs},
                cache_secret_arn="arn:aws:secretsmanager:cache",
                critical_after=[*network.outbound, *network.ready, *balancer.forwarding, *login],
            ),
        )


@cache
def _recorded(stack: Stack) -> Recording:
    """One run for each kind of stack: tests read what was registered and change nothing."""
    return record(stack.build)
