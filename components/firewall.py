"""Security groups: one per tier, every rule named and pointing at a group or at a stated reason."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import naming

ANYWHERE = "0.0.0.0/0"
HTTPS = 443
HTTP = 80
POSTGRESQL = 5432
VALKEY = 6379


@dataclass(frozen=True, kw_only=True)
class FirewallArgs:
    """What the security groups need to know. `service_ports` are the container ports of all services."""

    short_name: str
    tags: naming.Tags
    vpc_id: pulumi.Input[str]
    service_ports: tuple[int, ...]


class Firewall(pulumi.ComponentResource):
    """Security groups of the tiers load balancer, service, function, database, cache and endpoint.

    Rules are resources of their own: a rule changed by hand shows up as drift of that rule. The network's default
    security group stays unused.
    """

    alb_id: pulumi.Output[str]
    service_id: pulumi.Output[str]
    function_id: pulumi.Output[str]
    database_id: pulumi.Output[str]
    cache_id: pulumi.Output[str]
    endpoint_id: pulumi.Output[str]

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:network:Firewall", name, {}, opts)
        self._name = name
        self._args = args
        self._tags = dict(args.tags)
        self.rules: list[pulumi.Resource] = []
        self.alb_id = self._group("alb", "Load balancer: web traffic from the internet")
        self.service_id = self._group("service", "Services in their private subnets")
        self.function_id = self._group("function", "Functions that work on the database")
        self.database_id = self._group("database", "PostgreSQL")
        self.cache_id = self._group("cache", "Valkey")
        self.endpoint_id = self._group("endpoint", "Interface endpoints of AWS services")
        self._public_rules()
        self._service_rules()
        self._function_rules()
        self._database_rules()
        self.register_outputs({"alb_id": self.alb_id, "service_id": self.service_id})

    def _public_rules(self) -> None:
        self._ingress("alb-https", self.alb_id, HTTPS, "HTTPS from anywhere", cidr=ANYWHERE)
        self._ingress("alb-http", self.alb_id, HTTP, "HTTP from anywhere, answered with a redirect", cidr=ANYWHERE)

    def _service_rules(self) -> None:
        for port in sorted(set(self._args.service_ports)):
            self._allow(f"alb-service-{port}", self.alb_id, self.service_id, port, "Requests and health checks")
            # Service Connect: the proxy beside one task calls the port of another task in the same group.
            self._allow(f"service-service-{port}", self.service_id, self.service_id, port, "Service Connect")
        self._allow("service-endpoint", self.service_id, self.endpoint_id, HTTPS, "Secrets at task start")
        # The container registry and AWS's public endpoints have no address range that could be listed here.
        self._egress("service-internet", self.service_id, HTTPS, "Registry and AWS APIs over TLS", cidr=ANYWHERE)

    def _function_rules(self) -> None:
        # Without NAT the endpoint is the function's only way to a secret.
        self._allow("function-endpoint", self.function_id, self.endpoint_id, HTTPS, "Secrets without NAT")

    def _database_rules(self) -> None:
        self._allow("service-database", self.service_id, self.database_id, POSTGRESQL, "PostgreSQL from services")
        self._allow("function-database", self.function_id, self.database_id, POSTGRESQL, "PostgreSQL from functions")

        self._allow("service-cache", self.service_id, self.cache_id, VALKEY, "Cache over TLS from services")

    def _group(self, tier: str, description: str) -> pulumi.Output[str]:
        group = aws.ec2.SecurityGroup(
            f"{self._name}-{tier}",
            name=naming.physical(self._args.short_name, tier),
            description=description,
            vpc_id=self._args.vpc_id,
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return group.id

    def _allow(
        self, name: str, source: pulumi.Input[str], target: pulumi.Input[str], port: int, description: str
    ) -> None:
        """Open one TCP port from one group to another, on both sides."""
        self._egress(name, source, port, description, group=target)
        self._ingress(name, target, port, description, group=source)

    def _ingress(
        self,
        name: str,
        group_id: pulumi.Input[str],
        port: int,
        description: str,
        cidr: str | None = None,
        group: pulumi.Input[str] | None = None,
    ) -> None:
        self.rules.append(
            aws.vpc.SecurityGroupIngressRule(
                f"{self._name}-{name}-in",
                security_group_id=group_id,
                description=description,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                cidr_ipv4=cidr,
                referenced_security_group_id=group,
                tags=self._tags,
                opts=pulumi.ResourceOptions(parent=self),
            )
        )

    def _egress(
        self,
        name: str,
        group_id: pulumi.Input[str],
        port: int,
        description: str,
        cidr: str | None = None,
        group: pulumi.Input[str] | None = None,
    ) -> None:
        self.rules.append(
            aws.vpc.SecurityGroupEgressRule(
                f"{self._name}-{name}-out",
                security_group_id=group_id,
                description=description,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                cidr_ipv4=cidr,
                referenced_security_group_id=group,
                tags=self._tags,
                opts=pulumi.ResourceOptions(parent=self),
            )
        )
