"""SQS: how a standard queue hands messages out: hidden once received, dead after too many receipts, gone with time.

moto walks over a queue without a lock, so that two receivers and a sender could lose messages among them; its own walk
is replaced. Sources: SQS developer guide, "Standard queues", "Visibility timeout", "Using dead-letter queues".
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any

from moto.core.utils import unix_time
from moto.sqs.exceptions import InvalidParameterValue, ReceiptHandleIsInvalid
from moto.sqs.models import Message, Queue, SQSBackend, _filter_message_attributes, sqs_backends

from sandbox.cloud.context import ACCOUNT, BadRequest, Cloud
from sandbox.cloud.emulations import faults
from sandbox.cloud.emulations.patching import replace

TWICE = "delivered-twice"  # the fault: what comes into a queue is there twice, as a standard queue may hand it out
LOOK_SECONDS = 0.1  # real; a waiting receiver also looks for what becomes visible again
RETENTION_MINUTES = 1.0  # modelled; how often messages that are too old are removed


def install(cloud: Cloud) -> None:
    """Replace moto's way through a queue, and accept the fault."""
    faults.add_kind(cloud, TWICE, _check_twice)
    _patch_queue(cloud)
    _patch_redrive()

    def receive_message(
        self: SQSBackend,
        queue_name: str,
        count: int,
        wait_seconds_timeout: int,
        visibility_timeout: int,
        message_attribute_names: list[str] | None = None,
    ) -> list[Message]:
        queue = self.get_queue(queue_name)
        end = unix_time() + wait_seconds_timeout
        while True:
            found = _take(queue, count, visibility_timeout)
            if found or unix_time() >= end or cloud.is_cut(queue.region):
                break
            queue.wait_for_messages(LOOK_SECONDS)  # type: ignore[arg-type]  # seconds need not be whole
        for message in found:
            _filter_message_attributes(message, message_attribute_names or [])
        return found

    replace(SQSBackend, receive_message=receive_message)
    cloud.every(RETENTION_MINUTES, _expire, "sqs retention")


def _patch_queue(cloud: Cloud) -> None:
    add = Queue.add_message

    def add_message(self: Queue, message: Message) -> None:
        if self.fifo_queue:
            raise NotImplementedError("the sandbox has no FIFO queues")
        add(self, message)  # holds the queue's lock itself
        twice = {"kind": TWICE, "region": self.region, "queue": self.name}
        if twice in cloud.faults:
            add(self, copy.deepcopy(message))

    def delete_message(self: Queue, receipt_handle: str) -> None:
        """Only the newest receipt deletes; with an older one the call succeeds and does nothing (API reference)."""
        with self._messages_lock:
            if receipt_handle in self.deleted_messages:
                return
            message = next((m for m in self._messages if m.had_receipt_handle(receipt_handle)), None)
            if message is None:
                raise ReceiptHandleIsInvalid
            if message.receipt_handle == receipt_handle:
                self._messages.remove(message)
                self.pending_messages.discard(message)
                self.deleted_messages.update(handle for handle in message.all_receipt_handles if handle)

    replace(Queue, add_message=add_message, delete_message=delete_message)


def take(queue: Queue, count: int) -> list[Message]:
    """Remove up to so many of the oldest visible messages, for a service that moves them."""
    with queue._messages_lock:
        found = queue.messages[:count]
        for message in found:
            queue._messages.remove(message)
        return found


def _take(queue: Queue, count: int, visibility_timeout: int) -> list[Message]:
    """One look: visible messages become hidden; those received too often go to the dead-letter queue."""
    letters = queue.dead_letter_queue
    most = queue.redrive_policy["maxReceiveCount"] if letters and queue.redrive_policy else None
    with queue._messages_lock:
        visible: Sequence[Message] = queue.messages
        dead = [m for m in visible if most is not None and m.approximate_receive_count >= most]
        for message in dead:
            queue._messages.remove(message)
        found = []
        for message in [m for m in visible if m not in dead][:count]:
            queue.pending_messages.add(message)
            message.mark_received(visibility_timeout=visibility_timeout)
            found.append(copy.deepcopy(message))
    if letters is not None:
        for message in dead:  # never with both locks: a move goes the other way
            letters.add_message(message)
    return found


def queues() -> Iterator[Queue]:
    """All queues of all regions."""
    for backend in list(sqs_backends[ACCOUNT].values()):
        yield from list(backend.queues.values())


def _expire() -> None:
    """Remove what is older than the queue keeps; a dead letter's age counts from when it was first sent."""
    for queue in queues():
        with queue._messages_lock:
            kept_since = (unix_time() - int(queue.message_retention_period)) * 1000  # type: ignore[attr-defined]
            queue._messages[:] = [m for m in queue._messages if _sent(m) > kept_since]


def _sent(message: Any) -> float:
    """When it was sent, in milliseconds; moto declares no type but None."""
    return float(message.sent_timestamp)


def _check_twice(fault: dict[str, Any]) -> None:
    if fault.keys() != {"kind", "region", "queue"}:
        raise BadRequest(f"{TWICE} has the fields region and queue")
    if fault["queue"] not in sqs_backends[ACCOUNT][str(fault["region"])].queues:
        raise BadRequest(f"{fault['region']} has no queue {fault['queue']}")


def _patch_redrive() -> None:
    """A dead-letter queue says whose failures it takes ("redrive allow policy", API reference, CreateQueue)."""
    set_up = Queue._setup_dlq

    def setup_dlq(self: Queue, policy: Any) -> None:
        before = getattr(self, "redrive_policy", None), self.dead_letter_queue
        set_up(self, policy)
        letters = self.dead_letter_queue
        if letters is not None and not _allows(letters, self.queue_arn):
            self.redrive_policy, self.dead_letter_queue = before
            raise InvalidParameterValue(
                f"Value {policy} for parameter RedrivePolicy is invalid. Reason: Dead-letter queue does not allow "
                f"{self.queue_arn} as a source."
            )

    replace(Queue, _setup_dlq=setup_dlq)


def _allows(letters: Queue, source: str) -> bool:
    text = getattr(letters, "redrive_allow_policy", None)
    policy = json.loads(text) if text else {}
    permission = policy.get("redrivePermission", "allowAll")
    return permission == "allowAll" or (permission == "byQueue" and source in policy.get("sourceQueueArns", []))
