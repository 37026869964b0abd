"""IAM, KMS and Secrets Manager. Sources: IAM user guide, "IAM and AWS STS quotas"; API references."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.secretsmanager.models import secretsmanager_backends

from sandbox.cloud.access import secret_needs
from sandbox.cloud.context import ACCOUNT, AwsError
from sandbox.cloud.emulations import task_start
from sandbox.cloud.refusals import policies
from sandbox.cloud.refusals.rule import Parameters, refuses

INLINE_CHARACTERS: Final = 10_240  # of all inline policies of a role, white space not counted
WAITING_DAYS: Final = range(7, 31)
_SECRET_NAME: Final = re.compile(r"[A-Za-z0-9/_+=.@!-]+")


@refuses("iam", "CreateRole", "UpdateAssumeRolePolicy")
def _trust(parameters: Parameters, _: str) -> None:
    text = parameters.get("AssumeRolePolicyDocument") or parameters.get("PolicyDocument") or ""
    try:
        unknown = policies.unknown_principal(text)
    except ValueError as error:
        raise AwsError("MalformedPolicyDocument", "This policy contains invalid Json") from error
    if unknown:
        raise AwsError("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{unknown}"')


@refuses("iam", "PutRolePolicy")
def _inline(parameters: Parameters, _: str) -> None:
    roles = iam_backends[ACCOUNT]["aws"].roles.values()
    role = next((role for role in roles if role.name == parameters["RoleName"]), None)
    kept = {} if role is None else {**role.policies, parameters["PolicyName"]: parameters["PolicyDocument"]}
    texts = [text if isinstance(text, str) else json.dumps(text) for text in kept.values()]
    if sum(len(re.sub(r"\s", "", text)) for text in texts) > INLINE_CHARACTERS:
        raise AwsError(
            "LimitExceeded",
            f"Maximum policy size of {INLINE_CHARACTERS} bytes exceeded for role {parameters['RoleName']}",
        )


@refuses("kms", "CreateKey", "PutKeyPolicy", "ReplicateKey")
def _key_policy(parameters: Parameters, _: str) -> None:
    text = parameters.get("Policy")
    if text is None:
        return
    try:
        unknown, statements = policies.unknown_principal(text), policies.statements(text)
    except ValueError as error:
        raise AwsError("MalformedPolicyDocumentException", "This policy contains invalid Json") from error
    if unknown:
        raise AwsError(
            "MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals."
        )
    if not parameters.get("BypassPolicyLockoutSafetyCheck") and not any(map(_admits_owner, statements)):
        raise AwsError(
            "MalformedPolicyDocumentException",
            "The new key policy will not allow you to update the key policy in the future.",
        )


def _admits_owner(statement: Mapping[str, Any]) -> bool:
    """Whether a statement lets this account change the key's policy again."""
    owner = {"*", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"} & set(policies.principals(statement))
    actions = policies.listed(statement.get("Action"))
    allowed = any(fnmatchcase("kms:putkeypolicy", str(action).lower()) for action in actions)
    return bool(owner) and allowed and statement.get("Effect") == "Allow"


@refuses("kms", "ScheduleKeyDeletion")
def _waiting_period(parameters: Parameters, _: str) -> None:
    days = parameters.get("PendingWindowInDays", 30)
    if days not in WAITING_DAYS:
        raise AwsError("ValidationException", f"PendingWindowInDays is {days}; it must be between 7 and 30.")


@refuses("kms", "ReplicateKey")
def _replica(parameters: Parameters, region: str) -> None:
    key = _key(parameters["KeyId"], region)
    if key is not None and not key.multi_region:
        raise AwsError("UnsupportedOperationException", f"{key.arn} is not a multi-Region primary key.")


@refuses("kms", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext")
def _enabled(parameters: Parameters, region: str) -> None:
    key = _key(parameters["KeyId"], region)
    if key is not None and key.key_state == "Disabled":
        raise AwsError("DisabledException", f"{key.arn} is disabled.")


def _key(name: str, region: str) -> Any | None:
    """The key of an id, an alias or an ARN; None leaves the answer to moto."""
    backend = kms_backends[ACCOUNT][region]
    alias = backend.get_alias_name(name)
    found = backend.get_key_id_from_alias(alias) if alias.startswith("alias/") else name
    return backend.keys.get(backend.get_key_id(found or ""))


@refuses("secretsmanager", "CreateSecret")
def _secret_name(parameters: Parameters, _: str) -> None:
    if not _SECRET_NAME.fullmatch(parameters["Name"]):
        raise AwsError(
            "ValidationException",
            "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
        )


@refuses("secretsmanager", "CreateSecret", "PutSecretValue", "UpdateSecret")
def _encryptable(parameters: Parameters, region: str) -> None:
    if _disabled(_key_of_secret(parameters, region), region):
        raise AwsError(
            "EncryptionFailure",
            "Secrets Manager can't encrypt the protected secret text using the provided KMS key. Check that the KMS "
            "key is available, enabled, and not in an invalid state.",
        )


@refuses("secretsmanager", "GetSecretValue")
def _decryptable(parameters: Parameters, region: str) -> None:
    if _disabled(_key_of_secret(parameters, region), region):
        raise AwsError(
            "DecryptionFailure",
            "Secrets Manager can't decrypt the protected secret text using the provided KMS key.",
        )


def _key_of_secret(parameters: Parameters, region: str) -> str | None:
    """The key that a request names, else that of the secret it is about; None for AWS's own."""
    if "SecretId" not in parameters or "KmsKeyId" in parameters:
        return parameters.get("KmsKeyId")
    name = parameters["SecretId"]
    known = name in secretsmanager_backends[ACCOUNT][region].secrets
    return secret_needs.key_of(region, name) if known else None


def _disabled(key_id: str | None, region: str) -> bool:
    return not task_start.key_enabled(region, key_id)
