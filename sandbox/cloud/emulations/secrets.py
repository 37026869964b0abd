"""Secrets Manager: moto forgets which KMS key encrypts a replica, and keeps a description that is taken away."""

from __future__ import annotations

from typing import Any

from moto.secretsmanager.exceptions import InvalidParameterException
from moto.secretsmanager.models import FakeSecret, ReplicaSecret, SecretsManagerBackend

from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations.patching import replace


def install(cloud: Cloud) -> None:
    """Give each replica the key that was asked for; in a region that is lost there can be no new one. Let an empty
    description replace another one.
    """
    create = FakeSecret.create_replicas
    update = SecretsManagerBackend.update_secret

    def create_replicas(
        self: FakeSecret, replica_regions: list[dict[str, str]], force_overwrite: bool
    ) -> list[ReplicaSecret]:
        for wanted in replica_regions:
            if cloud.is_cut(wanted["Region"]):
                raise InvalidParameterException(f"The region {wanted['Region']} does not answer.")
        replicas = create(self, replica_regions, force_overwrite)
        for replica, wanted in zip(replicas, replica_regions, strict=True):
            config: dict[str, Any] = replica.config
            config["KmsKeyId"] = wanted.get("KmsKeyId") or config["KmsKeyId"]
        return replicas

    def update_secret(self: SecretsManagerBackend, secret_id: str, **given: Any) -> str:
        answer = update(self, secret_id, **given)
        secret = self.secrets[secret_id]
        if given["description"] == "" and isinstance(secret, FakeSecret):
            secret.description = ""
        return answer

    replace(FakeSecret, create_replicas=create_replicas)
    replace(SecretsManagerBackend, update_secret=update_secret)
