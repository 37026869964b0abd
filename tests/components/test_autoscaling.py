"""Counts follow the load within bounds: kept by a deployment at peak, raised by the flip, left alone in standby."""

from typing import Any

import boto3
import pulumi
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber

from components import live_counts
from components.stack_outputs import Outputs
from components.workloads import Count
from tests.components.examples import KENYA, SOUTH_AFRICA, settings
from tests.components.wiring import SPECS, Spec, Stack

SERVICE = "aws:ecs/service:Service"
TARGET = "aws:appautoscaling/target:Target"
POLICY = "aws:appautoscaling/policy:Policy"
SPEC = Spec("api-gateway", True, "/api/*", desired_count=4, min_count=2, max_count=10, standby_count=1)

# (standby, live, served before) -> tasks, autoscaled
COUNTS = {
    "standby": ((True, 7, True), (1, False)),
    "first deployment": ((False, None, False), (4, True)),
    "service added later": ((False, None, True), (4, True)),
    "flip from zero": ((False, 0, False), (4, False)),
    "flip from a warm standby": ((False, 1, False), (4, False)),
    "interrupted promotion under load": ((False, 6, False), (6, False)),
    "at peak load": ((False, 9, True), (9, True)),
    "at night": ((False, 2, True), (2, True)),
    "above the most": ((False, 12, True), (10, False)),
    "below the fewest": ((False, 1, True), (2, False)),
    "stopped by hand": ((False, 0, True), (4, False)),
}


@pytest.mark.parametrize(("given", "expected"), COUNTS.values(), ids=COUNTS)
def test_count(given: tuple[bool, int | None, bool], expected: tuple[int, bool]) -> None:
    assert live_counts.count(SPEC, *given) == Count(tasks=expected[0], autoscaled=expected[1])


@pytest.mark.parametrize(
    ("own", "autoscaled"), [({"standby": False}, True), ({"standby": True}, False), ({}, False)], ids=str
)
def test_the_last_outputs_say_whether_the_count_is_autoscalings(own: dict[str, Any], autoscaled: bool) -> None:
    decided = live_counts.decide(settings(KENYA), {"sync": 3}, Outputs(KENYA, own))
    assert decided["sync"] == Count(tasks=3, autoscaled=autoscaled)
    assert decided["api-gateway"] == Count(tasks=2, autoscaled=True)


def test_a_deployment_at_peak_load_passes_and_keeps_the_live_count() -> None:
    recording = Stack(standby=False, live=7).recorded()
    for spec in SPECS:
        service = recording.one(SERVICE, f"services-{spec.name}")
        assert service.inputs["desiredCount"] == 7
        assert service.ignore_changes == ("desiredCount",)


def test_a_count_out_of_bounds_is_set() -> None:
    for service in Stack(standby=False, live=11).recorded().of(SERVICE):
        assert service.inputs["desiredCount"] == 10
        assert service.ignore_changes == ()


def test_an_idle_standby_has_nothing_that_could_raise_it() -> None:
    recording = Stack(standby=True).recorded()
    assert not recording.of(TARGET)
    assert not recording.of(POLICY)


def test_every_service_scales_on_cpu_within_its_bounds_after_the_takeover() -> None:
    recording = Stack(standby=False).recorded()
    for spec in SPECS:
        target = recording.one(TARGET, f"autoscaling-{spec.name}")
        assert target.inputs["resourceId"] == f"service/mental-health-platform-sa-cluster/{spec.name}"
        assert (target.inputs["minCapacity"], target.inputs["maxCapacity"]) == (1, 10)
        assert {"takeover-witness", "takeover-marker", f"services-{spec.name}"} <= target.dependencies
        assert "roleArn" not in target.inputs
        policy = recording.one(POLICY, f"autoscaling-{spec.name}").inputs
        assert policy["resourceId"] == target.inputs["resourceId"]
        assert policy["policyType"] == "TargetTrackingScaling"
        assert policy["targetTrackingScalingPolicyConfiguration"]["targetValue"] == 60


def test_no_service_waits_for_its_autoscaling() -> None:
    recording = Stack(standby=False).recorded()
    for spec in SPECS:
        assert not [name for name in recording.waits_for(f"services-{spec.name}") if name.startswith("autoscaling")]


# -- reading ----------------------------------------------------------------------------------------------------------
class Ecs:
    """Answers DescribeServices from what botocore accepts, and keeps who was asked where."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.client = boto3.client("ecs", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
        self.stub = Stubber(self.client)
        self.stub.activate()

    def make(self, service: str, region: str) -> Any:
        self.asked.append((service, region))
        return self.client


def test_counts_of_active_services_are_read_in_the_own_region() -> None:
    ecs, own = Ecs(), settings(KENYA)
    found = [
        {"serviceName": "api-gateway", "status": "ACTIVE", "desiredCount": 6},
        {"serviceName": "sync", "status": "INACTIVE", "desiredCount": 0},
    ]
    names = [service.name for service in own.services]
    ecs.stub.add_response(
        "describe_services",
        {"services": found},
        {"cluster": "mental-health-platform-kenya-cluster", "services": names},
    )
    assert live_counts.read(own, ecs.make) == {"api-gateway": 6}
    assert ecs.asked == [("ecs", "eu-west-1")]


def test_more_than_ten_services_are_asked_for_in_turns() -> None:
    ecs, first = Ecs(), settings(KENYA).services[0]
    names = [f"service-{number}" for number in range(12)]
    many = settings(KENYA).model_copy(
        update={"services": tuple(first.model_copy(update={"name": name}) for name in names)}
    )
    cluster = "mental-health-platform-kenya-cluster"
    for batch in (names[:10], names[10:]):
        found = [{"serviceName": name, "status": "ACTIVE", "desiredCount": 2} for name in batch]
        ecs.stub.add_response("describe_services", {"services": found}, {"cluster": cluster, "services": batch})
    assert live_counts.read(many, ecs.make) == dict.fromkeys(names, 2)


def test_before_the_first_deployment_there_are_no_counts() -> None:
    ecs = Ecs()
    ecs.stub.add_client_error("describe_services", "ClusterNotFoundException")
    assert live_counts.read(settings(KENYA), ecs.make) == {}


def test_a_standby_asks_nobody() -> None:
    ecs = Ecs()
    assert live_counts.read(settings(SOUTH_AFRICA), ecs.make) == {}
    assert ecs.asked == []


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not allowed"}}, "DescribeServices"),
        EndpointConnectionError(endpoint_url="https://ecs.eu-west-1.amazonaws.com"),
    ],
    ids=["denied", "no connection"],
)
def test_a_failure_refuses_with_one_message(error: Exception) -> None:
    def fail(_service: str, _region: str) -> Any:
        raise error

    with pytest.raises(pulumi.RunError, match=r"in eu-west-1 failed, nothing was changed: .*then run again"):
        live_counts.read(settings(KENYA), fail)
