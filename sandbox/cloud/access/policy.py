"""IAM's decision on one request: pure functions over the documents of a role and of the resource it asks for.

"Policy evaluation logic" (IAM user guide), for callers of the resource's own account: a matching Deny anywhere wins;
then a matching Allow of the role counts, or one of the resource's policy that names the role itself or everybody. A KMS
key is the exception: without its own policy's consent, given to the account or to the role, no IAM policy counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sandbox.cloud.access import conditions
from sandbox.cloud.access.conditions import Context, holds, like

_ELEMENTS = frozenset({"Sid", "Effect", "Principal", "Action", "Resource", "Condition"})


@dataclass(frozen=True)
class Need:
    """One permission that an act needs: IAM's action on a resource, with the condition keys of the request."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


@dataclass(frozen=True)
class Grant:
    """What allowed a need: a statement of a role's policy, with the action and resource as they are written there."""

    policy: str
    statement: str
    action: str
    resource: str


@dataclass(frozen=True)
class Caller:
    """A role of this account that somebody has assumed."""

    arn: str
    account: str


@dataclass(frozen=True)
class Decision:
    """`refused` is empty where the request is allowed, else IAM's reason; `grants`: the role's own that matched."""

    refused: str
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True)
class Statement:
    """One statement. `name` is its Sid, or its number in the document; `principals` is None in a role's policy."""

    name: str
    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]
    principals: Mapping[str, tuple[str, ...]] | None

    def matching(self, need: Need) -> tuple[str, str] | None:
        """The action and the resource as this statement writes what `need` asks for; None where it says nothing."""
        action = next((known for known in self.actions if like(known.lower(), need.action.lower())), None)
        resource = next((known for known in self.resources if like(known, need.resource)), None)
        if action is None or resource is None:
            return None
        met = (holds(operator, accepted, need.context.get(key)) for operator, key, accepted in self.conditions)
        return (action, resource) if all(met) else None


@cache
def statements(text: str) -> tuple[Statement, ...]:
    """A policy's statements; NotImplementedError for an element that isn't modelled."""
    return tuple(_read(json.loads(text)))


def _read(document: Mapping[str, Any]) -> Iterator[Statement]:
    for number, given in enumerate(_listed(document["Statement"]), start=1):
        if unknown := given.keys() - _ELEMENTS:
            raise NotImplementedError(f"the sandbox's policies have no {', '.join(sorted(unknown))}")
        principal = given.get("Principal")
        named = {"AWS": ["*"]} if principal == "*" else principal
        yield Statement(
            name=str(given.get("Sid") or number),
            allows=given["Effect"] == "Allow",
            actions=tuple(map(str, _listed(given["Action"]))),
            # A role's trust policy has none: it is about the role itself.
            resources=tuple(map(str, _listed(given.get("Resource", "*")))),
            conditions=tuple(conditions.read(given.get("Condition", {}))),
            principals=None if named is None else {kind: tuple(_listed(names)) for kind, names in named.items()},
        )


def decide(caller: Caller, own: Mapping[str, str], of_resource: str | None, need: Need) -> Decision:
    """Whether a role may do something. `own`: its policies by name; `of_resource`: the resource's policy, if any."""
    grants = []
    for policy, text in own.items():
        for statement in statements(text):
            if (found := statement.matching(need)) is None:
                continue
            if not statement.allows:
                return Decision(f"with an explicit deny in an identity-based policy ({statement.name})")
            grants.append(Grant(policy, statement.name, *found))
    consents = set()
    for statement in statements(of_resource) if of_resource else ():
        named = _names(statement, caller)
        if named and statement.matching(need) is not None:
            if not statement.allows:
                return Decision(f"with an explicit deny in a resource-based policy ({statement.name})")
            consents.add(named)
    is_key = need.action.startswith("kms:")
    if "role" in consents or (grants and (not is_key or "account" in consents)):
        return Decision("", tuple(grants))
    if grants:
        return Decision(f"because no resource-based policy allows the {need.action} action")
    return Decision(f"because no identity-based policy allows the {need.action} action")


def _names(statement: Statement, caller: Caller) -> str:
    """How a resource's statement means the caller: `role` by itself or as everybody, `account` as one of many."""
    named = (statement.principals or {}).get("AWS", ())
    if "*" in named or caller.arn in named:
        return "role"
    return "account" if {caller.account, f"arn:aws:iam::{caller.account}:root"} & set(named) else ""


def trusts(trust: str, service: str, context: Context) -> bool:
    """Whether a role's trust policy lets an AWS service assume it. `context`: on whose behalf it asks."""
    need = Need("sts:AssumeRole", "*", context)
    effects = {
        statement.allows
        for statement in statements(trust)
        if service in (statement.principals or {}).get("Service", ()) and statement.matching(need) is not None
    }
    return effects == {True}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
