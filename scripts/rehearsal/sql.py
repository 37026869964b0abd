"""Statements in an emulated database, as its master user: what nobody does from outside of the network on AWS."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from pg8000.native import Connection

from components import naming
from scripts.project import StackFacts

DATABASE = "platform"
AUTHORITY = "rds-ca.pem"  # in a sandbox's directory


def run(
    client: Callable[[str], Any], directory: Path, stack: StackFacts, identifier: str, *statements: str
) -> list[Any]:
    """Each committed by itself; the rows of the last one. `client` makes one of a service in the stack's region,
    `directory` is the sandbox's. Raises what the database answers."""
    secret = client("secretsmanager").get_secret_value(SecretId=naming.secret(stack.short, "database/master"))
    login = json.loads(secret["SecretString"])
    (described,) = client("rds").describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"]
    trusted = ssl.create_default_context(cafile=str(directory / AUTHORITY))
    port = described["Endpoint"]["Port"]
    connection = Connection(login["username"], "127.0.0.1", DATABASE, port, login["password"], ssl_context=trusted)
    with closing(connection):
        found = [connection.run(statement) for statement in statements]
    return list(found[-1] or [])
