"""Lambda functions run their archive in a process of their own; schedules make them tick on the modelled clock."""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
import textwrap
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox import roles, traffic_world
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA, Site, World, wait

REGION = SOUTH_AFRICA
SERVICES = ("lambda.amazonaws.com", "scheduler.amazonaws.com")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A cloud in which a modelled minute lasts 0.1 s."""
    with traffic_world.running() as running:
        roles.make(running.client("iam", "us-east-1"), "function", *SERVICES)
        yield running
        running.assert_sound()


ROLE = "arn:aws:iam::123456789012:role/function"


def archive(code: str, name: str = "handler.py") -> bytes:
    """A zip with one module."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as target:
        target.writestr(name, textwrap.dedent(code))
    return content.getvalue()


def deploy(world: World, name: str, code: str, region: str = REGION, **settings: Any) -> str:
    """Create a function and wait until it is active; its ARN."""
    client = world.client("lambda", region)
    wanted = {"Handler": "handler.handler", "Runtime": "python3.13", "Role": ROLE, "Timeout": 20} | settings
    made = client.create_function(FunctionName=name, Code={"ZipFile": archive(code)}, **wanted)
    assert made["State"] == "Pending"
    wait(lambda: client.get_function(FunctionName=name)["Configuration"]["State"] == "Active", what="Active")
    return str(made["FunctionArn"])


def invoke(world: World, name: str, event: Any = None, region: str = REGION, **settings: Any) -> dict[str, Any]:
    """An invocation's answer, with its payload decoded."""
    answer = world.client("lambda", region).invoke(FunctionName=name, Payload=json.dumps(event or {}), **settings)
    return {**answer, "Payload": json.loads(answer["Payload"].read() or b"null")}


