"""What stands between a task and a database's address: names, regions, VPCs, security groups."""

from __future__ import annotations

from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations import databases, network
from sandbox.cloud.emulations.task_start import Place

POSTGRESQL = 5432  # what security groups speak of; on this machine each server has a port of its own


def obstacle(cloud: Cloud, place: Place, host: str, port: int) -> str | None:
    """Why a new connection from `place` to host:port fails before PostgreSQL hears of it; None if it arrives."""
    failed = f"connection to {host}:{port} failed"
    if cloud.is_cut(place.region):
        return f"{failed}: {place.region} is gone"
    if host != "127.0.0.1":
        return f'could not translate host name "{host}" to address: Name or service not known'
    instance = databases.by_port(place.region, port)
    if instance is None:
        return f"{failed}: no database of {place.region} has this address"
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
        POSTGRESQL,
        from_subnets=[place.subnet_id],
        to_subnets=others,
    ):
        return None
    return (
        f"{failed}: timed out; {', '.join(place.security_groups) or 'no security group'} may not reach "
        f"{', '.join(groups) or 'no security group'} of {instance.identifier} on {POSTGRESQL}"
    )
