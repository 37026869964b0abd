"""Application Auto Scaling: scalable targets and their policies."""

from __future__ import annotations

from typing import Any, Final

from sandbox.provider.operation import Operation
from sandbox.provider.table import Resource, Tags, call, f, fields, update

_ARN: Final = {"ResourceARN": lambda op: op.known("arn")}


def _place(op: Operation) -> dict[str, str]:
    """Namespace, resource and dimension from the id: <namespace>/<type>/<cluster>/<service>/<dimension>[/<policy>].

    The plugin takes that form for an import, because no part can be left out when AWS is asked.
    """
    namespace, kind, cluster, service, dimension = op.id.split("/")[:5]
    return {
        "ServiceNamespace": namespace,
        "ResourceId": f"{kind}/{cluster}/{service}",
        "ScalableDimension": dimension,
    }


def _part(name: str) -> Any:
    return lambda op: _place(op)[name]


PLACE: Final = {name: _part(name) for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")}


def _register(op: Operation) -> str:
    op.call(call("register_scalable_target"), op.creating_fields(), op.tags_at_create())
    return "/".join(str(op.inputs[name]) for name in ("serviceNamespace", "resourceId", "scalableDimension"))


def _found_target(op: Operation) -> dict[str, Any] | None:
    place = _place(op)
    resource = place.pop("ResourceId")
    found = op.api("describe_scalable_targets", ResourceIds=[resource], **place)["ScalableTargets"]
    return dict(found[0]) if found else None


TARGET: Final = Resource(
    token="aws:appautoscaling/target:Target",
    service="application-autoscaling",
    create=_register,
    read=_found_target,
    delete=call("deregister_scalable_target", PLACE),
    inputs=(
        *fields("serviceNamespace resourceId scalableDimension", replace=True),
        *fields("minCapacity maxCapacity"),
        f(
            "suspendedState",
            computed=True,  # left out, it stays as it is
            block=fields(
                "dynamicScalingInSuspended dynamicScalingOutSuspended scheduledScalingSuspended", default=False
            ),
        ),
    ),
    outputs=(f("arn", read="ScalableTargetARN"),),
    updates=(update("minCapacity maxCapacity suspendedState", call("register_scalable_target", PLACE)),),
    tags=Tags(key="", read=call("list_tags_for_resource", _ARN, "Tags"), target=_ARN),
    missing=("ObjectNotFoundException",),
)


def _put(op: Operation) -> str:
    op.call(call("put_scaling_policy"), op.creating_fields())
    names = ("serviceNamespace", "resourceId", "scalableDimension", "name")
    return "/".join(str(op.inputs[name]) for name in names)


def _found_policy(op: Operation) -> dict[str, Any] | None:
    name = op.id.rpartition("/")[2]
    found = op.api("describe_scaling_policies", PolicyNames=[name], **_place(op))["ScalingPolicies"]
    return next((dict(policy) for policy in found if policy["PolicyName"] == name), None)


POLICY: Final = Resource(
    token="aws:appautoscaling/policy:Policy",
    service="application-autoscaling",
    create=_put,
    read=_found_policy,
    delete=call("delete_scaling_policy", {**PLACE, "PolicyName": "$name"}),
    inputs=(
        f("name", "PolicyName", replace=True),
        *fields("serviceNamespace resourceId scalableDimension", replace=True),
        f("policyType", default="StepScaling"),
        f(
            "targetTrackingScalingPolicyConfiguration",
            block=(
                *fields("targetValue scaleInCooldown scaleOutCooldown"),
                f("disableScaleIn", default=False),
                f("predefinedMetricSpecification", block=fields("predefinedMetricType resourceLabel")),
            ),
        ),
    ),
    outputs=(f("arn", read="PolicyARN"),),
    updates=(update("policyType targetTrackingScalingPolicyConfiguration", _put),),
    missing=("ObjectNotFoundException",),
    physical_name="name",
)

RESOURCES: Final = (TARGET, POLICY)
