"""The application's roles and grants in the database: the function that sets them, and its call on a deployment."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from components import naming, policies
from components.scheduled_function import FunctionNetwork, ScheduledFunction, ScheduledFunctionArgs

SOURCE = Path(__file__).parent / "functions" / "database_roles"
# The driver, what it needs, and the library that retries, as installed beside the program.
PACKAGES = ("pg8000", "scramp", "asn1crypto", "python-dateutil", "six", "tenacity")
# An idle function in a network becomes inactive after weeks, and its next call would fail.
WARM_EVERY_MINUTES = 60
TIMEOUT_SECONDS = 120
MEMORY_MIB = 256


@dataclass(frozen=True, kw_only=True)
class DatabaseRolesArgs:
    """`service_secret_arns`: login of each service by its name; `schema_owner` migrates the schema.

    `database_resource_id`: AWS's own id of the serving database, None while there is none. `after`: what else the
    function needs to reach it (values of the secrets, rules of the firewall).
    """

    short_name: str
    tags: naming.Tags
    account_id: str
    region: str
    key_arn: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[str]]
    security_group_id: pulumi.Input[str]
    master_secret_arn: pulumi.Input[str]
    service_secret_arns: Mapping[str, pulumi.Input[str]]
    secret_versions: Mapping[str, pulumi.Input[str]]
    schema_owner: str | None
    database_resource_id: pulumi.Input[str] | None
    after: Sequence[pulumi.Resource]


class DatabaseRoles(pulumi.ComponentResource):
    """Function in the network, always there; called by the program whenever database or passwords are new.

    `applied`: what the services wait for, nothing while there is no database.
    """

    def __init__(self, name: str, args: DatabaseRolesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:database:DatabaseRoles", name, {}, opts)
        self._name = name
        self._args = args
        secrets = [args.master_secret_arn, *args.service_secret_arns.values()]
        function = ScheduledFunction(
            name,
            ScheduledFunctionArgs(
                short_name=args.short_name,
                tags=args.tags,
                account_id=args.account_id,
                region=args.region,
                noun="database-roles",
                description="Roles and grants of the application in the database",
                code=pulumi.AssetArchive({path: pulumi.FileAsset(file) for path, file in archive_files()}),
                environment={},
                key_arn=args.key_arn,
                statements=pulumi.Output.all(args.key_arn, *secrets).apply(
                    lambda arns: statements(args.region, arns[0], arns[1:])
                ),
                network=FunctionNetwork(subnet_ids=args.subnet_ids, security_group_id=args.security_group_id),
                timeout_seconds=TIMEOUT_SECONDS,
                memory_mib=MEMORY_MIB,
                every_minutes=WARM_EVERY_MINUTES,
                event={"task": "warm", "master": naming.secret(args.short_name, "database/master")},
                enabled=True,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.applied: list[pulumi.Resource] = []
        if args.database_resource_id is not None:
            self.applied.append(self._call(function, args.database_resource_id))
        self.register_outputs({"function_name": function.function_name})

    def _call(self, function: ScheduledFunction, database: pulumi.Input[str]) -> aws.lambda_.Invocation:
        args = self._args
        return aws.lambda_.Invocation(
            self._name,
            function_name=function.function_name,
            input=pulumi.Output.all(master=args.master_secret_arn, services=dict(args.service_secret_arns)).apply(
                lambda arns: roles_event(arns, args.schema_owner)
            ),
            # A call is made again only when one of these changes: another database, or another password.
            triggers={"database": database, **args.secret_versions},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*function.ready, *args.after]),
        )


def roles_event(arns: Mapping[str, Any], schema_owner: str | None) -> str:
    """What the function is called with: names of secrets, never their values."""
    services = [
        {"secret": arn, "owns_schema": service == schema_owner} for service, arn in sorted(arns["services"].items())
    ]
    return json.dumps({"task": "roles", "master": arns["master"], "services": services})


def statements(region: str, key_arn: str, secret_arns: Sequence[str]) -> list[dict[str, Any]]:
    """Read the logins, decrypting them through Secrets Manager only."""
    through = {"StringEquals": {"kms:ViaService": f"secretsmanager.{region}.amazonaws.com"}}
    return [
        policies.allow("ReadLogins", ["secretsmanager:GetSecretValue"], sorted(secret_arns)),
        policies.allow("DecryptLogins", ["kms:Decrypt"], [key_arn], through),
    ]


def archive_files() -> Iterator[tuple[str, str]]:
    """(path in the archive, file) of the function and its packages: sources and metadata, nothing compiled, so that
    every machine makes the same archive."""
    for file in sorted(SOURCE.glob("*.py")):
        yield file.name, str(file)
    for package in PACKAGES:
        for entry in sorted(distribution(package).files or (), key=str):
            if entry.suffix == ".py" or entry.name == "METADATA":
                yield str(entry), str(entry.locate())
