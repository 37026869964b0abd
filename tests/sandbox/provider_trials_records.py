"""What the types are tried with that scale services and write down what happens: one function for each type."""

from __future__ import annotations

from typing import Any, Final

from components.flow_logs import flow_log_policy, flow_log_trust
from tests.sandbox.provider_client import REGION
from tests.sandbox.provider_lab import ACCOUNT, Lab, Trial, Trials, log_bucket

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
        "suspendedState": suspended(False),
        "tags": {"Name": "one"},
    }
    changed = {"maxCapacity": 6, "suspendedState": suspended(True), "tags": {"Name": "two"}}
    return Trial(given, changed, {"resourceId": "service/other/other"})


def suspended(flag: bool) -> dict[str, bool]:
    kinds = ("dynamicScalingInSuspended", "dynamicScalingOutSuspended", "scheduledScalingSuspended")
    return dict.fromkeys(kinds, flag)


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


@TRIALS.of("aws:ec2/flowLog:FlowLog")
def _flow_log(lab: Lab) -> Trial:
    name = lab.name("flow-logs")
    group = lab.make("aws:cloudwatch/logGroup:LogGroup", name=f"/{name}").state["arn"]
    role = lab.make("aws:iam/role:Role", name=name, assumeRolePolicy=flow_log_trust(ACCOUNT, REGION))
    lab.make(
        "aws:iam/rolePolicy:RolePolicy", name="write", role=name, policy=flow_log_policy(str(group), ACCOUNT, REGION)
    )
    given = {
        "vpcId": lab.vpc,
        "trafficType": "ALL",
        "logDestinationType": "cloud-watch-logs",
        "logDestination": group,
        "iamRoleArn": role.state["arn"],
        "maxAggregationInterval": 60,
        "tags": {"Name": "one"},
    }
    return Trial(given, {"tags": {"Name": "two"}}, {"trafficType": "REJECT"})


@TRIALS.of("aws:s3/bucketLogging:BucketLogging")
def _bucket_logging(lab: Lab) -> Trial:
    bucket = lab.bucket()
    given = {"bucket": bucket, "targetBucket": log_bucket(lab, bucket), "targetPrefix": "audio/"}
    return Trial(given, {"targetPrefix": "audio/2026/"}, {"bucket": "another-bucket"})


@TRIALS.of("aws:s3/inventory:Inventory")
def _inventory(lab: Lab) -> Trial:
    bucket = lab.bucket()
    destination = {
        "bucketArn": f"arn:aws:s3:::{log_bucket(lab, bucket)}",
        "accountId": ACCOUNT,
        "format": "CSV",
        "prefix": "inventory",
    }
    given = {
        "bucket": bucket,
        "name": "every-version",
        "includedObjectVersions": "All",
        "schedule": {"frequency": "Daily"},
        "optionalFields": ["Size", "ETag"],
        "destination": {"bucket": destination},
    }
    return Trial(given, {"schedule": {"frequency": "Weekly"}, "optionalFields": ["Size"]}, {"name": "other"})
