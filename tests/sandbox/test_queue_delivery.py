"""Queues hand out messages, and take them back, as SQS documents it; dead letters move as it documents that."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox import traffic_world
from tests.sandbox.traffic_world import KENYA, World, wait

SPEED = 120.0  # a modelled second is 8 ms


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with traffic_world.running(SPEED) as running:
        yield running
        running.assert_sound()


@dataclass
class Pair:
    """A queue and its dead letters."""

    sqs: Any
    url: str
    letters: str
    arn: str
    letters_arn: str

    def send(self, *bodies: str, letters: bool = False) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.letters if letters else self.url, MessageBody=body)

    def receive(self, url: str | None = None, **more: Any) -> list[dict[str, Any]]:
        given = {"MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["All"], **more}
        found: list[dict[str, Any]] = self.sqs.receive_message(QueueUrl=url or self.url, **given).get("Messages", [])
        return found

    def waiting(self, url: str) -> tuple[int, int]:
        """Visible and hidden."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def start(self, rate: int | None = None, **more: Any) -> str:
        given = {"SourceArn": self.letters_arn, "DestinationArn": self.arn, **more}
        if rate is not None:
            given["MaxNumberOfMessagesPerSecond"] = rate
        return str(self.sqs.start_message_move_task(**given)["TaskHandle"])

    def task(self) -> dict[str, Any]:
        found: dict[str, Any] = self.sqs.list_message_move_tasks(SourceArn=self.letters_arn)["Results"][0]
        return found

    def ended(self) -> dict[str, Any]:
        wait(lambda: self.task()["Status"] not in ("RUNNING", "CANCELLING"), what="the end of the task")
        return self.task()


def pair(world: World, name: str, *, most: int = 2, hidden: int = 30, **more: str) -> Pair:
    sqs = world.client("sqs", KENYA)

    def make(full: str, **attributes: str) -> tuple[str, str]:
        url = sqs.create_queue(QueueName=full, Attributes=attributes)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        return url, arn

    letters, letters_arn = make(f"{name}-dead")
    redrive = json.dumps({"deadLetterTargetArn": letters_arn, "maxReceiveCount": most})
    url, arn = make(name, RedrivePolicy=redrive, VisibilityTimeout=str(hidden), **more)
    return Pair(sqs, url, letters, arn, letters_arn)


def refused(call: Any, **given: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**given)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


# -- delivery -----------------------------------------------------------------------------------------------------
def test_what_was_received_is_hidden_then_there_again_and_dead_after_too_many_receipts(world: World) -> None:
    queue = pair(world, "receipts")
    queue.send("poison")
    (first,) = queue.receive()
    assert queue.receive() == []
    assert queue.waiting(queue.url) == (0, 1)
    again = wait(queue.receive, what="the message again")[0]
    assert (again["MessageId"], again["Attributes"]["ApproximateReceiveCount"]) == (first["MessageId"], "2")
    wait(lambda: queue.receive() == [] and queue.waiting(queue.letters) == (1, 0), what="a dead letter")
    (letter,) = queue.receive(queue.letters)
    assert letter["Attributes"]["SentTimestamp"] == first["Attributes"]["SentTimestamp"]


def test_only_the_newest_receipt_deletes(world: World) -> None:
    queue = pair(world, "handles", most=9)
    queue.send("once")
    old = queue.receive()[0]["ReceiptHandle"]
    new = wait(queue.receive, what="the message again")[0]["ReceiptHandle"]
    queue.sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=old)
    assert queue.waiting(queue.url) == (0, 1)
    queue.sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=new)
    queue.sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=new)
    assert queue.waiting(queue.url) == (0, 0)
    assert refused(queue.sqs.delete_message, QueueUrl=queue.url, ReceiptHandle="x")[0] == "ReceiptHandleIsInvalid"


