"""Conditions of policy statements, as the IAM user guide defines their operators.

A key or an operator that isn't modelled is an error, never ignored: a condition that is skipped would allow too much.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

Context = Mapping[str, Sequence[str]]
"""Values by condition key in lower case, except what follows in `aws:ResourceTag/` and `kms:EncryptionContext:`."""

# The keys that the sandbox tells a policy of, where they exist for a request. Sources: the condition keys of each
# service in the Service Authorization Reference, "AWS global condition context keys" in the IAM user guide.
KEYS = (
    "aws:principalaccount",
    "aws:requestedregion",
    "aws:resourcetag/*",
    "aws:securetransport",
    "aws:sourceaccount",
    "aws:sourcearn",
    "cloudwatch:namespace",
    "kms:encryptioncontext:*",
    "kms:grantisforawsresource",
    "kms:resourcealiases",
    "kms:viaservice",
    "lambda:sourcefunctionarn",
)
# Keys in which the part after this is a name of somebody's own, with large and small letters.
_NAMED = ("aws:resourcetag/", "kms:encryptioncontext:")


def like(pattern: str, value: str) -> bool:
    """IAM's wildcards: * is anything, ? one character, all else literal."""
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, value, re.DOTALL) is not None


def like_arn(pattern: str, value: str) -> bool:
    """As `like`, but each of the six parts of an ARN by itself: no wildcard reaches over a colon."""
    wanted, found = pattern.split(":", 5), value.split(":", 5)
    return len(wanted) == len(found) and all(map(like, wanted, found))


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "ArnEquals": like_arn,
    "ArnLike": like_arn,
    "Bool": lambda wanted, found: wanted.lower() == found.lower(),
    "StringEquals": lambda wanted, found: wanted == found,
    "StringLike": like,
}
_NEGATED = {
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "StringNotEquals": "StringEquals",
    "StringNotLike": "StringLike",
}


def canonical(key: str) -> str:
    """A key as contexts spell it: names of keys have no case, names of tags have."""
    lower = key.lower()
    named = next((prefix for prefix in _NAMED if lower.startswith(prefix)), "")
    return named + key[len(named) :] if named else lower


def read(condition: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(operator, key, accepted values) of each condition; NotImplementedError for what isn't modelled."""
    for operator, keys in condition.items():
        _, name, _ = _parts(operator)
        if name not in _OPERATORS and name not in _NEGATED:
            raise NotImplementedError(f"the sandbox has no condition operator {operator}")
        for key, values in keys.items():
            if not any(fnmatchcase(key.lower(), known) for known in KEYS):
                raise NotImplementedError(f"the sandbox has no condition key {key}")
            accepted = tuple(map(str, values if isinstance(values, list) else [values]))
            if any("${" in value for value in accepted):
                raise NotImplementedError(f"the sandbox has no policy variables: {key} {accepted}")
            yield operator, canonical(key), accepted


def holds(operator: str, accepted: Sequence[str], found: Sequence[str] | None) -> bool:
    """Whether one condition is met by a request's values of its key; None where the request has no such key."""
    quantifier, name, optional = _parts(operator)
    negated = name in _NEGATED
    if not found:
        return optional or quantifier == "ForAllValues" or negated
    matches = _OPERATORS[_NEGATED.get(name, name)]
    met = [any(matches(value, one) for value in accepted) != negated for one in found]
    return any(met) if quantifier == "ForAnyValue" else all(met)


def _parts(operator: str) -> tuple[str, str, bool]:
    """(`ForAnyValue`, `ForAllValues` or nothing; the operator itself; whether it has IfExists)."""
    quantifier, _, rest = operator.rpartition(":")
    if quantifier not in ("", "ForAnyValue", "ForAllValues"):
        raise NotImplementedError(f"the sandbox has no condition operator {operator}")
    return quantifier, rest.removesuffix("IfExists"), rest.endswith("IfExists")
