"""Container definitions as plain data: what a task runs, knows and may touch."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from components.workloads import HEALTH_PATH, ServiceSpec

# No image runs as root; the number means the same in every image, whatever its user file says.
USER = "10001:10001"
# Where a service with `scratch` finds room for temporary files, and the volume's name in its task definition.
SCRATCH = "scratch"
SCRATCH_PATH = "/tmp"  # noqa: S108 (a directory of the container, not of this machine)
# JSON keys of a service's database secret, by the variable that the service reads.
DATABASE_VARIABLES = {
    "DATABASE_HOST": "host",
    "DATABASE_PORT": "port",
    "DATABASE_NAME": "dbname",
    "DATABASE_USER": "username",
    "DATABASE_PASSWORD": "password",
}


def container_definitions(
    spec: ServiceSpec, peers: Sequence[ServiceSpec], region: str, facts: Mapping[str, str]
) -> str:
    """JSON of the one container of a service.

    `peers`: the services that it may call. `facts` has registry_secret, signing_secret, database_secret (absent without
    a database), log_group, audio_bucket, queue_url and cache_secret (absent for a service that does not use them).
    Nothing in it is made by a promotion: the task definitions of a standby are complete before the disaster.
    """
    return json.dumps([_container(spec, peers, region, facts)])


def _container(
    spec: ServiceSpec, peers: Sequence[ServiceSpec], region: str, facts: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "name": spec.name,
        "image": spec.image_reference,
        "repositoryCredentials": {"credentialsParameter": facts["registry_secret"]},
        "essential": True,
        "user": USER,
        "readonlyRootFilesystem": True,
        "mountPoints": _mounts(spec),
        "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}},
        "portMappings": [
            {
                "name": spec.name,
                "containerPort": spec.port,
                "hostPort": spec.port,
                "protocol": "tcp",
                "appProtocol": "http",
            }
        ],
        "environment": _environment(spec, peers, region, facts),
        "secrets": _secrets(facts),
        "healthCheck": {
            "command": ["CMD-SHELL", f"wget -q -O /dev/null http://127.0.0.1:{spec.port}{HEALTH_PATH} || exit 1"],
            "interval": 10,
            "timeout": 5,
            "retries": 3,
            "startPeriod": 30,
        },
        "logConfiguration": log_configuration(facts["log_group"], region, spec.name),
    }


def _mounts(spec: ServiceSpec) -> list[dict[str, Any]]:
    """A volume of the task's own, gone with it.

    It belongs to root unless the image declares the directory as a VOLUME, which hands on the directory's permissions
    ("Use bind mounts with Amazon ECS", ECS developer guide).
    """
    return [{"sourceVolume": SCRATCH, "containerPath": SCRATCH_PATH, "readOnly": False}] if spec.scratch else []


def log_configuration(group: str, region: str, prefix: str) -> dict[str, Any]:
    """Log driver settings, also for the Service Connect proxy."""
    return {
        "logDriver": "awslogs",
        "options": {
            "awslogs-group": group,
            "awslogs-region": region,
            "awslogs-stream-prefix": prefix,
            # A log service in trouble must lose lines, not stop the service that helps people.
            "mode": "non-blocking",
            "max-buffer-size": "4m",
        },
    }


def _environment(
    spec: ServiceSpec, peers: Sequence[ServiceSpec], region: str, facts: Mapping[str, str]
) -> list[dict[str, str]]:
    values = {"AWS_REGION": region, "PORT": str(spec.port), "SERVICE_NAME": spec.name}
    if spec.audio != "none":
        values["AUDIO_BUCKET"] = facts["audio_bucket"]
    if "database_secret" in facts:
        values["DATABASE_SSLMODE"] = "require"
    if "queue_url" in facts:
        values["SYNC_QUEUE"] = facts["queue_url"]
    if "cache_secret" in facts:
        # The name, not the value: ECS reads values once, at task start, and the cache comes after the critical tasks.
        values["CACHE_SECRET"] = facts["cache_secret"]
    for peer in peers:
        # Service Connect answers the peer's plain name inside the task.
        values[f"{peer.name.upper().replace('-', '_')}_URL"] = f"http://{peer.name}:{peer.port}"
    return [{"name": name, "value": values[name]} for name in sorted(values)]


def _secrets(facts: Mapping[str, str]) -> list[dict[str, str]]:
    sources = {"SIGNING_KEY": facts["signing_secret"]}
    if "database_secret" in facts:
        for variable, key in DATABASE_VARIABLES.items():
            # <secret>:<JSON key>:<version stage>:<version id>; empty ends mean the current version.
            sources[variable] = f"{facts['database_secret']}:{key}::"
    return [{"name": name, "valueFrom": sources[name]} for name in sorted(sources)]
