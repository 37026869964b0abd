"""A sandbox with the provider, and what the resources under test need to exist beside them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

import boto3
from botocore.config import Config

from components import access_logs, policies
from sandbox.provider.wire import ARCHIVE, ASSET, SIGNATURE, Blob
from sandbox.supervisor import Sandbox
from tests.sandbox.provider_client import REGION, Client, Made

SPEED = 1200.0  # a modelled minute lasts a twentieth of a second
ACCOUNT = "123456789012"
PEER = "af-south-1"
ZONE = "example.org"
HANDLER = "def handler(event, context):\n    return {'said': event}\n"


class Trial(NamedTuple):
    """What one resource type is tried with.

    `changed`: updatable inputs with another value; `anew`: a create-only input with another value.
    """

    inputs: dict[str, Any]
    changed: dict[str, Any]
    anew: dict[str, Any]


Builder = Callable[["Lab"], Trial]


class Trials(dict[str, Builder]):
    """Trials by type; a function that describes one is decorated with its type."""

    def of(self, token: str) -> Callable[[Builder], Builder]:
        """Register the decorated function."""

        def register(build: Builder) -> Builder:
            assert token not in self, f"{token} is tried twice"
            self[token] = build
            return build

        return register


class Lab:
    """A cloud, a provider and prerequisites, each made when it is first needed."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.client = Client(sandbox.provider_port, defaultTags={"tags": {"Platform": "lab"}})
        self._numbers = itertools.count(1)

    def name(self, noun: str) -> str:
        """A physical name that nothing else has."""
        return f"lab-{noun}-{next(self._numbers)}"

    def aws(self, service: str, region: str = REGION) -> Any:
        """A boto3 client: a second pair of eyes, past the provider."""
        return boto3.client(
            service,  # type: ignore[call-overload]
            region_name=region,
            endpoint_url=f"http://127.0.0.1:{self.sandbox.port}",
            aws_access_key_id="OPERATOR",
            aws_secret_access_key="fake",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def make(self, token: str, **inputs: Any) -> Made:
        """A prerequisite."""
        return self.client.create(token, inputs)

    # -- network ------------------------------------------------------------------------------------------------------
    @cached_property
    def vpc(self) -> str:
        return self.make("aws:ec2/vpc:Vpc", cidrBlock="10.0.0.0/16", enableDnsHostnames=True).id

    @cached_property
    def gateway(self) -> str:
        return self.make("aws:ec2/internetGateway:InternetGateway", vpcId=self.vpc).id

    @cached_property
    def subnets(self) -> list[str]:
        """Two public subnets in two zones."""
        table = self.make("aws:ec2/routeTable:RouteTable", vpcId=self.vpc).id
        self.make("aws:ec2/route:Route", routeTableId=table, destinationCidrBlock="0.0.0.0/0", gatewayId=self.gateway)
        return [self._public_subnet(table, number, zone) for number, zone in enumerate("ab", start=1)]

    def _public_subnet(self, table: str, number: int, zone: str) -> str:
        subnet = self.subnet(number, f"{REGION}{zone}")
        self.make("aws:ec2/routeTableAssociation:RouteTableAssociation", subnetId=subnet, routeTableId=table)
        return subnet

    def subnet(self, number: int, zone: str = f"{REGION}a") -> str:
        """A subnet of its own; `number` is the third byte of its addresses."""
        cidr = f"10.0.{number}.0/24"
        return self.make("aws:ec2/subnet:Subnet", vpcId=self.vpc, cidrBlock=cidr, availabilityZone=zone).id

    def security_group(self) -> str:
        return self.make("aws:ec2/securityGroup:SecurityGroup", name=self.name("group"), vpcId=self.vpc).id

    def address(self) -> str:
        return self.make("aws:ec2/eip:Eip", domain="vpc").id

    # -- identity and keys --------------------------------------------------------------------------------------------
    def role(self, service: str) -> Made:
        trust = document("sts:AssumeRole", Principal={"Service": service})
        made = self.make("aws:iam/role:Role", name=self.name("role"), assumeRolePolicy=trust)
        everything = document("*", Resource="*")
        self.aws("iam").put_role_policy(RoleName=made.id, PolicyName="everything", PolicyDocument=everything)
        return made

    @cached_property
    def key(self) -> str:
        """The ARN of a key."""
        return str(self.make("aws:kms/key:Key", description="lab").state["arn"])

    # -- traffic ------------------------------------------------------------------------------------------------------
    @cached_property
    def zone(self) -> str:
        created = self.aws("route53").create_hosted_zone(Name=ZONE, CallerReference="lab")
        return str(created["HostedZone"]["Id"].rpartition("/")[2])

    @cached_property
    def balancer(self) -> str:
        """The ARN of an active load balancer."""
        return self.make("aws:lb/loadBalancer:LoadBalancer", name=self.name("alb"), subnets=self.subnets).id

    @cached_property
    def listener(self) -> str:
        says = {"contentType": "text/plain", "messageBody": "Not found", "statusCode": "404"}
        actions = [{"type": "fixed-response", "fixedResponse": says}]
        return self.make(
            "aws:lb/listener:Listener", loadBalancerArn=self.balancer, port=80, protocol="HTTP", defaultActions=actions
        ).id

    def target_group(self) -> str:
        return self.make(
            "aws:lb/targetGroup:TargetGroup",
            name=self.name("tg"),
            port=8080,
            protocol="HTTP",
            vpcId=self.vpc,
            targetType="ip",
        ).id

    def certificate(self) -> Made:
        """A certificate whose validation record is in the zone."""
        certificate = self.make(
            "aws:acm/certificate:Certificate", domainName=f"{self.name('www')}.{ZONE}", validationMethod="DNS"
        )
        option = certificate.state["domainValidationOptions"][0]
        self.make(
            "aws:route53/record:Record",
            zoneId=self.zone,
            name=option["resourceRecordName"],
            type=option["resourceRecordType"],
            ttl=60,
            records=[option["resourceRecordValue"]],
        )
        return certificate

    # -- services -----------------------------------------------------------------------------------------------------
    @cached_property
    def cluster(self) -> str:
        """The ARN of a cluster."""
        return self.make("aws:ecs/cluster:Cluster", name=self.name("cluster")).id

    @cached_property
    def namespace(self) -> str:
        """The ARN of a namespace."""
        made = self.make("aws:servicediscovery/httpNamespace:HttpNamespace", name=self.name("namespace"))
        return str(made.state["arn"])

    def task_definition(self) -> str:
        """The ARN of a task definition with one container, `web`."""
        execution = self.role("ecs-tasks.amazonaws.com").state["arn"]
        made = self.make(
            "aws:ecs/taskDefinition:TaskDefinition",
            family=self.name("task"),
            containerDefinitions=containers(),
            cpu="256",
            memory="512",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            executionRoleArn=execution,
        )
        return str(made.state["arn"])

    def function(self) -> Made:
        role = self.role("lambda.amazonaws.com").state["arn"]
        return self.make(
            "aws:lambda/function:Function",
            name=self.name("function"),
            role=role,
            runtime="python3.13",
            handler="handler.handler",
            code=archive(HANDLER),
        )

    # -- storage ------------------------------------------------------------------------------------------------------
    def bucket(self, region: str = REGION, versioned: bool = False) -> str:
        name = self.make("aws:s3/bucket:Bucket", bucket=self.name("bucket"), region=region).id
        if versioned:
            self.make(
                "aws:s3/bucketVersioning:BucketVersioning",
                bucket=name,
                versioningConfiguration={"status": "Enabled"},
                region=region,
            )
        return name

    def secret(self) -> str:
        return self.make("aws:secretsmanager/secret:Secret", name=self.name("secret"), recoveryWindowInDays=0).id


@contextmanager
def open_lab() -> Iterator[Lab]:
    """A lab for as long as the block lasts. Afterwards the sandbox must have had no error of its own."""
    with Sandbox(speed=SPEED) as sandbox:
        lab = Lab(sandbox)
        try:
            yield lab
            sandbox.check_alive()
        finally:
            lab.client.close()


def document(action: str, **rest: Any) -> str:
    """A policy with one statement."""
    statement = {"Effect": "Allow", "Action": action, **rest}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def containers(image: str = "ghcr.io/lab/web:1.0.0") -> str:
    """Container definitions as a program writes them."""
    web = {
        "name": "web",
        "image": image,
        "essential": True,
        "portMappings": [{"name": "web", "containerPort": 8080, "protocol": "tcp"}],
        "environment": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
    }
    return json.dumps([web])


def archive(source: str) -> Blob:
    """An archive with one text file, as the engine sends it; like the engine's, its hash follows its content."""
    asset = Blob("asset", source, {SIGNATURE: ASSET, "hash": source, "text": source})
    return Blob("archive", source, {SIGNATURE: ARCHIVE, "hash": source, "assets": {"handler.py": asset}})


def holds(found: Any, wanted: Any) -> bool:
    """Whether AWS's answer says what was asked for; it may say more, and has its own order and spelling of numbers."""
    if wanted in (None, "", [], {}):
        return not found
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(holds(found.get(name), value) for name, value in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(found, list) or len(found) != len(wanted):
            return False
        return all(any(holds(item, value) for item in found) for value in wanted)
    if isinstance(wanted, bool):
        return found is wanted
    if isinstance(wanted, str) and wanted.startswith(("[", "{")):
        return isinstance(found, str) and holds(json.loads(found), json.loads(wanted))
    return str(found) == str(wanted)


def log_bucket(lab: Lab, source: str) -> str:
    """A bucket that admits logs and inventories of another one."""
    name = lab.bucket()
    statements = access_logs.writers(f"arn:aws:s3:::{name}", ACCOUNT, f"arn:aws:s3:::{source}")
    lab.make("aws:s3/bucketPolicy:BucketPolicy", bucket=name, policy=policies.document(*statements))
    return name
