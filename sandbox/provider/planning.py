"""Decided without asking the cloud: whether inputs are allowed, and what differs between a state and a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.provider import convert
from sandbox.provider.model import Model
from sandbox.provider.table import Failure, Field, Resource
from sandbox.provider.wire import contains_unknown

COMMON: Final = frozenset({"region", "tags", "tagsAll"})
_TAGS: Final = Field(name="tags")
_REGION: Final = Field(name="region", computed=True, replace=True)


@dataclass
class Difference:
    """What an update has to change."""

    changed: dict[str, bool] = field(default_factory=dict)  # name -> whether it was there before
    replacing: list[str] = field(default_factory=list)
    delete_first: bool = False


def refusals(resource: Resource, model: Model, inputs: Mapping[str, Any]) -> list[Failure]:
    """Why `inputs` are not acceptable; empty if they are."""
    token = resource.token
    known = {entry.name: entry for entry in resource.inputs}
    result: list[Failure] = []
    for name, value in inputs.items():
        if name not in model.inputs:
            result.append((name, f"{token} has no input {name!r} in pulumi_aws"))
        elif name in known:
            result.extend(_nested(token, known[name], value, name))
        elif name == "tagsAll" or name not in COMMON or (name == "tags" and resource.tags is None):
            result.append((name, _unmodelled(token, name)))
    for name in sorted(model.required | set(resource.required)):
        if inputs.get(name) is None:
            result.append((name, f"{token} needs the input {name!r}: give it in the program"))
    physical = resource.physical_name
    if physical and inputs.get(physical) is None:
        result.append(
            (
                physical,
                f"{token} needs the input {physical!r}: generated names are not modelled, name it in the program",
            )
        )
    # Rules across properties can only be judged when all are known: the engine asks again before it creates.
    return result or ([] if contains_unknown(inputs) else resource.check(inputs))


def _unmodelled(token: str, path: str) -> str:
    module = token.split(":")[1].split("/")[0]
    return (
        f"{token}: the sandbox's provider does not model the input {path!r}: "
        f"add it to sandbox/provider/tables (module {module}) or leave it out"
    )


def _nested(token: str, entry: Field, value: Any, path: str) -> list[Failure]:
    if not entry.block:
        return []
    parts = {part.name: part for part in entry.block}
    result: list[Failure] = []
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, Mapping):
            continue
        for name, inner in item.items():
            if name not in parts:
                result.append((path, _unmodelled(token, f"{path}.{name}")))
            else:
                result.extend(_nested(token, parts[name], inner, f"{path}.{name}"))
    return result


def modelled(resource: Resource, model: Model) -> tuple[Field, ...]:
    """All inputs that can change, the region included (tags are compared with the provider's default tags)."""
    return (*resource.inputs, _REGION) if "region" in model.inputs else resource.inputs


def difference(
    resource: Resource,
    model: Model,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    default_tags: Mapping[str, str],
    ignored: Iterable[str] = (),
) -> Difference:
    """Compare a state with the program's inputs. `ignored`: inputs of which the program says so (`ignore_changes`)."""
    result = Difference()
    for entry in modelled(resource, model):
        if entry.name in ignored or convert.same(entry, old.get(entry.name), new.get(entry.name)):
            continue
        result.changed[entry.name] = old.get(entry.name) is not None
        if entry.replace:
            result.replacing.append(entry.name)
    if resource.tags is not None and not _same_tags(old, new, default_tags):
        result.changed["tags"] = bool(old.get("tags"))
    name = resource.physical_name
    if result.replacing:
        # The replacement would take the same name, which AWS refuses while the old one lives.
        result.delete_first = resource.delete_first or (bool(name) and name not in result.changed)
    return result


def _same_tags(old: Mapping[str, Any], new: Mapping[str, Any], defaults: Mapping[str, str]) -> bool:
    wanted = {**defaults, **(new.get("tags") or {})}
    present = old.get("tagsAll", old.get("tags")) or {}
    return not contains_unknown(wanted) and {key: str(value) for key, value in wanted.items()} == dict(present)


def settle(
    resource: Resource, model: Model, outputs: Mapping[str, Any], reference: Mapping[str, Any]
) -> dict[str, Any]:
    """Outputs in the words of `reference` (the program's inputs or the last state) wherever both mean the same."""
    result = dict(outputs)
    for entry in (*modelled(resource, model), _TAGS):
        known = reference.get(entry.name)
        if known is not None and convert.same(entry, outputs.get(entry.name), known):
            result[entry.name] = known
    return result


def read_inputs(
    resource: Resource, model: Model, outputs: Mapping[str, Any], last: Mapping[str, Any]
) -> dict[str, Any]:
    """The inputs that would produce `outputs`: those of the last deployment, and what was added behind its back."""
    result: dict[str, Any] = {}
    for entry in (*modelled(resource, model), _TAGS):
        name, now = entry.name, outputs.get(entry.name)
        if name in last:
            result[name] = last[name] if convert.same(entry, now, last[name]) else now
        elif now is not None and not (last and entry.computed) and not convert.same(entry, now, entry.default):
            result[name] = now
    return result


def names(entries: Iterable[Field]) -> set[str]:
    """The names of some fields."""
    return {entry.name for entry in entries}
