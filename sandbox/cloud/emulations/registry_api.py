"""The registry's side of a pull, under its own name on the public internet: tokens and manifests, no layers.

Sources: OCI distribution specification 1.1 (end-2, "Pulling manifests", error codes); "Token Authentication
Specification" of the distribution project; what ghcr.io answers to a request without a token.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import threading
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations import authority, registry
from sandbox.cloud.emulations.endpoints import Request, Response
from sandbox.cloud.emulations.listeners import Listener

HOST = "ghcr.io"
TOKEN_SECONDS = 300.0  # modelled; assumption, the specification asks for 60 at least
INDEX = "application/vnd.oci.image.index.v1+json"  # what is stored here is one for every image
_MANIFEST = re.compile(r"/v2/(?P<name>[a-z0-9]+(?:[._/-][a-z0-9]+)*)/manifests/(?P<reference>[A-Za-z0-9_.:-]+)")
_SCOPE = re.compile(r"repository:(?P<name>[^:]+):pull")


@dataclass
class Tokens:
    """What was given to whom: token -> repository and modelled end."""

    cloud: Cloud
    given: dict[str, tuple[str, float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def give(self, name: str) -> str:
        """A new token for one repository."""
        token = secrets.token_urlsafe(24)
        with self.lock:
            self.given[token] = (name, self.cloud.clock.epoch() + TOKEN_SECONDS)
        return token

    def admits(self, authorization: str, name: str) -> bool:
        """Whether a header carries a living token for that repository."""
        kind, _, token = authorization.partition(" ")
        with self.lock:
            found = self.given.get(token) if kind.lower() == "bearer" else None
        return found is not None and found[0] == name and self.cloud.clock.epoch() < found[1]


def install(cloud: Cloud) -> None:
    """Listen under the registry's name."""
    tokens = Tokens(cloud)
    listener = Listener(lambda request: answer(tokens, request), 443, authority.server_context([HOST]))
    cloud.hosts[HOST] = listener.port
    cloud.on_stop(listener.close)


def answer(tokens: Tokens, request: Request) -> Response:
    """One request. Paths and methods that a pull does not need are refused."""
    if request.path == "/token":
        return _token(tokens, request)
    if request.path in ("/v2", "/v2/"):
        return _challenge("user/image")
    found = _MANIFEST.fullmatch(request.path)
    if found is None:
        return _error(404, "NAME_INVALID", "invalid repository name")
    if request.method != "HEAD":
        return _error(405, "UNSUPPORTED", "the sandbox's registry keeps no content: ask by HEAD")
    name, reference = found["name"], found["reference"]
    if not tokens.admits(request.headers.get("authorization", ""), name):
        return _challenge(name)
    accepted = [entry.split(";")[0].strip() for entry in request.headers.get("accept", "").split(",")]
    if INDEX not in accepted and "*/*" not in accepted:
        return _error(404, "MANIFEST_UNKNOWN", "OCI index found, but Accept header does not support OCI indexes")
    if not registry.has(f"{HOST}/{name}@{reference}"):
        return _error(404, "MANIFEST_UNKNOWN", "manifest unknown")
    return Response(200, b"", INDEX, {"Docker-Content-Digest": reference})


def _token(tokens: Tokens, request: Request) -> Response:
    query = parse_qs(request.query)
    scope = _SCOPE.fullmatch(query.get("scope", [""])[0])
    if request.method != "GET" or scope is None or query.get("service") != [HOST]:
        return _error(400, "UNSUPPORTED", "a token needs service and scope")
    if not registry.admits(*_basic(request.headers.get("authorization", ""))):
        return _error(403, "DENIED", "requested access to the resource is denied")
    return _json(200, {"token": tokens.give(scope["name"])})


def _basic(authorization: str) -> tuple[str, str]:
    kind, _, encoded = authorization.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        username, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return username, password


def _challenge(name: str) -> Response:
    wanted = f'Bearer realm="https://{HOST}/token",service="{HOST}",scope="repository:{name}:pull"'
    found = _error(401, "UNAUTHORIZED", "authentication required")
    found.headers["WWW-Authenticate"] = wanted
    return found


def _error(status: int, code: str, message: str) -> Response:
    return _json(status, {"errors": [{"code": code, "message": message}]})


def _json(status: int, data: object) -> Response:
    return Response(status, json.dumps(data).encode(), "application/json")
