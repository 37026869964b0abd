"""Tasks: healthy with everything in place, unhealthy with any one thing missing, replaced and rolled back as by ECS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.public import PublicClient
from tests.sandbox import traffic_world
from tests.sandbox.traffic_world import APPLICATION_PASSWORD, DIGEST, DOMAIN, KENYA, Site, World, forward, image, wait


@dataclass
class Platform:
    """One region with a database, secrets and a service `api-gateway` behind the load balancer."""

    site: Site
    registry_secret: str
    database_secret: str
    endpoint: dict[str, Any]
    group: str

    @property
    def world(self) -> World:
        return self.site.world

    def container(self, service: str, **changes: Any) -> dict[str, Any]:
        keys = ("host", "port", "dbname", "username", "password")
        names = ("HOST", "PORT", "NAME", "USER", "PASSWORD")
        return {
            "name": service,
            "image": image(service),
            "portMappings": [{"containerPort": 8080, "name": "http"}],
            "repositoryCredentials": {"credentialsParameter": self.registry_secret},
            "secrets": [
                {"name": f"DATABASE_{name}", "valueFrom": f"{self.database_secret}:{key}::"}
                for name, key in zip(names, keys, strict=True)
            ],
        } | changes

    def define(self, service: str = "api-gateway", **changes: Any) -> str:
        """A task definition; `changes` go into its container."""
        made = self.site.client("ecs").register_task_definition(
            family=service,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=[self.container(service, **changes)],
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def network(self) -> dict[str, Any]:
        return {
            "awsvpcConfiguration": {
                "subnets": self.site.private,
                "securityGroups": [self.site.task_group],
                "assignPublicIp": "DISABLED",
            }
        }

    def create(self, name: str, definition: str, count: int = 1, **more: Any) -> None:
        balanced = [{"targetGroupArn": self.group, "containerName": "api-gateway", "containerPort": 8080}]
        self.site.client("ecs").create_service(
            cluster="main",
            serviceName=name,
            taskDefinition=definition,
            desiredCount=count,
            launchType="FARGATE",
            networkConfiguration=self.network(),
            **({"loadBalancers": balanced} | more),
        )

    def service(self, name: str) -> dict[str, Any]:
        found = self.site.client("ecs").describe_services(cluster="main", services=[name])["services"][0]
        return dict(found)

    def events(self, name: str) -> str:
        return "\n".join(event["message"] for event in self.service(name)["events"])

    def remove(self, name: str) -> None:
        self.site.client("ecs").delete_service(cluster="main", service=name, force=True)
        wait(lambda: self.service(name)["status"] == "INACTIVE", what=f"{name} to be gone")

    def target_states(self) -> list[str]:
        found = self.site.client("elbv2").describe_target_health(TargetGroupArn=self.group)
        return sorted(entry["TargetHealth"]["State"] for entry in found["TargetHealthDescriptions"])


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with traffic_world.running() as world:
        zone = traffic_world.hosted_zone(world)
        site = Site(world, KENYA)
        site.build_network()
        site.build_balancer(zone)
        endpoint = site.build_database()
        group = site.target_group("api-gateway")
        site.rule(100, forward(group))
        for name in ("api-gateway", "crisis-detection", "sync"):
            world.control("POST", "registry", {"image": image(name), "digest": DIGEST})
        site.client("ecs").create_cluster(clusterName="main")
        registry = site.secret("registry", {"username": "robot", "password": "token"})
        values = {
            "host": endpoint["Address"],
            "port": endpoint["Port"],
            "dbname": "platform",
            "username": "api_gateway",
            "password": APPLICATION_PASSWORD,
        }
        secret = site.secret("database", values)
        route53 = world.client("route53", "us-east-1")
        alias = {
            "Name": DOMAIN,
            "Type": "A",
            "AliasTarget": {
                "HostedZoneId": site.alb["CanonicalHostedZoneId"],
                "DNSName": site.alb["DNSName"],
                "EvaluateTargetHealth": False,
            },
        }
        change = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": alias}]}
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=change)
        yield Platform(site, registry, secret, endpoint, group)
        world.assert_sound()


def test_a_service_comes_up_serves_scales_and_goes(platform: Platform) -> None:
    ecs = platform.site.client("ecs")
    configuration = {
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        "maximumPercent": 200,
        "minimumHealthyPercent": 100,
    }
    definition = platform.define()
    platform.create("gateway", definition, deploymentConfiguration=configuration, healthCheckGracePeriodSeconds=60)
    service = platform.service("gateway")
    assert service["deploymentConfiguration"]["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert service["healthCheckGracePeriodSeconds"] == 60
    assert service["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    wait(lambda: platform.service("gateway")["deployments"][0]["rolloutState"] == "COMPLETED", what="the rollout", tell=lambda: platform.events("gateway"))
    assert "has reached a steady state" in platform.events("gateway")

    tasks = ecs.list_tasks(cluster="main", serviceName="gateway")["taskArns"]
    task = ecs.describe_tasks(cluster="main", tasks=tasks)["tasks"][0]
    assert (task["lastStatus"], task["taskDefinitionArn"]) == ("RUNNING", definition)
    details = {entry["name"]: entry["value"] for entry in task["attachments"][0]["details"]}
    health = platform.site.client("elbv2").describe_target_health(TargetGroupArn=platform.group)
    assert [entry["Target"]["Id"] for entry in health["TargetHealthDescriptions"]] == [details["privateIPv4Address"]]

    public = PublicClient(platform.world.url, platform.world.clock)
    status, body, answered_by = public.get("/api/health")
    assert (status, answered_by) == (200, KENYA)
    assert json.loads(body) == {"status": "ok", "service": "api-gateway", "region": KENYA}
    assert [public.post("/api/events", {"seq": n, "body": f"row {n}"}).status for n in (1, 2, 3)] == [201, 201, 201]
    assert public.post("/api/events", {"seq": 3, "body": "row 3"}).status == 200
    assert public.post("/api/events", {"seq": 3, "body": "other"}).status == 409
    assert json.loads(public.get("/api/events").body) == {"count": 3, "min": 1, "max": 3}
    assert json.loads(public.get("/api/events?after=1").body) == [2, 3]

    ecs.update_service(cluster="main", service="gateway", desiredCount=3)
    wait(lambda: platform.target_states() == ["healthy"] * 3, what="three healthy targets")
    service = platform.service("gateway")
    assert (service["runningCount"], service["deployments"][0]["rolloutState"]) == (3, "COMPLETED")
    newer = platform.define(environment=[{"name": "NEW", "value": "yes"}])
    ecs.update_service(cluster="main", service="gateway", taskDefinition=newer, desiredCount=1)
    wait(lambda: platform.service("gateway")["deployments"][0]["rolloutState"] == "COMPLETED", what="the new one")
    assert platform.service("gateway")["taskDefinition"] == newer
    assert len(platform.service("gateway")["deployments"]) == 1
    platform.remove("gateway")
    wait(lambda: platform.target_states() == [], what="an empty target group")


def broken_by(platform: Platform, name: str, expected: str, definition: str | None = None, **more: Any) -> None:
    """A service with something missing never gets a healthy target, and its events say why."""
    platform.create(name, definition or platform.define(), **more)
    try:
        wait(lambda: expected in platform.events(name), what=f"{expected!r} in the events")
        assert "healthy" not in platform.target_states()
        assert platform.service(name)["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    finally:
        platform.remove(name)


def test_no_such_digest(platform: Platform) -> None:
    missing = platform.define(image=image("api-gateway", digest="sha256:" + "b" * 64))
    broken_by(platform, "no-image", "CannotPullContainerError", missing)


def test_no_registry_credential(platform: Platform) -> None:
    gone = platform.registry_secret.replace("registry", "nothing")
    missing = platform.define(repositoryCredentials={"credentialsParameter": gone})
    broken_by(platform, "no-credential", "ResourceNotFoundException", missing)


def test_registry_credential_without_password(platform: Platform) -> None:
    half = platform.site.secret("half", {"username": "robot"})
    broken_by(
        platform, "half", "no username and password", platform.define(repositoryCredentials={"credentialsParameter": half})
    )


def test_secret_without_the_key(platform: Platform) -> None:
    wrong = [{"name": "DATABASE_HOST", "valueFrom": f"{platform.database_secret}:hostname::"}]
    broken_by(platform, "no-key", "did not contain json key hostname", platform.define(secrets=wrong))


def test_secret_of_another_region(platform: Platform) -> None:
    foreign = platform.database_secret.replace(KENYA, traffic_world.SOUTH_AFRICA)
    wrong = [{"name": "DATABASE_HOST", "valueFrom": f"{foreign}:host::"}]
    broken_by(platform, "foreign", "belongs to region af-south-1", platform.define(secrets=wrong))


def test_secret_whose_key_is_disabled(platform: Platform) -> None:
    kms = platform.site.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    locked = platform.site.secret("locked", {"host": "127.0.0.1"}, KmsKeyId=key)
    kms.disable_key(KeyId=key)
    wrong = [{"name": "DATABASE_HOST", "valueFrom": f"{locked}:host::"}]
    broken_by(platform, "locked", "Access to KMS is not allowed", platform.define(secrets=wrong))


def test_replica_secret_resolves_in_its_region(platform: Platform) -> None:
    name = "replicated"
    platform.world.client("secretsmanager", traffic_world.SOUTH_AFRICA).create_secret(
        Name=name, SecretString=json.dumps({"key": "value"}), AddReplicaRegions=[{"Region": KENYA}]
    )
    arn = platform.site.client("secretsmanager").describe_secret(SecretId=name)["ARN"]
    secrets = [*platform.container("api-gateway")["secrets"], {"name": "KEY", "valueFrom": f"{arn}:key::"}]
    platform.create("replica", platform.define(secrets=secrets))
    wait(lambda: platform.target_states() == ["healthy"], what="a healthy target")
    platform.remove("replica")


def test_no_way_out(platform: Platform) -> None:
    ec2 = platform.site.client("ec2")
    ec2.delete_route(RouteTableId=platform.site.private_table, DestinationCidrBlock="0.0.0.0/0")
    try:
        broken_by(platform, "no-route", "connection issue between the task and AWS Secrets Manager")
    finally:
        platform.site.route_to_nat()


def test_an_endpoint_serves_secrets_but_not_images(platform: Platform) -> None:
    ec2 = platform.site.client("ec2")
    ec2.delete_route(RouteTableId=platform.site.private_table, DestinationCidrBlock="0.0.0.0/0")
    platform.site.let_in(platform.site.database_group, 443, group=platform.site.task_group)
    endpoint = ec2.create_vpc_endpoint(
        VpcId=platform.site.vpc,
        VpcEndpointType="Interface",
        ServiceName=f"com.amazonaws.{KENYA}.secretsmanager",
        SubnetIds=platform.site.private,
        SecurityGroupIds=[platform.site.database_group],
        PrivateDnsEnabled=True,
    )["VpcEndpoint"]["VpcEndpointId"]
    try:
        broken_by(platform, "endpoint", "i/o timeout")
    finally:
        ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
        platform.site.keep_out(platform.site.database_group, 443, group=platform.site.task_group)
        platform.site.route_to_nat()


def test_the_database_lets_nobody_in(platform: Platform) -> None:
    platform.site.keep_out(platform.site.database_group, 5432, group=platform.site.task_group)
    try:
        broken_by(platform, "no-database-rule", "may not reach")
    finally:
        platform.site.let_in(platform.site.database_group, 5432, group=platform.site.task_group)


def test_the_load_balancer_may_not_reach_the_task(platform: Platform) -> None:
    platform.site.keep_out(platform.site.task_group, 8080, group=platform.site.alb_group)
    try:
        broken_by(platform, "no-task-rule", "Request timed out")
    finally:
        platform.site.let_in(platform.site.task_group, 8080, group=platform.site.alb_group)


def test_the_database_refuses_the_login(platform: Platform) -> None:
    wrong = platform.site.secret(
        "wrong-password",
        {"host": "127.0.0.1", "port": platform.endpoint["Port"], "dbname": "platform", "username": "api_gateway"}
        | {"password": "not this"},
    )
    keys = {"HOST": "host", "PORT": "port", "NAME": "dbname", "USER": "username", "PASSWORD": "password"}
    secrets = [{"name": f"DATABASE_{name}", "valueFrom": f"{wrong}:{key}::"} for name, key in keys.items()]
    broken_by(platform, "login", "password authentication failed", platform.define(secrets=secrets))


def test_there_is_no_database_yet(platform: Platform) -> None:
    secrets = [
        entry for entry in platform.container("api-gateway")["secrets"] if entry["name"] != "DATABASE_HOST"
    ]
    environment = [{"name": "DATABASE_HOST", "value": "database.invalid"}]
    definition = platform.define(secrets=secrets, environment=environment)
    broken_by(platform, "no-database", "could not translate host name", definition)


def test_the_schema_is_not_what_the_history_says(platform: Platform) -> None:
    platform.create("first", platform.define())
    wait(lambda: platform.target_states() == ["healthy"], what="the migrated schema")
    platform.remove("first")
    with traffic_world.master(platform.endpoint["Port"]) as connection:
        connection.run("alter table app.events rename to elsewhere")
    try:
        broken_by(platform, "schema", 'relation "app.events" does not exist')
    finally:
        with traffic_world.master(platform.endpoint["Port"]) as connection:
            connection.run("alter table app.elsewhere rename to events")


def test_a_task_whose_database_breaks_is_replaced_and_recovers(platform: Platform) -> None:
    platform.create("survivor", platform.define())
    wait(lambda: platform.target_states() == ["healthy"], what="a healthy target")
    first = platform.site.client("ecs").list_tasks(cluster="main", serviceName="survivor")["taskArns"]
    with traffic_world.master(platform.endpoint["Port"]) as connection:
        connection.run("alter table app.events rename to elsewhere")
        wait(lambda: "Health checks failed with these codes: [503]" in platform.events("survivor"), what="503")
        connection.run("alter table app.elsewhere rename to events")
    wait(lambda: platform.target_states() == ["healthy"], what="the replacement")
    assert platform.site.client("ecs").list_tasks(cluster="main", serviceName="survivor")["taskArns"] != first
    platform.remove("survivor")


def test_a_crashing_version_is_rolled_back(platform: Platform) -> None:
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    good = platform.define()
    platform.create("rolling", good, deploymentConfiguration=breaker)
    wait(lambda: platform.service("rolling")["deployments"][0]["rolloutState"] == "COMPLETED", what="the first rollout")
    fault = {"kind": "service-crash", "service": "api-gateway", "region": KENYA}
    platform.world.control("POST", "faults", fault)
    bad = platform.define(environment=[{"name": "VERSION", "value": "2"}])
    platform.site.client("ecs").update_service(cluster="main", service="rolling", taskDefinition=bad)
    wait(lambda: "deployment failed: tasks failed to start" in platform.events("rolling"), what="the failed deployment")
    assert "healthy" in platform.target_states()  # the old version has served all the time
    platform.world.control("DELETE", "faults", fault)
    wait(lambda: platform.service("rolling")["deployments"][0]["rolloutState"] == "COMPLETED", what="the rollback")
    service = platform.service("rolling")
    assert service["taskDefinition"] == good
    assert "rolling back" in service["deployments"][0]["rolloutStateReason"] or service["runningCount"] == 1
    platform.remove("rolling")


def test_a_service_without_load_balancer_reports_container_health(platform: Platform) -> None:
    health = {"command": ["CMD-SHELL", "true"], "interval": 10, "retries": 2, "startPeriod": 0}
    platform.create("sync", platform.define("sync", healthCheck=health), loadBalancers=[])

    def tasks() -> list[dict[str, Any]]:
        ecs = platform.site.client("ecs")
        arns = ecs.list_tasks(cluster="main", serviceName="sync")["taskArns"]
        return list(ecs.describe_tasks(cluster="main", tasks=arns)["tasks"]) if arns else []

    wait(lambda: [task["healthStatus"] for task in tasks()] == ["HEALTHY"], what="a HEALTHY task")
    platform.remove("sync")


def test_what_create_service_refuses(platform: Platform) -> None:
    unused = platform.site.target_group("unused")
    wrong_port = [{"targetGroupArn": platform.group, "containerName": "api-gateway", "containerPort": 9}]
    no_rule = [{"targetGroupArn": unused, "containerName": "api-gateway", "containerPort": 8080}]
    with pytest.raises(ClientError, match="did not have a container port 9"):
        platform.create("refused", platform.define(), loadBalancers=wrong_port)
    with pytest.raises(ClientError, match="does not have an associated load balancer"):
        platform.create("refused", platform.define(), loadBalancers=no_rule)


def test_a_lost_region_is_unreachable_and_comes_back(platform: Platform) -> None:
    platform.create("lasting", platform.define())
    wait(lambda: platform.target_states() == ["healthy"], what="a healthy target")
    public = PublicClient(platform.world.url, platform.world.clock)
    platform.world.control("POST", "cut", {"region": KENYA})
    with pytest.raises(OSError, match="refused"):
        public.get("/api/health")
    platform.world.control("POST", "restore", {"region": KENYA})

    def answers() -> bool:
        try:
            return public.get("/api/health").status == 200
        except OSError:
            return False

    wait(answers, what="the region to answer again")
    platform.remove("lasting")
