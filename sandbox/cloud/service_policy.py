"""Whether a resource's policy lets an AWS service do something; pure functions over the policy document.

Only what such statements use: principals of the kind Service or everybody, actions, and conditions on what the service
states of itself. A condition operator that isn't modelled is an error, never ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

_EQUAL = ("StringEquals", "StringEqualsIfExists", "Bool")
_LIKE = ("StringLike", "ArnLike", "ArnEquals")
_ALWAYS = {"aws:securetransport": "true"}  # services speak TLS with each other


def admits(policy: str | Mapping[str, Any], service: str, action: str, facts: Mapping[str, str]) -> bool:
    """Whether `service` may do `action`; `facts` are the condition keys that it sends along, such as aws:SourceArn."""
    document = json.loads(policy) if isinstance(policy, str) else policy
    known = _ALWAYS | {key.lower(): value for key, value in facts.items()}
    effects = {
        statement["Effect"]
        for statement in _listed(document["Statement"])
        if _means(statement.get("Principal"), service)
        and any(fnmatchcase(action.lower(), pattern.lower()) for pattern in _listed(statement.get("Action", [])))
        and _holds(statement.get("Condition", {}), known)
    }
    return "Allow" in effects and "Deny" not in effects


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _means(principal: Any, service: str) -> bool:
    if not isinstance(principal, dict):
        return bool(principal == "*")
    return service in _listed(principal.get("Service", [])) or "*" in _listed(principal.get("AWS", []))


def _holds(conditions: Mapping[str, Mapping[str, Any]], facts: Mapping[str, str]) -> bool:
    for operator, wanted in conditions.items():
        if operator not in (*_EQUAL, *_LIKE):
            raise NotImplementedError(f"the sandbox's service policies have no condition operator {operator}")
        for key, values in wanted.items():
            found = facts.get(key.lower())
            if found is None:
                if operator.endswith("IfExists"):
                    continue
                return False
            matches = (
                fnmatchcase(found, str(value)) if operator in _LIKE else found == str(value)
                for value in _listed(values)
            )
            if not any(matches):
                return False
    return True
