"""From recorded requests to a template: every resource as the last request about it left it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jmespath

from scripts.template.kind import Kind, merge
from scripts.template.kinds import KINDS, SAYS_NOTHING
from scripts.template.schema import fit

Entry = Mapping[str, Any]  # of the sandbox's recording
# How the bytes travelled, and what only keeps a request from being made twice.
TRANSPORT = frozenset({"ChecksumAlgorithm", "ContentMD5", "ExpectedBucketOwner", "clientToken", "ClientToken"})


class UnknownRequest(ValueError):
    """An operation of an exported service that the table of kinds does not know."""


@dataclass
class Made:
    """A resource so far. `region`: where it is; `stack`: what its tag says."""

    kind: Kind
    identity: tuple[str, ...]
    region: str
    stack: str | None
    members: dict[str, Any] = field(default_factory=dict)


def template(entries: Iterable[Entry], stack: str, region: str) -> dict[str, Any]:
    """The CloudFormation template of what `stack`, deployed in `region`, asked AWS for."""
    resources = [made for made in _fold(entries) if _belongs(made, stack, region)]
    names = [_logical_name(made, region) for made in resources]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two resources have one logical name: {', '.join(sorted(twice))}")
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"What stack {stack} asked AWS for, as recorded in the sandbox",
        "Resources": {
            name: {"Type": made.kind.type, "Properties": _properties(made, region)}
            for name, made in zip(names, resources, strict=True)
        },
    }


def _properties(made: Made, region: str) -> dict[str, Any]:
    dropped = made.kind.dropped | TRANSPORT
    members = {name: value for name, value in made.members.items() if name not in dropped}
    return fit(made.kind.type, region, {**members, **made.kind.added}, made.kind.renamed)


def _belongs(made: Made, stack: str, region: str) -> bool:
    return made.stack == stack if made.stack is not None else made.region == region


def _logical_name(made: Made, region: str) -> str:
    """Resources of one name in two regions are told apart; IAM has no region."""
    readable = "".join(re.sub(r"^arn:(\S+?:){4}", "", part) for part in made.identity)
    elsewhere = f" in {made.region}" if made.region != region and made.kind.service != "iam" else ""
    return re.sub(r"[^A-Za-z0-9]", "", made.kind.type.rpartition(":")[2] + (readable + elsewhere).title())


def _fold(entries: Iterable[Entry]) -> list[Made]:
    known: dict[tuple[str, str, tuple[str, ...]], Made] = {}
    services = {kind.service for kind in KINDS}
    for entry in entries:
        if entry["service"] not in services:
            continue
        used = [_apply(kind, entry, known) for kind in KINDS if kind.service == entry["service"]]
        if not any(used) and entry["operation"] not in SAYS_NOTHING:
            raise UnknownRequest(
                f"{entry['service']}:{entry['operation']}: say in scripts/template/kinds.py what it is"
            )
    return list(known.values())


def _apply(kind: Kind, entry: Entry, known: dict[tuple[str, str, tuple[str, ...]], Made]) -> bool:
    """Take a request into account; whether it concerns this kind."""
    operation, given = entry["operation"], dict(entry["parameters"])
    if kind.only and jmespath.search(kind.only, given) is None:
        return False
    if operation == kind.delete:
        known.pop((kind.type, entry["region"], _identity(kind.identity, given)), None)
        return True
    if operation in kind.create:
        chosen = jmespath.search(kind.chosen, entry["answer"]) if kind.chosen else None
        identity = (str(chosen),) if chosen else _identity(kind.identity, given)
        made = Made(kind, identity, entry["region"], _stack(kind, given, entry["region"], known))
        made.members = dict((kind.made or merge)({}, given))
        known[kind.type, entry["region"], identity] = made
        return True
    change = kind.changes.get(operation)
    if change is None:
        return False
    found = known.get((kind.type, entry["region"], _identity(kind.identity, given)))
    if found is not None:  # else it changes what somebody else made
        found.members.update(change(found.members, given))
    return True


def _identity(names: Sequence[str], given: Mapping[str, Any]) -> tuple[str, ...]:
    """What a request calls a resource; `a|b` where operations have different words."""
    found = []
    for name in names:
        value = next((given[word] for word in name.split("|") if given.get(word)), "")
        found.append(str(value).removeprefix("alias/"))
    return tuple(found)


def _stack(
    kind: Kind, given: Mapping[str, Any], region: str, known: Mapping[tuple[str, str, tuple[str, ...]], Made]
) -> str | None:
    """The stack that a resource says it belongs to: by its tag, or by that of its owner."""
    if kind.follows:
        owner, member = kind.follows
        found = known.get((owner, region, (given[member],)))
        return found.stack if found else None
    tags = given.get("Tags") or given.get("tags") or []
    if isinstance(tags, Mapping):
        return tags.get("Stack")
    lowered = [{key.lower().removeprefix("tag"): value for key, value in tag.items()} for tag in tags]
    return next((tag["value"] for tag in lowered if tag["key"] == "Stack"), None)
