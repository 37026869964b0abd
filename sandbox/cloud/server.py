"""The moto server behind one gate: every request is counted, and a lost region's are dropped without an answer."""

from __future__ import annotations

import importlib
import json
import os
import socket
import ssl
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qsl

os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # read by moto at import: saves memory and a second

import moto.core.utils
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from sandbox.clock import Clock
from sandbox.cloud import constraints, refusals, requests, tunnel
from sandbox.cloud.accounting import Call, Ledger, Origin, attribute, read_body
from sandbox.cloud.context import ACCOUNT, AwsError, BadRequest, Cloud
from sandbox.cloud.emulations import access, account, authority, faults, pressure, unanswered
from sandbox.cloud.recording import Recording

# In order of installation: later ones may use the earlier.
EMULATIONS = (
    "listings",
    "account",
    "keys",
    "log_groups",
    "roles",
    "access",
    "faults",
    "pressure",
    "unanswered",
    "zone_capacity",
    "durations",
    "measurements",
    "network",
    "account_quotas",
    "secrets",
    "queue_attributes",
    "queue_delivery",
    "object_content",
    "objects",
    "databases",
    "database_offers",
    "database_parameters",
    "subnet_groups",
    "caches",
    "snapshots",
    "database_replicas",
    "database_backups",
    "functions",
    "schedules",
    "registry",
    "registry_api",
    "certificates",
    "tasks",
    "autoscaling",
    "load_balancers",
    "deliveries",
    "zones",
    "dns",
    "queues",
    "queue_moves",
    "notifications",
    "metrics",
    "alarms",
)

StartResponse = Callable[..., Any]
TRUST = "trust.pem"


class Gate:
    """The WSGI application at the socket: control API, accounting, lost regions, then moto."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._moto = DomainDispatcherApplication(create_backend_app)
        self.ledger = Ledger(cloud.directory / "calls.jsonl")
        self.recording = Recording()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/_sandbox/"):
            return self._control(environ, start_response)
        if environ["REQUEST_METHOD"] == "CONNECT":
            tunnel.carry(self._cloud, environ)
        origin = attribute(environ, region_of_bucket)
        if any(stands_between(origin) for stands_between in self._cloud.barriers):
            # Counted, although it arrives in no region: what was tried is what matters.
            self._drop(environ, origin, f"{origin.principal} has no way to {origin.service} in {origin.region}")
        if self._cloud.is_cut(origin.region):
            self._drop(environ, origin, f"{origin.region} is cut off")
        return self._answer(environ, start_response, origin)

    def _record(self, environ: dict[str, Any], origin: Origin, status: int | None) -> None:
        self.ledger.add(
            Call(
                t=time.time(),
                **asdict(origin),
                user_agent=environ.get("HTTP_USER_AGENT", ""),
                status=status,
                cut=status is None,
            )
        )

    def _drop(self, environ: dict[str, Any], origin: Origin, why: str) -> NoReturn:
        """Count the call, then end the connection as an unreachable region would, at once or after a long silence."""
        self._record(environ, origin, None)
        self._cloud.silence(origin.region, origin.principal)
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError(why)

    def _answer(self, environ: dict[str, Any], start_response: StartResponse, origin: Origin) -> Iterable[bytes]:
        status, told = 500, dict[str, str]()
        answer: Iterable[bytes] | None

        def start(line: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            nonlocal status, told
            status, told = int(line.split()[0]), dict(headers)
            return start_response(line, headers, *rest)

        try:
            request = requests.decode(environ, origin)
            answer = self._special(environ, origin, request, start)
            if answer is None:
                answer = list(self._moto(environ, start))
            if request is not None and status < 300 and self.recording.wants(environ, request):
                self.recording.add(origin, request, told, b"".join(answer))
        except Exception as error:  # noqa: BLE001 - what moto lacks or breaks is recorded and shown, never hidden
            answer = self._broken(error, origin, start)
        if self._cloud.is_cut(origin.region):  # lost while it worked: nobody hears the answer
            self._drop(environ, origin, f"{origin.region} was lost while it answered")
        self._record(environ, origin, status)
        if status < 300:
            unanswered.hold(self._cloud, origin)
        return answer

    def _special(
        self, environ: dict[str, Any], origin: Origin, request: requests.Request | None, start: StartResponse
    ) -> Iterable[bytes] | None:
        """An injected fault, a refusal, or the answer of an operation that moto lacks; None leaves it to moto."""
        try:
            account.check(origin.region)
            pressure.press(self._cloud, origin)
            faults.raise_injected(self._cloud, environ, origin)
            if request is not None:
                constraints.check(request)
            access.running().check(environ, origin, request)
            if request is not None:
                refusals.check(request, origin.region)
            handler = self._cloud.operations.get((origin.service, origin.operation))
            if handler is None:
                return None
            answer = handler(json.loads(read_body(environ) or b"{}"))
        except AwsError as error:
            return faults.render(error, environ, origin, start)
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer, default=str).encode()]

    def _broken(self, error: Exception, origin: Origin, start: StartResponse) -> Iterable[bytes]:
        name = f"{origin.service}:{origin.operation} in {origin.region}"
        self._cloud.fail(name, error)
        start("501 Not Implemented", [("Content-Type", "text/plain")])
        return [f"The sandbox cannot do {name}: {error!r}\n{traceback.format_exc()}".encode()]

    def _control(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix("/_sandbox/")
        status, answer = control(self._cloud, method, path, environ)
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(answer, default=str).encode()]


def control(cloud: Cloud, method: str, path: str, environ: dict[str, Any]) -> tuple[str, Any]:
    """Run one control call: (HTTP status line, JSON-able answer)."""
    handler = cloud.handler(method, path)
    if handler is None:
        return "404 Not Found", {"error": f"no control call {method} {path}"}
    try:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        data: dict[str, Any] = dict(parse_qsl(environ.get("QUERY_STRING", "")))
        data.update(json.loads(body) if body else {})
        return "200 OK", handler(data)
    except (BadRequest, json.JSONDecodeError) as error:
        return "400 Bad Request", {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - the caller gets it with its trace
        return "500 Internal Server Error", {"error": repr(error), "trace": traceback.format_exc()}


def region_of_bucket(name: str) -> str | None:
    """The region of a bucket that exists."""
    from moto.s3.models import s3_backends

    bucket = s3_backends[ACCOUNT]["aws"].buckets.get(name)
    return str(bucket.region_name) if bucket else None


class _Handler(MotoRequestHandler):
    """Without a log line a request: calls.jsonl has them. Answers carry AWS's time, which is the modelled one."""

    clock: Clock

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(self.clock.epoch() if timestamp is None else timestamp)

    def log_request(self, *_: Any, **__: Any) -> None:
        """Say nothing."""


