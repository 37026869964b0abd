"""What must be in place before a task can start, checked in the order and told in the words of ECS on Fargate.

Every secret is looked up in the task's own region only: a reference to another region is a start failure here, because
nothing that runs in one region may depend on another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from moto.core.exceptions import JsonRESTError, ServiceException
from moto.ecs.models import TaskDefinition
from moto.logs.models import logs_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends

from sandbox.cloud.access import secret_needs, service_needs
from sandbox.cloud.access.policy import Need
from sandbox.cloud.context import ACCOUNT
from sandbox.cloud.emulations import access, keys, network, registry

_NO_SECRET = "ResourceInitializationError: unable to pull secrets or registry auth: "
_AWS_MANAGED = "alias/aws/"
_ASSUMES = "ecs-tasks.amazonaws.com"


class StartFailure(Exception):
    """A task cannot start; the text is its stoppedReason."""


@dataclass(frozen=True)
class Place:
    """Where a task runs."""

    region: str
    subnet_id: str
    security_groups: tuple[str, ...]
    public_ip: bool

    def reaches_internet(self) -> bool:
        """Whether it can open an HTTPS connection to a public address."""
        return network.can_reach_internet(self.region, self.subnet_id, self.public_ip) and network.allows_to_internet(
            self.region, self.security_groups, 443
        )

    def reaches_service(self, service: str) -> bool:
        """Whether it can call an AWS service: through an interface endpoint of its VPC or over the internet."""
        vpc = network.vpc_of(self.region, self.subnet_id)
        endpoint = vpc is not None and network.has_interface_endpoint(self.region, vpc, service, self.security_groups)
        return endpoint or self.reaches_internet()


def prepare(place: Place, definition: TaskDefinition) -> list[dict[str, str]]:
    """The environment of each container, or StartFailure with the first thing that is missing."""
    role = role_of(definition, "execution")
    for given in (role, role_of(definition, "task")):
        _check_trust(place.region, given)
    environments = [_environment(place, role, container) for container in definition.container_definitions]
    for container in definition.container_definitions:
        _check_registry_credential(place, role, container)
        _check_logs(place, role, container)
        _check_image(place, str(container["image"]))
    return environments


def role_of(definition: TaskDefinition, kind: Literal["execution", "task"]) -> str:
    """The ARN of one of a task's two roles; empty where it has none, and may do nothing."""
    return str(getattr(definition, f"{kind}_role_arn", None) or "")


def _check_trust(region: str, role: str) -> None:
    """ECS assumes both roles on behalf of the task (the confused deputy problem, ECS developer guide)."""
    if role and not access.may_assume(role, _ASSUMES, f"arn:aws:ecs:{region}:{ACCOUNT}:task/any"):
        raise StartFailure(
            f"ECS was unable to assume the role '{role}' that was provided for this task. Please verify that the role "
            "being passed has the proper trust relationship and permissions and that your IAM user has permissions to "
            "pass this role."
        )


# -- secrets ------------------------------------------------------------------------------------------------------
def _environment(place: Place, role: str, container: Mapping[str, Any]) -> dict[str, str]:
    plain = {entry["name"]: entry["value"] for entry in container.get("environment") or []}
    resolved = {entry["name"]: resolve(place, role, entry["valueFrom"]) for entry in container.get("secrets") or []}
    return plain | resolved


def resolve(place: Place, role: str, reference: str) -> str:
    """The value of a container secret's `valueFrom`, as this execution role gets it."""
    parts = reference.split(":")
    if not reference.startswith("arn:") or parts[2] != "secretsmanager":
        return _parameter(place, role, reference)
    arn = ":".join(parts[:7])
    json_key, stage, version = [*parts[7:], "", "", ""][:3]
    text = secret_text(place, role, arn, stage, version)
    if not json_key:
        return text
    value = _object(text).get(json_key)
    if value is None:
        raise StartFailure(
            f"{_NO_SECRET}execution resource retrieval failed: unable to retrieve secret from asm: "
            f"service call has been retried 1 time(s): retrieved secret from Secrets Manager did not contain "
            f"json key {json_key}"
        )
    return value if isinstance(value, str) else json.dumps(value)


