"""The small application's way with the sync queue: receive, write the row, delete after the commit.

It receives only while it can write: each receipt counts towards the dead letters. What cannot be written ever (no
key, malformed, a contradiction) it leaves alone, so that SQS puts it there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from components import sync_message
from components.sync_message import SyncMessage

BATCH = 10  # the most that one call hands out


class QueueWorker:
    """One consumer on a thread of its own.

    `client` makes a client with the task's role. `write` raises an exception of `refusals` for what cannot be written
    ever, one of `troubles` for what may pass. `ready`: whether a message could be written now. `idle`: real seconds
    between looks while it could not.
    """

    def __init__(
        self,
        url: str,
        client: Callable[[], Any],
        ready: Callable[[], bool],
        write: Callable[[SyncMessage], None],
        *,
        refusals: type[Exception],
        troubles: type[Exception],
        idle: float,
    ) -> None:
        self.problem: str | None = None
        self._url = url
        self._client = client
        self._ready = ready
        self._write = write
        self._refusals = refusals
        self._troubles = troubles
        self._idle = idle
        self._stopped = threading.Event()

    def run(self) -> None:
        """Work until `stop` is called. A call in which AWS refuses something ends a turn, nothing else does."""
        sqs = self._client()
        while not self._stopped.is_set():
            if not self._ready():
                self._stopped.wait(self._idle)
                continue
            try:
                self._turn(sqs)
                self.problem = None
            except (ClientError, BotoCoreError, self._troubles) as trouble:
                self.problem = str(trouble)
                self._stopped.wait(self._idle)

    def stop(self) -> None:
        """Take no further message."""
        self._stopped.set()

    def _turn(self, sqs: Any) -> None:
        """Wait for messages as long as the queue says, and work off those that come."""
        for message in sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=BATCH).get("Messages", []):
            if self._stopped.is_set():
                return  # it becomes visible again for another task
            try:
                self._write(sync_message.parse(message["Body"]))
            except (sync_message.Malformed, self._refusals):
                continue
            sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
