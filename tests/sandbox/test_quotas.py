"""Quotas of the emulated account: told by Service Quotas, enforced as AWS enforces them, seen by the preflight."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.promotion import quotas
from scripts.promotion.findings import Finding
from scripts.promotion.site import Site
from tests.sandbox import traffic_world
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA, World
from tests.scripts.made_up_site import project

CPUS, ADDRESSES, INSTANCES, STORAGE = (quota.code for quota in quotas.QUOTAS)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with traffic_world.running() as started:
        yield started
        started.assert_sound()


@pytest.fixture
def site(world: World, tmp_path: Path) -> Site:
    made = project(tmp_path)
    keys = {"AWS_ACCESS_KEY_ID": "OPERATOR", "AWS_SECRET_ACCESS_KEY": "fake"}
    return Site(made, made.standby, {**keys, "AWS_ENDPOINT_URL": world.url})


def apply(world: World, service: str, code: str, value: float, region: str = SOUTH_AFRICA) -> None:
    world.control("POST", "quotas", {"region": region, "service": service, "code": code, "value": value})


def looked(site: Site) -> dict[str, Finding]:
    """By the quota's code."""
    found = quotas.look(site)
    assert len(found) == len(quotas.QUOTAS)
    return {quota.code: entry for quota, entry in zip(quotas.QUOTAS, found, strict=True)}


def refused(code: str, call: Any, **parameters: Any) -> None:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert caught.value.response["Error"]["Code"] == code


def test_an_account_that_was_prepared_as_the_guide_says_has_room(site: Site) -> None:
    found = looked(site)
    assert {entry.level for entry in found.values()} == {"ok"}, found
    # desiredCount × cpu of the critical services; the NAT gateways of three zones; one database of the configured size.
    assert found[CPUS].text.endswith("is 100 in af-south-1, 0 used, 2 needed")
    assert found[ADDRESSES].text.endswith("is 5 in af-south-1, 0 used, 3 needed"), "AWS's default: nothing was applied"
    assert found[INSTANCES].text.endswith("0 used, 1 needed")


@pytest.mark.parametrize(
    ("service", "code", "value", "more"),
    [("fargate", CPUS, 1, "2"), ("ec2", ADDRESSES, 2, "3"), ("rds", INSTANCES, 0, "1"), ("rds", STORAGE, 50, "100")],
)
def test_too_little_is_refused_with_the_command_that_asks_for_more(
    world: World, site: Site, service: str, code: str, value: float, more: str
) -> None:
    before = next(entry for entry in looked(site).values() if code in entry.text)
    apply(world, service, code, value)
    try:
        found = looked(site)[code]
    finally:
        apply(world, service, code, float(before.text.split(" is ")[1].split()[0]))
    assert found.level == "refused"
    assert f"({service} {code}) is {value:g} in af-south-1, 0 of it used: the promotion needs {more} more" in found.text
    assert "request-service-quota-increase --region af-south-1" in found.hint
    assert f"--service-code {service} --quota-code {code} --desired-value" in found.hint


@pytest.mark.parametrize("value", [3, 10])
def test_what_is_enough_for_the_critical_services_but_not_at_the_peak_is_a_warning(
    world: World, site: Site, value: float
) -> None:
    apply(world, "fargate", CPUS, value)
    try:
        found = looked(site)[CPUS]
    finally:
        apply(world, "fargate", CPUS, 100)
    assert found.level == "warning"
    assert "--desired-value 67" in found.hint, "cpu × maxCount of all services, twice: docs/first-deployment.md"


def test_a_quota_that_nobody_tells_forbids_nothing(world: World, site: Site) -> None:
    fault = {
        "kind": "api-error",
        "region": SOUTH_AFRICA,
        "service": "servicequotas",
        "operation": "GetServiceQuota",
        "code": "AccessDeniedException",
    }
    world.control("POST", "faults", fault)
    try:
        found = looked(site)
    finally:
        world.control("DELETE", "faults", {"kind": "api-error"})
    assert {entry.level for entry in found.values()} == {"warning"}
    assert "AccessDeniedException" in found[CPUS].text


def test_another_region_has_its_own(world: World, site: Site) -> None:
    apply(world, "ec2", ADDRESSES, 0, KENYA)
    assert looked(site)[ADDRESSES].level == "ok"
    apply(world, "ec2", ADDRESSES, 5, KENYA)


# -- what AWS refuses -----------------------------------------------------------------------------------------------
def test_an_address_too_many(world: World) -> None:
    ec2 = world.client("ec2", KENYA)
    made = [ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(5)]
    refused("AddressLimitExceeded", ec2.allocate_address, Domain="vpc")
    for address in made:
        ec2.release_address(AllocationId=address)


def test_a_database_too_many(world: World) -> None:
    given = {
        "DBInstanceIdentifier": "one-more",
        "DBInstanceClass": "db.t4g.medium",
        "Engine": "postgres",
        "AllocatedStorage": 20,
        "MasterUsername": "postgres",
        "MasterUserPassword": "master-password",
    }
    create = world.client("rds", KENYA).create_db_instance
    apply(world, "rds", STORAGE, 19, KENYA)
    refused("StorageQuotaExceeded", create, **given)
    apply(world, "rds", INSTANCES, 0, KENYA)
    refused("InstanceQuotaExceeded", create, **given)


def test_a_quota_that_is_not_modelled_is_not_known(world: World) -> None:
    client = world.client("service-quotas", KENYA)
    refused("NoSuchResourceException", client.get_service_quota, ServiceCode="ec2", QuotaCode="L-00000000")
    refused("NoSuchResourceException", client.get_service_quota, ServiceCode="ec2", QuotaCode=ADDRESSES[:-1] + "4")
    with pytest.raises(RuntimeError, match="modelled: fargate"):
        apply(world, "ec2", "L-00000000", 1)
