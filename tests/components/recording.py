"""Runs components against Pulumi's mocks and keeps what they registered, dependencies and options included."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pulumi
from pulumi.runtime import mocks

ACCOUNT = "123456789012"
# One for every run: the stack's root resource lives on from run to run.
LOOP = asyncio.new_event_loop()


@dataclass(frozen=True)
class Recorded:
    """One registered resource. `parent` is the key of the component that it is part of.

    `dependencies` are the logical names of what it waits for, `dependency_keys` with types.
    `secrets` names the inputs that the engine gets as secrets; `inputs` has their values in the clear.
    """

    typ: str
    name: str
    parent: tuple[str, str]
    inputs: dict[str, Any]
    dependencies: frozenset[str]
    dependency_keys: frozenset[tuple[str, str]]
    protect: bool
    retain_on_delete: bool
    ignore_changes: tuple[str, ...]
    secrets: frozenset[str]
    create_timeout: str

    @property
    def key(self) -> tuple[str, str]:
        return self.typ, self.name


class Recording(list[Recorded]):
    """What one run registered. `exports` are the stack's outputs, `outputs` those of its components by name."""

    def __init__(self) -> None:
        super().__init__()
        self.exports: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}

    def export(self, name: str, value: Any) -> None:
        """Stands for `pulumi.export`."""
        pulumi.Output.from_input(value).apply(lambda known: self.exports.update({name: known}))

    def of(self, typ: str) -> list[Recorded]:
        return [resource for resource in self if resource.typ == typ]

    def one(self, typ: str, name: str) -> Recorded:
        found = [resource for resource in self if resource.key == (typ, name)]
        assert len(found) == 1, f"{len(found)} resources {typ} {name}; have {sorted(r.name for r in self.of(typ))}"
        return found[0]

    def waits_for(self, name: str) -> set[str]:
        """Names of everything that a resource waits for, directly or through others."""
        direct: dict[str, set[str]] = {}
        for resource in self:
            direct.setdefault(resource.name, set()).update(resource.dependencies)
        found: set[str] = set()
        open_names = set(direct[name])
        while open_names:
            current = open_names.pop()
            if current not in found:
                found.add(current)
                open_names |= direct.get(current, set())
        return found


class _Outputs(mocks.Mocks):
    """Every resource answers its inputs plus made-up values of what AWS would add."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        option = {
            "domainName": args.inputs.get("domainName", ""),
            "resourceRecordName": "_abc.platform.example.org.",
            "resourceRecordType": "CNAME",
            "resourceRecordValue": "_def.acm-validations.aws.",
        }
        made_up = {
            "arn": f"arn:aws:{args.name}",
            "allocationId": f"eipalloc-{args.name}",
            "bucketRegionalDomainName": f"{args.inputs.get('bucket')}.s3.af-south-1.amazonaws.com",
            "arnSuffix": f"suffix-of-{args.name}",
            "dnsName": f"{args.name}.elb.amazonaws.com",
            "zoneId": "ZELB",
            "certificateArn": f"arn:aws:{args.name}",
            "address": f"{args.name}.rds.amazonaws.com",
            "primaryEndpointAddress": f"master.{args.name}.cache.amazonaws.com",
            "keyId": f"{args.name}-key-id",
            "port": 5432,
            "resourceId": f"db-{args.name}",
            "versionId": f"version-of-{args.name}",
            "result": f"result-of-{args.name}",
            "url": f"https://sqs.af-south-1.amazonaws.com/{ACCOUNT}/{args.inputs.get('name')}",
            "domainValidationOptions": [option],
        }
        return f"{args.name}-id", {**made_up, **args.inputs}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"unexpected lookup {args.token}: nothing here may ask AWS")


class _Monitor(mocks.MockMonitor):
    """Keeps each registration's dependencies and options, which the mocks themselves never see."""

    def __init__(self, recording: Recording) -> None:
        super().__init__(_Outputs())
        self._recording = recording

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (the engine's name)
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            self._recording.append(
                Recorded(
                    typ=request.type,
                    name=request.name,
                    parent=_key(request.parent),
                    inputs=dict(self.resources[response.urn].state) if not request.custom else _inputs(request.object),
                    dependencies=frozenset(urn.rsplit("::", 1)[-1] for urn in request.dependencies),
                    dependency_keys=frozenset(_key(urn) for urn in request.dependencies),
                    protect=bool(request.protect),
                    retain_on_delete=bool(request.retainOnDelete),
                    ignore_changes=tuple(request.ignoreChanges),
                    secrets=_secrets(request.object),
                    create_timeout=str(request.customTimeouts.create),
                )
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 (the engine's name)
        name = request.urn.rsplit("::", 1)[-1]
        self._recording.outputs[name] = pulumi.runtime.rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def _key(urn: str) -> tuple[str, str]:
    """(type, name) of a URN, whose type begins with those of the parents."""
    _, _, types, name = urn.split("::")
    return types.rsplit("$", 1)[-1], name


def _inputs(properties: Any) -> dict[str, Any]:
    values = pulumi.runtime.rpc.deserialize_properties(properties)
    return {key: pulumi.runtime.rpc.unwrap_rpc_secret(value) for key, value in values.items() if key != "__provider"}


def _secrets(properties: Any) -> frozenset[str]:
    values = pulumi.runtime.rpc.deserialize_properties(properties)
    return frozenset(key for key, value in values.items() if pulumi.runtime.rpc.is_rpc_secret(value))


def record(build: Callable[[], Any], stack: str = "test") -> Recording:
    """Run `build` (a function, or one that is awaited) as a program of the stack and return what it registered."""
    recording = Recording()
    monitor = _Monitor(recording)
    asyncio.set_event_loop(LOOP)
    pulumi.runtime.set_mocks(_Outputs(), project="mental-health-platform", stack=stack, monitor=monitor)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> Any:
        return build()

    with patch.object(pulumi, "export", recording.export):
        program()
    return recording
