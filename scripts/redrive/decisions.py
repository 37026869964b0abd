"""What a replay decides, from what it saw: pure functions of counts, letters and AWS's clock."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from components import sync_message
from components.sync_message import Malformed
from scripts.redrive.queues import Counts, Letter

# Sorting holds every letter at once, and SQS lets a standard queue hide about 120,000 ("Message quotas", SQS). So many
# are also moved within the 36 hours after which SQS ends a move, at any rate ("… dead-letter queue redrive", SQS).
MOST_LETTERS = 100_000
# Seconds. A letter is hidden while the others are looked at: the slowest that this may go is SORTED_A_SECOND. SQS hides
# for 12 hours from the receipt and refuses what goes beyond ("Visibility timeout", SQS): sorting takes of them, too.
HOLD_LEAST, HOLD_MOST, SORTED_A_SECOND = 120, 11 * 60 * 60, 50
# SQS's counts lag for a minute and more: they must say 0 for several ("Confirming that a queue is empty", SQS).
CALM = timedelta(minutes=3)
PACE_SECONDS = 60.0  # what was seen for less says nothing of how fast it goes
STANDSTILL = timedelta(minutes=10)  # beyond the time that a failing message takes to become a dead letter
RETURNED = "it came back: sync could not work it off"


def fault(letter: Letter) -> str | None:
    """Why a letter must not be replayed; None where it may be. Says nothing of its contents."""
    try:
        sync_message.parse(letter.body)
    except Malformed as found:
        return str(found)
    return None


def reason(letter: Letter) -> str:
    """Why a letter that is still there after a replay was not replayed."""
    return fault(letter) or RETURNED


def counted(letters: Sequence[Letter]) -> dict[str, int]:
    """How many letters there are for each reason, the most first."""
    return dict(Counter(map(reason, letters)).most_common())


def hold_seconds(letters: int) -> int:
    """How long to hide letters while so many are sorted."""
    return min(HOLD_MOST, HOLD_LEAST + letters // SORTED_A_SECOND)


def move_seconds(letters: int, rate: int) -> float:
    return letters / rate


def aside_seconds(letters: int, rate: int) -> int:
    """How long to hide what must not be moved while so many others are."""
    return min(HOLD_MOST, HOLD_LEAST + math.ceil(2 * move_seconds(letters, rate)))


def left(done: int, total: int, seconds: float, rate: float) -> float:
    """Seconds until all is done: by what was seen so far, before that by the rate that was asked for."""
    seen = done / seconds if seconds >= PACE_SECONDS and done else rate
    return max(0, total - done) / seen


class State(Enum):
    """How far `sync` is."""

    WORKING = "working"
    SETTLED = "settled"
    STUCK = "stuck"


@dataclass
class Settling:
    """Whether `sync` has done with what was moved, from looks at its queue.

    It has when nothing waits and nothing is being worked on for a while. A queue that new messages keep busy is never
    so empty: there it has once nothing waited for a while, so that each moved message was received, and the deliveries
    of one that fails are used up since. `deliveries`: how long those take. It does not get on where nothing got less
    from one look to the next for longer than that; that more came meanwhile says nothing of it.
    """

    deliveries: timedelta
    _calm_since: datetime | None = None
    _none_waits_since: datetime | None = None
    _received: datetime | None = None
    _waited: int | None = None  # at the last look
    _got_less_at: datetime | None = None

    def look(self, counts: Counts) -> State:
        """Take in one look, in the order of time."""
        waiting, now = counts.visible + counts.delayed, counts.at
        self._calm_since = (self._calm_since or now) if counts.total == 0 else None
        self._none_waits_since = (self._none_waits_since or now) if waiting == 0 else None
        if self._received is None and self._none_waits_since and now - self._none_waits_since >= CALM:
            self._received = self._none_waits_since
        if self._waited is None or waiting < self._waited:
            self._got_less_at = now
        self._waited = waiting
        if self._calm_since and now - self._calm_since >= CALM:
            return State.SETTLED
        if self._received is not None:
            return State.SETTLED if now - self._received >= self.deliveries + CALM else State.WORKING
        stood = now - (self._got_less_at or now)
        return State.STUCK if stood > self.deliveries + STANDSTILL else State.WORKING
