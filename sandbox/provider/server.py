"""The gRPC service that the engine talks to (pulumirpc.ResourceProvider), for the package `aws`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Final, NoReturn

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from sandbox.clock import Clock
from sandbox.provider import errors, planning, wire
from sandbox.provider.aws import Clients, Instance
from sandbox.provider.errors import ProviderError, UnknownType
from sandbox.provider.model import Model, model
from sandbox.provider.operation import Operation, preview_outputs
from sandbox.provider.table import Resource
from sandbox.provider.tables import TABLE

VERSION: Final = "7.51.1"
# Configuration that changes nothing here: the emulated cloud has no credentials, metadata or quotas to check.
IGNORED_CONFIG: Final = {
    "version",
    "pluginDownloadURL",
    "skipCredentialsValidation",
    "skipRegionValidation",
    "skipMetadataApiCheck",
    "skipRequestingAccountId",
    "maxRetries",
}


def _reported(method: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what goes wrong into a gRPC status whose text is for the user.

    A plugin ends with the engine that started it; here one server outlives them all, so an engine that goes away in the
    middle of a call ends what its call is waiting for: nothing is done on its behalf any more.
    """

    @wraps(method)
    def run(self: Provider, request: Any, context: grpc.ServicerContext) -> Any:
        over = threading.Event()
        context.add_callback(lambda: None if over.is_set() else self.abandon(context.peer()))
        try:
            return method(self, request, context)
        except (ProviderError, ClientError, BotoCoreError) as error:
            subject = f"{request.urn.rsplit('::', 1)[-1]}: " if getattr(request, "urn", "") else ""
            context.abort(grpc.StatusCode.UNKNOWN, subject + errors.text(error))
        finally:
            over.set()

    return run


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves every provider instance of every engine; an instance is told apart by its connection."""

    def __init__(self, endpoint: str, project: Path, clock: Clock) -> None:
        self._project = project
        self._clock = clock
        self._clients = Clients(endpoint)
        self._lock = threading.Lock()
        self._instances: dict[str, Instance] = {}

    # -- the plugin itself

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": "aws", "version": VERSION}))

    def GetMapping(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.GetMappingResponse()

    def GetMappings(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.GetMappingsResponse()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.abandon(context.peer())
        return empty_pb2.Empty()

    def abandon(self, peer: str) -> None:
        """End what an engine's calls are waiting for."""
        with self._lock:
            instance = self._instances.get(peer)
        if instance is not None:
            instance.cancelled.set()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            f"{request.tok}: the sandbox's provider answers no lookups; read it with boto3 in the stack's own region",
        )

    # -- configuration

    @_reported
    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        given = wire.unmarshal(request.news)
        failures = [
            provider_pb2.CheckFailure(property=name, reason=f"aws:{name} is not modelled by the sandbox's provider")
            for name in given.values
            if name not in {"region", "defaultTags", "allowedAccountIds", *IGNORED_CONFIG}
        ]
        if not given.values.get("region"):
            failures.append(provider_pb2.CheckFailure(property="region", reason="aws:region is required"))
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    @_reported
    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        old, new = wire.unmarshal(request.olds).values, wire.unmarshal(request.news).values
        changed = sorted(name for name in {*old, *new} - IGNORED_CONFIG if old.get(name) != new.get(name))
        # Resources remember their region, so another one for the provider moves none of them by itself.
        kind = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=kind, diffs=changed)

    @_reported
    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        config = wire.unmarshal(request.args).values or {
            key.split(":")[-1]: value for key, value in request.variables.items()
        }
        region = config.get("region")
        if not isinstance(region, str):
            raise ProviderError("aws:region is required and must be known when the provider is configured")
        account = str(self._clients.get("sts", region).get_caller_identity()["Account"])
        allowed = _parsed(config.get("allowedAccountIds"))
        if allowed and account not in allowed:
            raise ProviderError(
                f"AWS account {account} is not allowed; aws:allowedAccountIds names {', '.join(allowed)}"
            )
        tags = (_parsed(config.get("defaultTags")) or {}).get("tags") or {}
        with self._lock:
            self._instances[context.peer()] = Instance(
                self._clients, region, account, self._project, self._clock, dict(tags)
            )
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    # -- resources

    @_reported
    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        entry, sdk = _entry(request)
        given = wire.unmarshal(request.news)
        failures = [
            provider_pb2.CheckFailure(property=name, reason=reason)
            for name, reason in planning.refusals(entry, sdk, given.values)
        ]
        return provider_pb2.CheckResponse(inputs=wire.marshal(given.values, given.secret), failures=failures)

    @_reported
    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        entry, sdk = _entry(request)
        old, new = wire.unmarshal(request.olds).values, wire.unmarshal(request.news).values
        # The engine has put the old values into `new` where it compares with the state; a refresh leaves it to us.
        ignored = frozenset(request.ignoreChanges)
        found = planning.difference(entry, sdk, old, new, self._instance(context).default_tags, ignored)
        return _diff_response(found, new)

    @_reported
    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        entry, sdk = _entry(request)
        given = wire.unmarshal(request.properties)
        instance = self._instance(context)
        secret = given.secret | _sensitive(entry)
        if request.preview:
            planned = preview_outputs(entry, sdk.outputs, given.values)
            if "region" in sdk.inputs:
                planned["region"] = given.values.get("region", instance.region)
            return provider_pb2.CreateResponse(id="", properties=wire.marshal(planned, secret))
        if wire.contains_unknown(given.values):
            raise ProviderError(f"{entry.token}: an input is still unknown at creation")
        operation = Operation(entry, instance, inputs=given.values)
        operation.create()
        outputs = self._finish(context, operation, sdk, secret, operation.finish_create)
        return provider_pb2.CreateResponse(id=operation.id, properties=wire.marshal(outputs, secret))

    @_reported
    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        entry, sdk = _entry(request)
        state, last = wire.unmarshal(request.properties), wire.unmarshal(request.inputs)
        operation = Operation(entry, self._instance(context), state=state.values, id=request.id)
        outputs = operation.read()
        if outputs is None:
            return provider_pb2.ReadResponse()
        outputs = self._complete(operation, sdk, planning.settle(entry, sdk, outputs, state.values))
        inputs = planning.read_inputs(entry, sdk, outputs, last.values)
        secret = state.secret | last.secret | _sensitive(entry)
        return provider_pb2.ReadResponse(
            id=operation.id,
            properties=wire.marshal(outputs, secret),
            inputs=wire.marshal(inputs, secret & set(inputs)),
        )

    @_reported
    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        entry, sdk = _entry(request)
        instance = self._instance(context)
        state, given = wire.unmarshal(request.olds), wire.unmarshal(request.news)
        secret = given.secret | _sensitive(entry)
        found = planning.difference(entry, sdk, state.values, given.values, instance.default_tags)
        if request.preview:
            return provider_pb2.UpdateResponse(
                properties=wire.marshal(_planned_update(entry, state.values, given.values), secret)
            )
        operation = Operation(entry, instance, inputs=given.values, state=state.values, id=request.id)
        operation.changed = set(found.changed)
        outputs = self._complete(operation, sdk, planning.settle(entry, sdk, operation.update(), given.values))
        return provider_pb2.UpdateResponse(properties=wire.marshal(outputs, secret))

    @_reported
    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        entry, _ = _entry(request)
        state = wire.unmarshal(request.properties)
        Operation(entry, self._instance(context), state=state.values, id=request.id).delete()
        return empty_pb2.Empty()

    # -- parts

    def _instance(self, context: grpc.ServicerContext) -> Instance:
        with self._lock:
            instance = self._instances.get(context.peer())
        if instance is None:
            raise ProviderError("this connection has not been configured")
        return instance

    def _complete(self, operation: Operation, sdk: Model, outputs: dict[str, Any]) -> dict[str, Any]:
        if "region" in sdk.inputs:
            outputs["region"] = operation.region
        return {name: value for name, value in outputs.items() if value is not None}

    def _finish(
        self,
        context: grpc.ServicerContext,
        operation: Operation,
        sdk: Model,
        secret: set[str],
        finish: Callable[[], dict[str, Any]],
    ) -> dict[str, Any]:
        """Run what follows the create call. It exists by now: when this fails the engine must remember its id."""
        try:
            return self._complete(operation, sdk, planning.settle(operation.resource, sdk, finish(), operation.inputs))
        except (ProviderError, ClientError, BotoCoreError) as error:
            state = self._complete(operation, sdk, {"id": operation.id, **operation.inputs})
            _abort_half_made(
                context,
                operation.id,
                wire.marshal(state, secret),
                wire.marshal(operation.inputs, secret),
                errors.text(error),
            )


