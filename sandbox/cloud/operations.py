"""Which AWS operation an HTTP request is, from botocore's own service models for the REST protocols."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

# A call of an operation that begins otherwise changes something.
READS = ("Get", "List", "Describe", "Head", "BatchGet", "Decrypt")
_QUERY_PROTOCOLS = ("query", "ec2")
_lock = threading.Lock()


@dataclass(frozen=True)
class _Candidate:
    method: str
    path: re.Pattern[str]
    literal: int  # characters of the path that are fixed: the more, the closer the match
    query: frozenset[tuple[str, str]]  # fixed in the URI; "" means any value
    needs_query: frozenset[str]
    needs_header: frozenset[str]
    deprecated: bool
    name: str

    def fits(self, method: str, path: str, query: dict[str, str], headers: frozenset[str]) -> bool:
        return (
            method == self.method
            and self.path.fullmatch(path) is not None
            and all(key in query and (not value or query[key] == value) for key, value in self.query)
            and self.needs_query <= query.keys()
            and self.needs_header <= headers
        )

    def rank(self) -> tuple[int, int, bool]:
        return len(self.query) + len(self.needs_query) + len(self.needs_header), self.literal, not self.deprecated


def resolve(service: str, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> str:
    """The operation's name ("CreateDBInstance"), or "Unknown" where no model fits.

    `service` is the signing name; `headers` have lower-case names; `body` matters only where it is a form.
    """
    if target := headers.get("x-amz-target"):
        return target.rpartition(".")[2]
    if found := re.fullmatch(r"/service/[^/]+/operation/(\w+)", path):
        return found[1]  # the newer RPC protocol (CBOR)
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    if "x-id" in parameters:
        return parameters["x-id"]  # the newer SDKs say it themselves
    form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    posted = dict(parse_qsl(body.decode("utf-8", "replace"))) if form else {}
    if action := posted.get("Action") or parameters.get("Action"):
        return action
    fitting = [c for c in _candidates(service) if c.fits(method, path, parameters, frozenset(headers))]
    return max(fitting, key=_Candidate.rank).name if fitting else "Unknown"


def _candidates(service: str) -> tuple[_Candidate, ...]:
    with _lock:  # a model is large: read it once, not in each of the threads that ask first
        return _load(service)


@cache
def _load(service: str) -> tuple[_Candidate, ...]:
    loader = Loader()
    names = [service] if service in loader.list_available_services("service-2") else _signed_as(loader, service)
    found: list[_Candidate] = []
    for name in names:
        model = ServiceModel(loader.load_service_model(name, "service-2"), name)
        if model.metadata["protocol"] not in _QUERY_PROTOCOLS:
            found += [_candidate(model.operation_model(operation)) for operation in model.operation_names]
    return tuple(found)


def _signed_as(loader: Loader, service: str) -> list[str]:
    """Services whose requests are signed under another name than their model's (few, and rarely asked for)."""
    names = loader.list_available_services("service-2")
    models = {name: loader.load_service_model(name, "service-2") for name in names}
    return [name for name, model in models.items() if model["metadata"].get("signingName") == service]


def _candidate(operation: OperationModel) -> _Candidate:
    uri, _, fixed = operation.http.get("requestUri", "/").partition("?")
    return _Candidate(
        method=operation.http.get("method", "POST"),
        path=re.compile(_pattern(uri)),
        literal=len(re.sub(r"\{[^}]*\}", "", uri)),
        query=frozenset(parse_qsl(fixed, keep_blank_values=True)),
        needs_query=_required(operation, "querystring"),
        needs_header=frozenset(name.lower() for name in _required(operation, "header")),
        deprecated=operation.deprecated,
        name=operation.name,
    )


def _pattern(uri: str) -> str:
    """A request URI of the model as a regular expression; `{Key+}` spans slashes, a trailing slash is optional."""
    parts = re.split(r"(\{[^}]*\})", uri.rstrip("/"))
    inside = "".join(
        (".+" if part.endswith("+}") else "[^/]+") if part.startswith("{") else re.escape(part) for part in parts
    )
    return inside + "/?"


def _required(operation: OperationModel, location: str) -> frozenset[str]:
    shape: Any = operation.input_shape
    if shape is None:
        return frozenset()
    members = {name: member.serialization for name, member in shape.members.items()}
    return frozenset(
        members[name]["name"] for name in shape.required_members if members[name].get("location") == location
    )
