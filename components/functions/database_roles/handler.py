"""Creates or resets the application roles and grants of a database, or locks them, from inside its network.

A restored database carries the roles and passwords of the region it comes from, a new one has none. The program calls
this after the database and before the services start; a schedule calls it in between, so that the function stays
active and its way to the secrets and the database stays proved. A freeze and a database that no longer serves lock the
roles instead, which setting them undoes. It deletes nothing.
"""

import json
import ssl
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
from botocore.config import Config
from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection, identifier, literal
from scramp import ScramMechanism
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

# In Lambda the function's own folder is where imports begin; type checks see it from the project's.
if TYPE_CHECKING:
    from components.functions.database_roles import inspecting, locking
else:
    import inspecting
    import locking

SCHEMA = "app"
NO_DATABASE = ".invalid"
# Undoes whatever locked a role. PostgreSQL refuses an expired one as if its password were wrong.
UNLOCKED = "LOGIN CONNECTION LIMIT -1 VALID UNTIL 'infinity'"
# PostgreSQL has no rule for such a connection: with `rds.force_ssl`, for one without TLS.
NO_ENTRY = "28000"
CALLS = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "max_attempts": 4})


@dataclass(frozen=True)
class Login:
    """A database secret. The password is never shown."""

    host: str
    port: int
    dbname: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Role:
    """An application role as it has to be."""

    name: str
    verifier: str = field(repr=False)


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Entry point. `task` is `roles`, `lock` or `turn` (from the program) or `warm` (from the schedule).

    A turn asks nobody anything, its token is never the same twice; `try` (from the verification of a thaw) logs in as
    each service and changes nothing; neither does `inspect` (from the verification of a restore), which looks at a
    whole database, with `indexes` at those as well. `master` and `services` are names or ARNs of secrets, `owner` is
    the role that owns the schema. What is locked or inspected is the database at `host` and `port`, which need not be
    the one that the secrets lead to.

    Raises what the database or Secrets Manager answered; the caller sees it, without any password.
    """
    if event["task"] == "turn":
        return {"task": "turn", "token": str(uuid4())}
    client = boto3.client("secretsmanager", config=CALLS)
    master = _login(client, event["master"])
    match event["task"]:
        case "warm":
            result = _warm(master)
        case "roles":
            services = [_login(client, secret) for secret in event["services"]]
            result = _apply(master, services, event["owner"])
        case "try":
            result = _try([_login(client, secret) for secret in event["services"]])
        case "lock":
            here = _place(event)
            services = [replace(_login(client, secret), **here) for secret in event["services"]]
            result = _lock(replace(master, **here), services)
        case "inspect":
            result = _inspect(replace(master, **_place(event)), bool(event["indexes"]))
        case other:
            raise ValueError(f"unknown task {other!r}; known: inspect, lock, roles, try, turn, warm")
    # What is in the rows stays out of the log, newest times included.
    print(json.dumps({key: value for key, value in result.items() if key not in ("tables", "objects")}))
    return result


def _place(event: Mapping[str, Any]) -> dict[str, Any]:
    return {"host": event["host"], "port": int(event["port"])}


def _warm(master: Login) -> dict[str, Any]:
    if master.host.endswith(NO_DATABASE):
        return {"task": "warm", "database": "none"}
    connection = _connect(master)
    try:
        ((version,),) = connection.run("SHOW server_version")
    finally:
        connection.close()
    return {"task": "warm", "database": "answers", "version": version}


def _try(services: Iterable[Login]) -> dict[str, Any]:
    names = []
    for login in services:
        _open(login).close()
        names.append(login.username)
    return {"task": "try", "logged_in": names}


def _apply(master: Login, services: Iterable[Login], owner: str | None) -> dict[str, Any]:
    roles = [_role(login) for login in services]
    connection = _connect(master)
    try:
        connection.run("BEGIN")
        existing = {name for (name,) in connection.run("SELECT rolname FROM pg_roles")}
        for statement in statements(master.dbname, roles, owner, existing):
            connection.run(statement)
        connection.run("COMMIT")
    finally:
        connection.close()
    created = sorted(role.name for role in roles if role.name not in existing)
    reset = sorted(role.name for role in roles if role.name in existing)
    return {"task": "roles", "created": created, "reset": reset}


def _lock(master: Login, services: Iterable[Login]) -> dict[str, Any]:
    connection = _connect(master)
    try:
        found = locking.lock(connection, {login.username: partial(_open, login) for login in services})
    finally:
        connection.close()
    return {"task": "lock", "database": master.host, **asdict(found)}


def _inspect(master: Login, indexes: bool) -> dict[str, Any]:
    """One attempt: whoever waits for a database that does not answer is people."""
    connection = _open(master)
    try:
        found = inspecting.inspect(connection, indexes)
    finally:
        connection.close()
    return {"task": "inspect", "database": master.host, "tls_only": _tls_only(master), **asdict(found)}


def _tls_only(master: Login) -> bool:
    """Whether a login that is not encrypted is refused. Nobody overhears the password: it is proved, not sent."""
    try:
        _open(master, encrypted=False).close()
    except DatabaseError as error:
        if str(error.args[0]["C"]) == NO_ENTRY:
            return True
        raise
    return False


def statements(database: str, roles: list[Role], owner: str | None, existing: set[str]) -> list[str]:
    """The SQL that makes the roles what they have to be, in order; running it again changes nothing.

    `owner` migrates the schema; every other role works with its rows. A master on RDS is no superuser: it may act for
    a role only as its member.
    """
    found = []
    for role in roles:
        name = identifier(role.name)
        if role.name not in existing:
            found.append(f"CREATE ROLE {name} LOGIN")
        found.append(f"ALTER ROLE {name} WITH {UNLOCKED} PASSWORD {literal(role.verifier)}")
        found.append(f"GRANT CONNECT ON DATABASE {identifier(database)} TO {name}")
    found.append(f"REVOKE CONNECT, TEMPORARY ON DATABASE {identifier(database)} FROM PUBLIC")
    if owner is not None:
        found.append(f"GRANT {identifier(owner)} TO CURRENT_USER")
        found.append(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA} AUTHORIZATION {identifier(owner)}")
        for role in roles:
            if role.name != owner:
                found += _grants(identifier(owner), identifier(role.name))
    return found


def _grants(owner: str, name: str) -> list[str]:
    rows, numbers = "SELECT, INSERT, UPDATE, DELETE", "USAGE, SELECT"
    later = f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {SCHEMA} GRANT"
    return [
        f"GRANT USAGE ON SCHEMA {SCHEMA} TO {name}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA {SCHEMA} TO {name}",
        f"GRANT {numbers} ON ALL SEQUENCES IN SCHEMA {SCHEMA} TO {name}",
        f"{later} {rows} ON TABLES TO {name}",
        f"{later} {numbers} ON SEQUENCES TO {name}",
    ]


def _role(login: Login) -> Role:
    return Role(login.username, verifier(login.password))


def verifier(password: str) -> str:
    """What PostgreSQL stores instead of a password (SCRAM-SHA-256).

    Made here, so that no statement, and with it no log of a failed statement, ever holds a password.
    """
    salt, stored_key, server_key, iterations = ScramMechanism("SCRAM-SHA-256").make_auth_info(password)
    encoded = [b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${iterations}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def _login(client: Any, secret: str) -> Login:
    values = json.loads(client.get_secret_value(SecretId=secret)["SecretString"])
    return Login(values["host"], int(values["port"]), values["dbname"], values["username"], values["password"])


@retry(
    # A new endpoint's name and password take some seconds to be known everywhere.
    retry=retry_if_exception_type((OSError, InterfaceError, DatabaseError)),
    stop=stop_after_delay(60),
    wait=wait_fixed(2),
    reraise=True,
)
def _connect(login: Login) -> Connection:
    return _open(login)


def _open(login: Login, encrypted: bool = True) -> Connection:
    return Connection(
        login.username,
        host=login.host,
        port=login.port,
        database=login.dbname,
        password=login.password,
        ssl_context=_tls() if encrypted else False,
        timeout=20,
        application_name="database-roles",
    )


def _tls() -> ssl.SSLContext:
    """Encrypted, without checking who answers: AWS's root certificates are not part of Lambda's runtime. The address
    comes from the program's own secret, and only the database's security group is reachable from here."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
