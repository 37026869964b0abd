"""ECS: clusters, task definitions, services."""

from __future__ import annotations

import json
from typing import Any, Final

from sandbox.provider.errors import ProviderError
from sandbox.provider.operation import Operation
from sandbox.provider.table import Description, Field, Resource, Tags, call, f, fields, update


def _tags(read: str = "tags") -> Tags:
    return Tags(
        key="key",
        value="value",
        create="tags",
        read=read,
        target={"resourceArn": lambda op: op.known("arn")},
        items="tags",
        keys="tagKeys",
    )


def last_segment(old: Any, new: Any) -> bool:
    """Clusters and task definitions may be named by ARN or by name."""
    return str(old).rsplit("/", 1)[-1] == str(new).rsplit("/", 1)[-1]


CLUSTER: Final = Resource(
    token="aws:ecs/cluster:Cluster",
    service="ecs",
    create=call("create_cluster", result="cluster.clusterArn"),
    read=call("describe_clusters", {"clusters": ["$id"], "include": ["SETTINGS", "TAGS"]}, "clusters[0]"),
    delete=call("delete_cluster", {"cluster": "$id"}),
    inputs=(
        f("name", "clusterName", replace=True),
        f("settings", unordered=True, computed=True, block=fields("name value")),
    ),
    outputs=(f("arn", read="clusterArn"),),
    updates=(update("settings", call("update_cluster", {"cluster": "$id"})),),
    tags=_tags(),
    missing=("ClusterNotFoundException",),
    gone=lambda found: bool(found["status"] == "INACTIVE"),
    retry_delete=(
        "ClusterContainsServicesException",
        "ClusterContainsTasksException",
        "ClusterContainsContainerInstancesException",
        "UpdateInProgressException",
    ),
    physical_name="name",
)


# -- task definitions


def equivalent_containers(old: Any, new: Any) -> bool:
    """Container definitions as AWS returns them carry defaults and another order of environment and secrets."""
    try:
        return _containers(old) == _containers(new)
    except (TypeError, json.JSONDecodeError):
        return bool(old == new)


def _containers(text: str) -> list[dict[str, Any]]:
    return sorted((_container(item) for item in json.loads(text)), key=lambda item: str(item.get("name")))


def _container(item: dict[str, Any]) -> dict[str, Any]:
    result = {
        "cpu": 0,
        "essential": True,
        **{key: value for key, value in item.items() if value not in (None, [], {}, "")},
    }
    for key in ("environment", "secrets"):
        if key in result:
            result[key] = sorted(result[key], key=lambda pair: str(pair["name"]))
    if "portMappings" in result:
        result["portMappings"] = [
            {"protocol": "tcp", "hostPort": port["containerPort"], **{k: v for k, v in port.items() if v}}
            for port in result["portMappings"]
        ]
    if "logConfiguration" in result:
        result["logConfiguration"] = {key: value for key, value in result["logConfiguration"].items() if value}
    return result


def _register(op: Operation) -> str:
    answer = op.call(call("register_task_definition"), op.creating_fields(), op.tags_at_create())
    op.state["arn"] = answer["taskDefinition"]["taskDefinitionArn"]
    return str(answer["taskDefinition"]["family"])


def _read_definition(op: Operation) -> Description | None:
    """By the revision that the state remembers; an import takes the newest one."""
    answer = op.api("describe_task_definition", taskDefinition=op.state.get("arn") or op.id, include=["TAGS"])
    return {**answer["taskDefinition"], "tags": answer.get("tags") or []}


def _deregister(op: Operation) -> None:
    if not op.state.get("skipDestroy"):
        op.api("deregister_task_definition", taskDefinition=op.state.get("arn") or op.id)


TASK_DEFINITION: Final = Resource(
    token="aws:ecs/taskDefinition:TaskDefinition",
    service="ecs",
    create=_register,
    read=_read_definition,
    delete=_deregister,
    inputs=(
        f(
            "containerDefinitions",
            replace=True,
            equal=equivalent_containers,
            encode=json.loads,
            decode=json.dumps,
        ),
        f("family", replace=True),
        *fields("cpu memory networkMode executionRoleArn taskRoleArn", replace=True),
        f("requiresCompatibilities", replace=True, unordered=True),
        f("runtimePlatform", replace=True, block=fields("operatingSystemFamily cpuArchitecture")),
        f("volumes", replace=True, unordered=True, block=(f("name"),)),
        f("skipDestroy", read=None, create=False, default=False),
    ),
    outputs=(
        f("arn", read="taskDefinitionArn"),
        f("arnWithoutRevision", get=lambda _, found: found["taskDefinitionArn"].rpartition(":")[0]),
        f("revision"),
    ),
    tags=_tags(),
    missing=("ClientException",),
    gone=lambda found: found.get("status") in ("INACTIVE", "DELETE_IN_PROGRESS"),
)


