"""How a type of CloudFormation is described: which requests make it, and what later ones mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jmespath

Members = Mapping[str, Any]
Change = Callable[[dict[str, Any], Members], Members]  # (properties so far, parameters) -> members to merge


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One type. `identity`: parameters that name a resource; `chosen`: where the answer to `create` does, instead.

    `changes`: later operations and what they mean; `renamed`: member -> property, at any depth; `only`: a parameter
    (JMESPath) without which a request does not concern this type; `follows`: the type and parameter of an owner.
    """

    type: str
    service: str
    create: tuple[str, ...]
    identity: tuple[str, ...]
    chosen: str = ""
    changes: Mapping[str, Change] = field(default_factory=dict)
    delete: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    added: Mapping[str, Any] = field(default_factory=dict)
    only: str = ""
    made: Change | None = None  # what the create call means, where not simply its members
    follows: tuple[str, str] | None = None


def merge(_: dict[str, Any], given: Members) -> Members:
    """The parameters as they are."""
    return given


def into(target: str, member: str) -> Change:
    """One parameter, as the property `target`."""
    return lambda _, given: {target: jmespath.search(member, given)}


def pairs(target: str, member: str, name: str = "Key", value: str = "Value") -> Change:
    """A list of names with values, merged by name into a list of CloudFormation's `Key` and `Value`."""

    def change(so_far: dict[str, Any], given: Members) -> Members:
        kept = {entry["Key"]: entry["Value"] for entry in so_far.get(target, ())}
        kept.update({entry[name]: entry[value] for entry in given.get(member) or ()})
        return {target: [{"Key": key, "Value": text} for key, text in kept.items()]}

    return change


def named(target: str, member: str, name: str = "ParameterName", value: str = "ParameterValue") -> Change:
    """A list of names with values, merged into a map."""
    return lambda so_far, given: {
        target: {**so_far.get(target, {}), **{entry[name]: entry[value] for entry in given[member]}}
    }


def constant(**properties: Any) -> Change:
    """A call that says by its name what it does."""
    return lambda _, given: {**properties, **given}