def _object(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return data if isinstance(data, dict) else {}


def secret_text(place: Place, role: str, arn: str, stage: str = "", version: str = "") -> str:
    """A secret's string as one of the task's roles gets it, from the task's own region."""
    start = f"{_NO_SECRET}execution resource retrieval failed: unable to retrieve secret from asm: "
    failed = f"{start}service call has been retried 1 time(s): failed to fetch secret {arn} from secrets manager: "
    if arn.split(":")[3] != place.region:
        raise StartFailure(f"{failed}it belongs to region {arn.split(':')[3]}, the task runs in {place.region}")
    if not place.reaches_service("secretsmanager"):
        raise StartFailure(
            f"{_NO_SECRET}The task cannot pull secrets from AWS Secrets Manager: There is a connection issue between "
            "the task and AWS Secrets Manager. Check your task network configuration."
        )
    backend = secretsmanager_backends[ACCOUNT][place.region]
    refusal = access.running().ask(role, secret_needs.reading(place.region, arn))
    if refusal is not None and refusal.need.action.startswith("kms:"):
        raise StartFailure(f"{failed}AccessDeniedException: Access to KMS is not allowed")
    if refusal is not None:
        raise StartFailure(f"{failed}AccessDeniedException: {refusal.message}")
    try:
        found = backend.get_secret_value(arn, version, stage)
    except (JsonRESTError, ServiceException) as error:
        raise StartFailure(f"{failed}{_error(error)}") from error
    if not key_enabled(place.region, secret_needs.key_of(place.region, arn)):
        raise StartFailure(f"{failed}AccessDeniedException: Access to KMS is not allowed")
    return str(found["SecretString"])


def _error(error: Exception) -> str:
    code = getattr(error, "error_type", None) or getattr(error, "code", type(error).__name__)
    return f"{code}: {getattr(error, 'message', error)}"


def key_enabled(region: str, key_id: str | None) -> bool:
    """Whether a KMS key (id, ARN or alias) of this region can decrypt now; the AWS managed ones always can."""
    if not key_id or _AWS_MANAGED in key_id:
        return True
    key = keys.find(region, key_id)
    return key is not None and str(key.key_state) == "Enabled"


def _parameter(place: Place, role: str, reference: str) -> str:
    region = reference.split(":")[3] if reference.startswith("arn:") else place.region
    name = reference.split(":parameter", 1)[-1] if reference.startswith("arn:") else reference
    start = f"{_NO_SECRET}unable to retrieve secrets from ssm: "
    if region != place.region:
        raise StartFailure(f"{start}{reference} belongs to region {region}, the task runs in {place.region}")
    if not place.reaches_service("ssm"):
        raise StartFailure(f"{start}There is a connection issue between the task and Systems Manager Parameter Store.")
    arn = f"arn:aws:ssm:{region}:{ACCOUNT}:parameter/{name.lstrip('/')}"
    refusal = access.running().ask(role, [Need("ssm:GetParameters", arn)])
    if refusal is not None:
        raise StartFailure(f"{start}AccessDeniedException: {refusal.message}")
    found = ssm_backends[ACCOUNT][region].get_parameter(name) or ssm_backends[ACCOUNT][region].get_parameter(
        name.lstrip("/")
    )
    if found is None:
        raise StartFailure(f"{start}invalid parameters: {name}")
    return str(found.value)


# -- image and logs -----------------------------------------------------------------------------------------------
def _check_registry_credential(place: Place, role: str, container: Mapping[str, Any]) -> None:
    arn = (container.get("repositoryCredentials") or {}).get("credentialsParameter")
    if arn is None:
        raise StartFailure(
            f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
            f"{container['image']}: pull access denied: the repository is private and no credentials were given"
        )
    credential = _object(secret_text(place, role, arn))
    if not credential.get("username") or not credential.get("password"):
        raise StartFailure(
            f"{_NO_SECRET}execution resource retrieval failed: unable to retrieve registry credentials from asm: "
            f"the secret {arn} has no username and password"
        )
    if not registry.admits(str(credential["username"]), str(credential["password"])):
        raise StartFailure(
            f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
            f"{container['image']}: failed to authorize: failed to fetch oauth token: 403 Forbidden"
        )


def _check_logs(place: Place, role: str, container: Mapping[str, Any]) -> None:
    configuration = container.get("logConfiguration") or {}
    if configuration.get("logDriver") != "awslogs":
        return
    options = configuration.get("options") or {}
    start = "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
    if options.get("awslogs-region") != place.region:
        raise StartFailure(f"{start}logs would go to {options.get('awslogs-region')}, the task runs in {place.region}")
    if not place.reaches_service("logs"):
        raise StartFailure(f"{start}failed to create Cloudwatch log stream: context deadline exceeded : exit status 1")
    known = options.get("awslogs-group") in logs_backends[ACCOUNT][place.region].groups
    if not known and options.get("awslogs-create-group") != "true":
        raise StartFailure(
            f"{start}failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does "
            "not exist. : exit status 1"
        )
    refusal = access.running().ask(role, service_needs.writing_log(place.region, str(options["awslogs-group"]), "task"))
    if refusal is not None:
        raise StartFailure(
            f"{start}failed to create Cloudwatch log stream: AccessDeniedException: {refusal.message} : exit status 1"
        )


def _check_image(place: Place, image: str) -> None:
    failed = (
        f"CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref {image}: "
    )
    if not place.reaches_internet():
        host = image.split("/", 1)[0]
        raise StartFailure(f'{failed}failed to do request: Head "https://{host}/v2/": dial tcp: i/o timeout')
    if not registry.has(image):
        raise StartFailure(f"{failed}{image}: not found")
