"""Logins of services at the database: the secret's value that a service reads, and its role in the database.

Made for a group of services at a time, because the standard services' logins may only come after the takeover: a fault
in one of them must find crisis detection already serving.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components import naming
from components.secrets import DatabaseEndpoint, database_login


@dataclass(frozen=True, kw_only=True)
class LoginsArgs:
    """One group of services. `passwords` and `secrets` (ids, which are ARNs) by service.

    `database` and `database_resource_id` (AWS's own id) are None while there is no database: then the secrets name
    no host and no role is made; nor is one made while `frozen`, because that would unlock it (see fences.py).
    `turn` changes with every freeze and thaw (see turns.py).

    `schema_owner` migrates the schema and may belong to another group. `after`: what the group has to wait for.
    """

    database_name: str
    database: DatabaseEndpoint | None
    database_resource_id: pulumi.Input[str] | None
    turn: pulumi.Input[str]
    frozen: bool
    passwords: Mapping[str, pulumi.Input[str]]
    secrets: Mapping[str, pulumi.Input[str]]
    schema_owner: str | None
    master_secret: pulumi.Input[str]
    master_version: pulumi.Input[str]
    function_name: pulumi.Input[str]
    function_ready: Sequence[pulumi.Resource]
    after: Sequence[pulumi.Resource]


class Logins(pulumi.ComponentResource):
    """`ready`: what the services of the group wait for; `values`: those of the secrets alone."""

    def __init__(self, name: str, args: LoginsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:database:Logins", name, {}, opts)
        self._name = name
        self._args = args
        versions = {service: self._value(service) for service in args.passwords}
        self.values: list[pulumi.Resource] = list(versions.values())
        self.ready: list[pulumi.Resource] = list(self.values)
        if args.database_resource_id is not None and versions and not args.frozen:
            self.ready.append(self._roles(versions, args.database_resource_id, args.turn))
        self.register_outputs({})

    def _value(self, service: str) -> aws.secretsmanager.SecretVersion:
        args = self._args
        return aws.secretsmanager.SecretVersion(
            f"{self._name}-{service}",
            secret_id=args.secrets[service],
            secret_string=database_login(
                args.database, args.database_name, naming.database_role(service), args.passwords[service]
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
        )

    def _roles(
        self,
        versions: Mapping[str, aws.secretsmanager.SecretVersion],
        database: pulumi.Input[str],
        turn: pulumi.Input[str],
    ) -> aws.lambda_.Invocation:
        args = self._args
        passwords = {service: version.version_id for service, version in versions.items()}
        return aws.lambda_.Invocation(
            self._name,
            function_name=args.function_name,
            input=pulumi.Output.all(
                master=args.master_secret, secrets={name: args.secrets[name] for name in versions}
            ).apply(lambda arns: roles_event(arns, args.schema_owner)),
            # Called again only when one of these changes: another database or password, or it was to be locked since.
            triggers={"database": database, "turn": turn, "master": args.master_version, **passwords},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.function_ready, *args.after]),
        )


def roles_event(arns: Mapping[str, Any], schema_owner: str | None) -> str:
    """What functions/database_roles is called with: names of secrets, never their values."""
    return json.dumps(
        {
            "task": "roles",
            "master": arns["master"],
            "services": [arn for _, arn in sorted(arns["secrets"].items())],
            "owner": naming.database_role(schema_owner) if schema_owner else None,
        }
    )
