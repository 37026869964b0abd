"""The evaluation of policies, as the IAM user guide has it; what isn't modelled is an error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.cloud.access import operations, policy
from sandbox.cloud.access.operations import CallMade
from sandbox.cloud.access.policy import Caller, Grant, Need

ACCOUNT = "123456789012"
CALLER = Caller(f"arn:aws:iam::{ACCOUNT}:role/cycle", ACCOUNT)
QUEUE = f"arn:aws:sqs:af-south-1:{ACCOUNT}:sync"
KEY = f"arn:aws:kms:af-south-1:{ACCOUNT}:key/1"
SEND = Need("sqs:SendMessage", QUEUE)
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


def document(**changed: Any) -> str:
    """A policy with one statement, which allows to send; None leaves an element out."""
    statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": QUEUE} | changed
    return json.dumps({"Statement": [{key: value for key, value in statement.items() if value is not None}]})


def refused(need: Need = SEND, of_resource: str | None = None, **changed: Any) -> str:
    return policy.decide(CALLER, {"work": document(**changed)}, of_resource, need).refused


def test_an_allow_is_enough_and_is_named() -> None:
    decision = policy.decide(CALLER, {"work": document(Sid="Sync", Action=["s3:*", "sqs:Send*"])}, None, SEND)
    assert (decision.refused, decision.grants) == ("", (Grant("work", "Sync", "sqs:Send*", QUEUE),))


@pytest.mark.parametrize(
    "changed",
    [
        {"Action": "sqs:ReceiveMessage"},
        {"Action": "sqs:Send"},
        {"Resource": QUEUE + "-other"},
        {"Resource": f"arn:aws:sqs:eu-west-1:{ACCOUNT}:*"},
        {"Effect": "Deny"},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},  # not known of this request
    ],
)
def test_anything_else_is_refused(changed: dict[str, Any]) -> None:
    assert refused(**changed)


def test_case_matters_in_resources_only() -> None:
    assert not refused(Action="SQS:sendmessage")
    assert refused(Resource=QUEUE.upper())


def test_a_deny_wins_wherever_it_stands() -> None:
    both = {"work": document(), "not": document(Effect="Deny", Action="sqs:*", Resource="*", Sid="No")}
    assert policy.decide(CALLER, both, None, SEND).refused == "with an explicit deny in an identity-based policy (No)"
    of_queue = document(Effect="Deny", Principal="*", Sid="Never")
    assert refused(of_resource=of_queue) == "with an explicit deny in a resource-based policy (Never)"


def test_a_resource_may_let_a_role_in_by_itself() -> None:
    nothing: dict[str, str] = {}
    for principal, allowed in (("*", True), ({"AWS": CALLER.arn}, True), (ROOT, False), ({"Service": "x"}, False)):
        decision = policy.decide(CALLER, nothing, document(Principal=principal), SEND)
        assert (decision.refused == "") == allowed, principal


def test_a_keys_policy_has_to_consent() -> None:
    use = Need("kms:Decrypt", KEY)
    own = {"Action": "kms:Decrypt", "Resource": KEY}
    assert "no resource-based policy" in refused(use, None, **own)
    assert "no resource-based policy" in refused(use, document(Principal={"AWS": "999999999999"}, **own), **own)
    assert not refused(use, document(Principal=ROOT, Action="kms:*", Resource="*"), **own)


@pytest.mark.parametrize(
    ("condition", "found", "met"),
    [
        ({"StringEquals": {"kms:ViaService": "rds"}}, {"kms:viaservice": ("rds",)}, True),
        ({"StringEquals": {"kms:ViaService": ["s3", "rds"]}}, {"kms:viaservice": ("rds",)}, True),
        ({"StringEquals": {"kms:ViaService": "rds"}}, {"kms:viaservice": ("s3",)}, False),
        ({"StringEquals": {"kms:ViaService": "rds"}}, {}, False),
        ({"StringEqualsIfExists": {"kms:ViaService": "rds"}}, {}, True),
        ({"StringNotEquals": {"kms:ViaService": "rds"}}, {}, True),
        ({"StringNotEquals": {"kms:ViaService": "rds"}}, {"kms:viaservice": ("rds",)}, False),
        ({"StringLike": {"aws:ResourceTag/Made": "snap*"}}, {"aws:resourcetag/Made": ("snapshot",)}, True),
        ({"StringEquals": {"aws:ResourceTag/made": "a"}}, {"aws:resourcetag/Made": ("a",)}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:rds:*:1:db:x"}}, {"aws:sourcearn": ("arn:aws:rds:a:1:db:x",)}, True),
        ({"ArnLike": {"aws:SourceArn": "arn:*:db:x"}}, {"aws:sourcearn": ("arn:aws:rds:a:1:db:x",)}, False),
        ({"Bool": {"kms:GrantIsForAWSResource": "true"}}, {"kms:grantisforawsresource": ("True",)}, True),
        ({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "b"}}, {"kms:resourcealiases": ("a", "b")}, True),
        ({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "b"}}, {}, False),
        ({"ForAllValues:StringEquals": {"kms:ResourceAliases": "b"}}, {"kms:resourcealiases": ("a", "b")}, False),
    ],
)
def test_conditions(condition: dict[str, Any], found: dict[str, tuple[str, ...]], met: bool) -> None:
    assert (refused(Need(SEND.action, SEND.resource, found), Condition=condition) == "") == met


@pytest.mark.parametrize(
    "changed",
    [
        {"Condition": {"DateLessThan": {"aws:SourceArn": "2030"}}},
        {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}},
        {"Condition": {"ForSomeValues:StringEquals": {"aws:SourceArn": "x"}}},
        {"Condition": {"StringEquals": {"aws:SourceArn": "arn:${aws:username}"}}},
        {"Action": None, "NotAction": "sqs:*"},
    ],
)
def test_what_is_not_modelled_is_an_error(changed: dict[str, Any]) -> None:
    # Also where the statement would not match: it is never read as one that has no condition.
    given = {"Resource": "arn:elsewhere"} | changed
    with pytest.raises((NotImplementedError, KeyError)):
        refused(**given)


def test_a_role_is_taken_on_by_whom_it_trusts_on_behalf_of_whom_it_says() -> None:
    trust = json.dumps(
        {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": {"Service": "ecs-tasks.amazonaws.com"},
                    "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:ecs:af-south-1:{ACCOUNT}:*"}},
                }
            ]
        }
    )
    here = {"aws:sourcearn": (f"arn:aws:ecs:af-south-1:{ACCOUNT}:task/1",)}
    there = {"aws:sourcearn": (f"arn:aws:ecs:eu-west-1:{ACCOUNT}:task/1",)}
    assert policy.trusts(trust, "ecs-tasks.amazonaws.com", here)
    assert not policy.trusts(trust, "ecs-tasks.amazonaws.com", there)
    assert not policy.trusts(trust, "lambda.amazonaws.com", here)


def test_a_call_that_nobody_has_described_is_an_error() -> None:
    with pytest.raises(NotImplementedError, match="rds:DeleteDBInstance"):
        operations.needs("rds", CallMade("af-south-1", "DeleteDBInstance", "/", {}, {}))
