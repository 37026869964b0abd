"""The comparison of what roles are allowed with what was done."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.rehearsal import access

ROLE = "mental-health-platform-sa-flow-logs"
GROUP = "arn:aws:logs:af-south-1:123456789012:log-group:flows:*"
WRITE = ("logs:CreateLogStream", "logs:PutLogEvents")


def documents(*statements: dict[str, Any], role: str = ROLE) -> access.Documents:
    return {role: {"work": {"Statement": list(statements)}}}


def statement(**changed: Any) -> dict[str, Any]:
    return {"Sid": "Write", "Effect": "Allow", "Action": list(WRITE), "Resource": [GROUP], **changed}


def use(action: str, **changed: str) -> dict[str, str]:
    return {"role": ROLE, "policy": "work", "statement": "Write", "action": action, "resource": GROUP, **changed}


def unused(granted: access.Documents, *uses: dict[str, str]) -> list[str]:
    return [part.text for part in access.unused(granted, uses)]


def test_what_was_used_is_not_reported() -> None:
    assert unused(documents(statement()), *map(use, WRITE)) == []


@pytest.mark.parametrize(
    "changed", [{"role": f"{ROLE}-2"}, {"policy": "other"}, {"statement": "Read"}, {"action": "logs:Get"}]
)
def test_only_the_grant_itself_counts(changed: dict[str, str]) -> None:
    assert WRITE[0] in unused(documents(statement()), use(WRITE[0]) | changed, use(WRITE[1]))


def test_an_action_and_a_resource_too_many_are_found() -> None:
    wide = statement(Action=[*WRITE, "logs:DeleteLogGroup"], Resource=[GROUP, "arn:aws:logs:*:*:*"])
    assert unused(documents(wide), *map(use, WRITE)) == ["logs:DeleteLogGroup", "arn:aws:logs:*:*:*"]


def test_a_denial_needs_no_use_and_a_statement_without_a_name_has_its_number() -> None:
    plain = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    granted = documents(statement(Effect="Deny"), plain)
    assert [str(part) for part in access.unused(granted, [])] == [f"{ROLE} 2: s3:GetObject", f"{ROLE} 2: *"]


def test_what_a_rehearsal_cannot_show_is_not_reported_and_nothing_else_is_left_out() -> None:
    queue = "arn:aws:sqs:af-south-1:123456789012:mental-health-platform-sa-database-roles-dead-letters"
    letters = {"Sid": "DeadLetters", "Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": [queue]}
    starts = "mental-health-platform-sa-database-roles-starts"
    assert unused(documents(letters, role=starts)) == []
    wide = "arn:aws:sqs:*:*:*"
    assert unused(documents(letters | {"Resource": [queue, wide]}, role=starts)) == [wide]
    assert unused(documents(letters | {"Action": ["sqs:SendMessage", "sqs:PurgeQueue"]}, role=starts)) == [
        "sqs:PurgeQueue"
    ]
    assert unused(documents(letters, role="mental-health-platform-sa-sync-task")) == ["sqs:SendMessage", queue]


def test_a_refusal_is_told_in_one_line() -> None:
    told = {"role": ROLE, "action": WRITE[0], "resource": GROUP, "why": "because no identity-based policy allows it"}
    assert access.refused([told]) == [f"{ROLE} {WRITE[0]} on {GROUP}: because no identity-based policy allows it"]
