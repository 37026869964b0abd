"""One operation on one resource: runs the calls of its table entry."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import jmespath
from botocore.exceptions import ClientError

from sandbox.provider import convert, errors
from sandbox.provider.aws import Instance
from sandbox.provider.errors import Cancelled, ProviderError
from sandbox.provider.table import Call, Description, Field, Resource, Tags, Update
from sandbox.provider.wire import UNKNOWN

POLL: Final = 0.2  # real seconds; the emulated cloud lives on accelerated time
LEAST_PATIENCE: Final = 60.0  # real seconds: at a high speed this machine is what takes long
RETRY_DELETE: Final = 60.0  # real seconds


class Operation:
    """A resource being created, read, updated or deleted. `inputs` are the program's, `state` the last outputs."""

    def __init__(
        self,
        resource: Resource,
        instance: Instance,
        *,
        inputs: Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
        id: str = "",
    ) -> None:
        self.resource = resource
        self.instance = instance
        self.reading = inputs is None
        self.inputs = dict(inputs or {})
        self.state = dict(state or {})
        self.id = id
        self.description: Description = {}
        self.changed: set[str] = set()
        self.creating = False
        self.region = str(self.inputs.get("region") or self.state.get("region") or instance.region)

    # -- values

    def value(self, name: str) -> Any:
        """A property: what the program asks for, else what an absent input means, else what is known of it."""
        if name in self.inputs:
            return self.inputs[name]
        field = next((field for field in self.resource.inputs if field.name == name), None)
        if field is not None and field.default is not None:
            return field.default
        return self.known(name)

    def known(self, name: str) -> Any:
        """A property as AWS last described it, else from the state."""
        for field in (*self.resource.outputs, *self.resource.inputs):
            if field.name == name and self.description:
                return self._read_field(field)
        return self.state.get(name)

    def wanted(self, name: str) -> Any:
        """An input with its default; None when absent."""
        field = next(field for field in self.resource.inputs if field.name == name)
        given = self.inputs.get(name)
        return field.default if given is None else given

    def tags(self) -> dict[str, str]:
        """The provider's default tags and the resource's own."""
        return {**self.instance.default_tags, **(self.inputs.get("tags") or {})}

    # -- calls

    def client(self) -> Any:
        """The boto3 client of the resource's service and region."""
        return self.instance.clients.get(self.resource.service, self.region)

    def api(self, operation: str, /, **params: Any) -> dict[str, Any]:
        """One API call with literal parameters."""
        answer: dict[str, Any] = getattr(self.client(), operation)(**params)
        return answer

    def call(self, call: Call, carry: tuple[Field, ...] = (), extra: Mapping[str, Any] | None = None) -> Any:
        """Run a table's call with the values of `carry`; the result is what its JMESPath finds."""
        client = self.client()
        shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[call.operation]).input_shape
        request: dict[str, Any] = {}
        for field in carry:
            value = self.wanted(field.name)
            if value is None and not self.creating:
                value = field.empty
            if value is not None and not convert.place(request, shape, field, value):
                raise ProviderError(f"{self.resource.token}: {call.operation} has no member for {field.name!r}")
        for name, template in call.params.items():
            value = self._fill(template)
            if value is not None:
                request[name] = convert.encode(value, shape.members.get(name) if shape else None)
        request.update(extra or {})
        answer = getattr(client, call.operation)(**request)
        return jmespath.search(call.result, answer) if call.result else answer

    def _fill(self, template: Any) -> Any:
        if callable(template):
            return template(self)
        if isinstance(template, str) and template.startswith("$"):
            return self.id if template == "$id" else self.value(template[1:])
        if isinstance(template, Mapping):
            return {key: value for key, item in template.items() if (value := self._fill(item)) is not None}
        if isinstance(template, list):
            return [self._fill(item) for item in template]
        return template

    def optional(self, missing: str, operation: str, /, **params: Any) -> dict[str, Any]:
        """A call whose answer may be the error `missing`, then empty."""
        try:
            return self.api(operation, **params)
        except ClientError as error:
            if errors.code(error) != missing:
                raise
            return {}

    def creating_fields(self) -> tuple[Field, ...]:
        """The inputs that the create call takes."""
        return tuple(field for field in self.resource.inputs if field.create)

    # -- waiting

    def until(self, done: Callable[[], bool], what: str) -> None:
        """Poll until `done`. Raises Cancelled when the engine asks to stop, ProviderError when patience ends."""
        patience = max(self.instance.clock.seconds(self.resource.patience), LEAST_PATIENCE)
        deadline = time.monotonic() + patience
        while not done():
            if time.monotonic() > deadline:
                raise ProviderError(f"{what}: not done after {self.resource.patience:g} minutes")
            if self.instance.cancelled.wait(POLL):
                raise Cancelled(f"{what}: interrupted")

    # -- the life of a resource

    def create(self) -> None:
        """Make it: afterwards `id` is set and calls that belong to creation are done; not waited for."""
        self.creating = True
        entry = self.resource
        if isinstance(entry.create, Call):
            self.id = str(self.call(entry.create, self.creating_fields(), self.tags_at_create()))
        else:
            self.id = entry.create(self)

    def finish_create(self) -> dict[str, Any]:
        """What follows the create call: further settings, tags, waiting. Returns the outputs."""
        for step in self.resource.updates:
            if step.after_create and any(self.inputs.get(name) is not None for name in step.fields):
                self._apply(step)
        tags = self.resource.tags
        if tags is not None and not tags.create and self.tags():
            self.describe()
            self._change_tags(tags)
        return self._settled()

    def update(self) -> dict[str, Any]:
        """Make the changes named in `changed`. Returns the outputs."""
        self.read()
        for step in self.resource.updates:
            if self.changed & set(step.fields):
                self._apply(step)
        if "tags" in self.changed and self.resource.tags is not None:
            self._change_tags(self.resource.tags)
        return self._settled()

    def delete(self) -> None:
        """Remove it; one that is already gone is fine."""
        entry = self.resource
        if entry.delete is None:
            return
        deadline = time.monotonic() + RETRY_DELETE
        while True:
            try:
                self.call(entry.delete) if isinstance(entry.delete, Call) else entry.delete(self)
                break
            except ClientError as error:
                if errors.code(error) in entry.missing:
                    return
                if errors.code(error) not in entry.retry_delete or time.monotonic() > deadline:
                    raise
                if self.instance.cancelled.wait(POLL):
                    raise Cancelled(f"deleting {self.id}: interrupted") from error
        if entry.wait_gone:
            self.until(lambda: not self.describe(), f"deleting {self.id}")

    def read(self) -> dict[str, Any] | None:
        """The outputs as AWS describes them now; None if it doesn't exist."""
        return self.outputs() if self.describe() else None

    def describe(self) -> bool:
        """Ask AWS; False if it doesn't exist."""
        entry = self.resource
        try:
            found = self.call(entry.read) if isinstance(entry.read, Call) else entry.read(self)
            if not found or entry.gone(found):
                return False
            self.description = dict(found)
            for more in entry.more:
                self.description.update(self.call(more) or {})
        except ClientError as error:
            if errors.code(error) in entry.missing:
                return False
            raise
        return True

    def outputs(self) -> dict[str, Any]:
        """All modelled properties from the description; what AWS doesn't tell comes from inputs or state."""
        result: dict[str, Any] = {"id": self.id}
        for field in (*self.resource.inputs, *self.resource.outputs):
            value = self._read_field(field)
            if value is not None:
                result[field.name] = value
        if self.resource.tags is not None:
            result.update(self._read_tags(self.resource.tags))
        return result

    # -- parts

    def _settled(self) -> dict[str, Any]:
        def done() -> bool:
            if not self.describe():
                raise ProviderError(f"{self.id} disappeared while waiting for it")
            return self.resource.ready(self, self.description)

        self.until(done, f"waiting for {self.id}")
        return self.outputs()

    def _apply(self, step: Update) -> None:
        if not isinstance(step.call, Call):
            step.call(self)
            return
        carry = tuple(field for field in self.resource.inputs if field.name in step.fields)
        self.call(step.call, carry)

    def _read_field(self, field: Field) -> Any:
        if field.get is not None:
            return convert.plain(field.get(self, self.description))
        if field.read is None:
            return self.state.get(field.name) if self.reading else self.wanted(field.name)
        return convert.decode(convert.look(self.description, field), field)

    def tags_at_create(self) -> dict[str, Any]:
        """The tag parameters of the create call; empty where tags come afterwards."""
        tags, wanted = self.resource.tags, self.tags()
        if tags is None or not tags.create or not wanted:
            return {}
        if tags.specification:
            return {"TagSpecifications": [{"ResourceType": tags.specification, "Tags": _items(tags, wanted)}]}
        return {tags.create: _items(tags, wanted)}

    def _read_tags(self, tags: Tags) -> dict[str, Any]:
        if isinstance(tags.read, str):
            raw = jmespath.search(tags.read, self.description)
        else:
            raw = self.call(tags.read) if isinstance(tags.read, Call) else tags.read(self)
        if tags.key and not isinstance(raw, Mapping):
            raw = {item[tags.key]: item[tags.value] for item in raw or []}
        everything = {key: value for key, value in (raw or {}).items() if not key.startswith("aws:")}
        given = self.inputs.get("tags") or self.state.get("tags") or {}
        defaults = self.instance.default_tags
        own = {key: value for key, value in everything.items() if key in given or defaults.get(key) != value}
        return {"tags": own or None, "tagsAll": everything}

    def _change_tags(self, tags: Tags) -> None:
        if tags.put is not None:
            tags.put(self)
            return
        wanted, present = self.tags(), self._read_tags(tags)["tagsAll"]
        stale = {key: value for key, value in present.items() if key not in wanted}
        fresh = {key: value for key, value in wanted.items() if present.get(key) != value}
        if stale:
            removed = _items(tags, stale) if tags.pairs_removed else sorted(stale)
            self.api(tags.remove, **self._fill(tags.target), **{tags.keys: removed})
        if fresh:
            self._add_tags(tags, fresh)

    def _add_tags(self, tags: Tags, wanted: Mapping[str, str]) -> None:
        self.api(tags.add, **self._fill(tags.target), **{tags.items: _items(tags, wanted)})


def _items(tags: Tags, wanted: Mapping[str, str]) -> Any:
    if not tags.key:
        return dict(wanted)
    return [{tags.key: key, tags.value: value} for key, value in sorted(wanted.items())]


def preview_outputs(resource: Resource, names: frozenset[str], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a resource that doesn't exist yet: its inputs, and everything else unknown."""
    result = dict.fromkeys(names, UNKNOWN)
    for field in resource.inputs:
        if field.default is not None:
            result[field.name] = field.default
    result.update(inputs)
    return {name: value for name, value in result.items() if name in inputs or name not in _absent(resource, inputs)}


def _absent(resource: Resource, inputs: Mapping[str, Any]) -> set[str]:
    """Optional inputs that the program left out and AWS doesn't choose: known to be nothing."""
    return {
        field.name
        for field in resource.inputs
        if field.name not in inputs and field.default is None and not field.computed
    }
