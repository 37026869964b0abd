"""A Pulumi program with one scaled service that has its count from the platform's rules. test_live_counts runs it."""

import json
import sys
from types import SimpleNamespace
from typing import Any

import pulumi
import pulumi_aws as aws

config = pulumi.Config()
sys.path.insert(0, config.require("checkout"))

from components import live_counts, stack_outputs  # noqa: E402 (found only now)

STANDBY = config.get_bool("standby") or False
SPEC = SimpleNamespace(
    name="web",
    desired_count=2,
    standby_count=0,
    min_count=2,
    max_count=8,
    needs_database=False,
    queue="none",
    audio="none",
)
SETTINGS: Any = SimpleNamespace(
    standby=STANDBY, region="eu-west-1", short_name="counts", services=[SPEC], frozen=False, thaw_counts={}
)


async def main() -> None:
    own = await stack_outputs.read_own(pulumi.get_project(), pulumi.get_stack())
    count = live_counts.decide(SETTINGS, live_counts.read(SETTINGS), own)["web"]
    vpc = aws.ec2.Vpc("web", cidr_block="10.0.0.0/16")
    subnet = aws.ec2.Subnet("web", vpc_id=vpc.id, cidr_block="10.0.0.0/24", availability_zone="eu-west-1a")
    group = aws.ec2.SecurityGroup("web", name="web", description="web", vpc_id=vpc.id)
    cluster = aws.ecs.Cluster("web", name="mental-health-platform-counts-cluster")
    task = aws.ecs.TaskDefinition(
        "web",
        family="web",
        container_definitions=json.dumps(
            [{"name": "web", "image": "x", "environment": [{"name": "RELEASE", "value": config.get("release") or "1"}]}]
        ),
        cpu="256",
        memory="512",
        network_mode="awsvpc",
        requires_compatibilities=["FARGATE"],
    )
    service = aws.ecs.Service(
        "web",
        name="web",
        cluster=cluster.arn,
        task_definition=task.arn,
        desired_count=count.tasks,
        launch_type="FARGATE",
        network_configuration=aws.ecs.ServiceNetworkConfigurationArgs(subnets=[subnet.id], security_groups=[group.id]),
        opts=pulumi.ResourceOptions(ignore_changes=["desiredCount"] if count.autoscaled else None),
    )
    if not STANDBY:
        target = aws.appautoscaling.Target(
            "web",
            service_namespace="ecs",
            scalable_dimension="ecs:service:DesiredCount",
            resource_id=pulumi.Output.concat("service/", cluster.name, "/", service.name),
            min_capacity=SPEC.min_count,
            max_capacity=SPEC.max_count,
        )
        metric = aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationPredefinedMetricSpecificationArgs(
            predefined_metric_type="ECSServiceAverageCPUUtilization"
        )
        tracking = aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationArgs(
            predefined_metric_specification=metric, target_value=60
        )
        aws.appautoscaling.Policy(
            "web",
            name="cpu",
            policy_type="TargetTrackingScaling",
            service_namespace=target.service_namespace,
            scalable_dimension=target.scalable_dimension,
            resource_id=target.resource_id,
            target_tracking_scaling_policy_configuration=tracking,
        )
    pulumi.export("standby", STANDBY)


pulumi.run(main)
