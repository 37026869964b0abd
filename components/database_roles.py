"""The function that sets the application's roles and grants in the database. logins.py calls it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pulumi

from components import naming, policies
from components.scheduled_function import FunctionNetwork, ScheduledFunction, ScheduledFunctionArgs
from components.watches_recovery import FunctionWatch

SOURCE = Path(__file__).parent / "functions" / "database_roles"
# The driver, what it needs, and the library that retries, as installed beside the program.
PACKAGES = ("pg8000", "scramp", "asn1crypto", "python-dateutil", "six", "tenacity")
NOUN = "database-roles"
# An idle function in a network becomes inactive after weeks, and its next call would fail.
WARM_EVERY_MINUTES = 60
TIMEOUT_SECONDS = 120
MEMORY_MIB = 256


@dataclass(frozen=True, kw_only=True)
class DatabaseRolesArgs:
    """`service_secret_arns`: login of each service by its name; `master_value`: what gives the master login its value;
    `after`: what the function needs to reach them."""

    short_name: str
    tags: naming.Tags
    account_id: str
    region: str
    key_arn: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[str]]
    security_group_id: pulumi.Input[str]
    master_secret_arn: pulumi.Input[str]
    master_value: pulumi.Resource
    service_secret_arns: Mapping[str, pulumi.Input[str]]
    after: Sequence[pulumi.Resource]


class DatabaseRoles(pulumi.ComponentResource):
    """The function in the network: always there, so that a promotion does not have to make it.

    `ready`: what a call has to wait for. `watch`: the function as alarms know it.
    """

    function_name: pulumi.Output[str]

    def __init__(self, name: str, args: DatabaseRolesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:database:DatabaseRoles", name, {}, opts)
        secrets = [args.master_secret_arn, *args.service_secret_arns.values()]
        function = ScheduledFunction(
            name,
            ScheduledFunctionArgs(
                short_name=args.short_name,
                tags=args.tags,
                account_id=args.account_id,
                region=args.region,
                noun=NOUN,
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
                ticks_after=[args.master_value, *args.after],
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.function_name = function.function_name
        self.watch = FunctionWatch(
            noun=NOUN,
            name=function.function_name,
            every_minutes=WARM_EVERY_MINUTES,
            dead_letters=function.dead_letters_name,
            tells_runs=False,
        )
        self.ready: list[pulumi.Resource] = [*function.ready, *args.after]
        self.register_outputs({"function_name": function.function_name})


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
