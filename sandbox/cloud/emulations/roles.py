"""IAM: service-linked roles carry AWS's names, which moto writes in lower case for the services it has not listed."""

from __future__ import annotations

from moto.iam.models import SERVICE_NAME_CONVERSION

from sandbox.cloud.context import Cloud


def install(_cloud: Cloud) -> None:
    """Complete moto's list of names (IAM user guide, services that work with IAM)."""
    SERVICE_NAME_CONVERSION.update({"ecs": "ECS", "rds": "RDS", "elasticloadbalancing": "ElasticLoadBalancing"})
