"""A running emulated cloud with everything a service needs, for the tests of what traffic meets."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import boto3
import pg8000.native
from botocore.config import Config

from sandbox.clock import Clock

SPEED = 600.0  # a modelled minute is a tenth of a second
DOMAIN = "platform.example.org"
DIGEST = "sha256:" + "a" * 64
KENYA, SOUTH_AFRICA = "eu-west-1", "af-south-1"
MASTER_PASSWORD, APPLICATION_PASSWORD = "master-password", "application-password"
T = TypeVar("T")


def image(service: str, version: str = "1.0.0", digest: str = DIGEST) -> str:
    """An image reference as the services use it."""
    return f"ghcr.io/mental-health-platform/{service}:{version}@{digest}"


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    body: str
    headers: dict[str, str]


@dataclass
class World:
    """The cloud's process, seen from outside."""

    port: int
    clock: Clock
    directory: Path
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The endpoint of all AWS APIs and of the control API."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str, region: str) -> Any:
        """A boto3 client that fails fast."""
        if (service, region) not in self._clients:
            self._clients[service, region] = boto3.client(
                service,  # type: ignore[call-overload]
                region_name=region,
                endpoint_url=self.url,
                aws_access_key_id="OPERATOR",
                aws_secret_access_key="fake",
                config=Config(retries={"max_attempts": 1}, read_timeout=20, parameter_validation=False),
            )
        return self._clients[service, region]

    def control(self, method: str, path: str, data: Any = None) -> Any:
        """A call of the control API; its error text becomes a RuntimeError."""
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(f"{self.url}/_sandbox/{path}", data=body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from error

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What the cloud told of this kind so far."""
        lines = (self.directory / "events.jsonl").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["kind"] == kind]

    def fetch(self, dns_name: str, path: str, *, aws_port: int = 443, host: str = DOMAIN, method: str = "GET") -> Reply:
        """Ask a load balancer; OSError or HTTPException where nothing answers."""
        found = next(entry for entry in self.control("GET", "load-balancers") if entry["dns_name"] == dns_name)
        connection = http.client.HTTPConnection("127.0.0.1", found["ports"][str(aws_port)], timeout=10)
        connection.sock = socket.create_connection((connection.host, connection.port), timeout=10)
        if aws_port == 443:
            context = ssl.create_default_context(cadata=self.control("GET", "authority")["pem"])
            connection.sock = context.wrap_socket(connection.sock, server_hostname=DOMAIN)
        with contextlib.closing(connection):
            connection.request(method, path, headers={"Host": host})
            answer = connection.getresponse()
            return Reply(answer.status, answer.read().decode(), dict(answer.getheaders()))

    def assert_sound(self) -> None:
        """The sandbox itself has had no error."""
        status = self.control("GET", "status")
        assert status["healthy"], (len(status["errors"]), status["errors"][:3])


def wait(check: Callable[[], T], seconds: float = 15.0, what: str = "", tell: Callable[[], Any] = str) -> T:
    """The first truthy result of `check`; on failure the message has what `tell` says."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found or time.monotonic() > end:
            assert found, f"waited {seconds} s in vain for {what or check}: {found!r}\n{tell()}"
            return found
        time.sleep(0.03)


@contextlib.contextmanager
def running(speed: float = SPEED) -> Iterator[World]:
    """Start a cloud, stop it at the end."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "cloud"
        directory.mkdir()
        Path(name).chmod(0o711)
        directory.chmod(0o711)
        command = [sys.executable, "-m", "sandbox.cloud", "--directory", str(directory), "--speed", str(speed)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            try:
                wait(lambda: (directory / "cloud.json").exists() or process.poll() is not None, 30, "the cloud")
                data = json.loads((directory / "cloud.json").read_text())
                yield World(data["port"], Clock(data["speed"], data["started_at"]), directory)
            finally:
                assert process.stdin is not None
                process.stdin.close()
                process.wait(20)


@dataclass
class Site:
    """A region with network, load balancer and cluster; `service` adds services to it."""

    world: World
    region: str
    vpc: str = ""
    public: list[str] = field(default_factory=list)
    private: list[str] = field(default_factory=list)
    private_table: str = ""
    nat: str = ""
    alb_group: str = ""
    task_group: str = ""
    database_group: str = ""
    alb: dict[str, Any] = field(default_factory=dict)
    listener: str = ""

    def client(self, service: str) -> Any:
        """A client for this region."""
        return self.world.client(service, self.region)

    # -- network ----------------------------------------------------------------------------------------------
    def build_network(self) -> None:
        """VPC, subnets in two zones, routes, NAT gateway, security groups."""
        ec2 = self.client("ec2")
        self.vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        self.public = [self._subnet("abc"[n], f"10.0.{n}.0/24") for n in range(2)]
        self.private = [self._subnet("abc"[n], f"10.0.{10 + n}.0/24") for n in range(2)]
        public_table = self._table(self.public)
        ec2.create_route(RouteTableId=public_table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        self.private_table = self._table(self.private)
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        made = ec2.create_nat_gateway(SubnetId=self.public[0], AllocationId=address)
        self.nat = made["NatGateway"]["NatGatewayId"]
        self.route_to_nat()
        self._build_groups()

    def route_to_nat(self) -> None:
        """Give the private subnets their way out."""
        self.client("ec2").create_route(
            RouteTableId=self.private_table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=self.nat
        )

    def _subnet(self, zone: str, cidr: str) -> str:
        made = self.client("ec2").create_subnet(VpcId=self.vpc, CidrBlock=cidr, AvailabilityZone=f"{self.region}{zone}")
        return str(made["Subnet"]["SubnetId"])

    def _table(self, subnets: list[str]) -> str:
        ec2 = self.client("ec2")
        table = str(ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"])
        for subnet in subnets:
            ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        return table

    def _build_groups(self) -> None:
        ec2 = self.client("ec2")
        groups = [
            ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc)["GroupId"]
            for name in ("alb", "tasks", "database")
        ]
        self.alb_group, self.task_group, self.database_group = groups
        self.let_in(self.alb_group, 443, cidr="0.0.0.0/0")
        self.let_in(self.alb_group, 80, cidr="0.0.0.0/0")
        self.let_in(self.task_group, 8080, group=self.alb_group)
        self.let_in(self.database_group, 5432, group=self.task_group)

    def permission(self, port: int, cidr: str | None = None, group: str | None = None) -> dict[str, Any]:
        """An IpPermission for one TCP port."""
        rule: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
        if cidr:
            rule["IpRanges"] = [{"CidrIp": cidr}]
        if group:
            rule["UserIdGroupPairs"] = [{"GroupId": group}]
        return rule

    def let_in(self, target: str, port: int, cidr: str | None = None, group: str | None = None) -> None:
        """Open a port."""
        self.client("ec2").authorize_security_group_ingress(
            GroupId=target, IpPermissions=[self.permission(port, cidr, group)]
        )

    def keep_out(self, target: str, port: int, cidr: str | None = None, group: str | None = None) -> None:
        """Close a port again."""
        self.client("ec2").revoke_security_group_ingress(
            GroupId=target, IpPermissions=[self.permission(port, cidr, group)]
        )

    # -- certificate and load balancer ------------------------------------------------------------------------
    def certificate(self, zone: str) -> str:
        """An issued certificate for the domain."""
        acm = self.client("acm")
        arn = str(acm.request_certificate(DomainName=DOMAIN, ValidationMethod="DNS")["CertificateArn"])
        record = acm.describe_certificate(CertificateArn=arn)["Certificate"]["DomainValidationOptions"][0][
            "ResourceRecord"
        ]
        upsert_cname(self.world, zone, record)
        wait(lambda: acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED", what="ISSUED")
        return arn

    def build_balancer(self, zone: str, name: str = "front") -> None:
        """An active ALB that answers 404 by default, on 443 with TLS."""
        elb = self.client("elbv2")
        self.alb = elb.create_load_balancer(Name=name, Subnets=self.public, SecurityGroups=[self.alb_group])[
            "LoadBalancers"
        ][0]
        self.listener = elb.create_listener(
            LoadBalancerArn=self.alb["LoadBalancerArn"],
            Protocol="HTTPS",
            Port=443,
            Certificates=[{"CertificateArn": self.certificate(zone)}],
            DefaultActions=[fixed(404, "nothing here")],
        )["Listeners"][0]["ListenerArn"]
        arn = self.alb["LoadBalancerArn"]
        wait(
            lambda: (
                elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]["State"]["Code"] == "active"
            ),
            what="an active load balancer",
        )

    def target_group(self, name: str, **settings: Any) -> str:
        """A target group for tasks on port 8080."""
        defaults = {
            "HealthCheckPath": "/health",
            "HealthCheckIntervalSeconds": 10,
            "HealthCheckTimeoutSeconds": 5,
            "HealthyThresholdCount": 2,
            "UnhealthyThresholdCount": 2,
        }
        made = self.client("elbv2").create_target_group(
            Name=name, Protocol="HTTP", Port=8080, VpcId=self.vpc, TargetType="ip", **(defaults | settings)
        )
        arn = str(made["TargetGroups"][0]["TargetGroupArn"])
        self.client("elbv2").modify_target_group_attributes(
            TargetGroupArn=arn, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "30"}]
        )
        return arn

    def rule(self, priority: int, action: dict[str, Any], *, path: str = "/*", host: str | None = None) -> str:
        """A listener rule on a path pattern, or also on a host."""
        conditions: list[dict[str, Any]] = [{"Field": "path-pattern", "PathPatternConfig": {"Values": [path]}}]
        if host:
            conditions.append({"Field": "host-header", "HostHeaderConfig": {"Values": [host]}})
        made = self.client("elbv2").create_rule(
            ListenerArn=self.listener, Priority=priority, Conditions=conditions, Actions=[action]
        )
        return str(made["Rules"][0]["RuleArn"])

    # -- database and secrets ---------------------------------------------------------------------------------
    def build_database(self) -> dict[str, Any]:
        """A running PostgreSQL with the roles of the services; (host, port) in the answer."""
        rds = self.client("rds")
        rds.create_db_subnet_group(
            DBSubnetGroupName="database", DBSubnetGroupDescription="database", SubnetIds=self.private
        )
        rds.create_db_instance(
            DBInstanceIdentifier="main",
            DBInstanceClass="db.t4g.medium",
            Engine="postgres",
            EngineVersion="17.5",
            AllocatedStorage=20,
            MasterUsername="postgres",
            MasterUserPassword=MASTER_PASSWORD,
            DBName="platform",
            DBSubnetGroupName="database",
            VpcSecurityGroupIds=[self.database_group],
        )

        def available() -> dict[str, Any] | None:
            found = rds.describe_db_instances(DBInstanceIdentifier="main")["DBInstances"][0]
            return dict(found["Endpoint"]) if found["DBInstanceStatus"] == "available" else None

        endpoint = wait(available, 40, "the database")
        assert endpoint is not None
        with master(endpoint["Port"]) as connection:
            connection.run("create role app_owner nologin")
            connection.run("grant app_owner to postgres")
            connection.run("create schema app authorization app_owner")
            connection.run(f"create role api_gateway login password '{APPLICATION_PASSWORD}' in role app_owner")
            connection.run("alter role api_gateway set role app_owner")
            connection.run(f"create role crisis_detection login password '{APPLICATION_PASSWORD}'")
            connection.run("grant usage on schema app to crisis_detection")
            connection.run(
                "alter default privileges for role app_owner in schema app"
                " grant select, insert, update, delete on tables to crisis_detection"
            )
        return endpoint

    def secret(self, name: str, value: Any, **more: Any) -> str:
        """A secret with a JSON value."""
        made = self.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(value), **more)
        return str(made["ARN"])


@contextlib.contextmanager
def master(port: int) -> Iterator[pg8000.native.Connection]:
    """A connection to the database as its master user, over the loopback interface."""
    connection = pg8000.native.Connection(
        user="postgres", password=MASTER_PASSWORD, host="127.0.0.1", port=port, database="platform", ssl_context=True
    )
    try:
        yield connection
    finally:
        connection.close()


def fixed(status: int, body: str) -> dict[str, Any]:
    """A fixed-response action."""
    config = {"StatusCode": str(status), "ContentType": "text/plain", "MessageBody": body}
    return {"Type": "fixed-response", "FixedResponseConfig": config}


def forward(arn: str) -> dict[str, Any]:
    """A forward action."""
    return {"Type": "forward", "TargetGroupArn": arn}


def hosted_zone(world: World) -> str:
    """The zone example.org."""
    made = world.client("route53", "us-east-1").create_hosted_zone(Name="example.org.", CallerReference="tests")
    return str(made["HostedZone"]["Id"])


def upsert_cname(world: World, zone: str, record: dict[str, str]) -> None:
    """Put a certificate's validation record into the zone."""
    entry = {"Name": record["Name"], "Type": "CNAME", "TTL": 300, "ResourceRecords": [{"Value": record["Value"]}]}
    world.client("route53", "us-east-1").change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": entry}]}
    )
