"""The one small application that every image in the sandbox's registry runs.

It needs DATABASE_HOST, _PORT, _NAME, _USER and _PASSWORD, connects with TLS, and treats its schema as Flyway does: the
migrator (image name `api-gateway`) creates version 1 where there is no history; the others wait for it.
An application without DATABASE_HOST needs no database. Where CACHE_SECRET is set, its health says how it finds the
cache, and does not depend on it. The consumer (image name `sync`) works off the queue that SYNC_QUEUE names.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import pg8000.native
from pg8000.exceptions import DatabaseError, InterfaceError

from components.sync_message import SyncMessage
from sandbox.cloud.emulations.cache_use import CacheUse
from sandbox.cloud.emulations.endpoints import Request, Response
from sandbox.cloud.emulations.queue_worker import QueueWorker

MIGRATOR = "api-gateway"
TIMEOUT_SECONDS = 5  # real; for connecting and for one statement
DEFAULT_LIMIT = 1_000_000
_MIGRATION_LOCK = 823_001  # any number that all instances share

# Answers why host:port cannot be reached from where the task runs, or None.
Route = Callable[[str, int], str | None]


class Unavailable(Exception):
    """The application cannot work now; the text says why."""


class Contradiction(Exception):
    """A message that says something else than a row which is there: no delivery will ever change that."""


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # encrypted as rds.force_ssl wants; the sandbox's authority is known to nobody
    return context


class Workload:
    """One running instance of the application."""

    def __init__(
        self,
        service: str,
        region: str,
        environment: Mapping[str, str],
        route: Route,
        read_secret: Callable[[str], str | None],
    ) -> None:
        self.service = service
        self.region = region
        self.problem: str | None = "not started yet"
        self.was_ready = False
        self._environment = environment
        self._route = route
        secret = environment.get("CACHE_SECRET")
        self._cache = CacheUse(lambda: read_secret(secret), route) if secret else None
        self.worker: QueueWorker | None = None
        self._connection: pg8000.native.Connection | None = None
        self._lock = threading.RLock()

    # -- state ------------------------------------------------------------------------------------------------
    def check(self) -> bool:
        """Whether it can serve now; connects and migrates if needed. `problem` says what is missing."""
        try:
            self._with_database(lambda connection: connection.run("select seq, body, at from app.events limit 0"))
        except Unavailable as error:
            self.problem = str(error)
            return False
        self.problem = None
        self.was_ready = True
        return True

    def close(self) -> None:
        """Drop the database connection."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except (OSError, InterfaceError, DatabaseError):
                return  # the server is gone already

    def end(self) -> None:
        """Stop for good."""
        if self.worker is not None:
            self.worker.stop()
        self.close()

    def write(self, message: SyncMessage) -> None:
        """Make the row of a message exist exactly once, committed when this returns, however often it is called."""
        values = {"seq": message.seq, "body": message.body, "key": message.key}
        insert = "insert into app.events (seq, body, key) values (:seq, :body, :key) on conflict do nothing returning 1"
        if self._with_database(lambda connection: connection.run(insert, **values)):
            return
        select = "select seq, body, key from app.events where seq = :seq or key = :key"
        rows = self._with_database(lambda connection: connection.run(select, seq=message.seq, key=message.key))
        # A row that came in through the gateway has no key.
        if [row[:2] for row in rows] != [[message.seq, message.body]] or rows[0][2] not in (None, message.key):
            raise Contradiction(f"{message.key} is there with another content")

    # -- requests ---------------------------------------------------------------------------------------------
    def handle(self, request: Request) -> Response:
        """Answer GET …/health, GET …/events and POST …/events under any prefix."""
        last = request.path.rstrip("/").rsplit("/", 1)[-1]
        action = {("GET", "health"): self._health, ("GET", "events"): self._list, ("POST", "events"): self._add}.get(
            (request.method, last)
        )
        if action is None:
            return _json(404, {"error": f"{request.method} {request.path} is not known"})
        try:
            return action(request)
        except Unavailable as error:
            return _json(503, {"status": "unavailable", "service": self.service, "error": str(error)})

    def _health(self, _: Request) -> Response:
        if self.check():
            cache = {"cache": self._cache.state()} if self._cache else {}
            return _json(200, {"status": "ok", "service": self.service, "region": self.region, **cache})
        raise Unavailable(str(self.problem))

    def _list(self, request: Request) -> Response:
        query = parse_qs(request.query)
        if "after" not in query:
            statement = "select count(*), min(seq), max(seq) from app.events"
            count, low, high = self._with_database(lambda connection: connection.run(statement))[0]
            return _json(200, {"count": count, "min": low, "max": high})
        after, limit = int(query["after"][0]), int(query.get("limit", [str(DEFAULT_LIMIT)])[0])
        statement = "select seq from app.events where seq > :after order by seq limit :limit"
        rows = self._with_database(lambda connection: connection.run(statement, after=after, limit=limit))
        return _json(200, [row[0] for row in rows])

    def _add(self, request: Request) -> Response:
        try:
            data = json.loads(request.body)
            seq, body = int(data["seq"]), str(data["body"])
        except (ValueError, KeyError, TypeError) as error:
            return _json(400, {"error": f"seq and body are needed: {error!r}"})
        insert = "insert into app.events (seq, body) values (:seq, :body) on conflict do nothing returning seq"
        if self._with_database(lambda connection: connection.run(insert, seq=seq, body=body)):
            return _json(201, {"seq": seq})
        select = "select body from app.events where seq = :seq"
        found = self._with_database(lambda connection: connection.run(select, seq=seq))
        same = bool(found) and found[0][0] == body
        return _json(200 if same else 409, {"seq": seq, "error": None if same else "exists with another body"})

    # -- database ---------------------------------------------------------------------------------------------
    def _with_database(self, work: Callable[[pg8000.native.Connection], Any]) -> Any:
        if "DATABASE_HOST" not in self._environment:
            return None
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                return work(self._connection)
            except (OSError, InterfaceError, DatabaseError) as error:
                self.close()
                raise Unavailable(f"database: {_told(error)}") from error

    def _connect(self) -> pg8000.native.Connection:
        missing = [name for name in ("HOST", "PORT", "NAME", "USER", "PASSWORD") if not self._setting(name)]
        if missing:
            raise Unavailable(f"DATABASE_{missing[0]} is not set")
        host, port = self._setting("HOST"), int(self._setting("PORT"))
        obstacle = self._route(host, port)
        if obstacle is not None:
            raise Unavailable(obstacle)
        connection = pg8000.native.Connection(
            user=self._setting("USER"),
            host=host,
            port=port,
            database=self._setting("NAME"),
            password=self._setting("PASSWORD"),
            ssl_context=_tls(),
            timeout=TIMEOUT_SECONDS,
            application_name=self.service,
        )
        try:
            self._ensure_schema(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _setting(self, name: str) -> str:
        return self._environment.get(f"DATABASE_{name}", "")

    def _ensure_schema(self, connection: pg8000.native.Connection) -> None:
        if connection.run("select to_regclass('app.schema_history')::text")[0][0] is None:
            if self.service != MIGRATOR:
                raise Unavailable("waiting for the migrator: app.schema_history does not exist")
            _migrate(connection)
        version = connection.run("select max(version) from app.schema_history where success")[0][0]
        if version is None:
            raise Unavailable("app.schema_history records no successful migration")
        connection.run("select seq, body, at from app.events limit 0")


def _migrate(connection: pg8000.native.Connection) -> None:
    """Create version 1. Instances that start together take turns; the later ones find it done."""
    connection.run("begin")
    try:
        connection.run(f"select pg_advisory_xact_lock({_MIGRATION_LOCK})")
        connection.run(
            "create table if not exists app.schema_history (version integer primary key, description text not null,"
            " installed_on timestamptz not null default now(), success boolean not null)"
        )
        connection.run(
            "create table if not exists app.events"
            " (seq bigint primary key, body text not null, at timestamptz not null default now(), key text unique)"
        )
        connection.run(
            "insert into app.schema_history (version, description, success) values (1, 'events', true)"
            " on conflict do nothing"
        )
    except BaseException:
        connection.run("rollback")
        raise
    connection.run("commit")


def _told(error: Exception) -> str:
    """A database error in one line."""
    detail = error.args[0] if error.args else error
    return str(detail.get("M", detail)) if isinstance(detail, dict) else str(detail)


def _json(status: int, data: Any) -> Response:
    return Response(status, json.dumps(data).encode(), "application/json")
