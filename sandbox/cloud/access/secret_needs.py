"""What reading a secret needs of a role."""

from __future__ import annotations

from moto.secretsmanager.models import ReplicaSecret, secretsmanager_backends

from sandbox.cloud.access import key_needs
from sandbox.cloud.access.policy import Need
from sandbox.cloud.context import ACCOUNT


def reading(region: str, name: str) -> list[Need]:
    """GetSecretValue on the secret's ARN, and Decrypt with its key, whose encryption context names the secret ("Secret
    encryption and decryption", Secrets Manager user guide)."""
    secrets = secretsmanager_backends[ACCOUNT][region].secrets
    if name not in secrets:
        return [Need("secretsmanager:GetSecretValue", name if name.startswith("arn:") else _unknown(region, name))]
    arn = str(secrets[name].arn)
    context = {"SecretARN": arn}
    decrypt = key_needs.through("secretsmanager", region, key_of(region, name), ("kms:Decrypt",), context)
    return [Need("secretsmanager:GetSecretValue", arn), *decrypt]


def key_of(region: str, name: str) -> str | None:
    """The KMS key that encrypts a secret in this region; a replica has its own, None is the AWS managed one."""
    secret = secretsmanager_backends[ACCOUNT][region].secrets[name]
    key = secret.config.get("KmsKeyId") if isinstance(secret, ReplicaSecret) else secret.kms_key_id
    return str(key) if key else None


def _unknown(region: str, name: str) -> str:
    return f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{name}-??????"
