"""Every request at the socket, attributed to region, service, operation and principal, appended to calls.jsonl."""

from __future__ import annotations

import bisect
import io
import json
import re
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, unquote

from botocore.loaders import Loader

from sandbox.cloud import operations

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/([^,\s]+)")
UNSIGNED = "anonymous"


@dataclass(frozen=True)
class Call:
    """One request: t is the real epoch; status is None where the region was cut and nothing was answered."""

    t: float
    region: str
    service: str
    operation: str
    principal: str
    user_agent: str
    status: int | None
    cut: bool


@dataclass(frozen=True)
class Origin:
    """Who asks for what, where."""

    region: str
    service: str
    operation: str
    principal: str


def attribute(environ: dict[str, Any], region_of_bucket: Callable[[str], str | None]) -> Origin:
    """Read a WSGI request's origin: the signature's scope, except where the service itself is elsewhere.

    A bucket answers in its own region and a global service in that of its endpoint, whatever region was signed for.
    """
    principal, region, service = _scope(environ) or (UNSIGNED, "unknown", "s3")
    path = environ.get("PATH_INFO", "/").encode("latin-1").decode("utf-8", "replace")
    if service == "s3":
        region = region_of_bucket(path.split("/")[1]) or region
    region = _regions_of_global_services().get(service, region)
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    operation = operations.resolve(
        service, environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), headers, _form(environ)
    )
    return Origin(region, service, operation, principal)


def _scope(environ: dict[str, Any]) -> tuple[str, str, str] | None:
    """(access key id, region, service) of a signed or presigned request."""
    if found := _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", "")):
        key, scope = found[1], found[2]
    elif presigned := parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential"):
        key, _, scope = unquote(presigned[0]).partition("/")
    else:
        return None
    parts = scope.split("/")  # date/region/service/aws4_request, or without region where signed for several
    if len(parts) == 4:
        return key, parts[1], parts[2]
    return key, environ.get("HTTP_X_AMZ_REGION_SET", "unknown"), parts[1]


@cache
def _regions_of_global_services() -> dict[str, str]:
    """Signing name -> the one region of its endpoint, for the services that AWS does not run in each region."""
    services = Loader().load_data("endpoints")["partitions"][0]["services"]
    scopes = {
        name: found["endpoints"][found["partitionEndpoint"]].get("credentialScope", {})
        for name, found in services.items()
        if found.get("isRegionalized") is False and "partitionEndpoint" in found
    }
    return {scope.get("service", name): scope["region"] for name, scope in scopes.items() if "region" in scope}


def _form(environ: dict[str, Any]) -> bytes:
    """The body of a form, which names the operation."""
    form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    return read_body(environ) if form else b""


def read_body(environ: dict[str, Any]) -> bytes:
    """A request's body, put back for whoever reads it next."""
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


class Ledger:
    """All calls so far, in memory for the control API and in a file for whoever reads later."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("a", buffering=1)  # a line a call, visible at once
        self._calls: list[Call] = []
        self._lock = threading.Lock()

    def add(self, call: Call) -> None:
        """Append one call."""
        with self._lock:
            self._calls.append(call)
            if not self._file.closed:
                self._file.write(json.dumps(asdict(call)) + "\n")

    def since(self, t: float) -> list[dict[str, Any]]:
        """Calls that were answered after the real moment `t` (epoch seconds)."""
        with self._lock:
            start = bisect.bisect_right(self._calls, t, key=lambda call: call.t)
            return [asdict(call) for call in self._calls[start:]]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()
