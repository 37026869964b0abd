"""A standby whose AWS, state and `pulumi` never existed, for the parts of a promotion."""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import ClientError

from components import naming, secrets
from components.facts import Copy, Facts, Instance
from scripts.project import CHECKOUT, Project, load
from scripts.promotion.locks import Lock
from scripts.promotion.site import Site
from scripts.pulumi_cli import Outcome
from scripts.rehearsal.sources import Source, settings
from tests.components.examples import FACTS, SOURCE_ARN

ACCOUNT = "123456789012"
STACK = "south-africa"
DATABASE = "mental-health-platform-sa-rds"
KEY = "arn:aws:kms:af-south-1:123456789012:key/data"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
URN = (
    f"urn:pulumi:{STACK}::mental-health-platform::platform:database:Database$aws:rds/instance:Instance::database-first"
)
DEAD, ALIVE = 4_000_000, 4_000_001  # process ids


def project(directory: Path) -> Project:
    """A working copy as the bootstrap completes it."""
    for file in CHECKOUT.glob("Pulumi*.yaml"):
        more = "" if file.name == "Pulumi.yaml" else "  mental-health-platform:zoneId: Z123\n"
        kept = [line for line in file.read_text().splitlines() if not line.startswith("secretsprovider:")]
        (directory / file.name).write_text("\n".join([*kept, more]))
    return load(directory)


def configure(project: Project, source: Source) -> None:
    """Let the standby get its data that way."""
    if source is Source.COPIES:  # what the checkout's own file says
        return
    document = yaml.safe_load(project.standby.file.read_text())
    for path, value in settings(source, SOURCE_ARN).items():
        key, _, name = path.rpartition(".")
        document["config"][key][name] = value
    project.standby.file.write_text(yaml.safe_dump(document))


def denied(code: str, operation: str = "DescribeKey") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


def lock(pid: int = DEAD, host: str | None = None, user: str | None = None) -> Lock:
    key = f".pulumi/locks/organization/mental-health-platform/{STACK}/{pid}.json"
    here = socket.gethostname() if host is None else host
    return Lock(key, here, getpass.getuser() if user is None else user, pid, "2026-11-23T11:00:00Z")


def pending(kind: str = "creating", urn: str = URN, **inputs: Any) -> dict[str, Any]:
    """A pending operation as `pulumi stack export` shows it."""
    given = inputs or {"identifier": DATABASE, "password": {"ciphertext": "x"}, "multiAz": True}
    return {"type": kind, "resource": {"urn": urn, "custom": True, "type": urn.split("$")[-1], "inputs": given}}


def state(*operations: Mapping[str, Any], standby: bool = True, resources: tuple[Any, ...] = ()) -> dict[str, Any]:
    stack = {
        "urn": f"urn:pulumi:{STACK}::mental-health-platform::pulumi:pulumi:Stack::s",
        "type": "pulumi:pulumi:Stack",
        "created": "2026-11-02T08:15:00.123456789Z",
        "outputs": {"standby": standby, "epoch": 1, "account": ACCOUNT, "region": "af-south-1"},
    }
    manifest = {"time": "2026-11-23T11:30:00.987654321+01:00"}
    deployment = {"manifest": manifest, "resources": [stack, *resources], "pending_operations": list(operations)}
    return {"version": 3, "deployment": deployment}


def copy(name: str = "copy", minutes: float = 20, **changes: Any) -> Copy:
    values: dict[str, Any] = {
        "identifier": name,
        "status": "available",
        "source_database": "mental-health-platform-kenya-rds",
        "copied_from": None,
        "made_by": naming.SNAPSHOT_CYCLE,
        "unusable": False,
        "encrypted": True,
        "key_arn": KEY,
        "original_created_at": NOW - timedelta(minutes=minutes),
        "engine_version": "17.6",
        "allocated_storage": 100,
    }
    return Copy(**{**values, **changes})


def instance(status: str = "available") -> Instance:
    return Instance(DATABASE, status, "17.6", 100, "first", naming.SERVING_ROLE, "copy", None)


def facts(*copies: Copy, instances: tuple[Instance, ...] = (), life: datetime | None = NOW) -> Facts:
    return Facts(ACCOUNT, instances, copies, KEY, life, offers=FACTS.offers)


