"""What stands between a task and the address of a database or a cache: names, regions, VPCs, security groups."""

from __future__ import annotations

from typing import Protocol

from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations import caches, databases, network
from sandbox.cloud.emulations.task_start import Place

# What security groups speak of; on this machine each server has a port of its own.
POSTGRESQL = 5432
VALKEY = 6379


class Target(Protocol):
    """A server that a task may want to reach."""

    @property
    def identifier(self) -> str:
        """Its name."""

    @property
    def status(self) -> str:
        """AWS's word for its state."""

    @property
    def reachable(self) -> bool:
        """Whether it runs and AWS has handed it over."""

    @property
    def security_groups(self) -> list[str]:
        """Ids."""

    @property
    def subnets(self) -> list[str]:
        """Ids."""


def obstacle(cloud: Cloud, place: Place, host: str, port: int) -> str | None:
    """Why a new connection from `place` to host:port fails before its server hears of it; None if it arrives."""
    failed = f"connection to {host}:{port} failed"
    if cloud.is_cut(place.region):
        return f"{failed}: {place.region} is gone"
    if host != "127.0.0.1":
        return f'could not translate host name "{host}" to address: Name or service not known'
    database: Target | None = databases.by_port(place.region, port)
    instance = database or caches.by_port(place.region, port)
    aws_port = POSTGRESQL if database else VALKEY
    if instance is None:
        return f"{failed}: no database or cache of {place.region} has this address"
    if not instance.reachable:
        return f"{failed}: connection refused ({instance.identifier} is {instance.status})"
    own, others = network.vpc_of(place.region, place.subnet_id), instance.subnets
    if own is None or (others and own not in {network.vpc_of(place.region, subnet) for subnet in others}):
        return f"{failed}: {instance.identifier} is in another VPC"
    groups = instance.security_groups
    if network.allows(
        place.region,
        place.security_groups,
        groups,
        aws_port,
        from_subnets=[place.subnet_id],
        to_subnets=others,
    ):
        return None
    return (
        f"{failed}: timed out; {', '.join(place.security_groups) or 'no security group'} may not reach "
        f"{', '.join(groups) or 'no security group'} of {instance.identifier} on {aws_port}"
    )
