"""One region's network: three zones, three tiers of subnets, ways in and out, security groups."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import naming
from components.firewall import ANYWHERE, Firewall, FirewallArgs
from components.subnets import SubnetPlan, subnet_plan


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """What a network needs. `nat`: something runs in the private subnets and must reach the registry."""

    short_name: str
    tags: naming.Tags
    region: str
    cidr: str
    nat: bool
    service_ports: tuple[int, ...]


class Network(pulumi.ComponentResource):
    """VPC with public (load balancer), private (services, functions) and isolated (database) subnets.

    The way out (one NAT gateway and address per zone) exists only while something runs: an idle standby pays for none.
    `outbound` lists what a task must wait for, `ready` what an in-network function must wait for.
    """

    vpc_id: pulumi.Output[str]
    public_subnet_ids: pulumi.Output[list[str]]
    private_subnet_ids: pulumi.Output[list[str]]
    isolated_subnet_ids: pulumi.Output[list[str]]
    alb_security_group_id: pulumi.Output[str]
    service_security_group_id: pulumi.Output[str]
    function_security_group_id: pulumi.Output[str]
    database_security_group_id: pulumi.Output[str]
    cache_security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:network:Network", name, {}, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        vpc = aws.ec2.Vpc(
            name,
            cidr_block=args.cidr,
            enable_dns_support=True,
            # Private DNS names of the interface endpoint need hostnames as well as resolution.
            enable_dns_hostnames=True,
            tags=self._tags("vpc"),
            opts=self._child,
        )
        self.vpc_id = vpc.id
        self._subnets = {plan: self._subnet(plan) for plan in subnet_plan(args.cidr, args.region)}
        self._internet = self._route_public()
        # A load balancer is refused while its network has no way to the internet: whoever waits for the public
        # subnets waits for their route as well.
        self.public_subnet_ids = self._ids("public", self._internet)
        self.private_subnet_ids = self._ids("private")
        self.isolated_subnet_ids = self._ids("isolated")
        self._private_tables: list[pulumi.Output[str]] = []
        self.outbound: list[pulumi.Resource] = []
        self._route_private()
        # Databases reach nothing outside the network: their table has the local route only.
        self._table("isolated", self._tier("isolated"))
        firewall = Firewall(
            f"{name}-firewall",
            FirewallArgs(short_name=args.short_name, tags=args.tags, vpc_id=vpc.id, service_ports=args.service_ports),
            self._child,
        )
        self.alb_security_group_id = firewall.alb_id
        self.service_security_group_id = firewall.service_id
        self.function_security_group_id = firewall.function_id
        self.database_security_group_id = firewall.database_id
        self.cache_security_group_id = firewall.cache_id
        endpoint = self._endpoints(firewall)
        self.ready: list[pulumi.Resource] = [*firewall.rules, endpoint]
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "public_subnet_ids": self.public_subnet_ids,
                "private_subnet_ids": self.private_subnet_ids,
                "isolated_subnet_ids": self.isolated_subnet_ids,
            }
        )

    def _tags(self, noun: str) -> dict[str, str]:
        """Tags plus the console name, for resources that have no name argument."""
        return {**self._args.tags, "Name": naming.physical(self._args.short_name, noun)}

    def _ids(self, tier: str, *after: pulumi.CustomResource) -> pulumi.Output[list[str]]:
        """Subnet ids of a tier, known once the resources of `after` exist as well."""
        ids = [subnet.id for subnet in self._tier(tier).values()]
        waited = [resource.id for resource in after]
        return pulumi.Output.all(*ids, *waited).apply(lambda values: [str(value) for value in values[: len(ids)]])

    def _subnet(self, plan: SubnetPlan) -> aws.ec2.Subnet:
        return aws.ec2.Subnet(
            f"{self._name}-{plan.name}",
            vpc_id=self.vpc_id,
            cidr_block=plan.cidr,
            availability_zone=plan.zone,
            map_public_ip_on_launch=False,
            tags=self._tags(plan.name),
            opts=self._child,
        )

    def _table(self, noun: str, subnets: Mapping[SubnetPlan, aws.ec2.Subnet]) -> aws.ec2.RouteTable:
        table = aws.ec2.RouteTable(f"{self._name}-{noun}", vpc_id=self.vpc_id, tags=self._tags(noun), opts=self._child)
        for plan, subnet in subnets.items():
            aws.ec2.RouteTableAssociation(
                f"{self._name}-{plan.name}", route_table_id=table.id, subnet_id=subnet.id, opts=self._child
            )
        return table

    def _tier(self, tier: str) -> dict[SubnetPlan, aws.ec2.Subnet]:
        return {plan: subnet for plan, subnet in self._subnets.items() if plan.tier == tier}

    def _route_public(self) -> aws.ec2.Route:
        gateway = aws.ec2.InternetGateway(
            f"{self._name}-internet", vpc_id=self.vpc_id, tags=self._tags("internet"), opts=self._child
        )
        table = self._table("public", self._tier("public"))
        return aws.ec2.Route(
            f"{self._name}-public-default",
            route_table_id=table.id,
            destination_cidr_block=ANYWHERE,
            gateway_id=gateway.id,
            opts=self._child,
        )

    def _route_private(self) -> None:
        """A route table per zone, so that the loss of one zone's NAT gateway stays in that zone."""
        public = {plan.zone: subnet for plan, subnet in self._tier("public").items()}
        for plan, subnet in self._tier("private").items():
            table = self._table(plan.name, {plan: subnet})
            self._private_tables.append(table.id)
            if self._args.nat:
                self.outbound.append(self._way_out(plan, table, public[plan.zone]))

    def _way_out(self, plan: SubnetPlan, table: aws.ec2.RouteTable, public: aws.ec2.Subnet) -> aws.ec2.Route:
        noun = f"nat-{plan.zone[-1]}"
        address = aws.ec2.Eip(f"{self._name}-{noun}", domain="vpc", tags=self._tags(noun), opts=self._child)
        gateway = aws.ec2.NatGateway(
            f"{self._name}-{noun}",
            allocation_id=address.allocation_id,
            subnet_id=public.id,
            connectivity_type="public",
            tags=self._tags(noun),
            # A NAT gateway made before its subnet reaches the internet is in state "failed" and stays there.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._internet]),
        )
        return aws.ec2.Route(
            f"{self._name}-{plan.name}-default",
            route_table_id=table.id,
            destination_cidr_block=ANYWHERE,
            nat_gateway_id=gateway.id,
            opts=self._child,
        )

    def _endpoints(self, firewall: Firewall) -> aws.ec2.VpcEndpoint:
        prefix = f"com.amazonaws.{self._args.region}"
        aws.ec2.VpcEndpoint(
            f"{self._name}-s3",
            vpc_id=self.vpc_id,
            service_name=f"{prefix}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=self._private_tables,
            tags=self._tags("s3-endpoint"),
            opts=self._child,
        )
        return aws.ec2.VpcEndpoint(
            f"{self._name}-secretsmanager",
            vpc_id=self.vpc_id,
            service_name=f"{prefix}.secretsmanager",
            vpc_endpoint_type="Interface",
            subnet_ids=self.private_subnet_ids,
            security_group_ids=[firewall.endpoint_id],
            private_dns_enabled=True,
            tags=self._tags("secretsmanager-endpoint"),
            opts=self._child,
        )
