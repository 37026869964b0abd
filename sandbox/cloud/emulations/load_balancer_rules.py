"""What AWS refuses about load balancers, listeners and rules, and moto accepts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from moto.elbv2.exceptions import DuplicateListenerError, DuplicateLoadBalancerName, ELBClientError
from moto.elbv2.models import ELBv2Backend

from sandbox.cloud.emulations import certificates, routing

FIXED_RESPONSE_LIMIT = 1024  # bytes, ELBv2 API: FixedResponseActionConfig.MessageBody
NAME_LIMIT = 32
RULE_VALUES_LIMIT = 5
_NAME = re.compile(r"(?!.*--)(?!^-)(?!.*-$)^[A-Za-z0-9-]+$")


def invalid(message: str) -> ELBClientError:
    """ELB's ValidationError."""
    return ELBClientError("ValidationError", message)


def check_balancer(
    backend: ELBv2Backend, name: str, security_groups: Sequence[str], subnet_ids: Sequence[str], mappings: Sequence[Any]
) -> None:
    """Refuse a load balancer whose name, subnets or groups AWS would refuse."""
    if len(name) > NAME_LIMIT:
        raise invalid(f"The load balancer name '{name}' cannot be longer than '{NAME_LIMIT}' characters")
    if not _NAME.match(name):
        raise invalid(
            f"The load balancer name '{name}' can only contain characters that are alphanumeric characters "
            "and hyphens(-), must not begin or end with a hyphen"
        )
    if name.startswith("internal-"):
        raise invalid(f"The load balancer name '{name}' cannot begin with 'internal-'")
    if any(balancer.name == name for balancer in backend.load_balancers.values()):
        raise DuplicateLoadBalancerName()
    ids = [*subnet_ids, *(mapping["SubnetId"] for mapping in mappings)]
    zones = {backend.ec2_backend.get_subnet(subnet_id).availability_zone for subnet_id in ids}
    if len(zones) < 2:
        raise invalid("At least two subnets in two different Availability Zones must be specified")
    for group_id in security_groups:
        if backend.ec2_backend.get_security_group_from_id(group_id) is None:
            raise ELBClientError("InvalidSecurityGroup", f"Security group '{group_id}' does not exist")


def check_listener(balancer: Any, protocol: str, port: Any, certificate: str | None) -> None:
    """Refuse a second listener on a port, and HTTPS without an issued certificate."""
    if balancer is not None and any(int(other.port) == int(port) for other in balancer.listeners.values()):
        raise DuplicateListenerError()
    check_certificate(protocol, certificate)


def check_certificate(protocol: str, certificate: str | None) -> None:
    """Refuse HTTPS without a certificate, or with one that ACM has not issued."""
    if protocol != "HTTPS":
        return
    if not certificate:
        raise invalid("A certificate must be specified for HTTPS listeners")
    certificates.refuse_unless_issued(certificate)


def check_actions(actions: Iterable[Any]) -> None:
    """Refuse fixed responses that are too long; an action type that isn't emulated is an error."""
    data = [action.data if hasattr(action, "data") else action for action in actions]
    routing.check_actions(data)
    for index, action in enumerate(data, start=1):
        body = action.get("FixedResponseConfig", {}).get("MessageBody") or ""
        if len(body.encode()) > FIXED_RESPONSE_LIMIT:
            raise invalid(
                f"1 validation error detected: Value '{body}' at 'actions.{index}.member.fixedResponseConfig."
                f"messageBody' failed to satisfy constraint: Member must have length less than or equal to "
                f"{FIXED_RESPONSE_LIMIT}"
            )


def check_conditions(conditions: Iterable[dict[str, Any]]) -> None:
    """Refuse more values than a rule may have; a condition that isn't emulated is an error."""
    found = list(conditions or ())
    routing.check_conditions(found)
    values = 0
    for condition in found:
        config: dict[str, Any] = next((value for key, value in condition.items() if key.endswith("Config")), {})
        values += len(config.get("Values") or condition.get("Values") or [])
    if values > RULE_VALUES_LIMIT:
        raise invalid(f"A rule can only have '{RULE_VALUES_LIMIT}' condition values")
