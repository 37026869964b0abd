"""One HTTPS request to the public internet, with a limit for the whole of it: what a person would meet there.

Proxies and certificate authorities come from the environment (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE), as for any other
program of this machine.
"""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.promotion.concurrently import NoAnswer, ask

PATIENCE = 5.0  # real seconds for name, connection, handshake and answer together
MOST = 100_000  # bytes of an answer that are read


@dataclass(frozen=True)
class Answer:
    """`status` is None where nobody answered; `text` then says why. `headers` by names in lower case."""

    status: int | None
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """The body as an object; empty where it is none."""
        try:
            found = json.loads(self.text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def healthy(self) -> bool:
        """What Route 53's health check of the primary looks for."""
        return self.status == 200 and self.json().get("status") == "ok"

    @property
    def region(self) -> str | None:
        """The region that the service says it runs in."""
        said = self.json().get("region")
        return str(said) if said else None


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirection is an answer as any other: nobody else gets the request, with the credential that it may carry."""

    def redirect_request(self, *_: Any) -> None:
        return None


def get(url: str, seconds: float = PATIENCE) -> Answer:
    """Ask once."""
    return request("GET", url, {}, seconds)


def request(method: str, url: str, headers: Mapping[str, str], seconds: float) -> Answer:
    """Ask once. Name resolution knows no time limit of its own, so the whole runs on a thread that is given up."""
    asked = urllib.request.Request(url, method=method, headers=dict(headers))
    found = ask({url: lambda: _open(asked, seconds)}, seconds)[url]
    if isinstance(found, Answer):
        return found
    if isinstance(found, NoAnswer | OSError | http.client.HTTPException):
        return Answer(None, str(found))
    raise found


def _open(asked: urllib.request.Request, seconds: float) -> Answer:
    tls = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(), tls, _Stay())
    try:
        with opener.open(asked, timeout=seconds) as answer:
            return _read(answer.status, answer)
    except urllib.error.HTTPError as error:  # an answer, too: the crisis page is a 503
        return _read(error.code, error)


def _read(status: int, answer: Any) -> Answer:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(status, answer.read(MOST).decode(errors="replace"), headers)
