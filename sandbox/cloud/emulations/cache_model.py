"""What a replication group and a snapshot are, and what ElastiCache's descriptions show of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sandbox.cloud import cache_rules
from sandbox.cloud.cache_server import Server
from sandbox.cloud.context import ACCOUNT

Wanted = dict[str, Any]
HOST: Final = "127.0.0.1"
# What AWS chooses where the request says nothing.
DEFAULTS: Final[Wanted] = {
    "Engine": "redis",
    "NumCacheClusters": 1,
    "AutomaticFailoverEnabled": False,
    "MultiAZEnabled": False,
    "AtRestEncryptionEnabled": False,
    "AutoMinorVersionUpgrade": True,
    "SnapshotRetentionLimit": 0,
    "SnapshotWindow": "05:00-06:00",
    "PreferredMaintenanceWindow": "mon:07:00-mon:08:00",
}


@dataclass
class Group:
    """A replication group: what was asked for, with AWS's defaults, and the server behind it."""

    region: str
    wanted: Wanted
    server: Server
    created: float
    status: str = "creating"
    tokens: list[str] = field(default_factory=list)
    manual: list[float] = field(default_factory=list)  # when manual snapshots were taken, modelled
    prepared: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        return str(self.wanted["ReplicationGroupId"])

    @property
    def identifier(self) -> str:
        return self.name

    @property
    def security_groups(self) -> list[str]:
        """The ids of its security groups."""
        return list(self.wanted.get("SecurityGroupIds") or [])

    @property
    def subnets(self) -> list[str]:
        """The ids of its subnet group's subnets."""
        return cache_rules.subnets(self.region, self.wanted.get("CacheSubnetGroupName"))

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def reachable(self) -> bool:
        """Whether a client may connect: the server runs and ElastiCache has handed it over."""
        return self.server.process is not None and self.status not in ("creating", "deleting")

    @property
    def members(self) -> list[str]:
        """The nodes' ids."""
        return [f"{self.name}-{number:03}" for number in range(1, self.wanted["NumCacheClusters"] + 1)]

    @property
    def arn(self) -> str:
        return f"arn:aws:elasticache:{self.region}:{ACCOUNT}:replicationgroup:{self.name}"


@dataclass
class Snapshot:
    """A snapshot: an RDB file and what it was taken of."""

    name: str
    region: str
    of: Wanted
    file: Path
    status: str = "creating"

    def shown(self) -> dict[str, Any]:
        kept = ("ReplicationGroupId", "CacheNodeType", "Engine", "EngineVersion", "KmsKeyId", "SnapshotWindow")
        return {
            "SnapshotName": self.name,
            "SnapshotStatus": self.status,
            "SnapshotSource": "manual",
            "NumNodeGroups": 1,
            "ARN": f"arn:aws:elasticache:{self.region}:{ACCOUNT}:snapshot:{self.name}",
            **{key: self.of[key] for key in kept if key in self.of},
        }


_GROUP: Final = (
    "ReplicationGroupId",
    "SnapshotRetentionLimit",
    "SnapshotWindow",
    "CacheNodeType",
    "AtRestEncryptionEnabled",
    "KmsKeyId",
    "TransitEncryptionEnabled",
    "TransitEncryptionMode",
    "AutoMinorVersionUpgrade",
    "Engine",
)
_NODE: Final = (
    "CacheNodeType",
    "Engine",
    "PreferredMaintenanceWindow",
    "CacheSubnetGroupName",
    "ReplicationGroupId",
    "SnapshotWindow",
    "SnapshotRetentionLimit",
    "TransitEncryptionEnabled",
    "AtRestEncryptionEnabled",
    "AutoMinorVersionUpgrade",
)


def shown(group: Group) -> Wanted:
    """What DescribeReplicationGroups says; while it is being made it has no endpoint."""
    wanted = group.wanted
    return {
        **{key: wanted[key] for key in _GROUP if key in wanted},
        "Description": wanted["ReplicationGroupDescription"],
        "Status": group.status,
        "ARN": group.arn,
        "MemberClusters": group.members,
        "NodeGroups": [] if group.status == "creating" else [_node_group(group)],
        "AutomaticFailover": "enabled" if wanted["AutomaticFailoverEnabled"] else "disabled",
        "MultiAZ": "enabled" if wanted["MultiAZEnabled"] else "disabled",
        "AuthTokenEnabled": bool(group.tokens),
        "ClusterEnabled": False,
        "ClusterMode": "disabled",
        "PendingModifiedValues": {},
    }


def _node_group(group: Group) -> Wanted:
    zones = cache_rules.zones(group.region, group.wanted.get("CacheSubnetGroupName"))
    endpoint = {"Address": HOST, "Port": group.port}
    nodes = [
        {
            "CacheClusterId": member,
            "CacheNodeId": "0001",
            "ReadEndpoint": endpoint,
            "PreferredAvailabilityZone": zones[number % len(zones)],
            "CurrentRole": "replica" if number else "primary",
        }
        for number, member in enumerate(group.members)
    ]
    return {
        "NodeGroupId": "0001",
        "Status": group.status,
        "PrimaryEndpoint": endpoint,
        "ReaderEndpoint": endpoint,
        "NodeGroupMembers": nodes,
    }


def shown_node(member: str, group: Group) -> Wanted:
    """What DescribeCacheClusters says of one node."""
    wanted = group.wanted
    groups = wanted.get("SecurityGroupIds") or []
    return {
        **{key: wanted[key] for key in _NODE if key in wanted},
        "CacheClusterId": member,
        "CacheClusterStatus": group.status,
        "EngineVersion": f"{wanted['EngineVersion']}.0",
        "NumCacheNodes": 1,
        "CacheParameterGroup": {"CacheParameterGroupName": wanted["CacheParameterGroupName"]},
        "SecurityGroups": [{"SecurityGroupId": group_id, "Status": "active"} for group_id in groups],
        "ARN": f"arn:aws:elasticache:{group.region}:{ACCOUNT}:cluster:{member}",
    }
