"""SQS: redriving dead letters, StartMessageMoveTask and what belongs to it, which moto lacks.

Sources: API reference of the three operations; SQS developer guide, "Learn how to configure a dead-letter queue
redrive"; codes and words of errors as answers of AWS quoted in localstack's tests (test_sqs_move_task.snapshot.json).
Assumptions: a task takes what a receiver could take, so what is hidden stays (the permissions it needs are a
receiver's), ends when there is nothing left to take, and moves SYSTEM_RATE a second where it is left to choose.
"""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from moto.core.utils import unix_time_millis
from moto.sqs.models import Message, Queue, sqs_backends

from sandbox.cloud.context import ACCOUNT, AwsError, Cloud
from sandbox.cloud.emulations import queue_delivery
from sandbox.cloud.emulations.task_start import key_enabled

RUNNING, CANCELLING, CANCELLED, COMPLETED, FAILED = "RUNNING", "CANCELLING", "CANCELLED", "COMPLETED", "FAILED"
ACTIVE: Final = (RUNNING, CANCELLING)
RATES: Final = range(1, 501)
LISTED: Final = range(1, 11)
SYSTEM_RATE: Final = 100
STEP_SECONDS: Final = 2.0  # modelled
_GONE: Final = "AWS.SimpleQueueService.NonExistentQueue"


@dataclass
class MoveTask:
    """One task. `destination` as it was asked for; `target`: where that leads. `due`: messages that its rate has
    allowed and that it has not moved yet."""

    source: str
    destination: str | None
    target: str
    rate: int | None
    to_move: int
    handle: str
    started: int
    stepped: float
    due: float = 0.0
    moved: int = 0
    status: str = RUNNING
    failure: str | None = None

    def told(self) -> dict[str, Any]:
        """As ListMessageMoveTasks answers; only a running one shows its handle."""
        shown = {
            "TaskHandle": self.handle if self.status == RUNNING else None,
            "Status": self.status,
            "SourceArn": self.source,
            "DestinationArn": self.destination,
            "MaxNumberOfMessagesPerSecond": self.rate,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "FailureReason": self.failure,
            "StartedTimestamp": self.started,
        }
        return {name: value for name, value in shown.items() if value is not None}