def test_a_receiver_waits_for_what_comes(world: World) -> None:
    queue = pair(world, "waiting")
    began = time.time()
    assert queue.receive(WaitTimeSeconds=20) == []
    assert (time.time() - began) * SPEED >= 20
    threading.Timer(0.05, queue.send, ["late"]).start()
    assert [message["Body"] for message in queue.receive(WaitTimeSeconds=20)] == ["late"]


def test_receivers_at_once_lose_nothing_and_share(world: World) -> None:
    queue = pair(world, "crowd", hidden=43_200)
    taken: list[str] = []

    def work() -> None:
        while messages := queue.receive():
            for message in messages:
                taken.append(message["Body"])
                queue.sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"])

    queue.send(*map(str, range(60)))
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    queue.send(*map(str, range(60, 90)))  # meanwhile
    for thread in threads:
        thread.join()
    work()
    assert sorted(taken, key=int) == list(map(str, range(90)))


def test_what_is_too_old_is_gone(world: World) -> None:
    queue = pair(world, "old", MessageRetentionPeriod="60")
    queue.send("forgotten")
    assert queue.waiting(queue.url) == (1, 0)
    wait(lambda: queue.waiting(queue.url) == (0, 0), what="its end")


def test_dead_letters_are_taken_of_the_queues_that_are_named(world: World) -> None:
    queue = pair(world, "named")
    policy = {"redrivePermission": "byQueue", "sourceQueueArns": [queue.arn]}
    text = json.dumps(policy)
    queue.sqs.set_queue_attributes(QueueUrl=queue.letters, Attributes={"RedriveAllowPolicy": text})
    redrive = json.dumps({"deadLetterTargetArn": queue.letters_arn, "maxReceiveCount": 3})
    queue.sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"RedrivePolicy": redrive})
    code, message = refused(queue.sqs.create_queue, QueueName="stranger", Attributes={"RedrivePolicy": redrive})
    assert (code, "does not allow" in message) == ("InvalidParameterValue", True)


def test_the_fault_delivers_each_message_twice(world: World) -> None:
    queue = pair(world, "twice")
    fault = {"kind": "delivered-twice", "region": KENYA, "queue": "twice"}
    world.control("POST", "faults", fault)
    queue.send("again")
    world.control("DELETE", "faults", fault)
    first, second = queue.receive()
    assert first["MessageId"] == second["MessageId"]
    queue.sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=first["ReceiptHandle"])
    assert queue.waiting(queue.url) == (0, 1)
    with pytest.raises(RuntimeError, match="no queue nothing"):
        world.control("POST", "faults", fault | {"queue": "nothing"})


