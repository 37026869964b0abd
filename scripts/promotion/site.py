"""AWS and state as a promotion sees them: only reads of one region, with short waits. No decisions, no printing.

The one thing that is changed here is a lock object that a dead process of this machine left behind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pulumi
from botocore.config import Config

from components import configuration, stack_files, yaml_files
from components.facts import Facts, Reader
from components.settings.stack import Settings
from scripts.clients import Clients
from scripts.errors import RefusedError
from scripts.prerequisites import backend
from scripts.project import NAMESPACE, Project, StackFacts
from scripts.promotion import locks
from scripts.promotion.locks import Lock
from scripts.pulumi_cli import PulumiCli

if TYPE_CHECKING:
    from types_boto3_rds.type_defs import DBInstanceTypeDef

LONG = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=3, read_timeout=150)
# One attempt more than necessary: a region that does not answer must not hold up what another one can do.
SHORT = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=3, read_timeout=8)


class Site:
    """One stack: its region, its state, its settings. `environment` names credentials, endpoint and backend."""

    def __init__(self, project: Project, stack: StackFacts, environment: Mapping[str, str]) -> None:
        self.project = project
        self.stack = stack
        self.region = stack.region
        variables = {**environment, backend.VARIABLE: backend.chosen(project, environment)}
        self.clients = Clients(variables, SHORT)
        self._patient = Clients(variables, LONG)
        self.cli = PulumiCli(project.directory, variables)
        self.elsewhere = environment.get("AWS_ENDPOINT_URL")  # set where AWS is not the real one

    def client(self, service: str) -> Any:
        """A client in the own region; there is no other one here."""
        return self.clients.get(service, self.region)

    def patient_client(self, service: str) -> Any:
        """One that waits as long as a function may run, and never asks a second time by itself."""
        return self._patient.get(service, self.region)

    # -- who and when -------------------------------------------------------------------------------------------
    def caller(self) -> tuple[str, str, datetime]:
        """Account and ARN of the credentials, and AWS's time, which is what its time stamps are compared with."""
        answer = self.client("sts").get_caller_identity()
        return answer["Account"], answer["Arn"], answered_at(answer)

    # -- state --------------------------------------------------------------------------------------------------
    def _state(self) -> Any:
        return self.clients.get("s3", self.project.standby.region)

    def locks(self) -> list[Lock]:
        """The locks of the stack; usually none."""
        bucket, s3 = self.project.state_bucket, self._state()
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=locks.PREFIX)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return [
            locks.parse(key, s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            for key in keys
            if locks.of_stack(key, self.stack.stack)
        ]

    def remove_lock(self, lock: Lock) -> None:
        """Remove exactly this one: `pulumi cancel` would also remove a lock that somebody took a moment ago."""
        self._state().delete_object(Bucket=self.project.state_bucket, Key=lock.key)

    def checkpoint(self) -> dict[str, Any]:
        """The stack's state as it lies in the backend; empty where it was never deployed, or lost."""
        s3 = self._state()
        key = f".pulumi/stacks/{NAMESPACE}/{self.stack.stack}.json"
        try:
            body = s3.get_object(Bucket=self.project.state_bucket, Key=key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            return {}
        return {"deployment": json.loads(body)["checkpoint"].get("latest") or {}}

    # -- settings and guards ------------------------------------------------------------------------------------
    @cached_property
    def settings(self) -> Settings:
        """The stack's settings as the program would read them. Raises RefusedError for what it would refuse."""
        directory, stack = self.project.directory, self.stack.stack
        given = {**_given(directory / "Pulumi.yaml"), **_given(self.stack.file)}
        sources = stack_files.Sources.read(directory, NAMESPACE, stack)
        try:
            return configuration.read_settings(NAMESPACE, stack, given, sources)
        except pulumi.RunError as error:
            raise RefusedError(str(error)) from error

    @cached_property
    def promoted(self) -> Settings:
        """The same once the flag is flipped."""
        return self.settings.model_copy(update={"standby": False})

    def reread(self) -> None:
        """The stack's file was changed: its settings are read again when they are next asked for."""
        for name in ("settings", "promoted"):
            self.__dict__.pop(name, None)

    def facts(self, watching: bool = False) -> Facts:
        """What the program itself looks at before a promotion; `watching`: the data, whether or not it needs them.

        Raises pulumi.RunError, as there.
        """
        return Reader(self.promoted, lambda service, _: self.client(service)).read(watching)

    def instance(self, identifier: str) -> DBInstanceTypeDef | None:
        """A database instance of the own region as AWS describes it."""
        rds = self.client("rds")
        try:
            found = rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"]
        except rds.exceptions.DBInstanceNotFoundFault:
            return None
        return found[0] if found else None


def answered_at(answer: Mapping[str, Any]) -> datetime:
    """When AWS gave an answer, by its own clock; ours where it does not say."""
    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return parsedate_to_datetime(said) if said else datetime.now(UTC)


def _given(file: Any) -> dict[str, str]:
    """Configuration of a YAML file as the engine hands it to the program: plain text, objects as JSON."""
    found = {}
    for key, entry in (yaml_files.read(file).get("config") or {}).items():
        value = entry["value"] if isinstance(entry, dict) and set(entry) == {"value"} else entry
        full = key if ":" in str(key) else f"{NAMESPACE}:{key}"
        found[full] = value if isinstance(value, str) else json.dumps(value)
    return found