def refusal(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


# -- invocation -----------------------------------------------------------------------------------------------------
def test_the_archive_gets_its_event_its_variables_and_nothing_of_the_checkout(world: World) -> None:
    deploy(
        world,
        "tell",
        """
        import importlib.util, os
        def handler(event, context):
            found = {name: importlib.util.find_spec(name) is not None
                     for name in ("boto3", "sandbox", "components", "moto", "pg8000", "pulumi")}
            return {"event": event, "importable": [name for name in found if found[name]],
                    "name": context.function_name, "environment": dict(os.environ)}
        """,
        Environment={"Variables": {"COLOUR": "green"}},
    )

    answer = invoke(world, "tell", {"n": 1})

    assert answer["StatusCode"] == 200
    assert "FunctionError" not in answer
    told = answer["Payload"]
    assert (told["event"], told["name"], told["importable"]) == ({"n": 1}, "tell", ["boto3"])
    environment = told["environment"]
    assert environment["COLOUR"] == "green"
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == REGION
    assert environment["AWS_ENDPOINT_URL"] == world.url
    assert "HOME" not in environment


def test_what_a_function_calls_is_counted_as_its_own(world: World) -> None:
    deploy(
        world,
        "caller",
        """
        import boto3
        def handler(event, context):
            boto3.client("ssm").put_parameter(Name="/seen", Value="yes", Type="String", Overwrite=True)
        """,
    )

    invoke(world, "caller")

    calls = [call for call in world.control("GET", "calls") if call["principal"] == "FUNCTION-caller"]
    assert [(call["service"], call["operation"], call["region"]) for call in calls] == [("ssm", "PutParameter", REGION)]
    assert world.client("ssm", REGION).get_parameter(Name="/seen")["Parameter"]["Value"] == "yes"


@pytest.mark.parametrize(
    ("code", "settings", "kind", "message"),
    [
        ("def handler(event, context):\n    raise ValueError('too bad')", {}, "ValueError", "too bad"),
        (
            "import time\ndef handler(event, context):\n    time.sleep(30)",
            {"Timeout": 1},
            "Sandbox.Timedout",
            "1.00 sec",
        ),
        ("def other(event, context): ...", {}, "Runtime.HandlerNotFound", "'handler' missing"),
        ("", {"Handler": "elsewhere.handler"}, "Runtime.ImportModuleError", "No module named 'elsewhere'"),
        ("import os\ndef handler(event, context):\n    os._exit(3)", {}, "Runtime.ExitError", "exited"),
        ("def handler(event, context):\n    return {1, 2}", {}, "Runtime.MarshalError", "not JSON serializable"),
    ],
)
def test_a_failure_is_answered_as_aws_does(
    world: World, code: str, settings: dict[str, Any], kind: str, message: str
) -> None:
    name = kind.replace(".", "-")
    deploy(world, name, code, **settings)

    answer = invoke(world, name)

    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert answer["Payload"]["errorType"] == kind
    assert message in answer["Payload"]["errorMessage"]
    failed = [event for event in world.events("function.failed") if event["function"] == name]
    assert len(failed) == 1
    assert kind in failed[0]["error"]
    told = [event for event in world.events("function.invoked") if event["function"] == name]
    assert [event["ok"] for event in told] == [False]


def test_new_code_and_configuration_hold_after_the_update(world: World) -> None:
    client = world.client("lambda", REGION)
    deploy(world, "changing", "def handler(event, context):\n    return 1", Timeout=7)

    def settled() -> bool:
        found = client.get_function_configuration(FunctionName="changing")
        return bool(found["LastUpdateStatus"] == "Successful")

    def refused() -> bool:
        """A busy machine may be so late with the second call that the first update is over."""
        wait(settled, what="the update before")
        client.update_function_code(
            FunctionName="changing", ZipFile=archive("def handler(event, context):\n    return 2")
        )
        try:
            client.update_function_configuration(FunctionName="changing", Timeout=8)
        except ClientError as error:
            return error.response["Error"]["Code"] == "ResourceConflictException"
        return False

    wait(refused, what="a second change during the first")
    wait(settled, what="the update")
    client.update_function_configuration(FunctionName="changing", Timeout=9)
    wait(settled, what="the update")
    assert client.get_function_configuration(FunctionName="changing")["Timeout"] == 9
    assert invoke(world, "changing")["Payload"] == 2


def test_a_full_reservation_throttles_and_queues(world: World) -> None:
    client = world.client("lambda", REGION)
    deploy(world, "slow", "import time\ndef handler(event, context):\n    time.sleep(1.5)")
    client.put_function_concurrency(FunctionName="slow", ReservedConcurrentExecutions=1)

    assert invoke(world, "slow", InvocationType="Event")["StatusCode"] == 202
    assert invoke(world, "slow", InvocationType="Event")["StatusCode"] == 202

    def throttled() -> str:
        try:
            invoke(world, "slow")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return ""

    wait(lambda: throttled() == "TooManyRequestsException", what="a refusal")
    wait(lambda: len([e for e in world.events("function.invoked") if e["function"] == "slow"]) >= 2, what="both")


def test_what_aws_refuses_is_refused(world: World) -> None:
    client = world.client("lambda", REGION)
    plain = {"Handler": "handler.handler", "Runtime": "python3.13", "FunctionName": "refused"}

    with pytest.raises(ClientError) as error:
        client.create_function(**plain, Role=f"{ROLE}-missing", Code={"ZipFile": archive("")})
    assert refusal(error) == "InvalidParameterValueException"
    with pytest.raises(ClientError) as error:
        client.create_function(**plain, Role=ROLE, Code={"ZipFile": b"no zip"})
    assert refusal(error) == "InvalidParameterValueException"
    with pytest.raises(ClientError) as error:
        invoke(world, "refused")
    assert refusal(error) == "ResourceNotFoundException"


# -- network --------------------------------------------------------------------------------------------------------
CONNECT = """
import boto3, os, socket
from botocore.config import Config
def handler(event, context):
    answer = {}
    try:
        socket.create_connection(("127.0.0.1", event["port"]), timeout=2).close()
        answer["database"] = True
    except OSError as error:
        answer["database"] = str(error)
    try:
        once = Config(retries={"max_attempts": 0}, connect_timeout=2, read_timeout=2)
        boto3.client("ssm", config=once).put_parameter(Name="/reached", Value="yes", Type="String", Overwrite=True)
        answer["api"] = True
    except Exception as error:
        answer["api"] = type(error).__name__
    return answer
"""


@pytest.mark.timeout(120)
def test_a_function_reaches_what_its_subnets_and_security_groups_allow() -> None:
    with traffic_world.running() as world:
        roles.make(world.client("iam", "us-east-1"), "function", *SERVICES)
        site = Site(world, KENYA)
        site.build_network()
        port = site.build_database()["Port"]
        allowed = {"SubnetIds": site.private, "SecurityGroupIds": [site.task_group]}
        deploy(world, "inside", CONNECT, KENYA, VpcConfig=allowed)
        deploy(world, "strange", CONNECT, KENYA, VpcConfig={**allowed, "SecurityGroupIds": [site.alb_group]})
        deploy(world, "outside", CONNECT, KENYA)

        def reach(name: str) -> Any:
            return invoke(world, name, {"port": port}, KENYA)["Payload"]

        assert reach("inside") == {"database": True, "api": True}
        assert "timed out" in reach("strange")["database"]
        assert "timed out" in reach("outside")["database"]

        before = len([call for call in world.control("GET", "calls") if call["principal"] == "FUNCTION-inside"])
        world.client("ec2", KENYA).delete_route(RouteTableId=site.private_table, DestinationCidrBlock="0.0.0.0/0")
        assert reach("inside") == {"database": True, "api": "ConnectionClosedError"}
        assert reach("outside")["api"] is True
        counted = [call for call in world.control("GET", "calls") if call["principal"] == "FUNCTION-inside"]
        # The calls led nowhere, but that they were tried is counted like those to a lost region.
        assert len(counted) > before
        assert all(call["cut"] for call in counted[before:])
        world.assert_sound()


def runs(pid: str) -> bool:
    """Whether a process runs; one that has ended and was not collected yet does not."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_the_cloud(end: signal.Signals) -> None:
    with traffic_world.running() as world:
        roles.make(world.client("iam", "us-east-1"), "function", *SERVICES)
        deploy(
            world,
            "lasting",
            """
            import os, subprocess, time
            def handler(event, context):
                child = subprocess.Popen(["sleep", "60"])
                print(os.getpid(), child.pid, flush=True)
                time.sleep(60)
            """,
        )
        invoke(world, "lasting", InvocationType="Event")
        logs = world.directory / "functions" / "invocations"
        told = wait(lambda: "".join(log.read_text() for log in logs.glob("*/log")).split(), what="the process")
        assert all(runs(pid) for pid in told)

        os.kill(int(world.control("GET", "status")["pid"]), end)
        # What a function itself started is left to sandbox.reaper where the cloud is killed outright.
        gone = told if end == signal.SIGTERM else told[:1]
        wait(lambda: not any(runs(pid) for pid in gone), seconds=30, what="their end")
        for pid in told[len(gone) :]:
            os.kill(int(pid), signal.SIGKILL)


# -- schedules ------------------------------------------------------------------------------------------------------
NOTE = """
import boto3
def handler(event, context):
    client = boto3.client("ssm", region_name="us-east-1")
    client.put_parameter(Name=f"/ticks/{context.function_name}/{event['time'].replace(':', '.')}",
                         Value="seen", Type="String")
"""


def ticks(world: World, function: str) -> list[datetime]:
    """The scheduled times that a noting function was given."""
    found = world.client("ssm", "us-east-1").get_parameters_by_path(Path=f"/ticks/{function}", MaxResults=10)
    names = [parameter["Name"].rpartition("/")[2].replace(".", ":") for parameter in found["Parameters"]]
    return sorted(datetime.fromisoformat(name.replace("Z", "+00:00")) for name in names)


def schedule(world: World, arn: str, region: str = REGION, **changes: Any) -> dict[str, Any]:
    """The arguments of a schedule that ticks every ten modelled minutes: each second."""
    target = {"Arn": arn, "RoleArn": ROLE, "Input": json.dumps({"time": "<aws.scheduler.scheduled-time>"})}
    return {
        "Name": arn.rpartition(":")[2],
        "ScheduleExpression": "rate(10 minutes)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target,
        "State": "ENABLED",
    } | changes


def test_a_schedule_ticks_until_it_is_disabled(world: World) -> None:
    client = world.client("scheduler", REGION)
    arn = deploy(world, "ticking", NOTE)
    asked = world.clock.now()
    client.create_schedule(**schedule(world, arn))
    made = world.clock.now()

    times = wait(lambda: found if len(found := ticks(world, "ticking")) >= 3 else None, what="three ticks")
    assert times is not None
    gaps = {(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)}
    assert gaps <= {599.0, 600.0, 601.0}
    assert -1 <= (times[0] - asked).total_seconds() <= (made - asked).total_seconds() + 60, "as soon as it exists"

    client.update_schedule(**schedule(world, arn, State="DISABLED"))
    off = world.clock.now()
    wait(lambda: (world.clock.now() - off).total_seconds() > 1800, what="three periods")
    assert max(ticks(world, "ticking")) <= off
    assert client.get_schedule(Name="ticking")["State"] == "DISABLED"

    on = world.clock.now()
    client.update_schedule(**schedule(world, arn))
    wait(lambda: max(ticks(world, "ticking")) > off, what="another tick")
    assert min(tick for tick in ticks(world, "ticking") if tick > off) >= on + timedelta(minutes=9)
    client.delete_schedule(Name="ticking")


def test_a_lost_region_has_no_ticks_and_its_functions_end(world: World) -> None:
    arn = deploy(world, "noting", NOTE, KENYA)
    deploy(
        world,
        "lasting",
        "import time\ndef handler(event, context):\n    print('begun', flush=True)\n    time.sleep(60)",
        KENYA,
    )
    world.client("lambda", KENYA).put_function_concurrency(FunctionName="lasting", ReservedConcurrentExecutions=1)
    world.client("scheduler", KENYA).create_schedule(**schedule(world, arn, KENYA))
    wait(lambda: ticks(world, "noting"), what="a tick")
    for _ in range(2):  # the second one waits for the first
        invoke(world, "lasting", region=KENYA, InvocationType="Event")
    logs = world.directory / "functions" / "invocations"
    wait(lambda: any("begun" in log.read_text() for log in logs.glob("*/log")), what="its beginning")

    world.control("POST", "cut", {"region": KENYA})
    lost = world.clock.now()
    try:
        ended = wait(
            lambda: [event for event in world.events("function.invoked") if event["function"] == "lasting"],
            what="its end",
        )
        assert (len(ended), ended[0]["ok"]) == (1, False)
        assert ended[0]["seconds"] < 30
        wait(lambda: "before it began" in str(world.events("function.failed")), what="the second one's failure")
        wait(lambda: (world.clock.now() - lost).total_seconds() > 1800, what="three periods")
        assert max(ticks(world, "noting")) <= lost
    finally:
        world.control("POST", "restore", {"region": KENYA})
    back = world.clock.now()
    wait(lambda: max(ticks(world, "noting")) > back, what="a tick after the return")
    world.client("scheduler", KENYA).delete_schedule(Name="noting")


def test_a_schedule_needs_its_role_and_tells_of_a_missing_function(world: World) -> None:
    client = world.client("scheduler", REGION)
    missing = f"arn:aws:lambda:{REGION}:123456789012:function:nobody"
    wrong = schedule(world, missing)
    wrong["Target"]["RoleArn"] = f"{ROLE}-missing"
    with pytest.raises(ClientError) as error:
        client.create_schedule(**wrong)
    assert refusal(error) == "ValidationException"

    client.create_schedule(**schedule(world, missing))
    wait(lambda: [e for e in world.events("function.failed") if e["function"] == "nobody"], what="the failure")
    client.delete_schedule(Name="nobody")
