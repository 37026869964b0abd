"""What services do with the roles that they are given: without one permission a task does not start, a tick does not
arrive, a function cannot be attached, and the reason is told in the service's words."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from components.task_roles import execution_policy
from tests.sandbox import roles
from tests.sandbox.traffic_platform import Platform, running_platform
from tests.sandbox.traffic_world import KENYA, wait

ACCOUNT = "123456789012"
TASKS, LAMBDA = "ecs-tasks.amazonaws.com", "lambda.amazonaws.com"
GROUP = "/services"
CODE = """
import boto3
def handler(event, context):
    boto3.client("ssm").put_parameter(Name=event["name"], Value="yes", Type="String", Overwrite=True)
"""


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform() as started:
        started.site.client("logs").create_log_group(logGroupName=GROUP)
        yield started


def iam(platform: Platform) -> Any:
    return platform.world.client("iam", "us-east-1")


def refusals(platform: Platform, role: str) -> set[str]:
    told = platform.world.control("GET", "access")["refusals"]
    return {entry["action"] for entry in told if entry["role"] == role}


# -- tasks ------------------------------------------------------------------------------------------------------------
LOG = {"awslogs-group": GROUP, "awslogs-region": KENYA, "awslogs-stream-prefix": "api"}


def start(platform: Platform, name: str, without: str, trusted: str = TASKS) -> str:
    """A service whose execution role is the program's without one action; its name is also the role's."""
    key = platform.site.client("kms").create_key()["KeyMetadata"]["Arn"]
    secret = platform.site.secret(name, {"host": "127.0.0.1"}, KmsKeyId=key)
    arns = {
        "secrets": [secret, platform.registry_secret, platform.database_secret],
        "key": key,
        "logs": f"arn:aws:logs:{KENYA}:{ACCOUNT}:log-group:{GROUP}",
    }
    policy = json.loads(execution_policy(arns, KENYA))
    for statement in policy["Statement"]:
        statement["Action"] = [kept for kept in statement["Action"] if kept != without] or ["sts:GetCallerIdentity"]
    role = roles.make(iam(platform), name, trusted, allowed=None)
    iam(platform).put_role_policy(RoleName=name, PolicyName="start-task", PolicyDocument=json.dumps(policy))
    secrets = [*platform.container("api-gateway")["secrets"], {"name": "OWN", "valueFrom": f"{secret}:host::"}]
    log = {"logDriver": "awslogs", "options": LOG}
    platform.create(name, platform.define(execution=role, secrets=secrets, logConfiguration=log))
    return name


def test_a_task_starts_with_the_programs_execution_role(platform: Platform) -> None:
    name = start(platform, "whole", without="")
    wait(lambda: platform.target_states() == ["healthy"], 40, "a healthy target", lambda: platform.events(name))
    platform.remove(name)
    used = {use["action"] for use in platform.world.control("GET", "access")["uses"] if use["role"] == name}
    assert used == {
        "secretsmanager:GetSecretValue",
        "kms:Decrypt",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    }
    assert not refusals(platform, name)


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("secretsmanager:GetSecretValue", "is not authorized to perform: secretsmanager:GetSecretValue on resource"),
        ("kms:Decrypt", "AccessDeniedException: Access to KMS is not allowed"),
        ("logs:CreateLogStream", "failed to create Cloudwatch log stream: AccessDeniedException"),
    ],
)
def test_a_task_whose_execution_role_lacks_an_action_does_not_start(platform: Platform, action: str, told: str) -> None:
    name = start(platform, f"no-{action.rpartition(':')[2].lower()}", without=action)
    try:
        wait(lambda: told in platform.events(name), 40, f"{told!r} in the events", lambda: platform.events(name))
        assert refusals(platform, name) == {action}
        assert "healthy" not in platform.target_states()
    finally:
        platform.remove(name)


def test_a_task_whose_role_trusts_somebody_else_does_not_start(platform: Platform) -> None:
    name = start(platform, "stranger", without="", trusted=LAMBDA)
    try:
        wait(lambda: "ECS was unable to assume the role" in platform.events(name), 40, "the reason")
    finally:
        platform.remove(name)


# -- functions --------------------------------------------------------------------------------------------------------
def deploy(platform: Platform, name: str, role: str, **settings: Any) -> str:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("handler.py", CODE)
    client = platform.site.client("lambda")
    made = client.create_function(
        FunctionName=name,
        Code={"ZipFile": content.getvalue()},
        Handler="handler.handler",
        Runtime="python3.13",
        Role=role,
        Timeout=20,
        **settings,
    )
    wait(lambda: client.get_function(FunctionName=name)["Configuration"]["State"] == "Active", what="Active")
    return str(made["FunctionArn"])


def parameter(name: str) -> str:
    return f"arn:aws:ssm:{KENYA}:{ACCOUNT}:parameter/{name}"


def test_a_function_may_do_what_its_role_says_and_no_more(platform: Platform) -> None:
    allowed = {"Effect": "Allow", "Action": "ssm:PutParameter", "Resource": parameter("mine")}
    deploy(platform, "writer", roles.make(iam(platform), "writer", LAMBDA, allowed=allowed))
    client = platform.site.client("lambda")

    def call(name: str) -> dict[str, Any]:
        answer = client.invoke(FunctionName="writer", Payload=json.dumps({"name": name}))
        found: dict[str, Any] = json.loads(answer["Payload"].read()) or {}
        return found

    assert call("/mine") == {}
    refused = call("/yours")
    assert "AccessDeniedException" in refused["errorMessage"]
    assert f"ssm:PutParameter on resource: {parameter('yours')}" in refused["errorMessage"]
    # Neither did it get a log: its role has nothing for that, and Lambda says nothing about it.
    assert refusals(platform, "writer") == {"ssm:PutParameter", "logs:CreateLogGroup"}
    assert not list((platform.world.directory / "functions").glob("*-writer.log"))


def test_a_function_in_a_network_needs_the_right_to_attach_itself(platform: Platform) -> None:
    network = {"SubnetIds": platform.site.private, "SecurityGroupIds": [platform.site.task_group]}
    for action in ("CreateNetworkInterface", "DescribeSubnets", "DeleteNetworkInterface"):
        name = f"no-{action.lower()}"
        role = roles.make(iam(platform), name, LAMBDA)
        denied = roles.document({"Effect": "Deny", "Action": f"ec2:{action}", "Resource": "*"})
        iam(platform).put_role_policy(RoleName=name, PolicyName="no", PolicyDocument=denied)
        with pytest.raises(ClientError, match=f"does not have permissions to call {action} on EC2"):
            deploy(platform, name, role, VpcConfig=network)


def test_a_destination_and_a_trust_are_looked_at_first(platform: Platform) -> None:
    queue = f"arn:aws:sqs:{KENYA}:{ACCOUNT}:failures"
    platform.site.client("sqs").create_queue(QueueName="failures")
    deploy(platform, "silent", roles.make(iam(platform), "silent", LAMBDA, allowed=None))
    with pytest.raises(ClientError, match="does not have permissions to call SendMessage"):
        platform.site.client("lambda").put_function_event_invoke_config(
            FunctionName="silent", DestinationConfig={"OnFailure": {"Destination": queue}}
        )
    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        deploy(platform, "untrusted", roles.make(iam(platform), "untrusted", TASKS))


# -- schedules --------------------------------------------------------------------------------------------------------
def test_a_tick_needs_the_schedules_role(platform: Platform) -> None:
    arn = deploy(platform, "ticked", roles.make(iam(platform), "ticked", LAMBDA))
    role = roles.make(iam(platform), "starts", "scheduler.amazonaws.com", allowed=None)
    scheduler = platform.site.client("scheduler")
    scheduler.create_schedule(
        Name="ticks",
        ScheduleExpression="rate(30 minutes)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": role, "Input": json.dumps({"name": "/ticked"})},
    )

    def told() -> list[str]:
        events = platform.world.events("function.failed")
        return [event["error"] for event in events if event["function"] == "ticked"]

    try:
        wait(
            lambda: any("lambda:InvokeFunction" in error for error in told()),
            seconds=30,
            what="a tick that was refused",
        )
        assert not [e for e in platform.world.events("function.invoked") if e["function"] == "ticked"]
        allowed = roles.document({"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arn})
        iam(platform).put_role_policy(RoleName="starts", PolicyName="invoke", PolicyDocument=allowed)
        wait(
            lambda: [e for e in platform.world.events("function.invoked") if e["function"] == "ticked"],
            seconds=30,
            what="a tick",
        )
    finally:
        scheduler.delete_schedule(Name="ticks")
