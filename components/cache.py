"""The cache of a stack: Valkey on ElastiCache, behind TLS and a token, empty or restored.

It is no store of record and on nobody's critical path. While a stack stands by there is none, but what it needs is
there, and so is the secret that says where it is: services read it themselves, again and again, so that a task that
runs already finds a cache that is made after it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components import naming
from components.firewall import VALKEY
from components.settings.cache import CacheSettings

ENGINE: Final = "valkey"
ENGINE_VERSION: Final = "8.1"
FAMILY: Final = "valkey8"
# UTC, away from each other, which ElastiCache demands, and from the database's windows.
SNAPSHOT_WINDOW: Final = "01:30-02:30"
MAINTENANCE_WINDOW: Final = "sun:06:00-sun:07:00"


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a new cache begins with: a snapshot, RDB files by ARN, or (neither given) nothing."""

    snapshot: str | None = None
    rdb_arns: Sequence[pulumi.Input[str]] | None = None

    @classmethod
    def of(cls, settings: CacheSettings, bucket_arn: pulumi.Input[str]) -> "Source":
        """As configured; an RDB file lies in the stack's own bucket of them."""
        match settings.restore:
            case "none":
                return cls()
            case "snapshot":
                return cls(snapshot=settings.snapshot)
            case "rdb":
                return cls(rdb_arns=[pulumi.Output.concat(bucket_arn, "/", str(settings.rdb))])


@dataclass(frozen=True, kw_only=True)
class CacheArgs:
    """`running`: whether there is a cache at all (the stack serves). `after`: what it waits for, the takeover."""

    short_name: str
    tags: naming.Tags
    running: bool
    node_type: str
    nodes: int
    retention_days: int
    source: Source
    subnet_ids: pulumi.Input[list[str]]
    security_group_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    secret_id: pulumi.Input[str]
    token: pulumi.Input[str]
    after: Sequence[pulumi.Resource]


class Cache(pulumi.ComponentResource):
    """Subnet group and parameter group always, the replication group while the stack serves, the secret's value.

    `nodes`: their ids as metrics name them, empty while there is no cache.
    """

    group: aws.elasticache.ReplicationGroup | None
    nodes: list[str]

    def __init__(self, name: str, args: CacheArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:cache:Cache", name, {}, opts)
        self._name = name
        self._args = args
        self._subnets = aws.elasticache.SubnetGroup(
            name,
            name=naming.physical(args.short_name, "redis-subnets"),
            description="Subnets without a route to the internet",
            subnet_ids=args.subnet_ids,
            tags=dict(args.tags),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._parameters = aws.elasticache.ParameterGroup(
            name,
            name=naming.physical(args.short_name, f"redis-{FAMILY}"),
            family=FAMILY,
            description="Makes room for new entries whatever is in the way",
            # By default only entries with a time to live make room: a cache full of others refuses every write.
            parameters=[aws.elasticache.ParameterGroupParameterArgs(name="maxmemory-policy", value="allkeys-lru")],
            tags=dict(args.tags),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._id = naming.physical(args.short_name, "redis")
        self.group = self._group() if args.running else None
        # ElastiCache numbers the nodes of a group in this way ("Replication groups", ElastiCache user guide).
        self.nodes = [f"{self._id}-{number:03}" for number in range(1, args.nodes + 1)] if args.running else []
        aws.secretsmanager.SecretVersion(
            name,
            secret_id=args.secret_id,
            secret_string=self._login(),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
        )
        self.register_outputs({"name": self.group.replication_group_id if self.group else None})

    def _group(self) -> aws.elasticache.ReplicationGroup:
        args, source = self._args, self._args.source
        return aws.elasticache.ReplicationGroup(
            self._name,
            replication_group_id=self._id,
            description=f"Cache of {naming.PLATFORM}",
            engine=ENGINE,
            engine_version=ENGINE_VERSION,
            node_type=args.node_type,
            num_cache_clusters=args.nodes,
            automatic_failover_enabled=True,
            multi_az_enabled=True,
            port=VALKEY,
            parameter_group_name=self._parameters.name,
            subnet_group_name=self._subnets.name,
            security_group_ids=[args.security_group_id],
            at_rest_encryption_enabled=True,
            kms_key_id=args.key_arn,
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            auth_token=args.token,
            # A new token leaves the one before valid: tasks that still have it go on until they read the secret again.
            auth_token_update_strategy="ROTATE",  # noqa: S106 (no token)
            auto_minor_version_upgrade=False,
            maintenance_window=MAINTENANCE_WINDOW,
            snapshot_window=SNAPSHOT_WINDOW,
            snapshot_retention_limit=args.retention_days,
            snapshot_name=source.snapshot,
            snapshot_arns=source.rdb_arns,
            apply_immediately=True,
            tags=dict(args.tags),
            opts=pulumi.ResourceOptions(
                parent=self,
                # What a new cache begins with is decided once: changed later it would replace, and empty, the one
                # that serves.
                ignore_changes=["snapshotName", "snapshotArns"],
                # A cache that cannot be made must find crisis detection already serving.
                depends_on=list(args.after),
            ),
        )

    def _login(self) -> pulumi.Output[str]:
        """The secret's value as services read it: JSON with host, port and token."""
        host: pulumi.Input[str] = self.group.primary_endpoint_address if self.group else naming.CACHE_HOST_WHEN_NONE
        port: pulumi.Input[int] = self.group.port.apply(lambda port: port or VALKEY) if self.group else VALKEY
        values = pulumi.Output.all(host=host, port=port, token=self._args.token)
        return pulumi.Output.secret(
            values.apply(
                lambda given: json.dumps({"host": given["host"], "port": int(given["port"]), "token": given["token"]})
            )
        )
