"""The two functions get what their sources read, may do what they do, and run when they should."""

import json
from typing import Any

import pulumi

from tests.components.examples import ACCOUNT, KENYA, SOUTH_AFRICA
from tests.components.lambda_source import handler
from tests.components.program import Program
from tests.components.recording import Recording

FUNCTION, SCHEDULE = "aws:lambda/function:Function", "aws:scheduler/schedule:Schedule"
ASYNCHRONOUS = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"
POLICY, ROLE = "aws:iam/rolePolicy:RolePolicy", "aws:iam/role:Role"
CALL = ("aws:lambda/invocation:Invocation", "critical-logins")
LATER_CALL = ("aws:lambda/invocation:Invocation", "standard-logins")
STANDBY, PROMOTED, PRIMARY = Program(SOUTH_AFRICA, True), Program(SOUTH_AFRICA, False), Program(KENYA, False)


def granted(recording: Recording, policy: str) -> dict[str, dict[str, Any]]:
    document = json.loads(recording.one(POLICY, policy).inputs["policy"])
    return {statement["Sid"]: statement for statement in document["Statement"]}


def archive(recording: Recording, function: str) -> set[str]:
    code = recording.one(FUNCTION, function).inputs["code"]
    assert isinstance(code, pulumi.AssetArchive)
    return set(code.assets)


def test_the_cycle_gets_every_variable_that_it_reads() -> None:
    variables = STANDBY.recorded().one(FUNCTION, "snapshots").inputs["environment"]["variables"]
    read = handler.Environment.read({**variables, "AWS_REGION": "af-south-1"})
    assert (read.source_region, read.source_base) == ("eu-west-1", "mental-health-platform-kenya-rds")
    assert read.parameter == "/mental-health-platform/sa/primary-last-sign-of-life"
    assert read.key_arn == "arn:aws:keys-key"
    assert read.copy_tags == {"Platform": "mental-health-platform", "Stack": "south-africa", "ManagedBy": "pulumi"}


def test_archives_hold_what_the_functions_import() -> None:
    assert archive(STANDBY.recorded(), "snapshots") == {"handler.py", "decisions.py"}
    roles = archive(STANDBY.recorded(), "database-roles")
    assert "handler.py" in roles
    for package in ("pg8000", "scramp", "asn1crypto", "tenacity"):
        assert f"{package}/__init__.py" in roles
    # Sources only: what is compiled differs from machine to machine.
    assert not [name for name in roles if name.endswith((".pyc", ".so"))]


def test_functions_are_named_and_handled_alike() -> None:
    for name, noun in (("snapshots", "snapshot-cycle"), ("database-roles", "database-roles")):
        function = STANDBY.recorded().one(FUNCTION, name)
        assert function.inputs["name"] == f"mental-health-platform-sa-{noun}"
        assert (function.inputs["handler"], function.inputs["runtime"]) == ("handler.handler", "python3.13")
        # Lambda refuses a function in a network whose role may not attach it.
        assert f"{name}-runs" in function.dependencies


def test_the_cycle_starts_every_five_minutes_with_its_time_and_only_while_standing_by() -> None:
    schedule = STANDBY.recorded().one(SCHEDULE, "snapshots").inputs
    assert schedule["scheduleExpression"] == "rate(5 minutes)"
    assert json.loads(schedule["target"]["input"]) == {"time": "<aws.scheduler.scheduled-time>"}
    assert schedule["target"]["retryPolicy"]["maximumRetryAttempts"] == 0
    assert PROMOTED.recorded().one(SCHEDULE, "snapshots").inputs["state"] == "DISABLED"


def test_lambda_does_not_call_a_failed_tick_again() -> None:
    recording = STANDBY.recorded()
    for name in ("snapshots", "database-roles"):
        once = recording.one(ASYNCHRONOUS, f"{name}-once")
        assert once.inputs["maximumRetryAttempts"] == 0
        assert once.inputs["functionName"] == recording.one(FUNCTION, name).inputs["name"]
        assert once.name in recording.one(SCHEDULE, name).dependencies


def test_the_roles_function_is_kept_warm_in_every_state() -> None:
    for program in (STANDBY, PROMOTED, PRIMARY):
        schedule = program.recorded().one(SCHEDULE, "database-roles").inputs
        assert schedule["state"] == "ENABLED"
        assert json.loads(schedule["target"]["input"])["task"] == "warm"


