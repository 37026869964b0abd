"""Roles for tests that are about something else: trusted by the services that use them, and allowed everything."""

from __future__ import annotations

import json
from typing import Any

EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(*services: str) -> str:
    return document({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": list(services)}})


def make(iam: Any, name: str, *services: str, allowed: dict[str, Any] | None = EVERYTHING) -> str:
    """The ARN of a new role; None for one without any permission."""
    arn = str(iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(*services))["Role"]["Arn"])
    if allowed is not None:
        iam.put_role_policy(RoleName=name, PolicyName="work", PolicyDocument=document(allowed))
    return arn
