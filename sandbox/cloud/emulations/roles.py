"""IAM: service-linked roles carry AWS's names, which moto writes otherwise for the services it has not listed."""

from __future__ import annotations

import json
from typing import Any, Final

from moto.iam.exceptions import EntityAlreadyExists, InvalidInput
from moto.iam.models import SERVICE_NAME_CONVERSION, IAMBackend

from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations.patching import replace

# Names that do not follow from the service's (IAM user guide, services that work with IAM).
NAMES: Final = {
    "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
}


def _create(iam: IAMBackend, service_name: str, description: str) -> Any:
    allow = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service_name}}
    return iam.create_role(
        NAMES[service_name],
        json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
        f"/aws-service-role/{service_name}/",
        permissions_boundary=None,
        description=description,
        tags=[],
        max_session_duration="3600",
        linked_service=service_name,
    )


def install(_cloud: Cloud) -> None:
    """Complete moto's list of names (IAM user guide, services that work with IAM)."""
    SERVICE_NAME_CONVERSION.update(
        {"ecs": "ECS", "elasticache": "ElastiCache", "elasticloadbalancing": "ElasticLoadBalancing", "rds": "RDS"}
    )
    create = IAMBackend.create_service_linked_role

    def create_service_linked_role(self: IAMBackend, service_name: str, description: str, suffix: str) -> Any:
        try:
            if service_name in NAMES:
                return _create(self, service_name, description)
            return create(self, service_name, description, suffix)
        except EntityAlreadyExists:
            message = f"Service role name for {service_name} has been taken in this account."
            raise InvalidInput(message) from None

    replace(IAMBackend, create_service_linked_role=create_service_linked_role)
