"""EC2: VPC, subnets, routing, addresses, NAT, endpoints."""

from __future__ import annotations

import zlib
from typing import Any, Final

from sandbox.provider.errors import ProviderError
from sandbox.provider.operation import Operation
from sandbox.provider.table import Description, Field, Resource, Tags, call, f, fields, update

EC2_TAGS_TARGET: Final = {"Resources": ["$id"]}


def tags(kind: str) -> Tags:
    """EC2's tags: given at creation as a specification for one kind of resource."""
    return Tags(
        create="TagSpecifications",
        specification=kind,
        target=EC2_TAGS_TARGET,
        add="create_tags",
        remove="delete_tags",
        keys="Tags",
        pairs_removed=True,
    )


def arn(kind: str) -> Field:
    """The ARN of an EC2 resource, which the API mostly leaves out."""
    return f("arn", get=lambda op, _: f"arn:aws:ec2:{op.region}:{op.instance.account}:{kind}/{op.id}")


def _attach(op: Operation) -> str:
    gateway = str(
        op.call(call("create_internet_gateway", result="InternetGateway.InternetGatewayId"), extra=op.tags_at_create())
    )
    if vpc := op.inputs.get("vpcId"):
        op.api("attach_internet_gateway", InternetGatewayId=gateway, VpcId=vpc)
    return gateway


def _reattach(op: Operation) -> None:
    if old := op.known("vpcId"):
        op.api("detach_internet_gateway", InternetGatewayId=op.id, VpcId=old)
    if new := op.inputs.get("vpcId"):
        op.api("attach_internet_gateway", InternetGatewayId=op.id, VpcId=new)


def _detach(op: Operation) -> None:
    if old := (op.read() or {}).get("vpcId"):
        op.api("detach_internet_gateway", InternetGatewayId=op.id, VpcId=old)
    op.api("delete_internet_gateway", InternetGatewayId=op.id)


ROUTE_TARGETS: Final = ("gatewayId", "natGatewayId")


def _route_id(table: str, destination: str) -> str:
    """The plugin's id: table and checksum of the destination."""
    return f"r-{table}{zlib.crc32(destination.encode())}"


def _create_route(op: Operation) -> str:
    table, destination = op.inputs["routeTableId"], op.inputs["destinationCidrBlock"]
    if any(route.get("Origin") == "CreateRoute" for route in _routes(op, table) if route["destination"] == destination):
        # The API would say RouteAlreadyExists; the plugin says so before it asks.
        raise ProviderError(f"the route table {table} has a route to {destination} already")
    op.api("create_route", RouteTableId=table, DestinationCidrBlock=destination, **_target(op))
    return _route_id(table, destination)


def _target(op: Operation) -> dict[str, Any]:
    return {f"{name[0].upper()}{name[1:]}": op.inputs[name] for name in ROUTE_TARGETS if op.inputs.get(name)}


def _routes(op: Operation, table: str) -> list[Description]:
    found = op.api("describe_route_tables", RouteTableIds=[table])["RouteTables"]
    return (
        [{**route, "destination": route.get("DestinationCidrBlock", "")} for route in found[0]["Routes"]]
        if found
        else []
    )


def _read_route(op: Operation) -> Description | None:
    table = ""
    for length in (21, 12):  # ids have 17 hexadecimal digits, old ones 8
        table = op.id[2 : 2 + length]
        if op.id[2 + length :].isdigit() and table.startswith("rtb-"):
            break
    for route in _routes(op, table):
        if _route_id(table, route["destination"]) == op.id and route.get("State") != "blackhole":
            return {**route, "RouteTableId": table}
    return None


def _replace_route(op: Operation) -> None:
    op.api(
        "replace_route",
        RouteTableId=op.value("routeTableId"),
        DestinationCidrBlock=op.value("destinationCidrBlock"),
        **_target(op),
    )


