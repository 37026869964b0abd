"""Availability zones that have nothing left for Fargate: a fault that a rehearsal injects."""

from __future__ import annotations

from typing import Any

from moto.ec2.models import ec2_backends

from sandbox.cloud.context import ACCOUNT, BadRequest, Cloud
from sandbox.cloud.emulations import faults

KIND = "zone-without-capacity"
# "Amazon ECS service event messages", ECS developer guide.
NOTHING_LEFT = "Capacity is unavailable at this time. Please try again later or in a different availability zone."


def install(cloud: Cloud) -> None:
    """Accept the fault."""
    faults.add_kind(cloud, KIND, _check)


def _check(fault: dict[str, Any]) -> None:
    if fault.keys() != {"kind", "region", "zone"}:
        raise BadRequest(f"{KIND} has the fields region and zone")
    zones = [zone.name for zone in ec2_backends[ACCOUNT][str(fault["region"])].describe_availability_zones()]
    if fault["zone"] not in zones:
        raise BadRequest(f"{fault['region']} has no zone {fault['zone']}; it has {', '.join(zones)}")


def lacks(cloud: Cloud, zone: str) -> bool:
    """Whether no task can be placed in a zone now."""
    return any(fault["kind"] == KIND and fault["zone"] == zone for fault in cloud.faults)
