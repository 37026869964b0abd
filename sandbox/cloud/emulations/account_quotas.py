"""What the account may have in a region: told by Service Quotas, refused beyond it.

POST /_sandbox/quotas {region, service, code, value} applies another value to the account, as a granted increase or the
smaller one of a new account would be. GET lists what was applied.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ecs.models import ecs_backends
from moto.rds.exceptions import RDSClientError
from moto.rds.models import RDSBackend
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.models import ServiceQuotasBackend
from moto.servicequotas.responses import ServiceQuotasResponse

from sandbox.cloud.context import ACCOUNT, BadRequest, Cloud
from sandbox.cloud.emulations.patching import add, replace

Code = tuple[str, str]  # service and quota

CPUS: Final = ("fargate", "L-3032A538")
ADDRESSES: Final = ("ec2", "L-0263D0A3")
INSTANCES: Final = ("rds", "L-7B6409FD")
STORAGE: Final = ("rds", "L-7ADDB58A")
UNITS_A_CPU: Final = 1024
# In a service's event, "was unable to place a task. Reason: …" (ECS developer guide, "Service event messages").
NO_ROOM: Final = "You've reached the limit on the number of vCPUs you can run concurrently"


@dataclass(frozen=True)
class Quota:
    """A quota and its default. `applied`: what the emulated account was granted, where that is more."""

    name: str
    default: float
    source: str
    applied: float | None = None


_GENERAL: Final = "https://docs.aws.amazon.com/general/latest/gr/"
QUOTAS: Final[dict[Code, Quota]] = {
    # docs/first-deployment.md has it raised before the first deployment.
    CPUS: Quota("Fargate On-Demand vCPU resource count", 6.0, f"{_GENERAL}ecs-service.html", applied=100.0),
    ADDRESSES: Quota("EC2-VPC Elastic IPs", 5.0, f"{_GENERAL}ec2-service.html"),
    INSTANCES: Quota("DB instances", 40.0, f"{_GENERAL}rds-service.html"),
    STORAGE: Quota("Total storage for all DB instances", 100_000.0, f"{_GENERAL}rds-service.html"),
}
_applied: dict[tuple[str, Code], float] = {}  # by region and code


def value(region: str, code: Code) -> float:
    """What holds for the account in a region."""
    quota = QUOTAS[code]
    return _applied.get((region, code), quota.default if quota.applied is None else quota.applied)


def check_databases(backend: RDSBackend, storage: int) -> None:
    """Refuse one more instance of `storage` GiB beyond what the account may have."""
    region, existing = backend.region_name, list(backend.databases.values())
    if len(existing) >= value(region, INSTANCES):
        raise RDSClientError("InstanceQuotaExceeded", "DB Instance quota exceeded.")
    if sum(int(found.allocated_storage or 0) for found in existing) + storage > value(region, STORAGE):
        raise RDSClientError("StorageQuotaExceeded", "The total storage quota for DB instances is exceeded.")


def has_room(region: str, cpu: int) -> bool:
    """Whether one more Fargate task of `cpu` units may run beside those that do."""
    clusters: list[dict[str, Any]] = list(ecs_backends[ACCOUNT][region].tasks.values())
    tasks = [task for cluster in clusters for task in list(cluster.values()) if task.last_status != "STOPPED"]
    running = sum(int(task.cpu or 0) for task in tasks)
    return (running + cpu) / UNITS_A_CPU <= value(region, CPUS)


def install(cloud: Cloud) -> None:
    """Answer for the quotas that are modelled, and refuse addresses beyond theirs."""
    _applied.clear()
    cloud.route("POST", "quotas", _apply)
    cloud.route("GET", "quotas", lambda _: {f"{region} {' '.join(code)}": v for (region, code), v in _applied.items()})
    _install_answers()
    allocate = EC2Backend.allocate_address

    def allocate_address(self: EC2Backend, *args: Any, **kwargs: Any) -> Any:
        if len(self.addresses) >= value(self.region_name, ADDRESSES):
            raise EC2ClientError("AddressLimitExceeded", "The maximum number of addresses has been reached.")
        return allocate(self, *args, **kwargs)

    replace(EC2Backend, allocate_address=allocate_address)


def _apply(data: dict[str, Any]) -> None:
    code, region, wanted = (str(data.get("service")), str(data.get("code"))), data.get("region"), data.get("value")
    if code not in QUOTAS or not isinstance(region, str) or not isinstance(wanted, int | float):
        known = ", ".join(" ".join(entry) for entry in QUOTAS)
        raise BadRequest(f"region, service, code and value (a number) are needed; modelled: {known}")
    _applied[region, code] = float(wanted)


def _install_answers() -> None:
    """GetServiceQuota tells only what was applied to the account; for the rest there is the default (API reference)."""

    def get_service_quota(self: ServiceQuotasBackend, service_code: str, quota_code: str) -> dict[str, Any]:
        code = (service_code, quota_code)
        if code not in QUOTAS or ((self.region_name, code) not in _applied and QUOTAS[code].applied is None):
            raise NoSuchResource
        return _shown(self.region_name, code, value(self.region_name, code))

    def get_aws_default_service_quota(self: ServiceQuotasResponse) -> str:
        code = (self._get_param("ServiceCode"), self._get_param("QuotaCode"))
        if code not in QUOTAS:
            raise NoSuchResource
        return json.dumps({"Quota": _shown(self.region, code, QUOTAS[code].default)})

    replace(ServiceQuotasBackend, get_service_quota=get_service_quota)
    add(ServiceQuotasResponse, get_aws_default_service_quota=get_aws_default_service_quota)


def _shown(region: str, code: Code, number: float) -> dict[str, Any]:
    service, quota = code
    return {
        "ServiceCode": service,
        "QuotaCode": quota,
        "QuotaArn": f"arn:aws:servicequotas:{region}:{ACCOUNT}:{service}/{quota}",
        "QuotaName": QUOTAS[code].name,
        "Value": number,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }
