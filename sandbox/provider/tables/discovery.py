"""Cloud Map: HTTP namespaces, as Service Connect uses them."""

from __future__ import annotations

from typing import Any, Final

from sandbox.provider.errors import ProviderError
from sandbox.provider.operation import Operation
from sandbox.provider.table import Resource, Tags, call, f, fields


def _finished(op: Operation, operation: str) -> dict[str, Any]:
    """Namespaces change in the background: wait for the operation and return it."""
    found: dict[str, Any] = {}

    def done() -> bool:
        found.update(op.api("get_operation", OperationId=operation)["Operation"])
        if found["Status"] == "FAIL":
            raise ProviderError(f"namespace operation failed: {found.get('ErrorCode')}: {found.get('ErrorMessage')}")
        return bool(found["Status"] == "SUCCESS")

    op.until(done, "waiting for the namespace")
    return found


def _create(op: Operation) -> str:
    operation = op.call(call("create_http_namespace", result="OperationId"), op.creating_fields(), op.tags_at_create())
    return str(_finished(op, operation)["Targets"]["NAMESPACE"])


def _delete(op: Operation) -> None:
    _finished(op, op.api("delete_namespace", Id=op.id)["OperationId"])


_ARN: Final = {"ResourceARN": lambda op: op.known("arn")}

HTTP_NAMESPACE: Final = Resource(
    token="aws:servicediscovery/httpNamespace:HttpNamespace",
    service="servicediscovery",
    create=_create,
    read=call("get_namespace", {"Id": "$id"}, "Namespace"),
    delete=_delete,
    inputs=fields("name description", replace=True),
    outputs=(f("arn"), f("httpName", read="Properties.HttpProperties.HttpName")),
    tags=Tags(read=call("list_tags_for_resource", _ARN, "Tags"), target=_ARN),
    missing=("NamespaceNotFound",),
    retry_delete=("ResourceInUse",),
    physical_name="name",
)

RESOURCES: Final = (HTTP_NAMESPACE,)