def test_schedules_are_trusted_on_behalf_of_this_account_only() -> None:
    document = json.loads(STANDBY.recorded().one(ROLE, "snapshots-starts").inputs["assumeRolePolicy"])
    (statement,) = document["Statement"]
    assert statement["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == ACCOUNT


def test_the_cycle_deletes_what_it_made_and_nothing_else() -> None:
    statements = granted(STANDBY.recorded(), "snapshots-runs")
    deleting = [s for s in statements.values() if "rds:DeleteDBSnapshot" in s["Action"]]
    assert [s["Condition"] for s in deleting] == [
        {"StringEquals": {"aws:ResourceTag/platform:made-by": "snapshot-cycle"}}
    ]
    actions = {action for s in statements.values() for action in s["Action"]}
    assert not {action for action in actions if action.startswith(("rds:Restore", "rds:Modify", "rds:DeleteDBInst"))}


def test_the_cycle_may_do_every_call_of_its_source() -> None:
    statements = granted(STANDBY.recorded(), "snapshots-runs")
    actions = {action for statement in statements.values() for action in statement["Action"]}
    assert {
        "rds:DescribeDBInstances",
        "rds:DescribeDBSnapshots",
        "rds:DescribeDBInstanceAutomatedBackups",
        "rds:CreateDBSnapshot",
        "rds:CopyDBSnapshot",
        "rds:CrossRegionCommunication",
        "rds:AddTagsToResource",
        "rds:DeleteDBSnapshot",
        "cloudwatch:PutMetricData",
        "ssm:GetParameter",
        "ssm:PutParameter",
    } <= actions


def test_keys_are_used_through_rds_and_granted_to_aws_only() -> None:
    statements = granted(STANDBY.recorded(), "snapshots-runs").values()
    using = [s for s in statements if any(action.startswith("kms:") for action in s["Action"])]
    granting = [s for s in using if "kms:CreateGrant" in s["Action"]]
    assert (len(using), len(granting)) == (4, 2), "there and here, for use and for grants"
    for statement in using:
        assert statement["Condition"]["StringEquals"]["kms:ViaService"].startswith("rds.")
    for statement in granting:
        assert statement["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}


def test_the_roles_function_reads_the_logins_and_no_other_secret() -> None:
    reads = granted(STANDBY.recorded(), "database-roles-runs")["ReadLogins"]
    nouns = ("api-gateway", "audio-processing", "crisis-detection", "master", "notifications", "sync")
    assert reads["Resource"] == [f"arn:aws:secrets-database-{noun}" for noun in nouns]


def test_the_roles_functions_code_cannot_use_its_network_permissions() -> None:
    denied = granted(STANDBY.recorded(), "database-roles-runs")["NotTheCode"]
    assert denied["Effect"] == "Deny"
    name = "mental-health-platform-sa-database-roles"
    function = f"arn:aws:lambda:af-south-1:{ACCOUNT}:function:{name}"
    assert denied["Condition"] == {"ArnEquals": {"lambda:SourceFunctionArn": [function]}}


def test_it_works_inside_the_network() -> None:
    placed = STANDBY.recorded().one(FUNCTION, "database-roles").inputs["vpcConfig"]
    assert placed["subnetIds"] == [f"network-private-{zone}-id" for zone in "abc"]
    assert placed["securityGroupIds"] == ["network-firewall-function-id"]
    assert "vpcConfig" not in STANDBY.recorded().one(FUNCTION, "snapshots").inputs


def test_roles_are_set_when_there_is_a_database_and_again_when_it_or_a_password_is_new() -> None:
    assert [call.name for call in STANDBY.recorded().of(CALL[0])] == ["turns-first"], "which reaches no database"
    call = PROMOTED.recorded().one(*CALL)
    assert call.inputs["triggers"]["database"] == "db-database-first"
    versions = {key: value for key, value in call.inputs["triggers"].items() if key not in ("database", "turn")}
    assert versions["master"] == "version-of-secrets-database-master"
    assert set(versions) == {"master", "api-gateway", "crisis-detection"}
    assert set(PROMOTED.recorded().one(*LATER_CALL).inputs["triggers"]) == {
        "database",
        "turn",
        "master",
        "audio-processing",
        "notifications",
        "sync",
    }


def test_the_call_names_secrets_and_no_password() -> None:
    assert json.loads(PROMOTED.recorded().one(*CALL).inputs["input"]) == {
        "task": "roles",
        "master": "arn:aws:secrets-database-master",
        "services": ["arn:aws:secrets-database-api-gateway", "arn:aws:secrets-database-crisis-detection"],
        "owner": "api_gateway",
    }
    # Of the later group as well, the schema's owner is the one of the first.
    later = json.loads(PROMOTED.recorded().one(*LATER_CALL).inputs["input"])
    standard = [f"arn:aws:secrets-database-{service}" for service in ("audio-processing", "notifications", "sync")]
    assert (later["services"], later["owner"]) == (standard, "api_gateway")


def test_the_call_waits_for_the_way_to_secrets_and_database() -> None:
    waits = PROMOTED.recorded().waits_for("critical-logins")
    for needed in (
        "database-first",
        "network-secretsmanager",
        "network-firewall-function-endpoint-out",
        "network-firewall-function-database-in",
        "secrets-database-master",
    ):
        assert needed in waits
