"""`dr bootstrap`: make what must exist before any stack. Plan, confirm, apply, verify; running it again continues."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components import yaml_files
from scripts import console
from scripts.clients import Clients
from scripts.errors import IncompleteError, NotConfirmedError, RefusedError
from scripts.prerequisites import backend, plan, secrets
from scripts.prerequisites.aws import Aws, continuing, explained
from scripts.prerequisites.plan import Found, Step
from scripts.project import NAMESPACE, Project
from scripts.pulumi_cli import PulumiCli

CONFIRMATION = NAMESPACE


@dataclass
class Bootstrap:
    """One run. `registry` is the credential for ghcr.io as JSON, needed where no stack has one yet."""

    project: Project
    aws: Aws
    cli: PulumiCli
    registry: str | None = None

    @classmethod
    def of(cls, project: Project, environment: Mapping[str, str], registry: str | None = None) -> Bootstrap:
        """With the credentials, endpoint and backend that `environment` names. Raises RefusedError for a wrong one."""
        variables = {**environment, backend.VARIABLE: backend.chosen(project, environment)}
        return cls(project, Aws(project, Clients(variables)), PulumiCli(project.directory, variables), registry)

    # -- look and plan ------------------------------------------------------------------------------------------
    def look(self) -> Found:
        with explained():
            found = self.aws.look()
        if self.project.state_bucket in found.buckets:  # without it there is no backend to ask
            self._look_at_state(found)
        return found

    def _look_at_state(self, found: Found) -> None:
        listed = json.loads(self.cli.run("stack", "ls", "--json").stdout or "[]")
        resources = {stack["name"]: stack.get("resourceCount") or 0 for stack in listed}
        found.stacks = self._names() & set(resources)
        found.provided = {stack.stack for stack in self.project.stacks if _names_provider(stack.file)}
        found.deployed = {stack for stack in found.stacks if resources[stack]}
        found.config = {stack: self.cli.config_keys(stack) for stack in found.stacks}

    def _names(self) -> set[str]:
        return {stack.stack for stack in self.project.stacks}

    def plan(self) -> tuple[Found, list[Step]]:
        """What exists and what is missing. Raises RefusedError where something forbids going on."""
        found = self.look()
        if reasons := plan.refusals(self.project, found):
            raise RefusedError("\n  ".join(reasons))
        return found, plan.steps(self.project, found)

    # -- apply --------------------------------------------------------------------------------------------------
    def apply(self, found: Found, missing: list[Step]) -> None:
        """Make what is missing, in order. What was made before a failure stays and is found next time.

        Raises on the first failure: IncompleteError once something was made, else AwsError or PulumiError.
        """
        made = False
        for step in missing:
            console.note(step.title.strip())
            with continuing() if made else explained():
                self._make(step, found)
            made = True

    def _make(self, step: Step, found: Found) -> None:
        aws = self.aws
        match step.key:
            case "service-linked-role":
                aws.make_service_linked_role(step.subject)
            case "state-key":
                found.state_key = aws.make_state_key()
            case "replica-key":
                found.replica_key = aws.make_replica_key(_made(found.state_key))
            case "bucket":
                aws.make_bucket(step.subject)
            case "replication-role":
                aws.make_replication_role(_made(found.state_key), _made(found.replica_key))
            case "replication":
                aws.make_replication(_made(found.replica_key))
            case "zone":
                zone, servers = aws.make_zone()
                found.zone_ids = [zone]
                console.note(f"delegate {step.subject} at your registrar to: {', '.join(servers)}")
            case "stack":
                provider = self.project.secrets_provider
                if step.subject in found.stacks:
                    self.cli.run("stack", "change-secrets-provider", provider, "-s", step.subject)
                else:
                    self.cli.run("stack", "init", step.subject, "--no-select", "--secrets-provider", provider)
                found.config[step.subject] = self.cli.config_keys(step.subject)
            case "zone-id":
                self.cli.set_plain(step.subject, "zoneId", _made(plan.chosen_zone(self.project, found)))
            case key if key.startswith("bucket "):
                aws.set_bucket(step.subject, key.removeprefix("bucket "))
            case key if key.startswith("secret "):
                self._give_secret(step.subject, key.removeprefix("secret "), found)
            case _:
                raise ValueError(step.key)

    def _give_secret(self, stack: str, key: str, found: Found) -> None:
        holders = {name for name, keys in found.config.items() if key in keys}
        given = self.registry if key == "registryCredential" else None
        secrets.give(self.cli, self.project, key, stack, holders, given)
        found.config[stack].add(key)

    # -- the whole ----------------------------------------------------------------------------------------------
    def run(self, confirmed: list[Step] | None = None) -> None:
        """Look at what exists now, make what is missing, verify. Asks nothing.

        `confirmed`: what somebody agreed to, so that nothing else is made; None agrees to everything.
        Raises RefusedError if more is missing than that, IncompleteError if something is still missing afterwards.
        """
        found, steps = self.plan()
        missing = self.ready_to_apply(steps)
        if confirmed is not None:
            _refuse_more(missing, confirmed)
        if missing:
            self.apply(found, missing)
            self.verify()

    def ready_to_apply(self, steps: list[Step]) -> list[Step]:
        """The missing steps. Raises RefusedError when the registry credential is needed and absent."""
        if plan.needs_registry_credential(steps) and self.registry is None:
            raise RefusedError(
                "The credential for pulling images from ghcr.io is needed and can't be generated.",
                "Give it with --registry-credential FILE (or - for standard input), or run this on a terminal.",
            )
        return plan.missing(steps)

    def verify(self) -> None:
        """Look again at everything. Raises IncompleteError, because it comes after changes."""
        with continuing():
            _, steps = self.plan()
        if still := plan.missing(steps):
            raise IncompleteError("Still missing: " + ", ".join(step.title.strip() for step in still))


def run(
    project: Project, *, apply: bool, confirm: str | None, credential: Path | None, as_json: bool, interactive: bool
) -> None:
    """The command. A dry run unless `apply`; then the platform's name has to be typed or given as `confirm`."""
    bootstrap = Bootstrap.of(project, os.environ, secrets.read_registry_credential(credential))
    console.step("Looking at what exists", "a few seconds")
    found, steps = bootstrap.plan()
    show(project, found, steps, as_json)
    missing = plan.missing(steps)
    if not missing:
        console.done("Everything is there: nothing to do.")
        return
    if not apply:
        console.done(f"{len(missing)} of {len(steps)} to make. This was a dry run: add --apply to make them.")
        return
    if plan.needs_registry_credential(steps) and bootstrap.registry is None and interactive:
        bootstrap.registry = _ask_for_credential()
    bootstrap.ready_to_apply(steps)
    _confirm(confirm, interactive)
    bootstrap.run(confirmed=missing)
    console.done("Everything is there. Keep the changed stack files: commit them.")
    console.note(f"export {backend.VARIABLE}='{bootstrap.cli.environment[backend.VARIABLE]}'")


