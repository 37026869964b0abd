"""Whether the account's quotas in the standby region leave room for what a promotion adds there.

Service Quotas is asked in that region, and so is what already counts. A quota that nobody tells forbids nothing, nor
does one that only standard services would exceed: nobody in distress has to wait for those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from components.subnets import ZONE_LETTERS
from components.workloads import ServiceSpec
from scripts.promotion import findings
from scripts.promotion.concurrently import ask
from scripts.promotion.findings import Finding
from scripts.promotion.site import Site

SUBJECT = "quotas"
SECONDS = 6.0  # real, for all of them
UNITS_A_CPU = 1024
DESCRIBED_AT_ONCE = 100  # tasks in one call
SPOT = "FARGATE_SPOT"  # has a quota of its own


@dataclass(frozen=True)
class Need:
    """`used` by what is there, `more` by what is critical; `later` is what the stack needs at its peak."""

    used: float
    more: float
    later: float = 0.0


@dataclass(frozen=True)
class Quota:
    """A quota by its codes (`aws service-quotas list-service-quotas`) and what a promotion needs of it."""

    service: str
    code: str
    name: str
    need: Callable[[Site], Need]


def look(site: Site) -> list[Finding]:
    """A refusal for each quota that is too small, a warning for each that is unknown or will be too small later."""
    answers = ask({quota.code: partial(_judge, site, quota) for quota in QUOTAS}, SECONDS)
    found = []
    for quota in QUOTAS:
        answer = answers[quota.code]
        if isinstance(answer, Finding):
            found.append(answer)
        else:
            found.append(findings.unknown(SUBJECT, answer, site.region))
    return found


def _judge(site: Site, quota: Quota) -> Finding:
    value, need = _value(site, quota), quota.need(site)
    told = f"{quota.name} ({quota.service} {quota.code}) is {value:.10g} in {site.region}"
    needed = need.used + need.more
    if needed > value:
        text = f"{told}, {need.used:.10g} of it used: the promotion needs {need.more:.10g} more."
        return findings.refused(SUBJECT, text, _how_to_raise(site, quota, max(needed, need.later)))
    if need.later > value:
        text = f"{told}: enough for the critical services, but at its peak this stack needs {need.later:.10g}"
        return findings.warning(SUBJECT, text, _how_to_raise(site, quota, need.later))
    return findings.ok(SUBJECT, f"{told}, {need.used:.10g} used, {need.more:.10g} needed")


def _how_to_raise(site: Site, quota: Quota, value: float) -> str:
    return (
        f"`aws service-quotas request-service-quota-increase --region {site.region} --service-code {quota.service} "
        f"--quota-code {quota.code} --desired-value {value:.10g}` takes minutes to days; or free what is not needed."
    )


def _value(site: Site, quota: Quota) -> float:
    """What is applied to this account; AWS's default where nothing else was ever applied."""
    client = site.client("service-quotas")
    wanted = {"ServiceCode": quota.service, "QuotaCode": quota.code}
    try:
        found = client.get_service_quota(**wanted)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "NoSuchResourceException":
            raise
        found = client.get_aws_default_service_quota(**wanted)
    return float(found["Quota"]["Value"])


# -- what counts --------------------------------------------------------------------------------------------------
def _cpus(site: Site) -> Need:
    """Tasks that run in other clusters count, those of the own one are what is needed. A deployment at peak load runs
    every task twice."""
    services = site.settings.services
    own = site.stack.physical("cluster")
    used = sum(_cpus_of(site, arn) for arn in _listed(site, "list_clusters", "clusterArns") if _name(arn) != own)
    more = _sum([service for service in services if service.critical], lambda service: service.desired_count)
    return Need(used, more, used + 2 * _sum(services, lambda service: service.max_count))


def _sum(services: Sequence[ServiceSpec], count: Callable[[ServiceSpec], int]) -> float:
    return sum(service.cpu * count(service) for service in services) / UNITS_A_CPU


def _cpus_of(site: Site, cluster: str) -> float:
    arns = _listed(site, "list_tasks", "taskArns", cluster=cluster, launchType="FARGATE")
    ecs = site.client("ecs")
    tasks = [
        task
        for start in range(0, len(arns), DESCRIBED_AT_ONCE)
        for task in ecs.describe_tasks(cluster=cluster, tasks=arns[start : start + DESCRIBED_AT_ONCE])["tasks"]
    ]
    return sum(int(task["cpu"]) for task in tasks if task.get("capacityProviderName") != SPOT) / UNITS_A_CPU


def _listed(site: Site, operation: str, key: str, **parameters: Any) -> list[str]:
    pages = site.client("ecs").get_paginator(operation).paginate(**parameters)
    return [str(arn) for page in pages for arn in page[key]]


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


def _addresses(site: Site) -> Need:
    """One for the NAT gateway of each zone; those that an earlier run made are there."""
    found = site.client("ec2").describe_addresses()["Addresses"]
    own = [entry for entry in found if _tag(entry.get("Tags"), "Stack") == site.stack.stack]
    return Need(len(found), max(0, len(ZONE_LETTERS) - len(own)))


def _tag(tags: Iterable[Any] | None, name: str) -> str | None:
    return next((str(tag["Value"]) for tag in tags or () if tag["Key"] == name), None)


def _instances(site: Site) -> Need:
    found, exists = _databases(site)
    return Need(len(found), 0 if exists else 1)


def _storage(site: Site) -> Need:
    found, exists = _databases(site)
    used = sum(int(entry["AllocatedStorage"]) for entry in found)
    return Need(used, 0 if exists else site.settings.database.allocated_storage)


def _databases(site: Site) -> tuple[list[Any], bool]:
    """All of the region, and whether the one that is to serve is among them."""
    pages = site.client("rds").get_paginator("describe_db_instances").paginate()
    found = [entry for page in pages for entry in page["DBInstances"]]
    serving = site.settings.serving_identifier
    return found, any(entry["DBInstanceIdentifier"] == serving for entry in found)


QUOTAS = (
    Quota("fargate", "L-3032A538", "Fargate On-Demand vCPU resource count", _cpus),
    Quota("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", _addresses),
    Quota("rds", "L-7B6409FD", "DB instances", _instances),
    Quota("rds", "L-7ADDB58A", "Total storage for all DB instances", _storage),
)
