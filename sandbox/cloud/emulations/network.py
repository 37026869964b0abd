"""VPC networking as a packet meets it: routes, NAT gateways, security groups and interface endpoints.

moto stores these; here they decide whether one thing may talk to another. Only IPv4 and TCP are evaluated.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.internet_gateways import InternetGateway
from moto.ec2.models.nat_gateways import NatGatewayBackend
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.responses import EC2Response

from sandbox.clock import minutes
from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations.patching import replace

EVERYWHERE = "0.0.0.0/0"


def install(cloud: Cloud) -> None:
    """Make NAT gateways take their time: pending at first, available after the modelled minutes."""
    _patch_rules()
    _patch_interface_endpoints()
    create = NatGatewayBackend.create_nat_gateway

    def create_nat_gateway(self: NatGatewayBackend, *args: Any, **kwargs: Any) -> Any:
        gateway = create(self, *args, **kwargs)
        gateway.state = "pending"
        gateway.connectivity_type = gateway.connectivity_type or "public"
        name, region = f"NAT {gateway.id}", self.region_name  # type: ignore[attr-defined]
        cloud.after(minutes("ec2.nat"), lambda: _become_available(cloud, gateway), name, regions=[region])
        return gateway

    replace(NatGatewayBackend, create_nat_gateway=create_nat_gateway)


def _patch_rules() -> None:
    """Let rules between groups have descriptions and be modified; moto does both for address ranges only."""
    modify = EC2Backend.modify_security_group_rules

    def description(self: SecurityGroupRule) -> str | None:
        return self.ip_range.get("Description") or self.source_group.get("Description")

    def modify_rules(self: Any, group_id: str, rules: dict[str, dict[str, Any]]) -> None:
        for rule_id, new in rules.items():
            rule = self.get_security_group_by_name_or_id(group_id).get_rule(rule_id)
            if rule is None or not rule.source_group:
                modify(self, group_id, {rule_id: new})
                continue
            rule.source_group["GroupId"] = new["ReferencedGroupId"]
            rule.source_group.pop("Description", None)
            if new.get("Description"):
                rule.source_group["Description"] = new["Description"]
            rule.ip_protocol = new["IpProtocol"]
            ranged = rule.ip_protocol != "-1"
            rule.from_port, rule.to_port = (int(new["FromPort"]), int(new["ToPort"])) if ranged else (None, None)

    replace(SecurityGroupRule, description=property(description))
    replace(EC2Backend, modify_security_group_rules=modify_rules)


def _patch_interface_endpoints() -> None:
    """Let ModifyVpcEndpoint switch private names, which moto drops."""
    modify = EC2Response.modify_vpc_endpoint

    def modify_vpc_endpoint(self: EC2Response) -> Any:
        answer, wanted = modify(self), self._get_param("PrivateDnsEnabled")
        if wanted is not None:
            endpoint = self.ec2_backend.vpc_end_points[self._get_param("VpcEndpointId")]
            endpoint.private_dns_enabled = str(wanted).lower() == "true"
        return answer

    replace(EC2Response, modify_vpc_endpoint=modify_vpc_endpoint)


def _become_available(cloud: Cloud, gateway: Any) -> None:
    if gateway.state == "pending":  # it may have been deleted meanwhile
        gateway.state = "available"
        cloud.emit("nat.available", id=gateway.id, region=gateway.ec2_backend.region_name)


def _ec2(region: str) -> Any:
    return ec2_backends[ACCOUNT][region]


def _default_route(region: str, subnet: Any) -> Any | None:
    """The 0.0.0.0/0 route of the subnet's table, or of its VPC's main table where it has no table of its own."""
    tables = [table for table in _ec2(region).route_tables.values() if table.vpc_id == subnet.vpc_id]
    own = [table for table in tables if subnet.id in table._associations.values()]
    main = [table for table in tables if table.main_association_id is not None]
    for table in own or main:
        for route in table.routes:
            if route.destination_cidr_block == EVERYWHERE:
                return route
    return None


def _leads_to_internet_gateway(route: Any | None, vpc_id: str) -> bool:
    gateway = route.gateway if route is not None else None
    return isinstance(gateway, InternetGateway) and vpc_id in {found["VpcId"] for found in gateway.attachments}


def can_reach_internet(region: str, subnet_id: str, public_ip: bool = False) -> bool:
    """Whether something in this subnet has a way out: an available NAT gateway, or its own `public_ip`."""
    subnet = _find_subnet(region, subnet_id)
    if subnet is None:
        return False
    route = _default_route(region, subnet)
    if route is None:
        return False
    nat = route.nat_gateway
    if nat is None:
        return public_ip and _leads_to_internet_gateway(route, subnet.vpc_id)
    if nat.state != "available" or nat.connectivity_type != "public":
        return False
    public = _find_subnet(region, nat.subnet_id)
    return public is not None and _leads_to_internet_gateway(_default_route(region, public), public.vpc_id)


def _find_subnet(region: str, subnet_id: str) -> Any | None:
    for subnets in _ec2(region).subnets.values():
        if subnet_id in subnets:
            return subnets[subnet_id]
    return None


def vpc_of(region: str, subnet_id: str) -> str | None:
    """The VPC a subnet belongs to; None for an unknown subnet."""
    subnet = _find_subnet(region, subnet_id)
    return None if subnet is None else str(subnet.vpc_id)


def _groups(region: str, ids: Iterable[str]) -> list[Any]:
    found = (_ec2(region).get_security_group_from_id(group_id) for group_id in ids)
    return [group for group in found if group is not None]


def _cidrs(region: str, groups: Sequence[Any], subnets: Iterable[str]) -> list[str]:
    """The address ranges in which a party lives: its subnets', else its VPCs'."""
    known = [_find_subnet(region, subnet_id) for subnet_id in subnets]
    ranges = [str(subnet.cidr_block) for subnet in known if subnet is not None]
    if ranges:
        return ranges
    vpcs = _ec2(region).vpcs
    return [str(vpcs[group.vpc_id].cidr_block) for group in groups if group.vpc_id in vpcs]


def _covers_port(rule: Any, port: int) -> bool:
    if rule.ip_protocol == "-1":
        return True
    return rule.ip_protocol in ("tcp", "6") and rule.from_port <= port <= rule.to_port


def _covers_peer(rule: Any, peer_groups: Sequence[Any], peer_cidrs: Sequence[str]) -> bool:
    referenced = rule.source_group.get("GroupId")
    if referenced is not None:
        return any(group.id == referenced for group in peer_groups)
    if rule.cidr_ipv4 is None:
        return False
    allowed = ipaddress.ip_network(rule.cidr_ipv4, strict=False)
    networks = [ipaddress.ip_network(cidr) for cidr in peer_cidrs]
    return any(isinstance(net, type(allowed)) and net.subnet_of(allowed) for net in networks)  # type: ignore[arg-type]


def _permits(rules: Iterable[Any], port: int, peer_groups: Sequence[Any], peer_cidrs: Sequence[str]) -> bool:
    return any(_covers_port(rule, port) and _covers_peer(rule, peer_groups, peer_cidrs) for rule in rules)


def allows(
    region: str,
    from_sgs: Sequence[str],
    to_sgs: Sequence[str],
    port: int,
    *,
    from_subnets: Iterable[str] = (),
    to_subnets: Iterable[str] = (),
) -> bool:
    """Whether TCP `port` is open between two parties: the source's egress and the destination's ingress both permit it.

    Rules name groups or address ranges; a party's range is its subnets' if given, else its whole VPC's.
    """
    source, destination = _groups(region, from_sgs), _groups(region, to_sgs)
    source_cidrs = _cidrs(region, source, from_subnets)
    destination_cidrs = _cidrs(region, destination, to_subnets)
    out = [rule for group in source for rule in group.egress_rules]
    into = [rule for group in destination for rule in group.ingress_rules]
    return _permits(out, port, destination, destination_cidrs) and _permits(into, port, source, source_cidrs)


def allows_to_internet(region: str, sgs: Sequence[str], port: int) -> bool:
    """Whether these groups let a connection to any public address out."""
    rules = [rule for group in _groups(region, sgs) for rule in group.egress_rules]
    return _permits(rules, port, (), (EVERYWHERE,))


def allows_from_internet(region: str, sgs: Sequence[str], port: int) -> bool:
    """Whether these groups let a connection from any public address in."""
    rules = [rule for group in _groups(region, sgs) for rule in group.ingress_rules]
    return _permits(rules, port, (), (EVERYWHERE,))


def has_interface_endpoint(region: str, vpc_id: str, service: str, sgs: Sequence[str] = ()) -> bool:
    """Whether the VPC has an interface endpoint with private DNS for `service` (say secretsmanager).

    With `sgs`, also whether they may reach it on 443.
    """
    wanted = f"com.amazonaws.{region}.{service}"
    for endpoint in list(_ec2(region).vpc_end_points.values()):
        if endpoint.vpc_id != vpc_id or endpoint.service_name != wanted:
            continue
        if endpoint.vpc_endpoint_type != "Interface" or not endpoint.private_dns_enabled:
            continue
        if endpoint.state != "available":
            continue
        if not sgs or allows(region, sgs, endpoint.security_group_ids, 443):
            return True
    return False