class Server:
    """The emulated cloud, listening on a free loopback port."""

    def __init__(self, directory: Path, speed: float) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o711)  # PostgreSQL runs as nobody where we are root, and must reach its own folder in here
        self.cloud = Cloud(directory, Clock(speed))
        _use_modelled_time(self.cloud.clock)
        _Handler.clock = self.cloud.clock
        self._gate = Gate(self.cloud)
        self._http: BaseWSGIServer = make_server("127.0.0.1", 0, self._gate, threaded=True, request_handler=_Handler)
        self.cloud.port = self._http.server_port
        self._add_control()
        for name in EMULATIONS:
            importlib.import_module(f"sandbox.cloud.emulations.{name}").install(self.cloud)

    def start(self) -> None:
        """Answer requests from now on, and say so in DIR/cloud.json; DIR/trust.pem is whom clients may trust."""
        _write_trust(self.cloud.directory / TRUST)
        threading.Thread(target=self._http.serve_forever, name="http", daemon=True).start()
        clock = self.cloud.clock
        ready = {"port": self.cloud.port, "speed": clock.speed, "started_at": clock.started_at, "pid": os.getpid()}
        temporary = self.cloud.directory / "cloud.json.new"
        temporary.write_text(json.dumps(ready))
        temporary.rename(self.cloud.directory / "cloud.json")

    def stop(self) -> None:
        """Stop answering, then everything that runs."""
        self._http.shutdown()
        self.cloud.stop()
        self._gate.ledger.close()
        (self.cloud.directory / "cloud.json").unlink(missing_ok=True)

    def _add_control(self) -> None:
        cloud = self.cloud
        cloud.route("GET", "status", lambda _: self._status())
        cloud.route("POST", "cut", lambda data: cloud.cut(_region(data), silent=bool(data.get("timing_out"))))
        cloud.route("POST", "restore", lambda data: cloud.restore(_region(data)))
        cloud.route("GET", "calls", lambda data: self._gate.ledger.since(float(data.get("since", 0))))
        cloud.route("GET", "requests", lambda _: self._gate.recording.told())

    def _status(self) -> dict[str, Any]:
        clock, cloud = self.cloud.clock, self.cloud
        return {
            "healthy": not cloud.errors,
            "errors": list(cloud.errors),
            "cut": cloud.cut_regions,
            "modelled_now": clock.now().isoformat(),
            "speed": clock.speed,
            "port": cloud.port,
            "pid": os.getpid(),
        }


def _region(data: dict[str, Any]) -> str:
    region = data.get("region")
    if not isinstance(region, str) or not region:
        raise BadRequest("region is missing")
    return region


def _write_trust(path: Path) -> None:
    """The authorities of this machine and the sandbox's own, in one file as SSL_CERT_FILE takes it."""
    machines = ssl.get_default_verify_paths().cafile
    known = Path(machines).read_text() if machines and Path(machines).exists() else ""
    path.write_text(known + authority.root_pem())


def _use_modelled_time(clock: Clock) -> None:
    """Make moto's own timestamps modelled ones, also in those of its modules that have the function by name already."""
    real = moto.core.utils.utcnow

    def utcnow() -> datetime:
        return clock.now().replace(tzinfo=None)

    for name, module in list(sys.modules.items()):
        if name.startswith("moto.") and getattr(module, "utcnow", None) is real:
            vars(module)["utcnow"] = utcnow
