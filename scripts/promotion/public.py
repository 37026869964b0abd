"""What a person would meet under the public name: one HTTPS request with a limit for the whole of it.

Proxies and certificate authorities come from the environment (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE), as for any other
program of this machine.
"""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from scripts.promotion.concurrently import NoAnswer, ask

PATIENCE = 5.0  # real seconds for name, connection, handshake and answer together
MOST = 100_000  # bytes of an answer that are read


@dataclass(frozen=True)
class Answer:
    """`status` is None where nobody answered; `text` then says why."""

    status: int | None
    text: str

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


def get(url: str, seconds: float = PATIENCE) -> Answer:
    """Ask once. Name resolution knows no time limit of its own, so the whole runs on a thread that is given up."""
    found = ask({url: lambda: _get(url, seconds)}, seconds)[url]
    if isinstance(found, Answer):
        return found
    if isinstance(found, NoAnswer | OSError | http.client.HTTPException):
        return Answer(None, str(found))
    raise found


def _get(url: str, seconds: float) -> Answer:
    handlers = urllib.request.ProxyHandler(), urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.build_opener(*handlers)
    try:
        with opener.open(url, timeout=seconds) as answer:
            return Answer(answer.status, answer.read(MOST).decode(errors="replace"))
    except urllib.error.HTTPError as error:  # an answer, too: the crisis page is a 503
        return Answer(error.code, error.read(MOST).decode(errors="replace"))
