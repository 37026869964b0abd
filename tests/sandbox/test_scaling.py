"""Application Auto Scaling as the sandbox has it: bounds take effect, a load moves the count, AWS's refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox import traffic_world
from tests.sandbox.traffic_world import KENYA, Site, World

PLACE = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
CPU = {
    "TargetValue": 60.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
}


class Scaled:
    """A cluster with services of which only the numbers matter: their image exists nowhere."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ecs = world.client("ecs", KENYA)
        self.scaling = world.client("application-autoscaling", KENYA)
        site = Site(world, KENYA)
        site.build_network()
        self.network = {"subnets": site.private, "securityGroups": [site.task_group]}
        self.ecs.create_cluster(clusterName="main")

    def service(self, name: str, count: int) -> str:
        """Make a service; its resource id."""
        definition = self.ecs.register_task_definition(
            family=name,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=[{"name": name, "image": "ghcr.io/none/none@sha256:0"}],
        )
        self.ecs.create_service(
            cluster="main",
            serviceName=name,
            taskDefinition=definition["taskDefinition"]["taskDefinitionArn"],
            desiredCount=count,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": self.network},
        )
        return f"service/main/{name}"

    def register(self, resource: str, low: int | None, high: int | None, **more: Any) -> str:
        bounds = {name: value for name, value in (("MinCapacity", low), ("MaxCapacity", high)) if value is not None}
        made = self.scaling.register_scalable_target(**PLACE, ResourceId=resource, **bounds, **more)
        return str(made["ScalableTargetARN"])

    def follow(self, resource: str, **changes: Any) -> None:
        self.scaling.put_scaling_policy(
            **PLACE,
            ResourceId=resource,
            PolicyName="cpu",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={**CPU, **changes},
        )

    def load(self, service: str, tasks: int) -> None:
        self.world.control("POST", "load", {"region": KENYA, "service": service, "tasks": tasks})

    def count(self, name: str) -> int:
        return int(self.ecs.describe_services(cluster="main", services=[name])["services"][0]["desiredCount"])


@pytest.fixture(scope="module")
def scaled() -> Iterator[Scaled]:
    with traffic_world.running() as world:
        yield Scaled(world)
        world.assert_sound()


def refused(code: str, call: Any, *args: Any, **given: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        call(*args, **given)
    assert refusal.value.response["Error"]["Code"] == code
    return str(refusal.value)


def test_a_count_outside_of_registered_bounds_is_moved_into_them(scaled: Scaled) -> None:
    resource = scaled.service("bounds", 1)
    arn = scaled.register(resource, 2, 5, Tags={"Name": "one"})
    assert scaled.count("bounds") == 2
    assert scaled.register(resource, None, 2) == arn
    scaled.register(resource, 4, 6)
    assert scaled.count("bounds") == 4
    scaled.register(resource, 1, 3)
    assert scaled.count("bounds") == 3
    assert scaled.scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"Name": "one"}


def test_a_load_moves_the_count_within_the_bounds_and_nothing_else_does(scaled: Scaled) -> None:
    resource = scaled.service("peak", 2)
    scaled.register(resource, 2, 8)
    with pytest.raises(RuntimeError, match="no policy scales peak"):
        scaled.load("peak", 5)
    scaled.follow(resource)
    for tasks, expected in ((5, 5), (20, 8), (0, 2)):
        scaled.load("peak", tasks)
        assert scaled.count("peak") == expected
    scaled.load("peak", 6)
    # What a deployment does that leaves the count out of its request.
    scaled.ecs.update_service(cluster="main", service="peak", healthCheckGracePeriodSeconds=30)
    assert scaled.count("peak") == 6
    assert [event["tasks"] for event in scaled.world.events("service.scaled") if event["service"] == "peak"] == [
        5,
        8,
        2,
        6,
    ]


def test_suspended_scaling_leaves_the_count_alone_and_stays_so_until_it_is_taken_back(scaled: Scaled) -> None:
    resource = scaled.service("frozen", 3)
    scaled.register(resource, 2, 8)
    scaled.follow(resource)
    kinds = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
    scaled.register(resource, 0, 8, SuspendedState=dict.fromkeys(kinds, True))
    scaled.ecs.update_service(cluster="main", service="frozen", desiredCount=0)
    scaled.load("frozen", 5)
    assert scaled.count("frozen") == 0
    scaled.register(resource, 0, 7)
    scaled.load("frozen", 5)
    assert scaled.count("frozen") == 0
    scaled.register(resource, 0, 8, SuspendedState={"DynamicScalingOutSuspended": False})
    scaled.load("frozen", 5)
    assert scaled.count("frozen") == 5
    scaled.load("frozen", 1)
    assert scaled.count("frozen") == 5, "taking tasks away is still suspended"
    (found,) = scaled.scaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[resource])[
        "ScalableTargets"
    ]
    assert found["SuspendedState"] == {kind: kind != "DynamicScalingOutSuspended" for kind in kinds}


def test_a_target_takes_its_policies_with_it(scaled: Scaled) -> None:
    resource = scaled.service("leaving", 1)
    scaled.register(resource, 1, 2)
    scaled.follow(resource)
    scaled.scaling.deregister_scalable_target(**PLACE, ResourceId=resource)
    assert (
        scaled.scaling.describe_scaling_policies(ServiceNamespace="ecs", ResourceId=resource)["ScalingPolicies"] == []
    )
    refused(
        "ObjectNotFoundException",
        scaled.scaling.delete_scaling_policy,
        **PLACE,
        ResourceId=resource,
        PolicyName="cpu",
    )
    refused("ObjectNotFoundException", scaled.scaling.deregister_scalable_target, **PLACE, ResourceId=resource)


def test_what_aws_refuses(scaled: Scaled) -> None:
    resource = scaled.service("strict", 1)
    assert "doesn't exist" in refused("ValidationException", scaled.register, "service/main/unknown", 1, 2)
    refused("ValidationException", scaled.register, resource, 1, None)
    refused("ValidationException", scaled.register, resource, 3, 2)
    refused("ObjectNotFoundException", scaled.follow, resource)
    scaled.register(resource, 1, 2)
    wrong = {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"}
    refused("ValidationException", scaled.follow, resource, PredefinedMetricSpecification=wrong)
    unlabelled = {"PredefinedMetricType": "ALBRequestCountPerTarget"}
    assert "resource label" in refused(
        "ValidationException", scaled.follow, resource, PredefinedMetricSpecification=unlabelled
    )


def test_a_mount_without_its_volume_is_refused(scaled: Scaled) -> None:
    container = {"name": "a", "image": "x", "mountPoints": [{"sourceVolume": "scratch", "containerPath": "/tmp"}]}
    message = refused(
        "ClientException", scaled.ecs.register_task_definition, family="mounts", containerDefinitions=[container]
    )
    assert "Unknown volume 'scratch'" in message


def test_the_service_linked_role_has_the_name_that_bootstrap_looks_for(scaled: Scaled) -> None:
    iam = scaled.world.client("iam", "us-east-1")
    made = iam.create_service_linked_role(AWSServiceName="ecs.application-autoscaling.amazonaws.com")
    assert made["Role"]["RoleName"] == "AWSServiceRoleForApplicationAutoScaling_ECSService"
    refused(
        "InvalidInput",
        iam.create_service_linked_role,
        AWSServiceName="ecs.application-autoscaling.amazonaws.com",
    )
