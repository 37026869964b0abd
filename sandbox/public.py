"""A client on the public internet: asks DNS, keeps the answer for its TTL, speaks TLS to whatever it was told.

It knows nothing of regions or load balancers, so what it sees is what a person would see.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any, NamedTuple

from sandbox.clock import Clock

DEFAULT_DOMAIN = "platform.example.org"
DEFAULT_TIMEOUT_SECONDS = 5.0  # real


class Unreachable(OSError):
    """Nobody answered: no such name, refused, dropped or too slow. `region` is where DNS pointed, if known."""

    def __init__(self, message: str, region: str | None = None) -> None:
        super().__init__(message)
        self.region = region


class Answer(NamedTuple):
    """An HTTP answer and the region whose load balancer gave it."""

    status: int
    body: str
    answered_by: str


@dataclass(frozen=True)
class _Resolved:
    address: str
    port: int
    region: str
    expires: float  # modelled epoch seconds


class PublicClient:
    """Requests to the platform's public name. Safe to share between threads."""

    def __init__(
        self,
        control_url: str,
        clock: Clock,
        domain: str = DEFAULT_DOMAIN,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        """`control_url` is the emulated cloud's address, http://127.0.0.1:PORT; `timeout` is in real seconds."""
        self._control = control_url.rstrip("/").removesuffix("/_sandbox")
        self._clock = clock
        self._domain = domain
        self._timeout = timeout
        self._lock = threading.Lock()
        self._cached: _Resolved | None = None
        self._tls: ssl.SSLContext | None = None

    def get(self, path: str) -> Answer:
        """GET https://<domain><path>; raises Unreachable."""
        return self._request("GET", path, None)

    def post(self, path: str, data: Any) -> Answer:
        """POST `data` as JSON; raises Unreachable, after which the server may or may not have acted."""
        return self._request("POST", path, json.dumps(data).encode())

    def _request(self, method: str, path: str, body: bytes | None) -> Answer:
        where = self._address()
        context = self._trust()
        connection = http.client.HTTPConnection(where.address, where.port, timeout=self._timeout)
        headers = {"Host": self._domain, "Content-Type": "application/json"}
        try:
            plain = socket.create_connection((where.address, where.port), timeout=self._timeout)
            connection.sock = context.wrap_socket(plain, server_hostname=self._domain)
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.read().decode(), where.region)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{method} {path}: {error!r}", where.region) from error
        finally:
            connection.close()

    def _address(self) -> _Resolved:
        now = self._clock.epoch()
        with self._lock:
            if self._cached is not None and now < self._cached.expires:
                return self._cached
        found = self._ask("resolve?" + urllib.parse.urlencode({"name": self._domain}))
        if found["port"] is None:
            raise Unreachable(f"{found['target']} does not listen on 443", found["region"])
        resolved = _Resolved(found["address"], found["port"], found["region"], now + found["ttl"])
        with self._lock:
            self._cached = resolved
        return resolved

    def _trust(self) -> ssl.SSLContext:
        if self._tls is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata=self._ask("authority")["pem"])
            self._tls = context
        return self._tls

    def _ask(self, path: str) -> Any:
        url = f"{self._control}/_sandbox/{path}"
        try:
            with urllib.request.urlopen(url, timeout=self._timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Unreachable(f"no answer for {path}: {error.read().decode()[:300]}") from error
        except (OSError, ValueError) as error:
            raise Unreachable(f"no answer for {path}: {error!r}") from error
