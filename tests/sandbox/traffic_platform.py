"""One region with everything that the platform's services need, for the tests of tasks and services."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.sandbox import roles, traffic_world
from tests.sandbox.traffic_world import APPLICATION_PASSWORD, DIGEST, DOMAIN, KENYA, Site, World, forward, image, wait

EXECUTION_ROLE = "arn:aws:iam::123456789012:role/execution"


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
        """A container of the service; a change to None leaves its member out."""
        keys = ("host", "port", "dbname", "username", "password")
        names = ("HOST", "PORT", "NAME", "USER", "PASSWORD")
        members = {
            "name": service,
            "image": image(service),
            "portMappings": [{"containerPort": 8080, "name": "http"}],
            "repositoryCredentials": {"credentialsParameter": self.registry_secret},
            "secrets": [
                {"name": f"DATABASE_{name}", "valueFrom": f"{self.database_secret}:{key}::"}
                for name, key in zip(names, keys, strict=True)
            ],
        } | changes
        return {name: value for name, value in members.items() if value is not None}

    def define(self, service: str = "api-gateway", *, execution: str = EXECUTION_ROLE, **changes: Any) -> str:
        """A task definition with this execution role; `changes` go into its container."""
        made = self.site.client("ecs").register_task_definition(
            family=service,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            executionRoleArn=execution,
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


@contextlib.contextmanager
def running_platform(speed: float = traffic_world.SPEED) -> Iterator[Platform]:
    """A fresh cloud with a platform in it, and the public name leading to it."""
    with traffic_world.running(speed) as world:
        zone = traffic_world.hosted_zone(world)
        site = Site(world, KENYA)
        site.build_network()
        site.build_balancer(zone)
        endpoint = site.build_database()
        group = site.target_group("api-gateway")
        site.rule(100, forward(group))
        for name in ("api-gateway", "crisis-detection", "sync"):
            world.control("POST", "registry", {"image": image(name), "digest": DIGEST})
        roles.make(world.client("iam", "us-east-1"), EXECUTION_ROLE.rpartition("/")[2], "ecs-tasks.amazonaws.com")
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
