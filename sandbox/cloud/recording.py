"""The requests of whoever deploys, with their answers, as an independent witness reads them later.

Kept in memory and told through the control API (GET requests); secrets are masked before they are kept. Only requests
that changed something and were accepted, and only those of the provider: what a program asks AWS for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from botocore.awsrequest import HeadersDict
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.parsers import create_parser

from sandbox.cloud.accounting import Origin
from sandbox.cloud.requests import Request

PROVIDER: Final = "sandbox-provider"  # what the provider's clients add to their user agent
MASKED: Final = "(masked)"
_READS: Final = ("Describe", "Get", "List", "Head", "Invoke")
# botocore marks most secrets; these it does not.
_SECRETS: Final = {"AuthToken", "ClientSecret", "Passwords"}
_NAMES: Final = {"name", "Name", "Key"}  # what a secret value is called is no secret


class Recording:
    """Everything so far, oldest first."""

    def __init__(self) -> None:
        self._entries: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def wants(self, environ: Mapping[str, Any], request: Request) -> bool:
        """Whether such a call is kept."""
        by_provider = PROVIDER in environ.get("HTTP_USER_AGENT", "")
        return by_provider and not request.operation.name.startswith(_READS)

    def add(self, origin: Origin, request: Request, headers: Mapping[str, str], body: bytes) -> None:
        """Keep a call that was answered with success."""
        entry = {
            "t": time.time(),
            "region": origin.region,
            "service": request.service,
            "operation": request.operation.name,
            "parameters": _masked(request.operation.input_shape, request.parameters),
            "answer": _masked(request.operation.output_shape, _answer(request, headers, body)),
        }
        with self._lock:
            self._entries.append(entry)

    def told(self) -> list[dict[str, Any]]:
        """All entries."""
        with self._lock:
            return list(self._entries)


def _answer(request: Request, headers: Mapping[str, str], body: bytes) -> Any:
    """The answer's members, as a client of AWS reads them."""
    shape = request.operation.output_shape
    if shape is None:
        return {}
    parsed = create_parser(request.protocol).parse(
        {"status_code": 200, "headers": HeadersDict(headers), "body": body}, shape
    )
    return {name: value for name, value in parsed.items() if name != "ResponseMetadata"}


def _masked(shape: Shape | None, value: Any, secret: bool = False) -> Any:
    if shape is None:
        return {}
    secret = secret or bool(shape.metadata.get("sensitive"))
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        return {
            name: _masked(shape.members[name], inner, name in _SECRETS or (secret and name not in _NAMES))
            for name, inner in value.items()
            if name in shape.members
        }
    if isinstance(shape, ListShape) and isinstance(value, Sequence):
        return [_masked(shape.member, inner, secret) for inner in value]
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {key: _masked(shape.value, inner, secret) for key, inner in value.items()}
    return MASKED if secret or shape.type_name == "blob" else value
