"""Application Auto Scaling for ECS: bounds take effect when they are registered, and a load moves the count in them,
unless that is suspended.

POST /_sandbox/load {region, service, tasks} stands for the alarms of a target-tracking policy: as many tasks as the
load needs, and the policy sets what the bounds allow. The alarms themselves, step policies and schedules are not
modelled.
"""

from __future__ import annotations

import json
from typing import Any, Final

from moto.applicationautoscaling.models import (
    ApplicationAutoscalingBackend,
    FakeApplicationAutoscalingPolicy,
    FakeScalableTarget,
    applicationautoscaling_backends,
)
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.core.exceptions import JsonRESTError
from moto.ecs.models import ecs_backends

from sandbox.cloud.context import ACCOUNT, BadRequest, Cloud
from sandbox.cloud.emulations.patching import refuse, replace

SERVICE: Final = "application-autoscaling"
# Metrics that AWS offers for ECS (API reference, PredefinedMetricSpecification); the last one needs a resource label.
METRICS: Final = (
    "ECSServiceAverageCPUUtilization",
    "ECSServiceAverageMemoryUtilization",
    "ALBRequestCountPerTarget",
)
SUSPENSIONS: Final = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")


def install(cloud: Cloud) -> None:
    """Give registered bounds their effect, refuse what AWS refuses, keep tags."""
    _install_targets(cloud)
    _install_policies()
    _install_tags(cloud)
    refuse(ApplicationAutoscalingBackend, "put_scheduled_action")
    cloud.route("POST", "load", lambda data: _load(cloud, data))


def _invalid(message: str) -> JsonRESTError:
    return JsonRESTError("ValidationException", message)


def _missing(what: str, namespace: str, resource: str, dimension: str) -> JsonRESTError:
    place = f"service namespace: {namespace}, resource ID: {resource}, scalable dimension: {dimension}"
    return JsonRESTError("ObjectNotFoundException", f"No {what} found for {place}")


# -- targets ----------------------------------------------------------------------------------------------------------
def _install_targets(cloud: Cloud) -> None:
    register = ApplicationAutoscalingBackend.register_scalable_target
    deregister = ApplicationAutoscalingBackend.deregister_scalable_target

    def register_scalable_target(
        self: ApplicationAutoscalingBackend,
        namespace: str,
        r_id: str,
        dimension: str,
        min_capacity: int | None,
        max_capacity: int | None,
        role_arn: str,
        suspended_state: Any,
    ) -> FakeScalableTarget:
        if namespace != "ecs":
            raise NotImplementedError("the sandbox scales ECS services")
        known = self.targets.get(dimension, {}).get(r_id)
        low = min_capacity if min_capacity is not None else getattr(known, "min_capacity", None)
        high = max_capacity if max_capacity is not None else getattr(known, "max_capacity", None)
        if low is None or high is None:
            raise _invalid("Both MinCapacity and MaxCapacity must be specified when registering a new scalable target.")
        if low < 0 or high < low:
            raise _invalid("Maximum capacity cannot be less than minimum capacity")
        # What is left out of a request stays as it is, and is false in the first (RegisterScalableTarget).
        suspended: Any = {
            **(_suspended(known) if known else dict.fromkeys(SUSPENSIONS, False)),
            **(suspended_state or {}),
        }
        target = register(self, namespace, r_id, dimension, low, high, role_arn, suspended)
        _scale(cloud, target, _service(target).desired_count, "bounds")
        return target

    def deregister_scalable_target(
        self: ApplicationAutoscalingBackend, namespace: str, r_id: str, dimension: str
    ) -> None:
        if r_id not in self.targets.get(dimension, {}):
            raise _missing("scalable target", namespace, r_id, dimension)
        deregister(self, namespace, r_id, dimension)
        # "Deregistering a scalable target deletes the scaling policies that are associated with it" (API reference).
        orphans = [key for key, found in self.policies.items() if found.resource_id == r_id]
        for key in orphans:
            del self.policies[key]

    def service_exists(self: ApplicationAutoscalingBackend, r_id: str) -> bool:
        _, cluster, name = r_id.split("/")
        found, _ = ecs_backends[ACCOUNT][self.region_name].describe_services(cluster, [name])
        if not found or found[0].status != "ACTIVE":
            raise _invalid(f"ECS service doesn't exist: {r_id}")
        return True

    replace(
        ApplicationAutoscalingBackend,
        register_scalable_target=register_scalable_target,
        deregister_scalable_target=deregister_scalable_target,
        _ecs_service_exists_for_target=service_exists,
    )


def _suspended(target: FakeScalableTarget) -> dict[str, bool]:
    """moto calls it a text, and keeps whatever the request had."""
    found: Any = target.suspended_state
    return dict(found)


def _service(target: FakeScalableTarget) -> Any:
    _, cluster, name = target.resource_id.split("/")
    return _ecs(target)._get_service(cluster, name)


def _ecs(target: FakeScalableTarget) -> Any:
    return ecs_backends[ACCOUNT][target.applicationautoscaling_backend.region_name]