def show(project: Project, found: Found, steps: list[Step], as_json: bool) -> None:
    """Print the plan; secrets are only ever named."""
    if as_json:
        rows = [{"what": step.title.strip(), "exists": step.exists, "detail": step.detail} for step in steps]
        console.plain(json.dumps({"account": found.account, "caller": found.caller, "steps": rows}, indent=2))
        return
    console.note(f"account {found.account} as {found.caller}")
    for region, status in found.region_status.items():
        console.note(f"region {region}: {status.lower().replace('_', ' ')}")
    rows_shown = [("exists" if step.exists else "to make", step.title, step.detail) for step in steps]
    console.table(f"Prerequisites of {project.public_name}", ("", "what", "id"), rows_shown)


def _confirm(given: str | None, interactive: bool) -> None:
    typed = given
    if typed is None and interactive:
        typed = console.err.input(f"Type [bold]{CONFIRMATION}[/] to make these in this account: ").strip()
    if typed != CONFIRMATION:
        raise NotConfirmedError(
            "Not confirmed: nothing was made.", f"Type {CONFIRMATION}, or --confirm {CONFIRMATION}."
        )


def _ask_for_credential() -> str:
    console.note("Credential for pulling images from ghcr.io (a token with read:packages):")
    username = console.err.input("  user name: ").strip()
    password = console.err.input("  token (not shown): ", password=True).strip()
    return secrets.registry_credential(json.dumps({"username": username, "password": password}), "what you typed")


def _refuse_more(missing: list[Step], confirmed: list[Step]) -> None:
    agreed = {(step.key, step.subject) for step in confirmed}
    if more := [step.title.strip() for step in missing if (step.key, step.subject) not in agreed]:
        raise RefusedError(
            f"Since the plan was shown, more has gone missing: {', '.join(more)}. Nothing was made.",
            "Run this again and look at the new plan.",
        )


def _names_provider(file: Path) -> bool:
    """Whether a stack's file says with what it is encrypted; else the engine would ask for a passphrase."""
    return "secretsprovider" in yaml_files.read(file)


def _made(value: str | None) -> str:
    if value is None:
        raise IncompleteError("A step before this one did not leave what it should: run this again.")
    return value
