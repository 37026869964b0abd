"""A request's parameters as botocore's model of the service names them, read before moto sees the request."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.loaders import Loader
from moto.core.model import OperationModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request as HttpRequest
from moto.core.request import determine_request_protocol
from moto.core.routing import get_service_router
from werkzeug.exceptions import NotFound

from sandbox.cloud.accounting import Origin, read_body

# Services whose requests are signed under another name than their model's.
_MODELS = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch"}


@dataclass(frozen=True)
class Request:
    """One API call. `service` is botocore's name of the model, `parameters` has the members of the input shape."""

    service: str
    operation: OperationModel
    protocol: str
    parameters: dict[str, Any]


def decode(environ: dict[str, Any], origin: Origin) -> Request | None:
    """The call that a WSGI request makes. None where no model fits, or where it carries an object's content."""
    service = _MODELS.get(origin.service, origin.service)
    if service not in _services():
        return None
    body = read_body(environ)
    http = HttpRequest({**environ, "wsgi.input": io.BytesIO(body)})
    router = get_service_router(service)
    try:
        operation, in_path = router.match(http)
    except (NotFound, NotImplementedError):
        return None
    protocol = determine_request_protocol(operation.service_model, http.content_type)
    if operation.has_streaming_input:
        return None
    parsed = PROTOCOL_PARSERS[protocol](operation).parse(
        {
            "method": http.method,
            "values": http.values,
            "headers": http.headers,
            "body": body,
            "url_path": http.path,
            "url_params": in_path,
        }
    )
    return Request(service, operation, protocol, {name: value for name, value in parsed.items() if value is not None})


@cache
def _services() -> frozenset[str]:
    return frozenset(Loader().list_available_services("service-2"))
