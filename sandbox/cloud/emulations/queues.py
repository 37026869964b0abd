"""SQS: what moto lacks for alarms and encryption: when a queue was used, how old its messages are, unusable keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.core.utils import unix_time
from moto.sqs.exceptions import SQSException
from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends

from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations.patching import replace
from sandbox.cloud.emulations.task_start import key_enabled

ACTIVE_SECONDS = 6 * 3600


def active() -> Iterator[tuple[str, Queue]]:
    """Queues with messages, or used within six hours: of the others SQS publishes nothing."""
    for region, backend in list(sqs_backends[ACCOUNT].items()):
        for queue in list(backend.queues.values()):
            used: float = getattr(queue, "used_at", queue.created_timestamp)
            if queue._messages or unix_time() - used < ACTIVE_SECONDS:
                yield region, queue


def oldest_age(queue: Queue) -> float:
    """Modelled seconds that the oldest message has been in this queue; in a dead-letter queue since it came there."""
    arrived = [found for message in list(queue._messages) if (found := getattr(message, "arrived_at", None))]
    return max(0.0, unix_time() - min(arrived)) if arrived else 0.0


def put_aside(arn: str, body: str) -> bool:
    """Let a service send what failed to a dead-letter queue; False where there is no such queue."""
    backend = sqs_backends[ACCOUNT][arn.split(":")[3]]
    name = arn.rpartition(":")[2]
    if name not in backend.queues:
        return False
    backend.send_message(name, body)
    return True


def install(_cloud: Cloud) -> None:
    """Note what happens to queues, and refuse messages under a key that cannot be used."""
    find, add = SQSBackend.get_queue, Queue.add_message
    send, receive = SQSBackend.send_message, SQSBackend.receive_message

    def get_queue(self: SQSBackend, queue_name: str) -> Queue:
        queue = find(self, queue_name)
        queue.used_at = unix_time()  # type: ignore[attr-defined]
        return queue

    def add_message(self: Queue, message: Message) -> None:
        message.arrived_at = unix_time()  # type: ignore[attr-defined]
        add(self, message)

    def send_message(self: SQSBackend, queue_name: str, *args: Any, **kwargs: Any) -> Message:
        _check_key(self.get_queue(queue_name))
        return send(self, queue_name, *args, **kwargs)

    def receive_message(self: SQSBackend, queue_name: str, *args: Any, **kwargs: Any) -> list[Message]:
        _check_key(self.get_queue(queue_name))
        return receive(self, queue_name, *args, **kwargs)

    replace(SQSBackend, get_queue=get_queue, send_message=send_message, receive_message=receive_message)
    replace(Queue, add_message=add_message)


def _check_key(queue: Queue) -> None:
    """SQS cannot encrypt or decrypt without its key (SQS developer guide, "Key management")."""
    key: str | None = queue.kms_master_key_id  # type: ignore[attr-defined]
    if not key_enabled(queue.region, key):
        raise SQSException("KMS.DisabledException", f"{key} is disabled, or does not exist in {queue.region}.")