class Client:
    """A boto3 client whose answers are given; a missing one is an error in the test."""

    class exceptions:  # noqa: N801 - boto3's name
        DBInstanceNotFoundFault = NoSuchKey = ReplicationGroupNotFoundFault = KeyError

    def __init__(self, service: str, answers: Mapping[str, Any], calls: list[tuple[str, dict[str, Any]]]) -> None:
        self._service = service
        self._answers = answers
        self._calls = calls

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            self._calls.append((f"{self._service}.{operation}", parameters))
            answer = self._answers[f"{self._service}.{operation}"]
            answer = answer(**parameters) if callable(answer) else answer
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def get_paginator(self, operation: str) -> Any:
        call = self.__getattr__(operation)
        return type("Pages", (), {"paginate": staticmethod(lambda **parameters: [call(**parameters)])})


class Cli:
    """`pulumi`, as far as a promotion uses it; `documents` are the states that were imported."""

    def __init__(self, state: Callable[[], Mapping[str, Any]]) -> None:
        self._state = state
        self.commands: list[tuple[str, ...]] = []
        self.documents: list[dict[str, Any]] = []
        self.codes: dict[str, int] = {}
        self.said: dict[str, str] = {}
        self.keys: set[str] = set()

    def run(self, *arguments: str, check: bool = True) -> Outcome:
        self.commands.append(arguments)
        said = self.said.get(arguments[0], "")
        if arguments[:2] == ("stack", "export"):
            said = json.dumps(self._state())
        if arguments[:2] == ("stack", "import"):
            self.documents.append(json.loads(Path(arguments[-1]).read_text()))
        return Outcome("pulumi", self.codes.get(arguments[0], 0), said, 0.0, stdout=said)

    def watch(self, *arguments: str, **_: Any) -> Outcome:
        return self.run(*arguments)

    def config_keys(self, stack: str) -> set[str]:
        return self.keys

    def set_plain(self, stack: str, key: str, value: str) -> None:
        self.commands.append(("config", "set", stack, key, value))


class MadeUp(Site):
    """A site whose every answer can be changed by a test."""

    cli: Any

    def __init__(self, directory: Path) -> None:
        made = project(directory)
        super().__init__(made, made.standby, {"AWS_ACCESS_KEY_ID": "X", "AWS_SECRET_ACCESS_KEY": "x"})
        self.held: list[Lock] = []
        self.document = state()
        self.known: Facts | Exception = facts(copy())
        self.database: dict[str, Any] | None = None
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.cli = Cli(lambda: self.document)
        self.answers: dict[str, Any] = {
            "sts.get_caller_identity": {"Account": ACCOUNT, "Arn": "arn:me", "ResponseMetadata": {}},
            "kms.describe_key": {"KeyMetadata": {"KeyState": "Enabled", "KeyId": "k", "Arn": KEY}},
            "acm.list_certificates": {
                "CertificateSummaryList": [{"DomainName": made.public_name, "CertificateArn": "c"}]
            },
            "acm.describe_certificate": {
                "Certificate": {"Status": "ISSUED", "NotAfter": datetime.now(UTC) + timedelta(days=300)}
            },
            "secretsmanager.list_secrets": {
                "SecretList": [
                    {"Name": name, "SecretVersionsToStages": {"v": ["AWSCURRENT"]}}
                    for name in secrets.names(made.standby.short, [service.name for service in made.standby.services])
                ]
            },
            "secretsmanager.get_secret_value": {"SecretString": '{"username": "robot", "password": "x"}'},
            "service-quotas.get_service_quota": {"Quota": {"Value": 1000.0}},
            "ecs.list_clusters": {"clusterArns": []},
            "ec2.describe_addresses": {"Addresses": []},
            "rds.describe_db_instances": {"DBInstances": []},
            "ecs.list_services": {"serviceArns": []},
        }

    def client(self, service: str) -> Any:
        return Client(service, self.answers, self.calls)

    def patient_client(self, service: str) -> Any:
        return self.client(service)

    def locks(self) -> list[Lock]:
        return list(self.held)

    def remove_lock(self, lock: Lock) -> None:
        self.held.remove(lock)

    def checkpoint(self) -> dict[str, Any]:
        return self.document

    def facts(self, watching: bool = False) -> Facts:
        if isinstance(self.known, Exception):
            raise self.known
        return self.known

    def instance(self, identifier: str) -> Any:
        return self.database
