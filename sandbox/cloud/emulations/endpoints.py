"""What listens on private addresses in the emulated VPCs: (region, IP) -> something that answers HTTP requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """An HTTP request as a load balancer sees it."""

    method: str
    path: str
    query: str = ""
    host: str = ""
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""
    scheme: str = "https"
    port: int = 443  # the listener's port, as AWS has it


@dataclass(frozen=True)
class Response:
    """An HTTP response."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain"
    headers: dict[str, str] = field(default_factory=dict)


class NoAnswer(Exception):
    """The process accepted the request and never answers."""


Handle = Callable[[Request], Response]


@dataclass(frozen=True)
class Endpoint:
    """A process with an address of its own in a VPC."""

    port: int
    security_groups: Sequence[str]
    subnet_id: str
    handle: Handle  # may raise NoAnswer


_endpoints: dict[tuple[str, str], Endpoint] = {}


def listen(region: str, address: str, endpoint: Endpoint) -> None:
    """Let `endpoint` answer on this private address."""
    _endpoints[region, address] = endpoint


def close(region: str, address: str) -> None:
    """Stop answering on this address; one that nobody listens on is fine."""
    _endpoints.pop((region, address), None)


def at(region: str, address: str, port: int) -> Endpoint | None:
    """What answers on this address and port, if anything does."""
    endpoint = _endpoints.get((region, address))
    return endpoint if endpoint is not None and endpoint.port == port else None
