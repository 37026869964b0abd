"""Addresses, way out and firewall of a region's network."""

import ipaddress
import json

import pytest

from components.flow_logs import flow_log_policy
from components.subnets import subnet_plan, zones
from tests.components.recording import ACCOUNT, Recording
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
        if rule.inputs["securityGroupId"] == f"network-firewall-{group}-id" and "cidrIpv4" not in rule.inputs
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


def test_nothing_is_open_between_tiers_that_is_not_meant_to_be() -> None:
    """Load balancer to service, service to service and database, function to database, both to endpoints: no more."""
    recording = Stack(standby=False).recorded()
    tiers = ("alb", "service", "function", "database", "endpoint")
    reachable = {
        tier: {source.removeprefix("network-firewall-").removesuffix("-id") for source, _ in sources(recording, tier)}
        for tier in tiers
    }
    assert reachable == {
        "alb": set(),
        "service": {"alb", "service"},
        "function": set(),
        "database": {"service", "function"},
        "endpoint": {"service", "function"},
    }


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


def test_flow_logs_see_everything_and_are_encrypted_and_kept() -> None:
    recording = Stack(standby=True).recorded()
    flow_log = recording.one("aws:ec2/flowLog:FlowLog", "flow-logs")
    assert flow_log.inputs["trafficType"] == "ALL"
    assert flow_log.inputs["vpcId"] == "network-id"
    assert flow_log.inputs["maxAggregationInterval"] == 60
    group = recording.one("aws:cloudwatch/logGroup:LogGroup", "flow-logs").inputs
    assert (group["retentionInDays"], group["kmsKeyId"]) == (90, "arn:aws:kms:own")
    # Begun before its role may write, it loses what it saw until then.
    assert ("aws:iam/rolePolicy:RolePolicy", "flow-logs") in flow_log.dependency_keys


def test_flow_logs_role_serves_this_accounts_flow_logs_alone() -> None:
    recording = Stack(standby=True).recorded()
    trust = json.loads(recording.one("aws:iam/role:Role", "flow-logs").inputs["assumeRolePolicy"])["Statement"][0]
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:ec2:af-south-1:{ACCOUNT}:vpc-flow-log/*"},
    }
    group = f"arn:aws:logs:af-south-1:{ACCOUNT}:log-group:/flows"
    write, find = json.loads(flow_log_policy(group, ACCOUNT, "af-south-1"))["Statement"]
    assert write["Resource"] == [f"{group}:*"]
    assert find["Action"] == ["logs:DescribeLogGroups"]
    assert find["Resource"] == [f"arn:aws:logs:af-south-1:{ACCOUNT}:log-group:*"]


def test_nothing_waits_for_flow_logs_and_a_flip_does_not_touch_them() -> None:
    recordings = [Stack(standby=standby).recorded() for standby in (True, False)]
    kept = [{item.key: item.inputs for item in found if item.name == "flow-logs"} for found in recordings]
    assert kept[0] == kept[1]
    for item in recordings[1]:
        assert item.name == "flow-logs" or "flow-logs" not in item.dependencies
