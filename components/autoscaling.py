"""How the number of tasks follows the load while a stack serves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import naming
from components.workloads import ServiceSpec, writes

# Average use of the CPU, in percent, that Application Auto Scaling aims at.
CPU_TARGET = 60
# Seconds until the next step: up soon, because people wait; down late, because load comes back.
SCALE_OUT_SECONDS = 60
SCALE_IN_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class AutoscalingArgs:
    """`services`: the deployed services by name, none while frozen; `after`: the takeover's resources, or the crisis
    page while frozen."""

    tags: naming.Tags
    specs: Sequence[ServiceSpec]
    cluster_name: str
    frozen: bool
    services: Mapping[str, aws.ecs.Service]
    after: Sequence[pulumi.Resource]


class Autoscaling(pulumi.ComponentResource):
    """A scalable target and a policy for each service. Only for a stack that serves.

    A target raises a service to its minimum at once, so an idle standby has none. The role that scales is AWS's own for
    ECS, which `dr bootstrap` makes: made at the first registration, it would be a call to IAM in the disaster.

    While frozen, scaling of what writes is suspended, before its count is set to 0: an alarm would raise it again. A
    target without a minimum that stays suspended until the takeover also leaves a thawed service alone.

    `targets`: what a service waits for before it goes to 0.
    """

    def __init__(self, name: str, args: AutoscalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:services:Autoscaling", name, {}, opts)
        self._name = name
        self._args = args
        self.targets: list[pulumi.Resource] = [self._scale(spec) for spec in args.specs]
        self.register_outputs({})

    def _scale(self, spec: ServiceSpec) -> aws.appautoscaling.Target:
        name = f"{self._name}-{spec.name}"
        stopped = self._args.frozen and writes(spec)
        service = [self._args.services[spec.name]] if self._args.services else []
        target = aws.appautoscaling.Target(
            name,
            service_namespace="ecs",
            scalable_dimension="ecs:service:DesiredCount",
            resource_id=f"service/{self._args.cluster_name}/{spec.name}",
            min_capacity=0 if stopped else spec.min_count,
            max_capacity=spec.max_count,
            # Also said when nothing is suspended: the plugin takes what is left out for what AWS has, so that a thawed
            # service would never scale again.
            suspended_state=aws.appautoscaling.TargetSuspendedStateArgs(
                dynamic_scaling_in_suspended=stopped,
                dynamic_scaling_out_suspended=stopped,
                scheduled_scaling_suspended=stopped,
            ),
            tags=dict(self._args.tags),
            # Nobody in distress waits for it: the services begin with their desired count.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*service, *self._args.after]),
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
        return target
