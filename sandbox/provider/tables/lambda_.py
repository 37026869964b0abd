"""Lambda functions, invocations, and what becomes of events that a function fails on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider import assets
from sandbox.provider.errors import ProviderError
from sandbox.provider.operation import Operation
from sandbox.provider.table import Description, Failure, Resource, Tags, call, f, fields, update

CONFIGURATION: Final = (
    "role",
    "runtime",
    "handler",
    "timeout",
    "memorySize",
    "description",
    "environment",
    "vpcConfig",
    "kmsKeyArn",
    "loggingConfig",
)
CREATE_ONLY: Final = "CREATE_ONLY"  # called when created or replaced, never on an update or delete


def _zip(op: Operation) -> bytes:
    return assets.zipped(op.inputs["code"], op.instance.project)


def _create(op: Operation) -> str:
    extra = {"Code": {"ZipFile": _zip(op)}, **op.tags_at_create()}
    return str(op.call(call("create_function", result="FunctionName"), op.creating_fields(), extra))


def _upload(op: Operation) -> None:
    architectures = {"Architectures": op.inputs["architectures"]} if op.inputs.get("architectures") else {}
    op.api("update_function_code", FunctionName=op.id, ZipFile=_zip(op), **architectures)
    op.until(lambda: op.describe() and _ready(op, op.description), f"updating the code of {op.id}")


def _reserve(op: Operation) -> None:
    reserved = int(op.wanted("reservedConcurrentExecutions"))
    if reserved >= 0:
        op.api("put_function_concurrency", FunctionName=op.id, ReservedConcurrentExecutions=reserved)
    elif not op.creating:
        op.api("delete_function_concurrency", FunctionName=op.id)


def _read(op: Operation) -> Description | None:
    found = op.api("get_function", FunctionName=op.id)
    concurrency = (found.get("Concurrency") or {}).get("ReservedConcurrentExecutions", -1)
    return {**found["Configuration"], "Tags": found.get("Tags") or {}, "ReservedConcurrentExecutions": concurrency}


def _network(_: Operation, found: Description) -> dict[str, Any] | None:
    """A function that left its network keeps an empty one in Lambda's answers."""
    network = found.get("VpcConfig") or {}
    if not network.get("SubnetIds"):
        return None
    return {"subnetIds": network["SubnetIds"], "securityGroupIds": network.get("SecurityGroupIds") or []}


def _ready(op: Operation, found: Description) -> bool:
    for name in ("State", "LastUpdateStatus"):
        if found.get(name) == "Failed":
            reason = found.get("StateReason") or found.get("LastUpdateStatusReason")
            raise ProviderError(f"the function {op.id} failed: {reason}")
    return bool(found["State"] == "Active" and found.get("LastUpdateStatus", "Successful") == "Successful")


def _invoke_arn(op: Operation, found: Description) -> str:
    return f"arn:aws:apigateway:{op.region}:lambda:path/2015-03-31/functions/{found['FunctionArn']}/invocations"


FUNCTION: Final = Resource(
    token="aws:lambda/function:Function",
    service="lambda",
    create=_create,
    read=_read,
    delete=call("delete_function", {"FunctionName": "$id"}),
    inputs=(
        f("name", "FunctionName", replace=True),
        f("code", read=None, create=False),
        *fields("role runtime handler"),
        f("timeout", default=3),
        f("memorySize", default=128),
        f("description", empty=""),
        f("environment", block=(f("variables"),), empty={"variables": {}}),
        f(
            "vpcConfig",
            get=_network,
            block=(f("subnetIds", unordered=True), f("securityGroupIds", unordered=True)),
            empty={"subnetIds": [], "securityGroupIds": []},
        ),
        f("architectures", computed=True),
        f("kmsKeyArn", "KMSKeyArn", empty=""),
        f("loggingConfig", computed=True, block=(f("logFormat"), f("logGroup", computed=True))),
        f("reservedConcurrentExecutions", create=False, default=-1),
    ),
    outputs=(
        f("arn", read="FunctionArn"),
        f("invokeArn", get=_invoke_arn),
        *fields("codeSha256 lastModified version"),
    ),
    updates=(
        update("code architectures", _upload),
        update(" ".join(CONFIGURATION), call("update_function_configuration", {"FunctionName": "$id"})),
        update("reservedConcurrentExecutions", _reserve, after_create=True),
    ),
    tags=Tags(key="", read="Tags", target={"Resource": lambda op: op.known("arn")}),
    missing=("ResourceNotFoundException",),
    ready=_ready,
    physical_name="name",
    required=("code", "handler", "runtime"),
    changing=("codeSha256", "lastModified"),
)