class Moves:
    """All tasks, by the ARN of their source, the newest first."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._tasks: dict[str, list[MoveTask]] = {}
        self._lock = threading.Lock()

    # -- operations ---------------------------------------------------------------------------------------------
    def start(self, given: dict[str, Any]) -> dict[str, Any]:
        source, rate = _existing(given, "SourceArn"), given.get("MaxNumberOfMessagesPerSecond")
        origins = [str(queue.queue_arn) for queue in queue_delivery.queues() if queue.dead_letter_queue is source]
        if not origins:
            raise _invalid("Source queue must be configured as a Dead Letter Queue.")
        destination = given.get("DestinationArn")
        if destination is not None:
            _existing(given, "DestinationArn")
        elif len(origins) > 1:
            raise NotImplementedError("the sandbox does not know which queue each dead letter came from")
        if rate is not None and rate not in RATES:
            reason = f"Reason: Must be between {RATES[0]} and {RATES[-1]}."
            raise _invalid(f"Value {rate} for parameter MaxNumberOfMessagesPerSecond is invalid. {reason}")
        arn, now = str(source.queue_arn), self._cloud.clock.epoch()
        handle = base64.b64encode(json.dumps({"taskId": str(uuid4()), "sourceArn": arn}).encode()).decode()
        target = destination or origins[0]
        task = MoveTask(arn, destination, target, rate, len(source.messages), handle, int(now * 1000), now)
        with self._lock:
            known = self._tasks.setdefault(arn, [])
            if any(other.status in ACTIVE for other in known):
                raise _invalid(
                    "There is already a task running. Only one active task is allowed for a source queue arn at a "
                    "given time."
                )
            known.insert(0, task)
            del known[LISTED[-1] :]
        self._again(task)
        return {"TaskHandle": handle}

    def list(self, given: dict[str, Any]) -> dict[str, Any]:
        source, most = _existing(given, "SourceArn"), given.get("MaxResults", 1)
        if most not in LISTED:
            reason = f"Reason: Must be between {LISTED[0]} and {LISTED[-1]}."
            raise _invalid(f"Value {most} for parameter MaxResults is invalid. {reason}")
        with self._lock:
            return {"Results": [task.told() for task in self._tasks.get(str(source.queue_arn), [])[:most]]}

    def cancel(self, given: dict[str, Any]) -> dict[str, Any]:
        try:
            arn = json.loads(base64.b64decode(given["TaskHandle"], validate=True))["sourceArn"]
        except (ValueError, KeyError, TypeError):
            raise _invalid("Value for parameter TaskHandle is invalid.") from None
        _existing({"SourceArn": arn}, "SourceArn")
        with self._lock:
            task = next((task for task in self._tasks.get(arn, []) if task.handle == given["TaskHandle"]), None)
            if task is None or task.status != RUNNING:
                raise AwsError("ResourceNotFoundException", "Task does not exist.")
            task.status = CANCELLING
            return {"ApproximateNumberOfMessagesMoved": task.moved}

    # -- moving -------------------------------------------------------------------------------------------------
    def _again(self, task: MoveTask) -> None:
        region = task.source.split(":")[3]
        self._cloud.after(STEP_SECONDS / 60, lambda: self._step(task), "sqs move", regions=[region])

    def _step(self, task: MoveTask) -> None:
        with self._lock:
            if task.status == CANCELLING:
                task.status = CANCELLED
                return
            source, destination = _find(task.source), _find(task.target)
            task.failure = _obstacle(source, destination)
            if task.failure or source is None or destination is None:
                task.status = FAILED
                return
            moving = queue_delivery.take(source, self._allowance(task))
            task.moved += len(moving)
            if not source.messages and task.due >= 1:
                task.status = COMPLETED
        for message in moving:
            destination.add_message(_anew(message))
        if task.status in ACTIVE:
            self._again(task)

    def _allowance(self, task: MoveTask) -> int:
        """How many may go now. A pause (a busy machine, a lost region) is not made up for."""
        now, rate = self._cloud.clock.epoch(), task.rate or SYSTEM_RATE
        task.due = min(task.due + rate * (now - task.stepped), rate * 2 * STEP_SECONDS)
        task.stepped = now
        source = _find(task.source)
        whole = min(int(task.due), len(source.messages) if source else 0)
        task.due -= whole
        return whole


def _anew(message: Message) -> Message:
    """A moved message is a new one: another id, sent now, never received (developer guide)."""
    new = Message(str(uuid4()), message.body, message.system_attributes)
    new.message_attributes = message.message_attributes
    new.sent_timestamp = int(unix_time_millis())  # type: ignore[assignment]  # moto declares no type but None
    return new


def _obstacle(source: Queue | None, destination: Queue | None) -> str | None:
    """A task's FailureReason. The word for a key that cannot be used is an assumption."""
    if source is None or destination is None:
        return _GONE
    keys = [(queue.region, queue.kms_master_key_id) for queue in (source, destination)]  # type: ignore[attr-defined]
    return None if all(key_enabled(*key) for key in keys) else "KMS.DisabledException"


def _find(arn: str) -> Queue | None:
    parts = arn.split(":")
    return sqs_backends[ACCOUNT][parts[3]].queues.get(parts[5]) if len(parts) == 6 else None


def _existing(given: dict[str, Any], member: str) -> Queue:
    found = _find(str(given[member]))
    if found is None:
        raise AwsError(
            "ResourceNotFoundException", f"The resource that you specified for the {member} parameter doesn't exist."
        )
    return found


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterValue", message)


def install(cloud: Cloud) -> None:
    """Answer the three operations."""
    moves = Moves(cloud)
    for name, handler in (("Start", moves.start), ("Cancel", moves.cancel)):
        cloud.operation("sqs", f"{name}MessageMoveTask", handler)
    cloud.operation("sqs", "ListMessageMoveTasks", moves.list)
