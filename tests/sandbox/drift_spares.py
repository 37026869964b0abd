"""What a changed input may point to instead: a second one of each prerequisite, made once."""

from __future__ import annotations

from functools import cached_property

from tests.sandbox.provider_lab import ZONE, Lab, log_bucket


class Spares:
    """Second prerequisites, each made when it is first needed."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    @cached_property
    def key(self) -> str:
        """The ARN of another key."""
        return str(self.lab.make("aws:kms/key:Key", description="spare").state["arn"])

    @cached_property
    def vpc(self) -> str:
        """Another network with the same addresses."""
        return self.lab.make("aws:ec2/vpc:Vpc", cidrBlock="10.0.0.0/16", enableDnsHostnames=True).id

    @cached_property
    def group(self) -> str:
        return self.lab.security_group()

    @cached_property
    def third_subnet(self) -> str:
        """In a zone that the first two are not in."""
        return self.lab.subnet(60, "eu-west-1c")

    @cached_property
    def table(self) -> str:
        return self.lab.make("aws:ec2/routeTable:RouteTable", vpcId=self.lab.vpc).id

    @cached_property
    def topic(self) -> str:
        return self.lab.make("aws:sns/topic:Topic", name=self.lab.name("topic")).id

    @cached_property
    def queue(self) -> str:
        """The ARN of a queue."""
        return str(self.lab.make("aws:sqs/queue:Queue", name=self.lab.name("queue")).state["arn"])

    @cached_property
    def function(self) -> str:
        """The ARN of a function."""
        return str(self.lab.function().state["arn"])

    @cached_property
    def log_bucket(self) -> str:
        """A bucket that admits the logs of a load balancer."""
        return log_bucket(self.lab, "any")

    @cached_property
    def balancer(self) -> str:
        """The ARN of another load balancer."""
        made = self.lab.make("aws:lb/loadBalancer:LoadBalancer", name=self.lab.name("alb"), subnets=self.lab.subnets)
        return made.id

    @cached_property
    def health_checks(self) -> list[str]:
        """Two health checks."""
        return [
            self.lab.make("aws:route53/healthCheck:HealthCheck", type="HTTP", fqdn=f"{name}.{ZONE}", port=80).id
            for name in ("one", "two")
        ]

    def role(self, service: str) -> str:
        """The ARN of a role that `service` takes."""
        return str(self.lab.role(service).state["arn"])
