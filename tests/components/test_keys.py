"""The data key rotates, cannot be lost by a slip, and names no role that may not exist yet."""

import json

from components.keys import DELETION_WINDOW_DAYS
from tests.components.examples import ACCOUNT, KENYA, SOUTH_AFRICA
from tests.components.program import Program

KEY, ALIAS = ("aws:kms/key:Key", "keys-key"), ("aws:kms/alias:Alias", "keys-alias")


def test_the_key_rotates_and_takes_its_time_to_be_deleted() -> None:
    key = Program(SOUTH_AFRICA, True).recorded().one(*KEY)
    assert key.inputs["enableKeyRotation"] is True
    assert key.inputs["deletionWindowInDays"] == DELETION_WINDOW_DAYS == 30
    assert key.protect


def test_the_alias_is_the_one_that_the_program_and_the_cycle_look_for() -> None:
    for stack, short in ((KENYA, "kenya"), (SOUTH_AFRICA, "sa")):
        alias = Program(stack, True).recorded().one(*ALIAS)
        assert alias.inputs["name"] == f"alias/mental-health-platform-{short}-data"
        assert "keys-key" in alias.dependencies


def test_whoever_uses_the_key_waits_for_its_alias() -> None:
    recording = Program(SOUTH_AFRICA, False).recorded()
    assert "keys-alias" in recording.one("aws:rds/instance:Instance", "database-first").dependencies


def test_the_policy_delegates_to_iam_and_lets_the_own_regions_logs_encrypt() -> None:
    policy = json.loads(Program(SOUTH_AFRICA, True).recorded().one(*KEY).inputs["policy"])
    delegate, logs = policy["Statement"]
    assert delegate["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert logs["Principal"] == {"Service": "logs.af-south-1.amazonaws.com"}
    groups = f"arn:aws:logs:af-south-1:{ACCOUNT}:log-group:*"
    assert logs["Condition"] == {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}}
    assert "kms:*" not in logs["Action"]
