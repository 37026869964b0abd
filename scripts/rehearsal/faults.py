"""What else may fail during a rehearsed promotion, although nothing critical needs it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from scripts.errors import RefusedError
from scripts.project import Project


class Fault(StrEnum):
    """The faults that a rehearsal can inject, by the names that the command line takes."""

    STANDARD_SERVICE = "standard-service"
    SIDE_RESOURCE = "side-resource"


def half_alive(project: Project) -> dict[str, Any]:
    """The returned primary's state: it answers the public health path, but its last critical service is down."""
    primary = project.primary
    down = [service.name for service in primary.services if service.critical][-1]
    return {"kind": "service-crash", "service": down, "region": primary.region}


def request(fault: Fault, project: Project) -> dict[str, Any]:
    """The control API's words for a fault, which hits the first standard service of the standby stack.

    Raises RefusedError where the stack has only critical services.
    """
    standby = project.standby
    service = next((service.name for service in standby.services if not service.critical), None)
    if service is None:
        raise RefusedError(f"{standby.stack} has no standard service that could fail.", "Leave --fault out.")
    if fault is Fault.STANDARD_SERVICE:
        return {"kind": "service-crash", "service": service, "region": standby.region}
    return {
        "kind": "api-error",
        "region": standby.region,
        "service": "secretsmanager",
        "operation": "PutSecretValue",
        "contains": f"database/{service}",
        "code": "AccessDeniedException",
        "message": "refused by the rehearsal",
    }
