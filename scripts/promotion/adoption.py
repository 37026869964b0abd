"""What AWS made of a create whose answer the engine never heard: found in the own region by what was asked for.

Only types whose create takes long or leaves something that a second create would collide with. Ids are what the
provider uses: for a database its resource id (Terraform AWS provider, internal/service/rds/instance.go), for a route a
hash of table and destination (internal/service/ec2/vpc_route.go).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.promotion.leftovers import Leftover
from scripts.promotion.site import Site

Inputs = Mapping[str, Any]

DATABASE = "aws:rds/instance:Instance"
ADDRESS = "aws:ec2/eip:Eip"
GATEWAY = "aws:ec2/natGateway:NatGateway"
ROUTE = "aws:ec2/route:Route"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
# Made again they are what they were: a call that sets what is so already, or a wait.
REPEATABLE = frozenset(
    {
        "aws:lambda/invocation:Invocation",
        "aws:s3/bucketObjectv2:BucketObjectv2",
        "aws:secretsmanager/secretVersion:SecretVersion",
        "pulumi-python:dynamic/takeover:HealthyTargets",
        "pulumi-python:dynamic:Resource",
    }
)
USABLE = ("available", "storage-optimization")
LOST = ("failed", "restore-error", "storage-full", "stopped", "deleting", "inaccessible-encryption-credentials")


@dataclass(frozen=True)
class Found:
    """What stands in AWS for a leftover. `status` is AWS's word; `ours`: its tags say that it is this stack's."""

    id: str
    name: str
    status: str
    ours: bool = True

    @property
    def ready(self) -> bool:
        return self.status in USABLE

    @property
    def lost(self) -> bool:
        return self.status in LOST or self.status.startswith("incompatible-")


def known(kind: str) -> bool:
    """Whether there is a way to find out what became of a create of this type."""
    return kind in FINDERS


def find(site: Site, leftover: Leftover) -> Found | None:
    """What the create made; None where it made nothing."""
    return FINDERS[leftover.kind](site, leftover.inputs)


def _tags(entries: Any) -> dict[str, str]:
    return {entry["Key"]: entry["Value"] for entry in entries or ()}


def _ours(site: Site, tags: Mapping[str, str]) -> bool:
    return tags.get("Stack") == site.stack.stack


def _database(site: Site, inputs: Inputs) -> Found | None:
    found = site.instance(inputs["identifier"])
    if found is None:
        return None
    ours = _ours(site, _tags(found.get("TagList")))
    return Found(found["DbiResourceId"], found["DBInstanceIdentifier"], found["DBInstanceStatus"], ours)


def _named(site: Site, inputs: Inputs) -> list[dict[str, Any]]:
    """Filters for what carries the tags that were asked for."""
    return [
        {"Name": "tag:Name", "Values": [inputs["tags"]["Name"]]},
        {"Name": "tag:Stack", "Values": [site.stack.stack]},
    ]


def _address(site: Site, inputs: Inputs) -> Found | None:
    found = site.client("ec2").describe_addresses(Filters=_named(site, inputs))["Addresses"]
    free = [entry for entry in found if not entry.get("AssociationId")]
    return Found(free[0]["AllocationId"], inputs["tags"]["Name"], USABLE[0]) if free else None


def _gateway(site: Site, inputs: Inputs) -> Found | None:
    living = {"Name": "state", "Values": ["pending", "available"]}
    pages = site.client("ec2").get_paginator("describe_nat_gateways")
    listed = [
        entry
        for page in pages.paginate(Filters=[*_named(site, inputs), living])
        for entry in page["NatGateways"]
        if entry["SubnetId"] == inputs["subnetId"]
    ]
    return Found(listed[0]["NatGatewayId"], inputs["tags"]["Name"], listed[0]["State"]) if listed else None


def _route(site: Site, inputs: Inputs) -> Found | None:
    table, destination = inputs["routeTableId"], inputs["destinationCidrBlock"]
    routes = site.client("ec2").describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
    if not any(route.get("DestinationCidrBlock") == destination for route in routes):
        return None
    return Found(f"r-{table}{zlib.crc32(destination.encode())}", f"{destination} in {table}", USABLE[0])


def _cache(site: Site, inputs: Inputs) -> Found | None:
    client = site.client("elasticache")
    name = inputs["replicationGroupId"]
    try:
        found = client.describe_replication_groups(ReplicationGroupId=name)["ReplicationGroups"][0]
    except client.exceptions.ReplicationGroupNotFoundFault:
        return None
    return Found(name, name, "failed" if found["Status"] == "create-failed" else found["Status"])


def _log_group(site: Site, inputs: Inputs) -> Found | None:
    client, name = site.client("logs"), inputs["name"]
    pages = client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
    arn = next(
        (entry["logGroupArn"] for page in pages for entry in page["logGroups"] if entry["logGroupName"] == name), None
    )
    if arn is None:
        return None
    tags = client.list_tags_for_resource(resourceArn=arn)["tags"]
    return Found(name, name, USABLE[0], _ours(site, tags))


FINDERS: Mapping[str, Callable[[Site, Inputs], Found | None]] = {
    DATABASE: _database,
    ADDRESS: _address,
    GATEWAY: _gateway,
    ROUTE: _route,
    CACHE: _cache,
    LOG_GROUP: _log_group,
}