def _one_target(inputs: Any) -> list[tuple[str, str]]:
    if any(name in inputs for name in ROUTE_TARGETS):
        return []
    return [("gatewayId", f"a route needs one of {', '.join(ROUTE_TARGETS)}")]


def _nat_ready(op: Operation, found: Description) -> bool:
    if found["State"] == "failed":
        raise ProviderError(f"NAT gateway {op.id} failed: {found.get('FailureCode')}: {found.get('FailureMessage')}")
    return bool(found["State"] == "available")


def _endpoint_ready(op: Operation, found: Description) -> bool:
    if found["State"] in ("failed", "rejected", "expired"):
        raise ProviderError(f"VPC endpoint {op.id} is {found['State']}")
    return str(found["State"]).lower() == "available"


def _modify_endpoint(op: Operation) -> None:
    request: dict[str, Any] = {}
    for name, member in (
        ("subnetIds", "SubnetIds"),
        ("routeTableIds", "RouteTableIds"),
        ("securityGroupIds", "SecurityGroupIds"),
    ):
        old, new = set(op.known(name) or []), set(op.inputs.get(name) or [])
        if new - old:
            request[f"Add{member}"] = sorted(new - old)
        if old - new:
            request[f"Remove{member}"] = sorted(old - new)
    if "privateDnsEnabled" in op.changed:
        request["PrivateDnsEnabled"] = bool(op.wanted("privateDnsEnabled"))
    op.api("modify_vpc_endpoint", VpcEndpointId=op.id, **request)


def _attribute(name: str) -> Any:
    member = f"{name[0].upper()}{name[1:]}"
    return call("describe_vpc_attribute", {"VpcId": "$id", "Attribute": name}, f"{{{member}: {member}.Value}}")


VPC: Final = Resource(
    token="aws:ec2/vpc:Vpc",
    service="ec2",
    create=call("create_vpc", result="Vpc.VpcId"),
    read=call("describe_vpcs", {"VpcIds": ["$id"]}, "Vpcs[0]"),
    more=(_attribute("enableDnsSupport"), _attribute("enableDnsHostnames")),
    delete=call("delete_vpc", {"VpcId": "$id"}),
    inputs=(
        f("cidrBlock", replace=True),
        f("enableDnsSupport", "EnableDnsSupport.Value", read="EnableDnsSupport", create=False, default=True),
        f("enableDnsHostnames", "EnableDnsHostnames.Value", read="EnableDnsHostnames", create=False, default=False),
    ),
    outputs=(arn("vpc"), f("ownerId")),
    updates=(
        update("enableDnsSupport", call("modify_vpc_attribute", {"VpcId": "$id"}), after_create=True),
        update("enableDnsHostnames", call("modify_vpc_attribute", {"VpcId": "$id"}), after_create=True),
    ),
    tags=tags("vpc"),
    missing=("InvalidVpcID.NotFound",),
    ready=lambda _, found: bool(found["State"] == "available"),
    retry_delete=("DependencyViolation",),
    required=("cidrBlock",),
)

SUBNET: Final = Resource(
    token="aws:ec2/subnet:Subnet",
    service="ec2",
    create=call("create_subnet", result="Subnet.SubnetId"),
    read=call("describe_subnets", {"SubnetIds": ["$id"]}, "Subnets[0]"),
    delete=call("delete_subnet", {"SubnetId": "$id"}),
    inputs=(
        f("vpcId", replace=True),
        f("cidrBlock", replace=True),
        f("availabilityZone", replace=True, computed=True),
        f("mapPublicIpOnLaunch", "MapPublicIpOnLaunch.Value", read="MapPublicIpOnLaunch", create=False, default=False),
    ),
    outputs=(f("arn", read="SubnetArn"), f("availabilityZoneId"), f("ownerId")),
    updates=(update("mapPublicIpOnLaunch", call("modify_subnet_attribute", {"SubnetId": "$id"}), after_create=True),),
    tags=tags("subnet"),
    missing=("InvalidSubnetID.NotFound",),
    ready=lambda _, found: bool(found["State"] == "available"),
    retry_delete=("DependencyViolation",),
)

