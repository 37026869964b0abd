"""A gRPC client of the sandbox's provider, as the engine is one, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from sandbox.provider import wire
from sandbox.provider.wire import Properties

REGION = "eu-west-1"


@dataclass
class Made:
    """A resource as the engine would remember it."""

    token: str
    id: str
    inputs: dict[str, Any]
    state: dict[str, Any]


class Client:
    """One provider instance: a connection of its own, configured for a region."""

    def __init__(self, port: int, region: str = REGION, **config: Any) -> None:
        # The channels of one process share a connection unless told otherwise; the engine's don't.
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)])
        self.stub = provider_pb2_grpc.ResourceProviderStub(self.channel)
        self.stub.Attach(plugin_pb2.PluginAttach())
        self.stub.Configure(provider_pb2.ConfigureRequest(args=wire.marshal({"region": region, **config})))

    def close(self) -> None:
        """Drop the connection."""
        self.channel.close()

    def check(self, token: str, inputs: Mapping[str, Any]) -> list[str]:
        """The reasons why inputs are refused."""
        answer = self.stub.Check(provider_pb2.CheckRequest(urn=urn(token), type=token, news=wire.marshal(inputs)))
        return [failure.reason for failure in answer.failures]

    def create(
        self, token: str, inputs: Mapping[str, Any], secret: tuple[str, ...] = (), preview: bool = False
    ) -> Made:
        """Check and create."""
        refused = self.check(token, inputs)
        assert refused == [], refused
        answer = self.stub.Create(
            provider_pb2.CreateRequest(
                urn=urn(token), type=token, properties=wire.marshal(inputs, secret), preview=preview
            )
        )
        return Made(token, answer.id, dict(inputs), wire.unmarshal(answer.properties).values)

    def diff(self, made: Made, inputs: Mapping[str, Any] | None = None) -> Any:
        """What an update to `inputs` (default: the same) would change."""
        return self.stub.Diff(
            provider_pb2.DiffRequest(
                id=made.id,
                urn=urn(made.token),
                type=made.token,
                olds=wire.marshal(made.state),
                old_inputs=wire.marshal(made.inputs),
                news=wire.marshal(made.inputs if inputs is None else inputs),
            )
        )

    def update(self, made: Made, inputs: Mapping[str, Any]) -> Made:
        """Change in place."""
        answer = self.stub.Update(
            provider_pb2.UpdateRequest(
                id=made.id,
                urn=urn(made.token),
                type=made.token,
                olds=wire.marshal(made.state),
                news=wire.marshal(inputs),
                old_inputs=wire.marshal(made.inputs),
            )
        )
        return Made(made.token, made.id, dict(inputs), wire.unmarshal(answer.properties).values)

    def read(self, made: Made) -> tuple[Made, Properties] | None:
        """Refresh: what the cloud says now."""
        answer = self.stub.Read(
            provider_pb2.ReadRequest(
                id=made.id,
                urn=urn(made.token),
                type=made.token,
                properties=wire.marshal(made.state),
                inputs=wire.marshal(made.inputs),
            )
        )
        if not answer.id:
            return None
        inputs = wire.unmarshal(answer.inputs)
        return Made(made.token, answer.id, inputs.values, wire.unmarshal(answer.properties).values), inputs

    def adopt(self, token: str, id: str) -> Made:
        """Import: nothing is known but the id."""
        found = self.read(Made(token, id, {}, {}))
        assert found is not None, f"{token} {id} cannot be imported"
        return found[0]

    def delete(self, made: Made) -> None:
        """Remove."""
        self.stub.Delete(
            provider_pb2.DeleteRequest(
                id=made.id, urn=urn(made.token), type=made.token, properties=wire.marshal(made.state)
            )
        )


def urn(token: str) -> str:
    """The name under which the engine would know the resource."""
    return f"urn:pulumi:test::test::{token}::thing"
