"""Elastic Load Balancing v2: load balancers, target groups, listeners, rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider.errors import ProviderError
from sandbox.provider.operation import Operation
from sandbox.provider.table import Description, Failure, Field, Resource, Tags, call, f, fields, update

TAGS: Final = Tags(
    read=call("describe_tags", {"ResourceArns": ["$id"]}, "TagDescriptions[0].Tags"),
    target={"ResourceArns": ["$id"]},
    add="add_tags",
    remove="remove_tags",
)
# A fixed response's body; AWS counts bytes.
FIXED_RESPONSE_BYTES: Final = 1024


# -- attributes: a list of pairs, each a property in Pulumi


def _attribute(name: str, key: str, default: Any) -> Field:
    def read(_: Operation, found: Description) -> Any:
        value = next((item["Value"] for item in found["Attributes"] if item["Key"] == key), None)
        if value is None:
            return None
        return value == "true" if isinstance(default, bool) else int(value)

    return f(name, get=read, create=False, default=default)


def _modify_attributes(operation: str, member: str, keys: Mapping[str, str]) -> Any:
    def modify(op: Operation) -> None:
        names = [name for name in keys if name in (op.inputs if op.creating else op.changed)]
        pairs = [{"Key": keys[name], "Value": str(op.wanted(name)).lower()} for name in names]
        if pairs:
            op.api(operation, **{member: op.id, "Attributes": pairs})

    return modify


LOAD_BALANCER_ATTRIBUTES: Final = {
    "dropInvalidHeaderFields": "routing.http.drop_invalid_header_fields.enabled",
    "enableDeletionProtection": "deletion_protection.enabled",
    "idleTimeout": "idle_timeout.timeout_seconds",
}


ACCESS_LOGS: Final = {
    "enabled": "access_logs.s3.enabled",
    "bucket": "access_logs.s3.bucket",
    "prefix": "access_logs.s3.prefix",
}


def _read_access_logs(_: Operation, found: Description) -> dict[str, Any] | None:
    told = {item["Key"]: item["Value"] for item in found["Attributes"]}
    if told.get(ACCESS_LOGS["enabled"]) != "true":
        return None
    return {"enabled": True, **{name: told[ACCESS_LOGS[name]] for name in ("bucket", "prefix")}}


def _set_access_logs(op: Operation) -> None:
    logs = op.inputs.get("accessLogs") or {}
    # Turned off, the bucket is left as it is: AWS accepts no empty name.
    wanted = {
        "enabled": bool(logs.get("enabled")),
        **{name: logs[name] for name in ("bucket", "prefix") if logs.get(name)},
    }
    pairs = [
        {"Key": ACCESS_LOGS[name], "Value": str(value).lower() if name == "enabled" else value}
        for name, value in wanted.items()
    ]
    op.api("modify_load_balancer_attributes", LoadBalancerArn=op.id, Attributes=pairs)


def _set(operation: str, name: str, member: str) -> Any:
    return update(name, lambda op: _call_set(op, operation, name, member))


def _call_set(op: Operation, operation: str, name: str, member: str) -> None:
    op.api(operation, LoadBalancerArn=op.id, **{member: op.inputs.get(name) or []})


def _active(op: Operation, found: Description) -> bool:
    state = found["State"]["Code"]
    if state == "failed":
        raise ProviderError(f"the load balancer {op.id} failed: {found['State'].get('Reason')}")
    return bool(state in ("active", "active_impaired"))


LOAD_BALANCER: Final = Resource(
    token="aws:lb/loadBalancer:LoadBalancer",
    service="elbv2",
    create=call("create_load_balancer", result="LoadBalancers[0].LoadBalancerArn"),
    read=call("describe_load_balancers", {"LoadBalancerArns": ["$id"]}, "LoadBalancers[0]"),
    more=(call("describe_load_balancer_attributes", {"LoadBalancerArn": "$id"}, "{Attributes: Attributes}"),),
    delete=call("delete_load_balancer", {"LoadBalancerArn": "$id"}),
    inputs=(
        f("name", "Name", read="LoadBalancerName", replace=True),
        f("loadBalancerType", "Type", replace=True, default="application"),
        f(
            "internal",
            "Scheme",
            replace=True,
            default=False,
            encode=lambda value: "internal" if value else "internet-facing",
            decode=lambda value: value == "internal",
        ),
        f("subnets", read="AvailabilityZones[].SubnetId", unordered=True),
        f("securityGroups", unordered=True, computed=True),
        f(
            "accessLogs",
            get=_read_access_logs,
            create=False,
            block=(f("bucket"), f("prefix"), f("enabled", default=False)),
        ),
        _attribute("dropInvalidHeaderFields", LOAD_BALANCER_ATTRIBUTES["dropInvalidHeaderFields"], False),
        _attribute("enableDeletionProtection", LOAD_BALANCER_ATTRIBUTES["enableDeletionProtection"], False),
        _attribute("idleTimeout", LOAD_BALANCER_ATTRIBUTES["idleTimeout"], 60),
    ),
    outputs=(
        f("arn", read="LoadBalancerArn"),
        f("arnSuffix", get=lambda op, _: op.id.partition(":loadbalancer/")[2]),
        f("dnsName", read="DNSName"),
        f("zoneId", read="CanonicalHostedZoneId"),
        f("vpcId"),
    ),
    updates=(
        update(
            " ".join(LOAD_BALANCER_ATTRIBUTES),
            _modify_attributes("modify_load_balancer_attributes", "LoadBalancerArn", LOAD_BALANCER_ATTRIBUTES),
            after_create=True,
        ),
        update("accessLogs", _set_access_logs, after_create=True),
        _set("set_subnets", "subnets", "Subnets"),
        _set("set_security_groups", "securityGroups", "SecurityGroups"),
    ),
    tags=TAGS,
    missing=("LoadBalancerNotFound",),
    ready=_active,
    physical_name="name",
    required=("subnets",),
)


# -- target groups

TARGET_GROUP_ATTRIBUTES: Final = {"deregistrationDelay": "deregistration_delay.timeout_seconds"}
HEALTH_CHECK: Final = (
    ("enabled", "HealthCheckEnabled"),
    ("protocol", "HealthCheckProtocol"),
    ("port", "HealthCheckPort"),
    ("path", "HealthCheckPath"),
    ("interval", "HealthCheckIntervalSeconds"),
    ("timeout", "HealthCheckTimeoutSeconds"),
    ("healthyThreshold", "HealthyThresholdCount"),
    ("unhealthyThreshold", "UnhealthyThresholdCount"),
)


def _health_check(inputs: Mapping[str, Any]) -> dict[str, Any]:
    check = inputs.get("healthCheck") or {}
    request = {member: check[name] for name, member in HEALTH_CHECK if check.get(name) is not None}
    if "HealthCheckPort" in request:
        request["HealthCheckPort"] = str(request["HealthCheckPort"])
    if check.get("matcher"):
        request["Matcher"] = {"HttpCode": str(check["matcher"])}
    return request


def _read_health_check(_: Operation, found: Description) -> dict[str, Any]:
    check = {name: found[member] for name, member in HEALTH_CHECK if found.get(member) is not None}
    if (found.get("Matcher") or {}).get("HttpCode"):
        check["matcher"] = found["Matcher"]["HttpCode"]
    return check


def _create_target_group(op: Operation) -> str:
    operation = call("create_target_group", result="TargetGroups[0].TargetGroupArn")
    return str(op.call(operation, op.creating_fields(), {**_health_check(op.inputs), **op.tags_at_create()}))


def _modify_target_group(op: Operation) -> None:
    op.api("modify_target_group", TargetGroupArn=op.id, **_health_check(op.inputs))


TARGET_GROUP: Final = Resource(
    token="aws:lb/targetGroup:TargetGroup",
    service="elbv2",
    create=_create_target_group,
    read=call("describe_target_groups", {"TargetGroupArns": ["$id"]}, "TargetGroups[0]"),
    more=(call("describe_target_group_attributes", {"TargetGroupArn": "$id"}, "{Attributes: Attributes}"),),
    delete=call("delete_target_group", {"TargetGroupArn": "$id"}),
    inputs=(
        f("name", "Name", read="TargetGroupName", replace=True),
        *fields("port protocol vpcId", replace=True),
        f("targetType", replace=True, default="instance"),
        f(
            "healthCheck",
            get=_read_health_check,
            create=False,
            computed=True,
            block=(*fields(" ".join(name for name, _ in HEALTH_CHECK), computed=True), f("matcher", computed=True)),
        ),
        _attribute("deregistrationDelay", TARGET_GROUP_ATTRIBUTES["deregistrationDelay"], 300),
    ),
    outputs=(f("arn", read="TargetGroupArn"), f("arnSuffix", get=lambda op, _: op.id.rpartition(":")[2])),
    updates=(
        update("healthCheck", _modify_target_group),
        update(
            "deregistrationDelay",
            _modify_attributes("modify_target_group_attributes", "TargetGroupArn", TARGET_GROUP_ATTRIBUTES),
            after_create=True,
        ),
    ),
    tags=TAGS,
    missing=("TargetGroupNotFound",),
    retry_delete=("ResourceInUse",),
    physical_name="name",
)


# -- listeners and rules

ACTION: Final = (
    f("type"),
    f("order", computed=True),
    f("targetGroupArn"),
    f("fixedResponse", "FixedResponseConfig", block=fields("contentType messageBody statusCode")),
    f(
        "redirect",
        "RedirectConfig",
        block=(
            f("statusCode"),
            f("port", default="#{port}"),
            f("protocol", default="#{protocol}"),
            f("host", default="#{host}"),
            f("path", default="/#{path}"),
            f("query", default="#{query}"),
        ),
    ),
)


def _actions(name: str) -> Any:
    def check(inputs: Mapping[str, Any]) -> list[Failure]:
        for action in inputs.get(name) or []:
            size = len(str((action.get("fixedResponse") or {}).get("messageBody") or "").encode())
            if size > FIXED_RESPONSE_BYTES:
                return [(name, f"a fixed response holds {FIXED_RESPONSE_BYTES} bytes, this one has {size}")]
        return []

    return check


LISTENER: Final = Resource(
    token="aws:lb/listener:Listener",
    service="elbv2",
    create=call("create_listener", result="Listeners[0].ListenerArn"),
    read=call("describe_listeners", {"ListenerArns": ["$id"]}, "Listeners[0]"),
    delete=call("delete_listener", {"ListenerArn": "$id"}),
    inputs=(
        f("loadBalancerArn", replace=True),
        f("port"),
        f("protocol", computed=True),
        f("sslPolicy", computed=True),
        f(
            "certificateArn",
            "Certificates",
            encode=lambda arn: [{"CertificateArn": arn}],
            decode=lambda items: (items or [{}])[0].get("CertificateArn"),
        ),
        f("defaultActions", block=ACTION),
    ),
    outputs=(f("arn", read="ListenerArn"),),
    updates=(
        update(
            "port protocol sslPolicy certificateArn defaultActions", call("modify_listener", {"ListenerArn": "$id"})
        ),
    ),
    tags=TAGS,
    missing=("ListenerNotFound",),
    check=_actions("defaultActions"),
)

CONDITION_FIELDS: Final = {
    "pathPattern": ("path-pattern", "PathPatternConfig"),
    "hostHeader": ("host-header", "HostHeaderConfig"),
}


def _to_conditions(conditions: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"Field": field, member: {"Values": condition[name]["values"]}}
        for condition in conditions
        for name, (field, member) in CONDITION_FIELDS.items()
        if condition.get(name)
    ]


def _from_conditions(conditions: list[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    names = {field: (name, member) for name, (field, member) in CONDITION_FIELDS.items()}
    result = []
    for condition in conditions or []:
        if condition["Field"] not in names:
            raise ProviderError(f"a listener rule has a condition on {condition['Field']}, which is not modelled")
        name, member = names[condition["Field"]]
        result.append({name: {"values": (condition.get(member) or {}).get("Values") or condition.get("Values") or []}})
    return result


def _listener_of(op: Operation, _: Description) -> str:
    return op.id.replace(":listener-rule/", ":listener/").rpartition("/")[0]


def _set_priority(op: Operation) -> None:
    op.api("set_rule_priorities", RulePriorities=[{"RuleArn": op.id, "Priority": int(op.inputs["priority"])}])


LISTENER_RULE: Final = Resource(
    token="aws:lb/listenerRule:ListenerRule",
    service="elbv2",
    create=call("create_rule", result="Rules[0].RuleArn"),
    read=call("describe_rules", {"RuleArns": ["$id"]}, "Rules[0]"),
    delete=call("delete_rule", {"RuleArn": "$id"}),
    inputs=(
        f("listenerArn", get=_listener_of, replace=True),
        f("priority", decode=int),
        f(
            "conditions",
            encode=_to_conditions,
            decode=_from_conditions,
            unordered=True,
            block=tuple(f(name, block=(f("values", unordered=True),)) for name in CONDITION_FIELDS),
        ),
        f("actions", block=ACTION),
    ),
    outputs=(f("arn", read="RuleArn"),),
    updates=(
        update(
            "priority",
            _set_priority,
        ),
        update("conditions actions", call("modify_rule", {"RuleArn": "$id"})),
    ),
    tags=TAGS,
    missing=("RuleNotFound", "ListenerNotFound"),
    required=("priority",),
    check=_actions("actions"),
)


RESOURCES: Final = (LOAD_BALANCER, TARGET_GROUP, LISTENER, LISTENER_RULE)