def _entry(request: Any) -> tuple[Resource, Model]:
    token = request.type or request.urn.split("::")[2].split("$")[-1]
    if token not in TABLE:
        raise UnknownType(f"the sandbox's provider does not model {token}: add it to sandbox/provider/tables")
    return TABLE[token], model(token)


def _parsed(value: Any) -> Any:
    """Configuration arrives as text; objects and lists as JSON."""
    return json.loads(value) if isinstance(value, str) and value[:1] in "[{" else value


def _sensitive(entry: Resource) -> set[str]:
    return {field.name for field in (*entry.inputs, *entry.outputs) if field.sensitive}


def _planned_update(entry: Resource, state: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        name: value
        for name, value in state.items()
        if name not in planning.names(entry.inputs) | {"tags"} or name in inputs
    }
    computed = {
        field.name: state.get(field.name) for field in entry.inputs if field.computed or field.default is not None
    }
    return {**kept, **computed, **dict.fromkeys(entry.changing, wire.UNKNOWN), **inputs}


def _diff_response(found: planning.Difference, new: Mapping[str, Any]) -> Any:
    kinds = provider_pb2.PropertyDiff
    detailed = {}
    for name, existed in found.changed.items():
        action = "DELETE" if name not in new else "UPDATE" if existed else "ADD"
        kind = kinds.Kind.Value(f"{action}_REPLACE" if name in found.replacing else action)
        detailed[name] = kinds(kind=kind, inputDiff=True)
    changes = provider_pb2.DiffResponse.DIFF_SOME if found.changed else provider_pb2.DiffResponse.DIFF_NONE
    return provider_pb2.DiffResponse(
        changes=changes,
        diffs=sorted(found.changed),
        replaces=found.replacing,
        detailedDiff=detailed,
        hasDetailedDiff=True,
        deleteBeforeReplace=found.delete_first,
    )


def _abort_half_made(context: grpc.ServicerContext, id: str, properties: Any, inputs: Any, reason: str) -> NoReturn:
    """Report a resource that exists but isn't finished, in the detail message that the engine looks for."""
    failed = provider_pb2.ErrorResourceInitFailed(id=id, properties=properties, reasons=[reason], inputs=inputs)
    detail = any_pb2.Any()
    detail.Pack(failed)
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=reason, details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, reason)