INTERNET_GATEWAY: Final = Resource(
    token="aws:ec2/internetGateway:InternetGateway",
    service="ec2",
    create=_attach,
    read=call("describe_internet_gateways", {"InternetGatewayIds": ["$id"]}, "InternetGateways[0]"),
    delete=_detach,
    inputs=(f("vpcId", read="Attachments[0].VpcId"),),
    outputs=(arn("internet-gateway"), f("ownerId")),
    updates=(update("vpcId", _reattach),),
    tags=tags("internet-gateway"),
    missing=("InvalidInternetGatewayID.NotFound",),
    retry_delete=("DependencyViolation",),
)

ROUTE_TABLE: Final = Resource(
    token="aws:ec2/routeTable:RouteTable",
    service="ec2",
    create=call("create_route_table", result="RouteTable.RouteTableId"),
    read=call("describe_route_tables", {"RouteTableIds": ["$id"]}, "RouteTables[0]"),
    delete=call("delete_route_table", {"RouteTableId": "$id"}),
    inputs=(f("vpcId", replace=True),),
    outputs=(arn("route-table"), f("ownerId")),
    tags=tags("route-table"),
    missing=("InvalidRouteTableID.NotFound",),
    retry_delete=("DependencyViolation",),
)

ROUTE: Final = Resource(
    token="aws:ec2/route:Route",
    service="ec2",
    create=_create_route,
    read=_read_route,
    delete=call("delete_route", {"RouteTableId": "$routeTableId", "DestinationCidrBlock": "$destinationCidrBlock"}),
    inputs=(
        *fields("routeTableId destinationCidrBlock", replace=True),
        *fields("gatewayId natGatewayId"),
    ),
    outputs=(f("origin"), f("state")),
    updates=(update(" ".join(ROUTE_TARGETS), _replace_route),),
    missing=("InvalidRouteTableID.NotFound", "InvalidRoute.NotFound"),
    required=("destinationCidrBlock",),
    check=_one_target,
)

ROUTE_TABLE_ASSOCIATION: Final = Resource(
    token="aws:ec2/routeTableAssociation:RouteTableAssociation",
    service="ec2",
    create=call("associate_route_table", result="AssociationId"),
    read=call(
        "describe_route_tables",
        {"Filters": [{"Name": "association.route-table-association-id", "Values": ["$id"]}]},
        "RouteTables[0]",
    ),
    delete=call("disassociate_route_table", {"AssociationId": "$id"}),
    inputs=(
        f(
            "subnetId",
            replace=True,
            get=lambda op, found: next(
                item.get("SubnetId") for item in found["Associations"] if item["RouteTableAssociationId"] == op.id
            ),
        ),
        # The plugin swaps the table in place, which changes the id; the engine's protocol has no word for that.
        f("routeTableId", replace=True),
    ),
    missing=("InvalidAssociationID.NotFound",),
    required=("subnetId",),
    delete_first=True,
)

EIP: Final = Resource(
    token="aws:ec2/eip:Eip",
    service="ec2",
    create=call("allocate_address", result="AllocationId"),
    read=call("describe_addresses", {"AllocationIds": ["$id"]}, "Addresses[0]"),
    delete=call("release_address", {"AllocationId": "$id"}),
    inputs=(f("domain", replace=True, default="vpc"),),
    outputs=(arn("elastic-ip"), f("allocationId"), f("publicIp")),
    tags=tags("elastic-ip"),
    missing=("InvalidAllocationID.NotFound",),
    retry_delete=("InvalidIPAddress.InUse", "AuthFailure"),
)

