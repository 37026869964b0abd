"""Databases whose master is no superuser, as on RDS, and the function of the application's roles that works on them."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pg8000.native
import pytest

from tests.components.roles_source import handler
from tests.sandbox import traffic_world
from tests.sandbox.traffic_world import KENYA, MASTER_PASSWORD, World, wait

LOGGING = "log-every-statement"
REFUSED = pg8000.native.DatabaseError
OWNER, READER, LATER = "api_gateway", "crisis_detection", "sync"
PASSWORDS = {OWNER: "owner", READER: "reader", LATER: "later"}
SPEED = 2400.0  # modelled waits end before the servers are up

names = (f"roles-{number}" for number in itertools.count())


@dataclass
class Database:
    """A database instance and the secrets that lead to it."""

    world: World
    name: str
    port: int
    log: str

    def secret(self, role: str, password: str) -> str:
        """The login's secret, made or given this value; its id."""
        client, secret = self.world.client("secretsmanager", KENYA), f"{self.name}/{role}"
        login = {"host": "127.0.0.1", "port": self.port, "dbname": "platform", "username": role, "password": password}
        try:
            client.create_secret(Name=secret, SecretString=json.dumps(login))
        except client.exceptions.ResourceExistsException:
            client.put_secret_value(SecretId=secret, SecretString=json.dumps(login))
        return secret

    def set_roles(self, passwords: dict[str, str], owner: str | None = OWNER) -> dict[str, Any]:
        """What the function answers when it is called for these roles."""
        services = [self.secret(role, password) for role, password in passwords.items()]
        master = self.secret("postgres", MASTER_PASSWORD)
        return handler.handler({"task": "roles", "master": master, "services": services, "owner": owner}, None)

    def lock(self, passwords: dict[str, str]) -> dict[str, Any]:
        """What the function answers when it is called to lock these roles."""
        event = {
            "task": "lock",
            "master": self.secret("postgres", MASTER_PASSWORD),
            "services": [self.secret(role, password) for role, password in passwords.items()],
            "host": "127.0.0.1",
            "port": self.port,
        }
        return handler.handler(event, None)

    def inspect(self, indexes: bool = True) -> dict[str, Any]:
        """What the function answers when it is called to look at this database."""
        event = {
            "task": "inspect",
            "master": self.secret("postgres", MASTER_PASSWORD),
            "host": "127.0.0.1",
            "port": self.port,
            "indexes": indexes,
        }
        return handler.handler(event, None)

    @contextlib.contextmanager
    def open(self, user: str, password: str) -> Iterator[pg8000.native.Connection]:
        """A session, which may be gone at the end."""
        session = pg8000.native.Connection(
            user, "127.0.0.1", "platform", self.port, password, ssl_context=True, timeout=10
        )
        try:
            yield session
        finally:
            with contextlib.suppress(pg8000.native.InterfaceError, OSError):
                session.close()

    def run(self, statement: str, user: str = "postgres", password: str = MASTER_PASSWORD) -> list[list[Any]]:
        """The rows of one statement in a session of its own."""
        with self.open(user, password) as connection:
            return connection.run(statement) or []

    def refusal(self, statement: str, user: str, password: str) -> str:
        """PostgreSQL's error code for a statement that must not work."""
        with pytest.raises(REFUSED) as refused:
            self.run(statement, user, password)
        return str(refused.value.args[0]["C"])

    def logged(self) -> str:
        """The server's log, in which every statement stands."""
        return (self.world.directory / "databases" / self.log / "server.log").read_text()


@contextlib.contextmanager
def running(*parameters: dict[str, str]) -> Iterator[World]:
    """A cloud with the databases' parameter group, set to these parameters; sound at the end."""
    with traffic_world.running(SPEED) as world:
        rds = world.client("rds", KENYA)
        rds.create_db_parameter_group(
            DBParameterGroupName=LOGGING, DBParameterGroupFamily="postgres17", Description="x"
        )
        if parameters:
            rds.modify_db_parameter_group(DBParameterGroupName=LOGGING, Parameters=list(parameters))
        yield world
        world.assert_sound()


@contextlib.contextmanager
def function_environment(world: World) -> Iterator[None]:
    """Where the function's own calls go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        patch.setenv("AWS_ENDPOINT_URL", world.url)
        patch.setenv("AWS_DEFAULT_REGION", KENYA)
        patch.setenv("AWS_ACCESS_KEY_ID", "FUNCTION-database-roles")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "fake")
        yield


def created(world: World) -> Database:
    """An instance as RDS hands it over: a master, an empty database, no schema."""
    name = next(names)
    world.client("rds", KENYA).create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t4g.medium",
        Engine="postgres",
        EngineVersion="17.5",
        AllocatedStorage=20,
        MasterUsername="postgres",
        MasterUserPassword=MASTER_PASSWORD,
        DBName="platform",
        DBParameterGroupName=LOGGING,
    )
    return available(world, name)


def available(world: World, name: str) -> Database:
    rds = world.client("rds", KENYA)

    def ready() -> dict[str, Any] | None:
        (found,) = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        return dict(found) if found["DBInstanceStatus"] == "available" else None

    found = wait(ready, 30, f"{name} to be available")
    assert found is not None
    return Database(world, name, int(found["Endpoint"]["Port"]), found["DbiResourceId"])


def discard(database: Database) -> None:
    rds = database.world.client("rds", KENYA)
    rds.delete_db_instance(DBInstanceIdentifier=database.name, SkipFinalSnapshot=True)
