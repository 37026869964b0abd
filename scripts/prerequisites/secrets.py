"""The shared secrets: generated once, written into the encrypted configuration of both stacks, never shown."""

from __future__ import annotations

import json
import secrets
import string
import sys
from pathlib import Path

from scripts.errors import RefusedError
from scripts.project import Project
from scripts.pulumi_cli import PulumiCli


def generate(key: str, project: Project) -> str:
    """A new value for one of the generated secrets.

    `token_urlsafe` uses letters, digits, "-" and "_" only, which RDS and connection strings accept.
    """
    if key == "databasePasswords":
        return json.dumps({service.name: secrets.token_urlsafe(32) for service in project.standby.services})
    if key in ("databaseMasterPassword", "signingKey"):
        return secrets.token_urlsafe(48)
    if key == "cacheAuthToken":  # ElastiCache takes no "_"
        return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(64))
    raise ValueError(key)


def give(cli: PulumiCli, project: Project, key: str, stack: str, holders: set[str], given: str | None) -> None:
    """Write a secret into one stack's configuration: what another stack has, else `given`, else a generated value.

    `holders`: names of the stacks that have it. Both stacks must agree, because the database is restored with them.
    """
    if stack in holders:  # its file was there before the stack was
        return
    if holders:
        value = cli.secret(sorted(holders)[0], key)
    else:
        value = given if given is not None else generate(key, project)
    cli.set_secret(stack, key, value)


def registry_credential(text: str, source: str) -> str:
    """Validate a credential for ghcr.io: JSON with `username` and `password`. Raises RefusedError, never quotes it."""
    try:
        read = json.loads(text)
    except json.JSONDecodeError as error:
        raise RefusedError(f"{source}: not JSON.", _FORM) from error
    if not isinstance(read, dict) or set(read) != {"username", "password"}:
        raise RefusedError(f"{source}: exactly the fields username and password are needed.", _FORM)
    if not all(isinstance(value, str) and value for value in read.values()):
        raise RefusedError(f"{source}: username and password must be texts, not empty.", _FORM)
    return json.dumps({"username": read["username"], "password": read["password"]})


def read_registry_credential(file: Path | None) -> str | None:
    """From a file, or from standard input where the file is "-"; None where no file is named."""
    if file is None:
        return None
    if str(file) == "-":
        return registry_credential(sys.stdin.read(), "standard input")
    try:
        return registry_credential(file.read_text(), str(file))
    except OSError as error:
        raise RefusedError(f"{file}: {error.strerror}.") from error


_FORM = 'It must look like {"username": "…", "password": "a token that may read packages"}.'
