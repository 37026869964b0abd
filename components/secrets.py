"""The region's own secrets, and the ones that both regions share.

Every secret has a value from the start, so that a task definition that names it can start a task at any time. The
database secrets name the host `database.invalid` while there is no database; those of the services get their values in
logins.py, group by group.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from components import naming

DATABASE_PORT: Final = 5432
MASTER_USERNAME: Final = "platform_admin"
RECOVERY_WINDOW_DAYS: Final = 30


@dataclass(frozen=True, kw_only=True)
class DatabaseEndpoint:
    """Where the serving database answers."""

    address: pulumi.Output[str]
    port: pulumi.Output[int]


@dataclass(frozen=True, kw_only=True)
class SecretsArgs:
    """`database`: the serving database, None while there is none. `database_services`: who has a login there.

    `signing_key`: set where this stack owns what both share; its replica goes to `peer_region`. Otherwise
    `shared_signing_key_arn` is the owner's secret.
    """

    short_name: str
    tags: naming.Tags
    peer_region: str
    key_arn: pulumi.Input[str]
    database_name: str
    database: DatabaseEndpoint | None
    master_password: pulumi.Input[str]
    database_services: Sequence[str]
    registry_credential: pulumi.Input[str]
    signing_key: pulumi.Input[str] | None
    shared_signing_key_arn: str | None = None


class Secrets(pulumi.ComponentResource):
    """Secrets of one region. `values`: what gives the secrets their values that every task needs; `master_value`: the
    same of the database's master login.

    `database_arns`: of the services' logins, by service. `cache_arn`: where the cache is; cache.py gives it its value.
    """

    master_arn: pulumi.Output[str]
    database_arns: dict[str, pulumi.Output[str]]
    cache_arn: pulumi.Output[str]
    registry_arn: pulumi.Output[str]
    signing_key_arn: pulumi.Output[str]

    def __init__(self, name: str, args: SecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:secrets:Secrets", name, {}, opts)
        if (args.signing_key is None) == (args.shared_signing_key_arn is None):
            raise ValueError("either signing_key (this stack owns it) or shared_signing_key_arn (the peer does)")
        self._name = name
        self._args = args
        self.values: list[pulumi.Resource] = []
        master = self._own("database/master")
        login = database_login(args.database, args.database_name, MASTER_USERNAME, args.master_password)
        self.master_arn = master.arn
        self.master_value: aws.secretsmanager.SecretVersion = self._value("database/master", master, login)
        self.database_arns = {service: self._own(f"database/{service}").arn for service in args.database_services}
        self.cache_arn = self._own("cache").arn
        self.registry_arn = self._registry()
        self.signing_key_arn = self._shared_signing_key()
        self.register_outputs(
            {"master_arn": self.master_arn, "registry_arn": self.registry_arn, "signing_key_arn": self.signing_key_arn}
        )

    def _own(self, noun: str) -> aws.secretsmanager.Secret:
        return aws.secretsmanager.Secret(
            f"{self._name}-{noun.replace('/', '-')}",
            name=naming.secret(self._args.short_name, noun),
            kms_key_id=self._args.key_arn,
            recovery_window_in_days=RECOVERY_WINDOW_DAYS,
            tags=dict(self._args.tags),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _value(
        self, noun: str, secret: aws.secretsmanager.Secret, value: pulumi.Input[str]
    ) -> aws.secretsmanager.SecretVersion:
        return aws.secretsmanager.SecretVersion(
            f"{self._name}-{noun.replace('/', '-')}",
            secret_id=secret.id,
            secret_string=pulumi.Output.secret(value),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _registry(self) -> pulumi.Output[str]:
        secret = self._own("registry")
        self.values.append(self._value("registry", secret, self._args.registry_credential))
        return secret.arn

    def _shared_signing_key(self) -> pulumi.Output[str]:
        if self._args.signing_key is None:
            return pulumi.Output.from_input(str(self._args.shared_signing_key_arn))
        secret = aws.secretsmanager.Secret(
            f"{self._name}-signing-key",
            name=naming.secret("shared", "signing-key"),
            kms_key_id=self._args.key_arn,
            # Without a key of its own the replica is encrypted under that region's aws/secretsmanager key: nothing of
            # the peer's has to exist before it.
            replicas=[aws.secretsmanager.SecretReplicaArgs(region=self._args.peer_region)],
            recovery_window_in_days=RECOVERY_WINDOW_DAYS,
            tags=dict(self._args.tags),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.values.append(self._value("signing-key", secret, self._args.signing_key))
        return secret.arn


def names(short: str, services: Sequence[str]) -> list[str]:
    """Every secret that tasks and functions of a stack read in its region; `services`: those with a database login."""
    own = ["database/master", "cache", "registry", *(f"database/{service}" for service in services)]
    return [*(naming.secret(short, noun) for noun in own), naming.secret("shared", "signing-key")]


def database_login(
    endpoint: DatabaseEndpoint | None, database: str, username: str, password: pulumi.Input[str]
) -> pulumi.Output[str]:
    """The value of a database secret as services read it: JSON with host, port, dbname, username, password."""
    host: pulumi.Input[str] = endpoint.address if endpoint else naming.DATABASE_HOST_WHEN_NONE
    port: pulumi.Input[int] = endpoint.port if endpoint else DATABASE_PORT
    values = pulumi.Output.all(host=host, port=port, password=password)
    return pulumi.Output.secret(
        values.apply(
            lambda given: json.dumps(
                {
                    "host": given["host"],
                    "port": int(given["port"]),
                    "dbname": database,
                    "username": username,
                    "password": given["password"],
                }
            )
        )
    )


def replica_arn(arn: str, region: str) -> str:
    """ARN of a secret's replica: the same in the replica's region (Secrets Manager user guide, multi-Region)."""
    parts = arn.split(":")
    return ":".join([*parts[:3], region, *parts[4:]])
