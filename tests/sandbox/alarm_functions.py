"""The stacks' functions in the alarms' world: they do nothing or fail, as they are told. What the snapshot cycle tells
CloudWatch is told in its place."""

from __future__ import annotations

import contextlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator

from tests.components.recording import Recording
from tests.sandbox.alarm_lab import ACCOUNT, Lab

ROLE = f"arn:aws:iam::{ACCOUNT}:role/function"
SCHEDULE, QUEUE = "aws:scheduler/schedule:Schedule", "aws:sqs/queue:Queue"
CALL_ONCE = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"
FUNCTION = """
def handler(event, context):
    if event.get("fail"):
        raise RuntimeError("as asked")
"""
TICKING = "database-roles"
THRESHOLD = 45.0


def deploy(lab: Lab, stack: Recording) -> None:
    """A stack's functions with the queues of what fails, and the schedule of the one that tells nothing of its runs."""
    for queue in stack.of(QUEUE):
        lab.client("sqs").create_queue(QueueName=queue.inputs["name"])
    for function in stack.of("aws:lambda/function:Function"):
        _function(lab, function.inputs["name"])
    for once in stack.of(CALL_ONCE):
        failed = once.inputs["destinationConfig"]["onFailure"]["destination"]
        lab.client("lambda").put_function_event_invoke_config(
            FunctionName=once.inputs["functionName"],
            MaximumRetryAttempts=int(once.inputs["maximumRetryAttempts"]),
            DestinationConfig={"OnFailure": {"Destination": _queue(lab, stack, failed)}},
        )
    lab.client("scheduler").create_schedule(**schedule(lab, stack))


def schedule(lab: Lab, stack: Recording, state: str = "ENABLED") -> dict[str, object]:
    """The arguments of the roles' function's schedule, as the stack registers it."""
    given = stack.one(SCHEDULE, TICKING).inputs
    name = stack.one("aws:lambda/function:Function", TICKING).inputs["name"]
    return {
        "Name": given["name"],
        "ScheduleExpression": given["scheduleExpression"],
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "State": state,
        "Target": {
            "Arn": f"arn:aws:lambda:{lab.region}:{ACCOUNT}:function:{name}",
            "RoleArn": ROLE,
            "Input": given["target"]["input"],
            "DeadLetterConfig": {"Arn": _queue(lab, stack, given["target"]["deadLetterConfig"]["arn"])},
        },
    }


def _queue(lab: Lab, stack: Recording, arn: str) -> str:
    """The ARN in this world of a queue that the mocks name after its resource."""
    name = stack.one(QUEUE, arn.removeprefix("arn:aws:")).inputs["name"]
    return f"arn:aws:sqs:{lab.region}:{ACCOUNT}:{name}"


def _function(lab: Lab, name: str) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("handler.py", FUNCTION)
    lab.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=ROLE,
        Handler="handler.handler",
        Timeout=20,
        Code={"ZipFile": content.getvalue()},
    )


class Cycle:
    """What the snapshot cycle publishes at the end of each run. The ages are those at which nothing alarms yet."""

    def __init__(self, publish: Callable[[dict[str, float]], None]) -> None:
        self.ages = {"NewestCopyAge": THRESHOLD, "NewestBackupAge": THRESHOLD}
        self._publish = publish
        self._stopped = threading.Event()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """It runs, until it is stopped."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.stop()
            thread.join(20)

    def _run(self) -> None:
        while not self._stopped.wait(0.5):
            self._publish({**self.ages, "CopyCycleRuns": 1.0})

    def stop(self) -> None:
        """No run begins any more."""
        self._stopped.set()
