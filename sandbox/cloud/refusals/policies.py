"""Policy documents as AWS reads them when they are stored: whether they parse, and whom they name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from moto.iam.models import iam_backends

from sandbox.cloud.context import ACCOUNT


def statements(text: str) -> list[dict[str, Any]]:
    """The statements of a policy. Raises ValueError if it is none."""
    found = json.loads(text)
    if not isinstance(found, dict) or not found.get("Statement"):
        raise ValueError("a policy needs statements")
    given = found["Statement"]
    return given if isinstance(given, list) else [given]


def listed(value: Any) -> list[Any]:
    """A policy's element that may be one thing or several."""
    return value if isinstance(value, list) else [] if value is None else [value]


def principals(statement: Mapping[str, Any]) -> Iterator[str]:
    """Accounts, users and roles that a statement names."""
    found = statement.get("Principal") or {}
    yield from ["*"] if found == "*" else map(str, listed(found.get("AWS")))


def unknown_principal(text: str) -> str | None:
    """A user or role of this account that a policy names and that does not exist."""
    iam = iam_backends[ACCOUNT]["aws"]
    known = {role.arn for role in iam.roles.values()} | {user.arn for user in iam.users.values()}
    own = (f"arn:aws:iam::{ACCOUNT}:role/", f"arn:aws:iam::{ACCOUNT}:user/")
    named = [name for statement in statements(text) for name in principals(statement)]
    return next((name for name in named if name.startswith(own) and name not in known), None)


def can_assume(service: str, role_arn: str) -> bool:
    """Whether a role exists and trusts an AWS service."""
    role = next((role for role in iam_backends[ACCOUNT]["aws"].roles.values() if role.arn == role_arn), None)
    if role is None:
        return False
    document: Any = role.assume_role_policy_document
    trusted = [
        name
        for statement in statements(document if isinstance(document, str) else json.dumps(document))
        if statement["Effect"] == "Allow"
        for name in listed((statement.get("Principal") or {}).get("Service"))
    ]
    return service in trusted