# -- services

SERVICE_CONNECT: Final = Field(
    name="serviceConnectConfiguration",
    read="deployments[?status=='PRIMARY'].serviceConnectConfiguration | [0]",
    empty={"enabled": False},
    block=(
        f("enabled"),
        f("namespace", computed=True),
        f(
            "services",
            block=(
                f("portName"),
                f("discoveryName", computed=True),
                f("clientAlias", "clientAliases", block=fields("port dnsName")),
            ),
        ),
        f("logConfiguration", block=fields("logDriver options")),
    ),
)

UPDATED: Final = (
    "taskDefinition desiredCount platformVersion networkConfiguration loadBalancers healthCheckGracePeriodSeconds "
    "serviceConnectConfiguration deploymentCircuitBreaker deploymentMinimumHealthyPercent deploymentMaximumPercent "
    "enableEcsManagedTags enableExecuteCommand propagateTags"
)


def _place(op: Operation) -> tuple[str, str]:
    """Cluster and name from the service's ARN."""
    _, cluster, name = op.id.rsplit("/", 2)
    return cluster, name


def _read_service(op: Operation) -> Description | None:
    cluster, name = _place(op)
    found = op.api("describe_services", cluster=cluster, services=[name], include=["TAGS"])["services"]
    return dict(found[0]) if found else None


def _update_service(op: Operation) -> None:
    cluster, name = _place(op)
    changed = tuple(field for field in op.resource.inputs if field.name in op.changed and field.name in UPDATED.split())
    op.call(call("update_service", {"cluster": cluster, "service": name}), changed)


def _delete_service(op: Operation) -> None:
    if not op.describe():
        return
    cluster, name = _place(op)
    if op.description["status"] == "ACTIVE":
        op.api("update_service", cluster=cluster, service=name, desiredCount=0)
    op.api("delete_service", cluster=cluster, service=name)


def _steady(op: Operation, found: Description) -> bool:
    if not op.inputs.get("waitForSteadyState"):
        return bool(found["status"] == "ACTIVE")
    if found["status"] != "ACTIVE":
        raise ProviderError(f"the service {op.id} is {found['status']}")
    # The plugin's own idea of steady: also true for no tasks at all and after a rollback.
    return len(found["deployments"]) == 1 and found["runningCount"] == found["desiredCount"]


def _public(value: Any) -> str:
    return "ENABLED" if value else "DISABLED"


SERVICE: Final = Resource(
    token="aws:ecs/service:Service",
    service="ecs",
    create=lambda op: str(
        op.call(call("create_service", result="service.serviceArn"), op.creating_fields(), op.tags_at_create())
    ),
    read=_read_service,
    delete=_delete_service,
    inputs=(
        f("name", "serviceName", replace=True),
        f("cluster", read="clusterArn", replace=True, equal=last_segment),
        f("taskDefinition", equal=last_segment),
        f("desiredCount", default=0),
        f("launchType", replace=True, computed=True),
        f("platformVersion", computed=True),
        f(
            "networkConfiguration",
            "networkConfiguration.awsvpcConfiguration",
            block=(
                f("subnets", unordered=True),
                f("securityGroups", unordered=True),
                f("assignPublicIp", encode=_public, decode=lambda value: value == "ENABLED", default=False),
            ),
        ),
        f("loadBalancers", unordered=True, empty=[], block=fields("targetGroupArn containerName containerPort")),
        f("healthCheckGracePeriodSeconds"),
        SERVICE_CONNECT,
        f(
            "deploymentCircuitBreaker",
            "deploymentConfiguration.deploymentCircuitBreaker",
            computed=True,
            block=fields("enable rollback"),
        ),
        f("deploymentMinimumHealthyPercent", "deploymentConfiguration.minimumHealthyPercent", default=100),
        f("deploymentMaximumPercent", "deploymentConfiguration.maximumPercent", default=200),
        f("enableEcsManagedTags", default=False),
        f("enableExecuteCommand", default=False),
        f("propagateTags", default="NONE"),
        f("waitForSteadyState", read=None, create=False, default=False),
    ),
    outputs=(f("arn", read="serviceArn"),),
    updates=(update(UPDATED, _update_service),),
    tags=_tags(),
    missing=("ServiceNotFoundException", "ClusterNotFoundException"),
    gone=lambda found: bool(found["status"] == "INACTIVE"),
    ready=_steady,
    wait_gone=True,
    patience=20,  # the plugin's default for an update
    physical_name="name",
)

RESOURCES: Final = (CLUSTER, TASK_DEFINITION, SERVICE)
