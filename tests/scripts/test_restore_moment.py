"""What people type as a moment: exactly one, or refused with what is allowed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scripts.errors import RefusedError
from scripts.restoring.moment import ALLOWED, parse, said, written

AT = datetime(2026, 3, 2, 6, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "typed",
    [
        "2026-03-02T06:14:30Z",
        "2026-03-02T09:14:30+03:00",
        " 2026-03-02 09:14:30+03:00 ",
        "2026-03-02 09:14:30 Africa/Nairobi",
        "2026-03-02T09:14:30[Africa/Nairobi]",
        "2026-03-02T08:14:30 [Africa/Johannesburg]",
        "2026-03-02T01:14:30 America/New_York",
    ],
)
def test_a_moment_is_told_with_its_zone(typed: str) -> None:
    assert parse(typed) == AT
    assert (written(AT), said(AT)) == ("2026-03-02T06:14:30Z", "2026-03-02 06:14:30 UTC")


def test_seconds_may_be_left_out() -> None:
    assert parse("2026-03-02T09:14+03:00") == AT.replace(second=0)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("yesterday", "is no time"),
        ("2026-03-02", "is no time"),
        ("2026-03-02T09:14:30", "has no zone"),
        ("2026-03-02T09:14:30.5Z", "is no time"),
        ("2026-02-30T09:14:30Z", "does not exist: day is out of range"),
        ("2026-03-02T09:14:30+99:00", "has no valid offset"),
        ("2026-03-02 09:14:30 Africa/Mombasa", "there is no time zone Africa/Mombasa"),
        ("2026-03-02 09:14:30 ../etc/passwd", "is no time"),
        ("2026-03-02 09:14:30 [../etc/passwd]", "there is no time zone"),
        ("2026-10-25 02:30:00 Europe/Berlin", "was twice.*2026-10-25T02:30:00\\+02:00 or 2026-10-25T02:30:00\\+01:00"),
        ("2026-03-29 02:30:00 Europe/Berlin", "never was.*to 2026-03-29T03:30:00\\+02:00"),
    ],
)
def test_what_is_not_exactly_one_moment_is_refused(typed: str, words: str) -> None:
    with pytest.raises(RefusedError, match=words) as refused:
        parse(typed)
    assert "Nothing was changed" in refused.value.message
    assert refused.value.hint == ALLOWED


def test_beside_a_change_of_clocks_there_is_no_doubt() -> None:
    assert parse("2026-10-25 01:59:59 Europe/Berlin") == datetime(2026, 10, 24, 23, 59, 59, tzinfo=UTC)
    assert parse("2026-10-25 03:00:00 Europe/Berlin") == datetime(2026, 10, 25, 2, tzinfo=UTC)
    assert parse("2026-03-29 03:00:00 Europe/Berlin") == datetime(2026, 3, 29, 1, tzinfo=UTC)
