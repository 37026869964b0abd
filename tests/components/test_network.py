"""Addresses, way out and firewall of a region's network."""

import ipaddress

import pytest

from components.subnets import subnet_plan, zones
from tests.components.recording import Recording
from tests.components.wiring import Spec, Stack

INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"


def test_three_tiers_in_three_zones() -> None:
    plan = subnet_plan("10.20.0.0/16", "af-south-1")
    assert [(item.name, item.zone, item.cidr) for item in plan] == [
        ("public-a", "af-south-1a", "10.20.0.0/20"),
        ("public-b", "af-south-1b", "10.20.16.0/20"),
        ("public-c", "af-south-1c", "10.20.32.0/20"),
        ("private-a", "af-south-1a", "10.20.64.0/20"),
        ("private-b", "af-south-1b", "10.20.80.0/20"),
        ("private-c", "af-south-1c", "10.20.96.0/20"),
        ("isolated-a", "af-south-1a", "10.20.128.0/20"),
        ("isolated-b", "af-south-1b", "10.20.144.0/20"),
        ("isolated-c", "af-south-1c", "10.20.160.0/20"),
    ]


@pytest.mark.parametrize("cidr", ["10.0.0.0/16", "10.8.0.0/20", "192.168.0.0/24"])
def test_subnets_lie_inside_and_never_overlap(cidr: str) -> None:
    blocks = [ipaddress.IPv4Network(item.cidr) for item in subnet_plan(cidr, "eu-west-1")]
    assert all(block.subnet_of(ipaddress.IPv4Network(cidr)) for block in blocks)
    assert not any(a.overlaps(b) for a in blocks for b in blocks if a != b)
    assert all(16 <= block.prefixlen <= 28 for block in blocks)


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "10.0.0.0/25", "10.0.0.1/16"])
def test_unusable_blocks_are_refused(cidr: str) -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\."):
        subnet_plan(cidr, "eu-west-1")


def test_zones() -> None:
    assert zones("eu-west-1") == ("eu-west-1a", "eu-west-1b", "eu-west-1c")


def test_idle_standby_has_no_way_out() -> None:
    recording = Stack(standby=True).recorded()
    assert not recording.of("aws:ec2/natGateway:NatGateway")
    assert not recording.of("aws:ec2/eip:Eip")
    assert [route.name for route in recording.of("aws:ec2/route:Route")] == ["network-public-default"]


@pytest.mark.parametrize(
    "stack",
    [Stack(standby=False), Stack(standby=True, specs=(Spec("crisis-detection", True, "/crisis/*", standby_count=1),))],
    ids=["serving", "warm standby"],
)
def test_one_way_out_per_zone_when_something_runs(stack: Stack) -> None:
    recording = stack.recorded()
    gateways = recording.of("aws:ec2/natGateway:NatGateway")
    assert len(gateways) == 3
    assert len({gateway.inputs["subnetId"] for gateway in gateways}) == 3
    # Made before its subnet reaches the internet, a NAT gateway fails.
    assert all("network-public-default" in gateway.dependencies for gateway in gateways)
    routes = {route.inputs["routeTableId"] for route in recording.of("aws:ec2/route:Route")}
    assert {"network-private-a-id", "network-private-b-id", "network-private-c-id"} <= routes
    assert "network-isolated-id" not in routes


def test_load_balancer_waits_for_the_public_route() -> None:
    recording = Stack(standby=True).recorded()
    assert "network-public-default" in recording.waits_for("load-balancer")


def test_only_the_load_balancer_is_open_to_the_world() -> None:
    recording = Stack(standby=False).recorded()
    opened = {
        (rule.inputs["securityGroupId"], rule.inputs["fromPort"])
        for rule in recording.of(INGRESS)
        if "cidrIpv4" in rule.inputs
    }
    assert opened == {("network-firewall-alb-id", 443), ("network-firewall-alb-id", 80)}


def sources(recording: Recording, group: str) -> set[tuple[str, int]]:
    """Which groups may reach `group`, and on which port."""
    return {
        (rule.inputs["referencedSecurityGroupId"], rule.inputs["toPort"])
        for rule in recording.of(INGRESS)
        if rule.inputs["securityGroupId"] == f"network-firewall-{group}-id"
    }


def test_only_services_and_functions_reach_the_database() -> None:
    recording = Stack(standby=False).recorded()
    assert sources(recording, "database") == {
        ("network-firewall-service-id", 5432),
        ("network-firewall-function-id", 5432),
    }
    leaving = {rule.inputs["securityGroupId"] for rule in recording.of(EGRESS)}
    assert "network-firewall-database-id" not in leaving


def test_services_are_reached_from_the_load_balancer_and_from_each_other() -> None:
    reached = sources(Stack(standby=False).recorded(), "service")
    groups = ("network-firewall-alb-id", "network-firewall-service-id")
    assert reached == {(group, port) for group in groups for port in (8080, 8081, 8082)}


def test_function_reaches_secrets_without_a_way_out() -> None:
    recording = Stack(standby=True).recorded()
    endpoint = recording.one("aws:ec2/vpcEndpoint:VpcEndpoint", "network-secretsmanager")
    assert endpoint.inputs["vpcEndpointType"] == "Interface"
    assert endpoint.inputs["privateDnsEnabled"] is True
    assert endpoint.inputs["securityGroupIds"] == ["network-firewall-endpoint-id"]
    assert sources(recording, "endpoint") == {
        ("network-firewall-service-id", 443),
        ("network-firewall-function-id", 443),
    }
