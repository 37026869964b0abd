"""How network and identity types differ behind the provider's back: one function for each type."""

from __future__ import annotations

from typing import Final

from tests.sandbox.drift import Case, Drifts, Stage
from tests.sandbox.provider_client import REGION

DRIFTS: Final = Drifts()


# -- network ----------------------------------------------------------------------------------------------------------
@DRIFTS.of("aws:ec2/vpc:Vpc")
def _vpc(_: Stage) -> list[Case]:
    return [Case(alone={"cidrBlock": "10.11.0.0/16"})]


@DRIFTS.of("aws:ec2/subnet:Subnet")
def _subnet(stage: Stage) -> list[Case]:
    # Two subnets of one network share no addresses.
    moved = {"availabilityZone": f"{REGION}c", "cidrBlock": "10.0.23.0/24"}
    return [Case(alone={"cidrBlock": "10.0.22.0/24", "vpcId": stage.spare.vpc}, together=(moved,))]


@DRIFTS.of("aws:ec2/routeTable:RouteTable")
def _table(stage: Stage) -> list[Case]:
    return [Case(alone={"vpcId": stage.spare.vpc})]


@DRIFTS.of("aws:ec2/route:Route")
def _route(stage: Stage) -> list[Case]:
    return [
        Case(
            alone={"routeTableId": stage.spare.table, "destinationCidrBlock": "192.0.2.0/24"},
            together=({"natGatewayId": None, "gatewayId": stage.lab.gateway},),
        )
    ]


@DRIFTS.of("aws:ec2/routeTableAssociation:RouteTableAssociation")
def _association(stage: Stage) -> list[Case]:
    elsewhere = {"subnetId": stage.lab.subnet(31), "routeTableId": stage.spare.table}
    return [Case(alone={"subnetId": stage.lab.subnet(32)}, together=(elsewhere,))]


@DRIFTS.of("aws:ec2/eip:Eip")
def _address(_: Stage) -> list[Case]:
    return [Case(recorded={"domain": "standard"})]  # EC2-Classic is gone: nobody gets such an address any more


@DRIFTS.of("aws:ec2/natGateway:NatGateway")
def _nat(stage: Stage) -> list[Case]:
    elsewhere = {"subnetId": stage.lab.subnets[1], "allocationId": stage.lab.address()}
    return [Case(together=(elsewhere, {"connectivityType": "private", "allocationId": None}))]


@DRIFTS.of("aws:ec2/vpcEndpoint:VpcEndpoint")
def _endpoint(stage: Stage) -> list[Case]:
    lab, spare = stage.lab, stage.spare
    there = lab.make("aws:ec2/subnet:Subnet", vpcId=spare.vpc, cidrBlock="10.0.70.0/24").id
    group = lab.make("aws:ec2/securityGroup:SecurityGroup", name=lab.name("group"), vpcId=spare.vpc).id
    tables = [lab.make("aws:ec2/routeTable:RouteTable", vpcId=lab.vpc).id for _ in range(2)]
    gateway = {
        "serviceName": f"com.amazonaws.{REGION}.s3",
        "vpcEndpointType": "Gateway",
        "routeTableIds": tables[:1],
        "subnetIds": None,
        "securityGroupIds": None,
        "privateDnsEnabled": None,
    }
    return [
        Case(
            alone={"serviceName": f"com.amazonaws.{REGION}.ssm", "securityGroupIds": [spare.group]},
            together=({"vpcId": spare.vpc, "subnetIds": [there], "securityGroupIds": [group]},),
        ),
        Case(base=gateway, alone={"routeTableIds": tables}, recorded={"vpcEndpointType": "Interface"}),
    ]


@DRIFTS.of("aws:ec2/flowLog:FlowLog")
def _flow_log(stage: Stage) -> list[Case]:
    elsewhere = {name: stage.again[name] for name in ("logDestination", "iamRoleArn")}
    return [
        Case(
            alone={"vpcId": stage.spare.vpc},
            # A second one of the same network writes to another place.
            together=({"trafficType": "REJECT", "maxAggregationInterval": 600, **elsewhere},),
            recorded={"logDestinationType": "s3"},
        )
    ]


@DRIFTS.of("aws:ec2/securityGroup:SecurityGroup")
def _group(stage: Stage) -> list[Case]:
    return [Case(alone={"vpcId": stage.spare.vpc})]


@DRIFTS.of(
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
)
def _rule_of_group(stage: Stage) -> list[Case]:
    by_address = {
        "ipProtocol": "tcp",
        "fromPort": 443,
        "toPort": 443,
        "description": "one",
        "cidrIpv4": "10.0.0.0/16",
        "referencedSecurityGroupId": None,
    }
    by_group = {**by_address, "cidrIpv4": None, "referencedSecurityGroupId": stage.spare.group}
    return [
        Case(
            base=by_address,
            alone={
                "securityGroupId": stage.lab.security_group(),
                "ipProtocol": "udp",
                "fromPort": 80,
                "toPort": 444,
                "cidrIpv4": "10.0.0.0/8",
                "description": "two",
            },
        ),
        Case(base=by_group, alone={"referencedSecurityGroupId": stage.lab.security_group()}),
    ]


# -- identity and keys ------------------------------------------------------------------------------------------------
@DRIFTS.of("aws:iam/role:Role")
def _role(_: Stage) -> list[Case]:
    return [Case(alone={"path": "/other/"})]


@DRIFTS.of("aws:iam/rolePolicy:RolePolicy")
def _role_policy(stage: Stage) -> list[Case]:
    return [Case(alone={"role": stage.lab.role("ecs-tasks.amazonaws.com").id})]


@DRIFTS.of("aws:kms/key:Key")
def _key(_: Stage) -> list[Case]:
    return [
        Case(
            base={"rotationPeriodInDays": 365},
            alone={"rotationPeriodInDays": 180, "deletionWindowInDays": 14},
            together=({"enableKeyRotation": False, "rotationPeriodInDays": None},),
            recorded={"keyUsage": "SIGN_VERIFY"},  # asks for an asymmetric key, which the table does not model
        )
    ]