def _invoke(op: Operation) -> str:
    name, qualifier, text = op.inputs["functionName"], op.wanted("qualifier"), op.inputs["input"]
    answer = op.api(
        "invoke", FunctionName=name, Qualifier=qualifier, Payload=text.encode(), InvocationType="RequestResponse"
    )
    result = answer["Payload"].read().decode()
    if answer.get("FunctionError"):
        raise ProviderError(f"the function {name} failed ({answer['FunctionError']}): {result}")
    op.state["result"] = result
    return f"{name}_{qualifier}_{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}"


def _read_invocation(op: Operation) -> Description | None:
    """An invocation leaves nothing in AWS that could be asked for."""
    return {"result": op.state["result"]} if "result" in op.state else None


def _invocable(inputs: Mapping[str, Any]) -> list[Failure]:
    scope = inputs.get("lifecycleScope", CREATE_ONLY)
    if scope != CREATE_ONLY:
        return [("lifecycleScope", f"of the lifecycle scopes only {CREATE_ONLY} is modelled, not {scope}")]
    try:
        json.loads(inputs.get("input", "{}"))
    except json.JSONDecodeError as error:
        return [("input", f"input must be JSON: {error}")]
    return []


INVOCATION: Final = Resource(
    token="aws:lambda/invocation:Invocation",
    service="lambda",
    create=_invoke,
    read=_read_invocation,
    delete=None,
    inputs=(
        *fields("functionName input triggers", read=None, replace=True),
        f("qualifier", read=None, replace=True, default="$LATEST"),
        f("lifecycleScope", read=None, replace=True, default=CREATE_ONLY),
    ),
    outputs=(f("result"),),
    check=_invocable,
)


def _configure_events(op: Operation) -> str:
    op.call(call("put_function_event_invoke_config"), op.creating_fields())
    return str(op.inputs["functionName"])


def _destinations(_: Operation, found: Description) -> dict[str, Any] | None:
    """Lambda answers with both kinds, also where there is no destination."""
    kinds = found.get("DestinationConfig") or {}
    given = {"onFailure": kinds.get("OnFailure"), "onSuccess": kinds.get("OnSuccess")}
    return {name: {"destination": kind["Destination"]} for name, kind in given.items() if kind} or None


EVENT_INVOKE_CONFIG: Final = Resource(
    token="aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
    service="lambda",
    create=_configure_events,
    read=call("get_function_event_invoke_config", {"FunctionName": "$id"}),
    delete=call("delete_function_event_invoke_config", {"FunctionName": "$id"}),
    inputs=(
        f("functionName", get=lambda op, _: op.id, replace=True),
        f("maximumEventAgeInSeconds"),
        f("maximumRetryAttempts", default=2),
        f(
            "destinationConfig",
            get=_destinations,
            block=tuple(f(name, block=fields("destination")) for name in ("onFailure", "onSuccess")),
            empty={"OnFailure": {}, "OnSuccess": {}},
        ),
    ),
    updates=(
        update(
            "maximumEventAgeInSeconds maximumRetryAttempts destinationConfig",
            call("put_function_event_invoke_config", {"FunctionName": "$id"}),
        ),
    ),
    missing=("ResourceNotFoundException",),
)

RESOURCES: Final = (FUNCTION, INVOCATION, EVENT_INVOKE_CONFIG)
