"""What the types are tried with that scale services: one function for each type."""

from __future__ import annotations

from typing import Any, Final

from tests.sandbox.provider_lab import Lab, Trial, Trials

TRIALS: Final = Trials()
DIMENSION: Final = "ecs:service:DesiredCount"


def scaled_service(lab: Lab) -> str:
    """The resource id of a service that Application Auto Scaling may scale."""
    made = lab.make(
        "aws:ecs/service:Service",
        name=lab.name("scaled"),
        cluster=lab.cluster,
        taskDefinition=lab.task_definition(),
        desiredCount=0,
        launchType="FARGATE",
        networkConfiguration={"subnets": lab.subnets, "securityGroups": [lab.security_group()]},
    )
    return "service/" + "/".join(made.id.rsplit("/", 2)[1:])


@TRIALS.of("aws:appautoscaling/target:Target")
def _target(lab: Lab) -> Trial:
    given = {
        "serviceNamespace": "ecs",
        "scalableDimension": DIMENSION,
        "resourceId": scaled_service(lab),
        "minCapacity": 0,
        "maxCapacity": 4,
        "tags": {"Name": "one"},
    }
    return Trial(given, {"maxCapacity": 6, "tags": {"Name": "two"}}, {"resourceId": "service/other/other"})


@TRIALS.of("aws:appautoscaling/policy:Policy")
def _policy(lab: Lab) -> Trial:
    place = {"serviceNamespace": "ecs", "scalableDimension": DIMENSION, "resourceId": scaled_service(lab)}
    lab.make("aws:appautoscaling/target:Target", **place, minCapacity=0, maxCapacity=4)
    tracking: dict[str, Any] = {
        "predefinedMetricSpecification": {"predefinedMetricType": "ECSServiceAverageCPUUtilization"},
        "targetValue": 60,
        "scaleOutCooldown": 60,
        "scaleInCooldown": 300,
    }
    given = {"name": "cpu", **place, "policyType": "TargetTrackingScaling"}
    changed = {"targetTrackingScalingPolicyConfiguration": {**tracking, "targetValue": 70}}
    return Trial({**given, "targetTrackingScalingPolicyConfiguration": tracking}, changed, {"name": "memory"})