# -- moves --------------------------------------------------------------------------------------------------------
def test_moved_messages_are_new_ones(world: World) -> None:
    queue = pair(world, "moved")
    attributes = {"kind": {"DataType": "String", "StringValue": "row"}}
    queue.sqs.send_message(QueueUrl=queue.letters, MessageBody="letter", MessageAttributes=attributes)
    (before,) = queue.receive(queue.letters, VisibilityTimeout=0)
    queue.start()
    done = queue.ended()
    assert (done["Status"], done["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 1)
    assert (done["ApproximateNumberOfMessagesToMove"], "TaskHandle" in done) == (1, False)
    (after,) = queue.receive(MessageAttributeNames=["All"])
    assert (after["Body"], after["MessageAttributes"]) == ("letter", attributes)
    assert after["MessageId"] != before["MessageId"]
    assert int(after["Attributes"]["SentTimestamp"]) > int(before["Attributes"]["SentTimestamp"])
    assert after["Attributes"]["ApproximateReceiveCount"] == "1"


def test_a_rate_holds_and_a_task_can_be_stopped(world: World) -> None:
    queue = pair(world, "slow")
    queue.send(*map(str, range(40)), letters=True)
    handle = queue.start(1)
    assert queue.task()["TaskHandle"] == handle
    began = time.time()
    wait(lambda: queue.task()["ApproximateNumberOfMessagesMoved"] >= 10, what="ten moved messages")
    assert (time.time() - began) * SPEED >= 10 - 2, "never faster than one a second, counted in steps of two"
    assert refused(queue.start)[0] == "InvalidParameterValue"
    queue.sqs.cancel_message_move_task(TaskHandle=handle)
    stopped = queue.ended()
    assert stopped["Status"] == "CANCELLED"
    moved = stopped["ApproximateNumberOfMessagesMoved"]
    assert queue.waiting(queue.letters)[0] == 40 - moved
    assert queue.waiting(queue.url)[0] == moved
    assert refused(queue.sqs.cancel_message_move_task, TaskHandle=handle)[0] == "ResourceNotFoundException"


def test_what_is_hidden_stays(world: World) -> None:
    queue = pair(world, "hidden")
    queue.send("held", letters=True)
    queue.receive(queue.letters, VisibilityTimeout=43_200)
    queue.send("free", letters=True)
    queue.start(500)
    assert queue.ended()["ApproximateNumberOfMessagesMoved"] == 1
    assert queue.waiting(queue.letters) == (0, 1)
    assert [message["Body"] for message in queue.receive()] == ["free"]


def test_without_a_destination_they_go_where_they_came_from(world: World) -> None:
    queue = pair(world, "origin")
    queue.send("home", letters=True)
    queue.sqs.start_message_move_task(SourceArn=queue.letters_arn)
    assert "DestinationArn" not in queue.ended()
    assert [message["Body"] for message in queue.receive()] == ["home"]


def test_a_destination_that_goes_away_fails_the_task(world: World) -> None:
    queue = pair(world, "leaving")
    other = queue.sqs.create_queue(QueueName="leaving-to")["QueueUrl"]
    queue.send(*map(str, range(100)), letters=True)
    queue.start(1, DestinationArn=f"{queue.arn}-to")
    queue.sqs.delete_queue(QueueUrl=other)
    assert queue.ended()["FailureReason"] == "AWS.SimpleQueueService.NonExistentQueue"


def test_a_key_that_is_disabled_fails_the_task(world: World) -> None:
    kms = world.client("kms", KENYA)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    queue = pair(world, "locked", KmsMasterKeyId=key)
    queue.send(*map(str, range(100)), letters=True)
    queue.start(1)
    kms.disable_key(KeyId=key)
    assert queue.ended()["Status"] == "FAILED"


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ({"SourceArn": f"arn:aws:sqs:{KENYA}:123456789012:gone"}, "ResourceNotFoundException", "SourceArn parameter"),
        ({"DestinationArn": f"arn:aws:sqs:{KENYA}:123456789012:gone"}, "ResourceNotFoundException", "DestinationArn"),
        ({"SourceArn": f"arn:aws:sqs:{KENYA}:123456789012:strict"}, "InvalidParameterValue", "as a Dead Letter Queue"),
        ({"MaxNumberOfMessagesPerSecond": 0}, "InvalidParameterValue", "between 1 and 500"),
        ({"MaxNumberOfMessagesPerSecond": 501}, "InvalidParameterValue", "between 1 and 500"),
    ],
)
def test_a_task_that_cannot_be_is_refused(world: World, given: dict[str, Any], code: str, said: str) -> None:
    queue = pair(world, "strict")
    found = refused(queue.start, **given)
    assert (found[0], said in found[1]) == (code, True)


def test_a_list_and_a_handle_that_make_no_sense_are_refused(world: World) -> None:
    queue = pair(world, "strict")
    listing = queue.sqs.list_message_move_tasks
    assert refused(listing, SourceArn=f"{queue.letters_arn}-x")[0] == "ResourceNotFoundException"
    assert refused(listing, SourceArn=queue.letters_arn, MaxResults=11)[0] == "InvalidParameterValue"
    assert refused(queue.sqs.cancel_message_move_task, TaskHandle="x")[0] == "InvalidParameterValue"
