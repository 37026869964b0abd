"""Statements in an emulated database, as its master user: what nobody does from outside of the network on AWS."""

from __future__ import annotations

import json
import ssl
from contextlib import closing
from typing import Any

from pg8000.native import Connection

from components import naming
from scripts.project import StackFacts
from scripts.rehearsal.world import World

DATABASE = "platform"


def run(world: World, stack: StackFacts, identifier: str, *statements: str) -> list[Any]:
    """Each committed by itself; the rows of the last one. Raises what the database answers."""
    secret = world.client("secretsmanager", stack.region).get_secret_value(
        SecretId=naming.secret(stack.short, "database/master")
    )
    login = json.loads(secret["SecretString"])
    described = world.rds(stack).describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0]
    trusted = ssl.create_default_context(cafile=str(world.sandbox.directory / "rds-ca.pem"))
    port = described["Endpoint"]["Port"]
    connection = Connection(login["username"], "127.0.0.1", DATABASE, port, login["password"], ssl_context=trusted)
    with closing(connection):
        found = [connection.run(statement) for statement in statements]
    return list(found[-1] or [])
