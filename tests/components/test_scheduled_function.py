"""What every scheduled function has: a log that ends, a role for itself and one for its schedule, no retries.

What each of the two functions gets beyond that is in test_functions.py.
"""

import json
from typing import Any

import pytest

from components.scheduled_function import ATTACH_ACTIONS, LOG_DAYS, LOOK_ACTIONS
from tests.components.examples import ACCOUNT, SOUTH_AFRICA
from tests.components.program import Program
from tests.components.recording import Recording

ROLE, POLICY, SCHEDULE = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy", "aws:scheduler/schedule:Schedule"
CALL_ONCE = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"
STANDBY = Program(SOUTH_AFRICA, True)
FUNCTIONS = {"snapshots": "snapshot-cycle", "database-roles": "database-roles"}


@pytest.fixture(params=FUNCTIONS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def recording() -> Recording:
    return STANDBY.recorded()


def granted(recording: Recording, policy: str) -> dict[str, dict[str, Any]]:
    document = json.loads(recording.one(POLICY, policy).inputs["policy"])
    return {statement["Sid"]: statement for statement in document["Statement"]}


def test_the_log_is_there_before_the_function_encrypted_and_kept_for_a_while(recording: Recording, name: str) -> None:
    log = recording.one("aws:cloudwatch/logGroup:LogGroup", name)
    assert log.inputs["name"] == f"/aws/lambda/mental-health-platform-sa-{FUNCTIONS[name]}"
    assert (log.inputs["retentionInDays"], log.inputs["kmsKeyId"]) == (LOG_DAYS, "arn:aws:keys-key")
    function = recording.one("aws:lambda/function:Function", name)
    assert function.inputs["loggingConfig"]["logGroup"] == log.inputs["name"]
    assert name in function.dependencies


def test_a_function_writes_its_own_log_only_and_makes_none(recording: Recording, name: str) -> None:
    statements = granted(recording, f"{name}-runs")
    assert statements["WriteLog"]["Resource"] == [f"arn:aws:{name}:*"]
    actions = {action for statement in statements.values() for action in statement["Action"]}
    assert {action for action in actions if action.startswith("logs:")} == {"logs:CreateLogStream", "logs:PutLogEvents"}


def test_each_role_is_for_one_service(recording: Recording, name: str) -> None:
    for purpose, service in (("runs", "lambda"), ("starts", "scheduler")):
        role = recording.one(ROLE, f"{name}-{purpose}").inputs
        assert role["name"] == f"mental-health-platform-sa-{FUNCTIONS[name]}-{purpose}"
        (statement,) = json.loads(role["assumeRolePolicy"])["Statement"]
        assert statement["Principal"] == {"Service": f"{service}.amazonaws.com"}


def test_the_schedules_role_starts_this_function_and_does_nothing_else(recording: Recording, name: str) -> None:
    statements = granted(recording, f"{name}-starts")
    assert set(statements) == {"Invoke", "DeadLetters"}
    invoke = statements["Invoke"]
    assert (invoke["Action"], invoke["Resource"]) == (["lambda:InvokeFunction"], [f"arn:aws:{name}"])
    (trusted,) = json.loads(recording.one(ROLE, f"{name}-starts").inputs["assumeRolePolicy"])["Statement"]
    group = f"arn:aws:scheduler:af-south-1:{ACCOUNT}:schedule-group/default"
    assert trusted["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": group}}


def test_no_tick_comes_before_the_schedule_may_start_the_function(recording: Recording, name: str) -> None:
    assert (POLICY, f"{name}-starts") in recording.one(SCHEDULE, name).dependency_keys


def test_the_first_tick_finds_the_login_and_the_way_to_it(recording: Recording) -> None:
    """A schedule at a rate ticks as soon as it exists ("Schedule types", EventBridge Scheduler user guide), and a tick
    that fails then would alarm for an hour."""
    waits = recording.one(SCHEDULE, "database-roles").dependency_keys
    assert ("aws:secretsmanager/secretVersion:SecretVersion", "secrets-database-master") in waits
    assert any(typ == "aws:ec2/vpcEndpoint:VpcEndpoint" for typ, _ in waits)
    # A promotion waits for this one to be switched off, so it waits for nothing that a promotion changes.
    assert not {typ for typ, _ in recording.one(SCHEDULE, "snapshots").dependency_keys} & {
        "aws:secretsmanager/secretVersion:SecretVersion",
        "aws:rds/instance:Instance",
    }


def test_ticks_come_on_time_and_are_not_repeated(recording: Recording, name: str) -> None:
    schedule = recording.one(SCHEDULE, name).inputs
    assert schedule["flexibleTimeWindow"] == {"mode": "OFF"}
    assert schedule["target"]["arn"] == f"arn:aws:{name}"
    assert schedule["target"]["roleArn"] == f"arn:aws:{name}-starts"
    # The scheduler would repeat a tick that it could not hand over, Lambda one that failed.
    assert schedule["target"]["retryPolicy"]["maximumRetryAttempts"] == 0
    assert recording.one(CALL_ONCE, f"{name}-once").inputs["maximumRetryAttempts"] == 0


def test_only_a_function_in_the_network_may_attach_itself_to_it(recording: Recording) -> None:
    granted_there = granted(recording, "database-roles-runs")
    assert granted_there["AttachNetwork"]["Action"] == list(ATTACH_ACTIONS)
    assert granted_there["LookAtNetwork"]["Action"] == list(LOOK_ACTIONS)
    assert not {"AttachNetwork", "NotTheCode"} & set(granted(recording, "snapshots-runs"))


def test_what_fails_or_cannot_be_delivered_ends_in_a_queue(recording: Recording, name: str) -> None:
    queue = recording.one("aws:sqs/queue:Queue", f"{name}-dead-letters").inputs
    assert queue["name"] == f"mental-health-platform-sa-{FUNCTIONS[name]}-dead-letters"
    assert (queue["messageRetentionSeconds"], queue["sqsManagedSseEnabled"]) == (14 * 24 * 3600, True)
    arn = f"arn:aws:{name}-dead-letters"
    assert recording.one(SCHEDULE, name).inputs["target"]["deadLetterConfig"] == {"arn": arn}
    once = recording.one(CALL_ONCE, f"{name}-once")
    assert once.inputs["destinationConfig"] == {"onFailure": {"destination": arn}}
    # Lambda refuses a destination that the function may not reach.
    assert (POLICY, f"{name}-runs") in once.dependency_keys
    for policy in (f"{name}-starts", f"{name}-runs"):
        letters = granted(recording, policy)["DeadLetters"]
        assert (letters["Action"], letters["Resource"]) == (["sqs:SendMessage"], [arn])
