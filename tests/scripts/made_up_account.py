"""An AWS account with its Pulumi state that never existed, as far as `dr bootstrap` looks at it and changes it."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any, cast

from scripts.bootstrap import Bootstrap
from scripts.prerequisites import plan
from scripts.prerequisites.aws import Aws
from scripts.prerequisites.plan import Found
from scripts.project import Project
from scripts.pulumi_cli import Outcome, PulumiCli

ACCOUNT = "123456789012"
CREDENTIAL = '{"username": "somebody", "password": "token"}'
REGIONS = {"eu-west-1": "ENABLED_BY_DEFAULT", "af-south-1": "ENABLED"}


def nothing() -> Found:
    return Found(account=ACCOUNT, caller="arn", region_status=dict(REGIONS))


def everything(project: Project) -> Found:
    found = nothing()
    found.service_linked_roles = set(plan.SERVICE_LINKED_ROLES)
    found.state_key, found.replica_key = "arn:key", "arn:replica"
    found.buckets = {name: set(plan.BUCKET_SETTINGS) for name in (project.state_bucket, project.replica_bucket)}
    found.replication_role = found.replication = True
    found.zone_ids = ["Z1"]
    found.stacks = {"kenya", "south-africa"}
    found.provided = set(found.stacks)
    found.config = {stack: {"zoneId", *plan.SECRETS} for stack in found.stacks}
    return found


class Account:
    """What boto3 would reach. `fails`: errors by the name of what raises them; `ignores`: what does nothing."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.found = nothing()
        self.made: list[str] = []
        self.values: dict[tuple[str, str], str] = {}
        self.ignores = ""
        self.fails: dict[str, Exception] = {}

    def __getattr__(self, name: str) -> Any:
        if not name.startswith(("make_", "set_bucket")):
            raise AttributeError(name)

        def make(*arguments: str) -> Any:
            self.fail(name)
            self.made.append(" ".join([name, *arguments]))
            return self._make(name, arguments)

        return make

    def fail(self, name: str) -> None:
        if name in self.fails:
            raise self.fails[name]

    def look(self) -> Found:
        self.fail("look")
        return deepcopy(self.found)

    def _make(self, name: str, arguments: tuple[str, ...]) -> Any:
        found = self.found
        if name == self.ignores:
            return None
        if name == "make_service_linked_role":
            found.service_linked_roles.add(arguments[0])
        elif name in ("make_state_key", "make_replica_key"):
            field = name.removeprefix("make_")
            setattr(found, field, f"arn:{field}")
            return f"arn:{field}"
        elif name == "make_bucket":
            found.buckets[arguments[0]] = set()
        elif name == "set_bucket":
            found.buckets[arguments[0]].add(arguments[1])
        elif name == "make_zone":
            found.zone_ids = ["Z1"]
            return "Z1", ["ns-1"]
        else:
            setattr(found, name.removeprefix("make_"), True)
        return None


def name_provider(project: Project, stack: str) -> None:
    """Write into the stack's file with what its secrets are encrypted, as the engine does at its beginning."""
    with (project.directory / f"Pulumi.{stack}.yaml").open("a") as file:
        file.write(f"secretsprovider: {project.secrets_provider}\n")


class Stacks:
    """`pulumi`, as far as the bootstrap uses it."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.environment = {"PULUMI_BACKEND_URL": "s3://somewhere"}

    def run(self, *arguments: str) -> Outcome:
        found = self.account.found
        said = ""
        if arguments[:2] == ("stack", "ls"):
            said = json.dumps([{"name": name, "resourceCount": int(name in found.deployed)} for name in found.stacks])
        elif arguments[:2] == ("stack", "init"):
            self.account.fail("stack init")
            assert arguments[2] not in found.stacks
            found.stacks.add(arguments[2])
            found.config.setdefault(arguments[2], set())  # a stack file that exists is kept
            name_provider(self.account.project, arguments[2])
        else:
            assert arguments[:4] == ("stack", "change-secrets-provider", self.account.project.secrets_provider, "-s")
            name_provider(self.account.project, arguments[4])
        return Outcome("pulumi", 0, said, 0.0, stdout=said)

    def config_keys(self, stack: str) -> set[str]:
        return set(self.account.found.config[stack])

    def secret(self, stack: str, key: str) -> str:
        return self.account.values[stack, key]

    def set_plain(self, stack: str, key: str, value: str) -> None:
        self.account.found.config[stack].add(key)
        self.account.values[stack, key] = value

    def set_secret(self, stack: str, key: str, value: str) -> None:
        (file,) = (known.file for known in self.account.project.stacks if known.stack == stack)
        assert "\nsecretsprovider:" in file.read_text(), "the engine would ask for a passphrase"
        self.account.fail(f"set_secret {stack}")
        self.set_plain(stack, key, value)


def bootstrap(account: Account, registry: str | None = CREDENTIAL) -> Bootstrap:
    return Bootstrap(account.project, cast("Aws", account), cast("PulumiCli", Stacks(account)), registry)
