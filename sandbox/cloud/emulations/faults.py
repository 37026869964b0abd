"""Faults that a rehearsal injects: an AWS error for chosen calls; other emulations add kinds of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4
from xml.sax.saxutils import escape

from sandbox.cloud.accounting import Origin, read_body
from sandbox.cloud.context import Action, AwsError, BadRequest, Cloud

KIND = "api-error"
EXPIRED = "expired-credentials"  # every call of one principal is refused
_FIELDS = {"kind", "region", "service", "operation", "contains", "code", "message"}
_on_change: list[Action] = []
_checks: dict[str, Callable[[dict[str, Any]], None]] = {}  # by kind: raises BadRequest for a fault that makes no sense


def install(cloud: Cloud) -> None:
    """Add the control calls GET, POST and DELETE faults."""
    _on_change.clear()
    add_kind(cloud, KIND, _check_error)
    add_kind(cloud, EXPIRED, _check_expired)
    cloud.route("GET", "faults", lambda _: list(cloud.faults))
    cloud.route("POST", "faults", lambda data: _add(cloud, data))
    cloud.route("DELETE", "faults", lambda data: _remove(cloud, data))


def add_kind(cloud: Cloud, kind: str, check: Callable[[dict[str, Any]], None]) -> None:
    """Accept faults of one more kind; `check` raises BadRequest for one that makes no sense."""
    cloud.fault_kinds.add(kind)
    _checks[kind] = check


def on_change(action: Action) -> None:
    """Call `action` after a fault was added or removed."""
    _on_change.append(action)


def _add(cloud: Cloud, fault: dict[str, Any]) -> dict[str, Any]:
    kind = str(fault.get("kind"))
    if kind not in cloud.fault_kinds:
        raise BadRequest(f"kind must be one of {', '.join(sorted(cloud.fault_kinds))}, not {kind!r}")
    if kind in _checks:
        _checks[kind](fault)
    cloud.faults.append(fault)
    cloud.emit("fault.injected", fault=fault)
    _tell()
    return fault


def _check_error(fault: dict[str, Any]) -> None:
    missing = {"region", "service", "operation", "code"} - fault.keys()
    if missing or fault.keys() - _FIELDS:
        raise BadRequest(f"an {KIND} has the fields {', '.join(sorted(_FIELDS))}; contains and message are optional")


def _check_expired(fault: dict[str, Any]) -> None:
    if fault.keys() != {"kind", "principal"}:
        raise BadRequest(f"{EXPIRED} has the field principal")


def _remove(cloud: Cloud, chosen: dict[str, Any]) -> list[dict[str, Any]]:
    """Drop the faults whose fields equal the given ones; all of them where none are given."""
    cloud.faults[:] = [f for f in cloud.faults if any(f.get(key) != value for key, value in chosen.items())]
    cloud.emit("fault.removed", chosen=chosen)
    _tell()
    return list(cloud.faults)


def _tell() -> None:
    for action in _on_change:
        action()


def raise_injected(cloud: Cloud, environ: dict[str, Any], origin: Origin) -> None:
    """Raise the AwsError that was injected for such a call, if any."""
    if any(f["kind"] == EXPIRED and f["principal"] == origin.principal for f in cloud.faults):
        raise AwsError("ExpiredToken", "The security token included in the request is expired")
    for fault in [f for f in cloud.faults if f["kind"] == KIND]:
        asked = (origin.region, origin.service, origin.operation)
        if asked != (fault["region"], fault["service"], fault["operation"]):
            continue
        request = environ["PATH_INFO"] + "?" + environ.get("QUERY_STRING", "")
        text = request.encode() + b"\n" + read_body(environ)
        if str(fault.get("contains", "")).encode() in text:
            raise AwsError(fault["code"], fault.get("message", "injected by the rehearsal"))


def render(error: AwsError, environ: dict[str, Any], origin: Origin, start: Callable[..., Any]) -> Iterable[bytes]:
    """An AWS error in the wire format of the call's protocol."""
    request = str(uuid4())
    code, message = escape(error.code), escape(error.message)
    form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    inner = f"<Code>{code}</Code><Message>{message}</Message>"
    kind = "text/xml"
    if origin.service == "s3":
        body = f"<Error>{inner}<RequestId>{request}</RequestId></Error>"
    elif origin.service == "ec2":
        body = f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>{request}</RequestID></Response>"
    elif form or origin.service == "route53":
        inner = f"<Error><Type>Sender</Type>{inner}</Error>"
        body = f"<ErrorResponse>{inner}<RequestId>{request}</RequestId></ErrorResponse>"
    else:
        kind = "application/x-amz-json-1.1"
        body = json.dumps({"__type": error.code, "message": error.message, "Message": error.message})
    headers = [("Content-Type", kind), ("x-amzn-errortype", error.code), ("x-amzn-requestid", request)]
    start("400 Bad Request", headers)
    return [body.encode()]
