"""The sync queue and its dead letters as SQS shows them. No decisions, no printing.

The sync queue itself is never received from: each receipt counts towards the dead letters, also one that only looks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from components import naming
from scripts.promotion.site import Site, answered_at

BATCH = 10  # the most that one call takes or hands out
# A short poll asks some of SQS's servers only, and may find nothing where there is something.
WAIT_SECONDS = 2
# So many answers without anything new end a collection: counts and deliveries are approximate.
EMPTY_ANSWERS = 2
ACTIVE = ("RUNNING", "CANCELLING")
COUNTED = {
    "visible": "ApproximateNumberOfMessages",
    "hidden": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}


@dataclass(frozen=True)
class Counts:
    """Messages of a queue, approximately, at a moment of AWS's clock. `hidden`: received and not deleted yet."""

    visible: int
    hidden: int
    delayed: int
    at: datetime

    @property
    def total(self) -> int:
        return self.visible + self.hidden + self.delayed


@dataclass(frozen=True)
class Letter:
    """A dead letter as it was received. `receipt` is what hides or shows it again."""

    id: str
    receipt: str
    body: str
    sent: datetime
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Move:
    """A move task. `moved` lags, `total` is 0 until SQS has counted; `handle` is told of a running one only."""

    status: str
    moved: int
    total: int
    rate: int | None
    destination: str | None
    at: datetime
    started: datetime
    handle: str | None = None
    failure: str | None = None

    @property
    def active(self) -> bool:
        return self.status in ACTIVE


@dataclass(frozen=True)
class Place:
    """One of the two queues. `hides`: seconds that a receipt hides a message."""

    name: str
    url: str
    arn: str
    hides: int
    redrive: Mapping[str, Any]


class Queues:
    """Both queues of a stack. Raises botocore's errors as they come."""

    def __init__(self, site: Site) -> None:
        self._sqs = site.client("sqs")
        self.name = naming.physical(site.stack.short, "sync", "queue")
        self.letters_name = naming.physical(site.stack.short, "sync-dead-letters", "queue")

    def place(self, name: str) -> Place | None:
        """A queue by its name; None where there is none."""
        try:
            url = self._sqs.get_queue_url(QueueName=name)["QueueUrl"]
        except ClientError as error:
            if "QueueDoesNotExist" in str(error) or "NonExistentQueue" in str(error):
                return None
            raise
        names = ["QueueArn", "VisibilityTimeout", "RedrivePolicy"]
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        redrive = json.loads(found.get("RedrivePolicy") or "{}")
        return Place(name, url, found["QueueArn"], int(found["VisibilityTimeout"]), redrive)

    def counts(self, place: Place) -> Counts:
        answer = self._sqs.get_queue_attributes(QueueUrl=place.url, AttributeNames=list(COUNTED.values()))
        found = {name: int(answer["Attributes"][attribute]) for name, attribute in COUNTED.items()}
        return Counts(**found, at=answered_at(answer))

    # -- dead letters -------------------------------------------------------------------------------------------
    def collect(self, place: Place, hold: int, most: int) -> list[Letter]:
        """Up to `most` letters, hidden from everybody else for `hold` seconds from when they came.

        One that SQS hands out twice is in it twice: each receipt has to be shown again.
        """
        found: list[Letter] = []
        ids: set[str] = set()
        empty = 0
        while len(found) < most and empty < EMPTY_ANSWERS:
            answer = list(self._receive(place, hold, min(BATCH, most - len(found))))
            empty = 0 if any(letter.id not in ids for letter in answer) else empty + 1
            found += answer
            ids |= {letter.id for letter in answer}
        return found

    def _receive(self, place: Place, hold: int, most: int) -> Iterator[Letter]:
        answer = self._sqs.receive_message(
            QueueUrl=place.url,
            MaxNumberOfMessages=most,
            VisibilityTimeout=hold,
            WaitTimeSeconds=WAIT_SECONDS,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        for message in answer.get("Messages", []):
            sent = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
            attributes = message.get("MessageAttributes", {})
            yield Letter(message["MessageId"], message["ReceiptHandle"], message["Body"], sent, attributes)

    def hide(self, place: Place, letters: Iterable[Letter], seconds: int) -> int:
        """Hide letters for so long from now; 0 shows them again. Returns how many SQS did not do that with: those
        show up by themselves when their time is over."""
        failed = 0
        for batch in _batches(list(letters)):
            entries = [
                {"Id": str(number), "ReceiptHandle": letter.receipt, "VisibilityTimeout": seconds}
                for number, letter in enumerate(batch)
            ]
            answer = self._sqs.change_message_visibility_batch(QueueUrl=place.url, Entries=entries)
            failed += len(answer.get("Failed", []))
        return failed

    # -- moves --------------------------------------------------------------------------------------------------
    def move(self, letters: Place) -> Move | None:
        """The newest move task of the dead letters; None before the first."""
        answer = self._sqs.list_message_move_tasks(SourceArn=letters.arn, MaxResults=1)
        for entry in answer.get("Results", []):
            return Move(
                status=entry["Status"],
                moved=entry.get("ApproximateNumberOfMessagesMoved", 0),
                total=entry.get("ApproximateNumberOfMessagesToMove", 0),
                rate=entry.get("MaxNumberOfMessagesPerSecond"),
                destination=entry.get("DestinationArn"),
                at=answered_at(answer),
                started=datetime.fromtimestamp(entry["StartedTimestamp"] / 1000, UTC),
                handle=entry.get("TaskHandle"),
                failure=entry.get("FailureReason"),
            )
        return None

    def start(self, letters: Place, queue: Place, rate: int) -> str:
        """Begin to move. The destination is said: for a letter that somebody sent by hand SQS knows no origin."""
        answer = self._sqs.start_message_move_task(
            SourceArn=letters.arn, DestinationArn=queue.arn, MaxNumberOfMessagesPerSecond=rate
        )
        return str(answer["TaskHandle"])


def _batches(letters: Sequence[Letter]) -> Iterator[Sequence[Letter]]:
    for start in range(0, len(letters), BATCH):
        yield letters[start : start + BATCH]
