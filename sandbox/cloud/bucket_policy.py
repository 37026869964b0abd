"""What an S3 bucket policy says to a request; pure functions over the policy document.

Callers are either somebody of the bucket's own account or anonymous. Requests arrive over the loopback interface, which
stands for TLS. A condition, principal or element that isn't modelled is an error, never ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any

from sandbox.cloud.context import ACCOUNT

# What is known of every request, by condition key in lower case.
_FACTS = {"aws:securetransport": "true"}
_OWN_FACTS = {"aws:principalaccount": ACCOUNT}
_ELEMENTS = {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"}


class Decision(Enum):
    """IAM's three answers; NEUTRAL leaves it to whatever else may allow the request."""

    PERMITTED = "permitted"
    DENIED = "denied"
    NEUTRAL = "neutral"


def decide(policy: str | bytes, action: str, resource: str, *, anonymous: bool) -> Decision:
    """Evaluate the policy: a matching Deny wins, then a matching Allow counts."""
    effects = {
        statement["Effect"]
        for statement in _statements(policy)
        if _concerns(statement, action, resource, anonymous) and _holds(statement, anonymous)
    }
    if "Deny" in effects:
        return Decision.DENIED
    return Decision.PERMITTED if "Allow" in effects else Decision.NEUTRAL


def admits(policy: str | bytes | None, service: str, action: str, resource: str, facts: Mapping[str, str]) -> bool:
    """Whether one of AWS's services may do something. `facts`: its request's condition keys, in lower case."""
    effects = {
        statement["Effect"]
        for statement in (_statements(policy) if policy else ())
        if _means_service(statement.get("Principal"), service)
        and _covered(statement, "Action", action.lower(), str.lower)
        and _covered(statement, "Resource", resource, str)
        and all(_met(operator, key, wanted, facts) for operator, key, wanted in _conditions(statement))
    }
    return effects == {"Allow"}


def check(policy: str | bytes) -> None:
    """Raise NotImplementedError for a policy that `decide` could not evaluate for some request."""
    for statement in _statements(policy):
        if unknown := statement.keys() - _ELEMENTS:
            raise NotImplementedError(f"the sandbox's bucket policies have no {', '.join(sorted(unknown))}")
        for anonymous in (True, False):
            if _meant(statement.get("Principal"), anonymous):
                _holds(statement, anonymous)


def _statements(policy: str | bytes) -> Iterator[dict[str, Any]]:
    yield from _listed(json.loads(policy)["Statement"])


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _concerns(statement: dict[str, Any], action: str, resource: str, anonymous: bool) -> bool:
    return (
        _meant(statement.get("Principal"), anonymous)
        and _covered(statement, "Action", action.lower(), str.lower)
        and _covered(statement, "Resource", resource, str)
    )


def _meant(principal: Any, anonymous: bool) -> bool:
    """Whether the caller is among the statement's principals; AWS's services and single roles are never the caller."""
    if principal == "*":
        return True
    named = [str(name) for name in _listed(principal.get("AWS", []))] if isinstance(principal, dict) else []
    if "*" in named:
        return True
    return not anonymous and any(name in (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root") for name in named)


def _means_service(principal: Any, service: str) -> bool:
    return principal == "*" or (isinstance(principal, dict) and service in _listed(principal.get("Service", [])))


def _covered(statement: dict[str, Any], element: str, value: str, spelled: Callable[[str], str]) -> bool:
    if f"Not{element}" in statement:
        return not _covered({element: statement[f"Not{element}"]}, element, value, spelled)
    return any(_like(spelled(pattern), value) for pattern in _listed(statement[element]))


def _like(pattern: str, value: str) -> bool:
    """IAM's wildcards: * is anything, ? one character, all else literal."""
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, value, re.DOTALL) is not None


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "Bool": lambda wanted, found: wanted.lower() == found.lower(),
    "StringEquals": lambda wanted, found: wanted == found,
    "StringLike": _like,
    "ArnEquals": _like,
    "ArnLike": _like,
}
_NEGATIVE = {"StringNotEquals": "StringEquals", "StringNotLike": "StringLike", "ArnNotEquals": "ArnEquals"}


def _holds(statement: dict[str, Any], anonymous: bool) -> bool:
    """Whether all conditions hold. None short-circuits: an unmodelled one is noticed wherever it stands."""
    facts = {} if anonymous else _OWN_FACTS
    met = []
    for operator, key, wanted in _conditions(statement):
        if key not in _FACTS | _OWN_FACTS:
            raise NotImplementedError(f"the sandbox's bucket policies have no condition key {key}")
        met.append(_met(operator, key, wanted, facts))
    return all(met)


def _conditions(statement: dict[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """(operator, key in lower case, accepted values) of each condition."""
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            yield operator, key.lower(), [str(value) for value in _listed(values)]


def _met(operator: str, key: str, wanted: list[str], facts: Mapping[str, str]) -> bool:
    matches = _OPERATORS.get(_NEGATIVE.get(operator, operator))
    if matches is None:
        raise NotImplementedError(f"the sandbox's bucket policies have no condition operator {operator}")
    found = {**_FACTS, **facts}.get(key)
    if found is None:  # the key is absent: only a negated operator matches
        return operator in _NEGATIVE
    return any(matches(value, found) for value in wanted) != (operator in _NEGATIVE)
