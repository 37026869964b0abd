"""What a replay decides: what may be replayed, how long it takes, when sync has done with it, and the file."""

from __future__ import annotations

import io
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from scripts.redrive import decisions, meter, unreplayed
from scripts.redrive.decisions import Settling, State
from scripts.redrive.queues import Counts, Letter

BEGAN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
GOOD = '{"key": "k", "seq": 1, "body": "about somebody"}'


def letter(body: str = GOOD, **more: Any) -> Letter:
    return Letter("id", "receipt", body, BEGAN, **more)


# -- letters ------------------------------------------------------------------------------------------------------
def test_what_must_not_be_replayed_is_told_from_what_only_failed() -> None:
    keyless = letter('{"seq": 1, "body": "b"}')
    assert decisions.fault(letter()) is None
    assert decisions.fault(keyless) == "it has no key"
    assert decisions.reason(letter()) == decisions.RETURNED
    assert decisions.counted([letter(), keyless, letter("x"), letter()]) == {
        decisions.RETURNED: 2,
        "it has no key": 1,
        "it is no JSON": 1,
    }


def test_the_file_is_for_this_user_alone_and_is_never_written_over(tmp_path: Path) -> None:
    broken = letter("\ud800", attributes={"a": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}})
    path = unreplayed.write(tmp_path, [letter(), broken])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["id"], first["body"], first["reason"]) == ("id", GOOD, decisions.RETURNED)
    assert (second["body"], second["attributes"]["a"]["BinaryValue"]) == ("\ud800", "AP8=")
    with pytest.raises(FileExistsError):
        unreplayed.write(tmp_path, [])


# -- times --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("letters", "seconds"), [(0, 120), (49, 120), (100_000, 2120), (10**7, 39_600)])
def test_letters_are_hidden_for_as_long_as_sorting_them_may_take(letters: int, seconds: int) -> None:
    assert decisions.hold_seconds(letters) == seconds


def test_what_stays_is_hidden_for_longer_than_the_move_of_the_others() -> None:
    assert decisions.aside_seconds(6000, 50) > decisions.move_seconds(6000, 50) == 120
    assert decisions.aside_seconds(10**7, 1) == decisions.HOLD_MOST
    assert decisions.hold_seconds(decisions.MOST_LETTERS) + decisions.HOLD_MOST < 12 * 60 * 60, "SQS refuses more"


def test_sqs_moves_all_that_may_be_moved_before_it_ends_the_task() -> None:
    assert decisions.move_seconds(decisions.MOST_LETTERS, rate=1) < timedelta(hours=36).total_seconds()


def test_what_is_left_is_told_by_the_rate_that_was_asked_for_then_by_what_was_seen() -> None:
    assert decisions.left(0, 100, 0, rate=10) == 10
    assert decisions.left(30, 100, 30, rate=10) == 7, "too early to say"
    assert decisions.left(60, 120, 120, rate=10) == 120
    assert decisions.left(0, 100, 500, rate=10) == 10, "nothing was seen"
    assert decisions.left(120, 100, 500, rate=10) == 0


# -- when sync has done -------------------------------------------------------------------------------------------
def states(*looks: tuple[float, int, int], deliveries: float = 25) -> list[State]:
    """What is decided at each look: minutes, waiting, being worked on."""
    settling = Settling(timedelta(minutes=deliveries))
    return [
        settling.look(Counts(waiting, hidden, 0, BEGAN + timedelta(minutes=minutes)))
        for minutes, waiting, hidden in looks
    ]


W, SETTLED, STUCK = State.WORKING, State.SETTLED, State.STUCK


def test_it_has_when_nothing_is_there_for_several_minutes() -> None:
    assert states((0, 5, 0), (1, 0, 3), (2, 0, 0), (4.9, 0, 0), (5, 0, 0)) == [W, W, W, W, SETTLED]


def test_a_count_of_none_that_does_not_last_is_not_believed() -> None:
    assert states((0, 0, 0), (2, 3, 0), (3, 0, 0), (5.9, 0, 0), (6, 0, 0)) == [W, W, W, W, SETTLED]


def test_what_fails_is_waited_for_until_it_is_a_dead_letter() -> None:
    looks = [(minute, 0, 1) for minute in range(25)]
    assert states(*looks, (25, 0, 0), (27, 0, 0), (28, 0, 0))[-3:] == [W, W, SETTLED]


def test_a_queue_that_is_never_empty_has_once_the_deliveries_are_used_up() -> None:
    busy = states((0, 100, 10), *((minute, 0, 7) for minute in range(1, 30)))
    assert busy[-2:] == [W, SETTLED]
    assert busy[:-1] == [W] * 29


def test_a_burst_after_a_count_of_none_is_no_standstill_while_it_gets_less() -> None:
    burst = ((minute, 20_000 - 300 * minute, 10) for minute in range(1, 60))
    assert set(states((0, 0, 0), *burst)) == {W}


def test_a_backlog_that_only_grows_is_stuck() -> None:
    assert states((0, 0, 0), *((minute, 100 * minute, 0) for minute in range(1, 37)))[-2:] == [W, STUCK]


def test_a_queue_in_which_nothing_gets_less_is_stuck() -> None:
    assert states((0, 9, 0), (30, 9, 0), (35, 9, 0), (36, 9, 0))[-2:] == [W, STUCK]
    assert states((0, 9, 0), (30, 8, 0), (36, 8, 0), (60, 8, 0), (66, 8, 0)) == [W, W, W, W, STUCK]


def test_delayed_messages_wait_too() -> None:
    settling = Settling(timedelta(minutes=25))
    looks = [settling.look(Counts(0, 0, 1, BEGAN + timedelta(minutes=minute))) for minute in range(5)]
    assert looks == [W] * 5


# -- the line -----------------------------------------------------------------------------------------------------
def test_without_a_terminal_a_line_is_said_now_and_then_and_the_last_one_always(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr("scripts.redrive.meter.time.monotonic", lambda: now[0])
    out = io.StringIO()
    with meter.Meter(Console(file=out, width=80)) as shown:
        for text in ("first", "left out", "second", "last"):
            shown.show(text)
            now[0] += meter.LINES_EVERY / 2
    assert out.getvalue().split() == ["first", "second", "last"]


def test_on_a_terminal_the_last_line_stays() -> None:
    out = io.StringIO()
    with meter.Meter(Console(file=out, width=80, force_terminal=True)) as shown:
        shown.show("[1 of 2]")
    assert "[1 of 2]" in out.getvalue()
