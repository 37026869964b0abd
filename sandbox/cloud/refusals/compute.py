"""ECS and Lambda. Sources: ECS developer guide, "Task definition parameters for Fargate"; Lambda quotas and API."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from moto.ecs.exceptions import TaskDefinitionNotFoundException
from moto.ecs.models import ecs_backends

from sandbox.cloud.context import ACCOUNT, AwsError
from sandbox.cloud.refusals.policies import can_assume
from sandbox.cloud.refusals.rule import Parameters, refuses

# CPU units -> MiB that a Fargate task of that size may have.
FARGATE: Final[dict[int, tuple[int, ...]]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4097, 1024)),
    1024: tuple(range(2048, 8193, 1024)),
    2048: tuple(range(4096, 16385, 1024)),
    4096: tuple(range(8192, 30721, 1024)),
    8192: tuple(range(16384, 61441, 4096)),
    16384: tuple(range(32768, 122881, 8192)),
}
GROUPS: Final = 5  # of a service, AwsVpcConfiguration
VARIABLES_BYTES: Final = 4096
# Lambda developer guide, "Defined runtime environment variables": reserved ones.
RESERVED: Final = re.compile(
    r"_HANDLER|_X_AMZN_TRACE_ID|AWS_(DEFAULT_)?REGION|AWS_EXECUTION_ENV|AWS_LAMBDA_(FUNCTION_(NAME|VERSION|MEMORY_SIZE)|"
    r"INITIALIZATION_TYPE|LOG_(GROUP|STREAM)_NAME|RUNTIME_API)|AWS_(ACCESS_KEY(_ID)?|SECRET_ACCESS_KEY|SESSION_TOKEN)|"
    r"LAMBDA_(TASK_ROOT|RUNTIME_DIR)"
)


def _client(message: str) -> AwsError:
    return AwsError("ClientException", message)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)


@refuses("ecs", "RegisterTaskDefinition")
def _task_definition(parameters: Parameters, _: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", parameters["family"]):
        raise _client("Family contains invalid characters.")
    containers = parameters["containerDefinitions"]
    if not containers:
        raise _client("Container list cannot be empty.")
    if not any(container.get("essential", True) for container in containers):
        raise _client("At least one container must be essential.")
    if parameters.get("networkMode") == "awsvpc":
        for container in containers:
            _same_ports(container)
    if "FARGATE" in parameters.get("requiresCompatibilities", ()):
        _fargate(parameters)


def _same_ports(container: Mapping[str, Any]) -> None:
    for mapping in container.get("portMappings") or ():
        if mapping.get("hostPort") not in (None, 0, mapping.get("containerPort")):
            raise _client("When networkMode=awsvpc, the host ports and container ports in port mappings must match.")


def _fargate(parameters: Parameters) -> None:
    if parameters.get("networkMode") != "awsvpc":
        raise _client("Fargate only supports network mode 'awsvpc'.")
    cpu, memory = parameters.get("cpu"), parameters.get("memory")
    if cpu is None or memory is None:
        raise _client("Fargate requires that 'cpu' and 'memory' be defined at the task level.")
    if _units(memory, 1024) not in FARGATE.get(_units(cpu, 1024), ()):
        raise _client(f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory.")
    for container in parameters["containerDefinitions"]:
        if (container.get("memory") or 0) > _units(memory, 1024):
            raise _client(f"Invalid setting for container '{container['name']}': its memory is more than the task's.")
        driver = (container.get("logConfiguration") or {}).get("logDriver")
        needs = driver == "awslogs" or container.get("secrets") or container.get("repositoryCredentials")
        if needs and not parameters.get("executionRoleArn"):
            raise _client("Fargate requires task definition to have execution role ARN to support log driver awslogs.")


def _units(text: str, unit: int) -> int:
    """`256`, `.25 vCPU` and `0.5 GB` as a number of CPU units or MiB."""
    found = re.fullmatch(r"\s*([\d.]+)\s*(vcpu|gb)?\s*", str(text), re.IGNORECASE)
    if found is None:
        raise _client(f"Invalid task size {text}.")
    return int(float(found[1]) * (unit if found[2] else 1))


@refuses("ecs", "CreateService", "UpdateService")
def _service(parameters: Parameters, region: str) -> None:
    network = (parameters.get("networkConfiguration") or {}).get("awsvpcConfiguration")
    name = parameters.get("taskDefinition")
    if "serviceName" in parameters and network is None and name and _needs_network(name, region):
        raise _invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    if network and len(network.get("securityGroups") or ()) > GROUPS:
        raise _invalid(f"securityGroups can have at most {GROUPS} items.")
    deployment = parameters.get("deploymentConfiguration") or {}
    if deployment.get("minimumHealthyPercent") == deployment.get("maximumPercent") == 100:
        raise _invalid("Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.")
    if (parameters.get("desiredCount") or 0) < 0:
        raise _invalid("desiredCount must not be negative.")
    creating = "serviceName" in parameters
    if creating and parameters.get("healthCheckGracePeriodSeconds") and not parameters.get("loadBalancers"):
        raise _invalid("Health check grace period is only valid for services configured to use load balancers")


def _needs_network(name: str, region: str) -> bool:
    try:
        definition = ecs_backends[ACCOUNT][region].describe_task_definition(name)
    except TaskDefinitionNotFoundException:
        return False  # reported by whoever looks it up next
    return bool(definition.network_mode == "awsvpc")


def _function_error(message: str) -> AwsError:
    return AwsError("InvalidParameterValueException", message)


@refuses("lambda", "CreateFunction", "UpdateFunctionConfiguration")
def _function(parameters: Parameters, _: str) -> None:
    if (parameters.get("Code") or {}).get("ZipFile") and not parameters.get("Handler"):
        raise _function_error(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        )
    if (role := parameters.get("Role")) and not can_assume("lambda.amazonaws.com", role):
        raise _function_error("The role defined for the function cannot be assumed by Lambda.")
    variables = (parameters.get("Environment") or {}).get("Variables") or {}
    if reserved := sorted(name for name in variables if RESERVED.fullmatch(name)):
        raise _function_error(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            f"provided contains reserved keys that are currently not supported for modification. {', '.join(reserved)}"
        )
    if len(json.dumps(variables, separators=(",", ":"), ensure_ascii=False).encode()) > VARIABLES_BYTES:
        raise _function_error(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided exceeded the 4KB limit."
        )