NAT_GATEWAY: Final = Resource(
    token="aws:ec2/natGateway:NatGateway",
    service="ec2",
    create=call("create_nat_gateway", result="NatGateway.NatGatewayId"),
    read=call("describe_nat_gateways", {"NatGatewayIds": ["$id"]}, "NatGateways[0]"),
    delete=call("delete_nat_gateway", {"NatGatewayId": "$id"}),
    inputs=(
        f("subnetId", replace=True),
        f("allocationId", read="NatGatewayAddresses[0].AllocationId", replace=True),
        f("connectivityType", replace=True, default="public"),
    ),
    outputs=(
        f("publicIp", read="NatGatewayAddresses[0].PublicIp"),
        f("privateIp", read="NatGatewayAddresses[0].PrivateIp"),
        f("networkInterfaceId", read="NatGatewayAddresses[0].NetworkInterfaceId"),
    ),
    tags=tags("natgateway"),
    missing=("NatGatewayNotFound",),
    gone=lambda found: bool(found["State"] in ("deleted",)),
    ready=_nat_ready,
    wait_gone=True,
)

VPC_ENDPOINT: Final = Resource(
    token="aws:ec2/vpcEndpoint:VpcEndpoint",
    service="ec2",
    create=call("create_vpc_endpoint", result="VpcEndpoint.VpcEndpointId"),
    read=call("describe_vpc_endpoints", {"VpcEndpointIds": ["$id"]}, "VpcEndpoints[0]"),
    delete=call("delete_vpc_endpoints", {"VpcEndpointIds": ["$id"]}),
    inputs=(
        *fields("vpcId serviceName", replace=True),
        f("vpcEndpointType", replace=True, default="Gateway"),
        f("subnetIds", unordered=True, computed=True),
        f("routeTableIds", unordered=True, computed=True),
        f("securityGroupIds", read="Groups[].GroupId", unordered=True, computed=True),
        f("privateDnsEnabled", default=False),
    ),
    outputs=(arn("vpc-endpoint"), f("state"), f("ownerId")),
    updates=(update("subnetIds routeTableIds securityGroupIds privateDnsEnabled", _modify_endpoint),),
    tags=tags("vpc-endpoint"),
    missing=("InvalidVpcEndpointId.NotFound", "InvalidVpcEndpoint.NotFound"),
    gone=lambda found: str(found["State"]).lower() in ("deleted", "deleting"),
    ready=_endpoint_ready,
    wait_gone=True,
    required=("serviceName",),
)


def _create_flow_log(op: Operation) -> str:
    place = {"ResourceType": "VPC", "ResourceIds": [op.inputs["vpcId"]]}
    answer = op.call(call("create_flow_logs", place), op.creating_fields(), op.tags_at_create())
    for refused in answer.get("Unsuccessful") or ():
        raise ProviderError(f"flow log of {refused['ResourceId']}: {refused['Error']['Message']}")
    return str(answer["FlowLogIds"][0])


FLOW_LOG: Final = Resource(
    token="aws:ec2/flowLog:FlowLog",
    service="ec2",
    create=_create_flow_log,
    read=call("describe_flow_logs", {"FlowLogIds": ["$id"]}, "FlowLogs[0]"),
    delete=call("delete_flow_logs", {"FlowLogIds": ["$id"]}),
    inputs=(
        f("vpcId", read="ResourceId", create=False, replace=True),
        *fields("trafficType logDestination", replace=True),
        f("logDestinationType", default="cloud-watch-logs", replace=True),
        f("iamRoleArn", "DeliverLogsPermissionArn", replace=True),
        f("maxAggregationInterval", default=600, replace=True),
    ),
    outputs=(arn("vpc-flow-log"),),
    tags=tags("vpc-flow-log"),
    missing=("InvalidFlowLogId.NotFound",),
    required=("vpcId", "iamRoleArn", "logDestination"),
)

RESOURCES: Final = (
    VPC,
    SUBNET,
    INTERNET_GATEWAY,
    ROUTE_TABLE,
    ROUTE,
    ROUTE_TABLE_ASSOCIATION,
    EIP,
    NAT_GATEWAY,
    VPC_ENDPOINT,
    FLOW_LOG,
)
