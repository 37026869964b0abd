"""Secrets Manager replicas: moto keeps them readable and read-only, but forgets which KMS key encrypts them."""

from __future__ import annotations

from typing import Any

from moto.secretsmanager.exceptions import InvalidParameterException
from moto.secretsmanager.models import FakeSecret, ReplicaSecret

from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations.patching import replace


def install(cloud: Cloud) -> None:
    """Give each replica the key that was asked for; in a region that is lost there can be no new one."""
    create = FakeSecret.create_replicas

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

    replace(FakeSecret, create_replicas=create_replicas)
