"""How the number of tasks follows the load while a stack serves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import naming
from components.workloads import ServiceSpec

# Average use of the CPU, in percent, that Application Auto Scaling aims at.
CPU_TARGET = 60
# Seconds until the next step: up soon, because people wait; down late, because load comes back.
SCALE_OUT_SECONDS = 60
SCALE_IN_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class AutoscalingArgs:
    """`services`: the deployed services by name; `after`: the takeover's resources."""

    tags: naming.Tags
    specs: Sequence[ServiceSpec]
    cluster_name: pulumi.Input[str]
    services: Mapping[str, aws.ecs.Service]
    after: Sequence[pulumi.Resource]


class Autoscaling(pulumi.ComponentResource):
    """A scalable target and a policy for each service. Only for a stack that serves.

    A target raises a service to its minimum at once, so an idle standby has none. The role that scales is AWS's own for
    ECS, which `dr bootstrap` makes: made at the first registration, it would be a call to IAM in the disaster.
    """

    def __init__(self, name: str, args: AutoscalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:services:Autoscaling", name, {}, opts)
        self._name = name
        self._args = args
        for spec in args.specs:
            self._scale(spec, args.services[spec.name])
        self.register_outputs({})

    def _scale(self, spec: ServiceSpec, service: aws.ecs.Service) -> None:
        name = f"{self._name}-{spec.name}"
        target = aws.appautoscaling.Target(
            name,
            service_namespace="ecs",
            scalable_dimension="ecs:service:DesiredCount",
            resource_id=pulumi.Output.concat("service/", self._args.cluster_name, "/", service.name),
            min_capacity=spec.min_count,
            max_capacity=spec.max_count,
            tags=dict(self._args.tags),
            # Nobody in distress waits for it: the services begin with their desired count.
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(self._args.after)),
        )
        cpu = aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationPredefinedMetricSpecificationArgs(
            predefined_metric_type="ECSServiceAverageCPUUtilization"
        )
        aws.appautoscaling.Policy(
            name,
            name="cpu",
            policy_type="TargetTrackingScaling",
            service_namespace=target.service_namespace,
            scalable_dimension=target.scalable_dimension,
            resource_id=target.resource_id,
            target_tracking_scaling_policy_configuration=(
                aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationArgs(
                    predefined_metric_specification=cpu,
                    target_value=CPU_TARGET,
                    scale_out_cooldown=SCALE_OUT_SECONDS,
                    scale_in_cooldown=SCALE_IN_SECONDS,
                )
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
