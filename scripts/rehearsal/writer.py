"""What the outside world does during a disaster: it writes rows, stores recordings, and looks whether help is there.

Each runs on a thread of its own and keeps what it saw with real moments (epoch seconds).
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.public import PublicClient, Unreachable
from scripts.errors import SandboxError

ROWS_PATH = "/api/events"
HEALTH_PATH = "/health"
ROW_EVERY = 0.2  # real seconds
LOOK_EVERY = 0.25
RECORDING_EVERY = 1.0


@dataclass(frozen=True)
class Row:
    """A row whose commit was acknowledged to the outside, by the region that answered."""

    seq: int
    sent: float
    acknowledged: float
    region: str


@dataclass(frozen=True)
class Look:
    """One look at the public name. `state` is ok, crisis-page, error or unreachable."""

    t: float
    state: str
    region: str | None
    status: int | None


class Worker(threading.Thread):
    """Repeats `act` until stopped. An exception ends it and is raised again in `finish()`."""

    def __init__(self, name: str, every: float) -> None:
        super().__init__(name=name, daemon=True)
        self._every = every
        self._over = threading.Event()
        self.error: Exception | None = None

    def act(self) -> None:
        raise NotImplementedError

    def run(self) -> None:
        try:
            while not self._over.wait(self._every):
                self.act()
        except Exception as error:  # noqa: BLE001 - raised again in finish(), on the caller's thread
            self.error = error

    def stop(self) -> None:
        """Let the current act be the last one, without waiting for it."""
        self._over.set()

    def finish(self) -> None:
        """Stop and wait. Raises what ended the worker, SandboxError where it does not end."""
        self.stop()
        if self.is_alive():
            self.join(30)
        if self.is_alive():
            raise SandboxError(f"The rehearsal's worker {self.name!r} did not end within 30 s.")
        if self.error is not None:
            raise self.error


class RowWriter(Worker):
    """Commits numbered rows through the public name. A number is used up only once its commit is acknowledged."""

    def __init__(self, client: PublicClient) -> None:
        super().__init__("rows", ROW_EVERY)
        self._client = client
        self._next = 1
        self.rows: list[Row] = []
        self.last_failure = ""

    def act(self) -> None:
        sent = time.time()
        try:
            answer = self._client.post(ROWS_PATH, {"seq": self._next, "body": f"row {self._next}"})
        except Unreachable as error:
            self.last_failure = str(error)
            return
        # 200: an earlier try was committed without our hearing of it.
        if answer.status not in (200, 201):
            self.last_failure = f"{answer.status} from {answer.answered_by}: {answer.body[:120]}"
            return
        self.rows.append(Row(self._next, sent, time.time(), answer.answered_by))
        self._next += 1

    def first_after(self, moment: float, region: str) -> Row | None:
        """The first row sent after `moment` that `region` acknowledged."""
        return next((row for row in list(self.rows) if row.sent >= moment and row.region == region), None)


class Onlooker(Worker):
    """Somebody who keeps opening the public name."""

    def __init__(self, client: PublicClient, page_text: str) -> None:
        super().__init__("onlooker", LOOK_EVERY)
        self._client = client
        self._page_text = page_text
        self.looks: list[Look] = []
        self.page = ""

    def act(self) -> None:
        began = time.time()
        try:
            answer = self._client.get(HEALTH_PATH)
        except Unreachable as error:
            self.looks.append(Look(began, "unreachable", error.region, None))
            return
        state = self._state(answer.status, answer.body)
        if state == "crisis-page":
            self.page = answer.body
        # The answer counts from when it was there, not from when it was asked for.
        self.looks.append(Look(time.time(), state, answer.answered_by, answer.status))

    def _state(self, status: int, body: str) -> str:
        if status == 503 and self._page_text in body:
            return "crisis-page"
        return "ok" if status == 200 and _says_ok(body) else "error"

    def first(self, state: str, region: str, after: float) -> Look | None:
        """The first look after `after` that found `state`, answered by `region`."""
        return next(
            (look for look in list(self.looks) if look.t >= after and look.state == state and look.region == region),
            None,
        )


class RecordingWriter(Worker):
    """Stores recordings in the primary's audio bucket until the region is lost."""

    def __init__(self, s3: Any, bucket: str) -> None:
        super().__init__("recordings", RECORDING_EVERY)
        self._s3 = s3
        self._bucket = bucket
        self.stored: dict[str, tuple[float, int]] = {}  # key -> (moment, size)

    def act(self) -> None:
        number = len(self.stored) + 1
        key, body = f"audio/{number:05d}.wav", b"RIFF" + number.to_bytes(4, "little") * 64
        try:
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="audio/wav")
        except (BotoCoreError, ClientError):  # the region is lost: what was not stored is not due at the standby
            return
        self.stored[key] = (time.time(), len(body))


def _says_ok(body: str) -> bool:
    try:
        answer = json.loads(body)
    except json.JSONDecodeError:
        return False
    return isinstance(answer, dict) and answer.get("status") == "ok"