def _scale(cloud: Cloud, target: FakeScalableTarget, wanted: int, cause: str) -> int:
    """Set the service's desired count to `wanted`, within the bounds; say so if that changes it."""
    _, cluster, name = target.resource_id.split("/")
    tasks = min(max(wanted, int(target.min_capacity or 0)), int(target.max_capacity or 0))
    before = _service(target).desired_count
    if tasks != before:
        _ecs(target).update_service({"cluster": cluster, "service": name, "desired_count": tasks})
        region = target.applicationautoscaling_backend.region_name
        cloud.emit("service.scaled", region=region, service=name, tasks=tasks, before=before, cause=cause)
    return tasks


def _follow(cloud: Cloud, target: FakeScalableTarget, wanted: int) -> int:
    """What the policy does where it may: adding and taking away tasks are suspended apart from each other."""
    now = int(_service(target).desired_count)
    way = "DynamicScalingOutSuspended" if wanted > now else "DynamicScalingInSuspended"
    return now if _suspended(target)[way] else _scale(cloud, target, wanted, "load")


def _load(cloud: Cloud, data: dict[str, Any]) -> dict[str, Any]:
    region, service, tasks = data.get("region"), data.get("service"), data.get("tasks")
    if not isinstance(region, str) or not isinstance(service, str) or not isinstance(tasks, int):
        raise BadRequest("region, service (names) and tasks (a number) are needed")
    backend = applicationautoscaling_backends[ACCOUNT][region]
    scaled = {policy.resource_id for policy in backend.policies.values()}
    for targets in backend.targets.values():
        for resource, target in targets.items():
            if resource.endswith(f"/{service}") and resource in scaled:
                return {"tasks": _follow(cloud, target, tasks)}
    raise BadRequest(f"no policy scales {service} in {region}")


# -- policies ---------------------------------------------------------------------------------------------------------
def _install_policies() -> None:
    put, delete = ApplicationAutoscalingBackend.put_scaling_policy, ApplicationAutoscalingBackend.delete_scaling_policy

    def put_scaling_policy(self: ApplicationAutoscalingBackend, **given: Any) -> FakeApplicationAutoscalingPolicy:
        place = (given["service_namespace"], given["resource_id"], given["scalable_dimension"])
        if given["policy_type"] != "TargetTrackingScaling":
            raise NotImplementedError("the sandbox has target-tracking policies only")
        if place[1] not in self.targets.get(place[2], {}):
            raise _missing("scalable target", *place)
        _check_metric(given["policy_body"] or {})
        return put(self, **given)

    def delete_scaling_policy(self: ApplicationAutoscalingBackend, **given: str) -> None:
        place = (given["service_namespace"], given["resource_id"], given["scalable_dimension"])
        key = FakeApplicationAutoscalingPolicy.formulate_key(*place, given["policy_name"])
        if key not in self.policies:
            raise _missing("scaling policy", *place)
        delete(self, **given)

    replace(
        ApplicationAutoscalingBackend,
        put_scaling_policy=put_scaling_policy,
        delete_scaling_policy=delete_scaling_policy,
    )
    # moto's have a made-up threshold; nothing acts on them here, and they would look like alarms of the platform.
    replace(FakeApplicationAutoscalingPolicy, create_alarms=lambda _: None)


def _check_metric(body: dict[str, Any]) -> None:
    metric = body.get("PredefinedMetricSpecification") or {}
    kind = metric.get("PredefinedMetricType")
    if kind not in METRICS:
        raise _invalid(f"Predefined metric type {kind} is not supported for service namespace ecs")
    if kind == METRICS[-1] and not metric.get("ResourceLabel"):
        raise _invalid(f"You must specify a resource label for the predefined metric type {kind}")


# -- tags -------------------------------------------------------------------------------------------------------------
def _install_tags(cloud: Cloud) -> None:
    register = ApplicationAutoScalingResponse.register_scalable_target
    tags: dict[str, dict[str, str]] = {}

    def register_scalable_target(self: ApplicationAutoScalingResponse) -> str:
        answer = register(self)
        if given := self._get_param("Tags"):
            tags.setdefault(json.loads(answer)["ScalableTargetARN"], {}).update(given)
        return answer

    def untag(data: dict[str, Any]) -> dict[str, Any]:
        kept = tags.get(data["ResourceARN"], {})
        for key in data["TagKeys"]:
            kept.pop(key, None)
        return {}

    def tag(data: dict[str, Any]) -> dict[str, Any]:
        tags.setdefault(data["ResourceARN"], {}).update(data["Tags"])
        return {}

    replace(ApplicationAutoScalingResponse, register_scalable_target=register_scalable_target)
    cloud.operation(SERVICE, "ListTagsForResource", lambda data: {"Tags": tags.get(data["ResourceARN"], {})})
    cloud.operation(SERVICE, "TagResource", tag)
    cloud.operation(SERVICE, "UntagResource", untag)
