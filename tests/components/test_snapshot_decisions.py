"""What the snapshot cycle takes, copies and gives up, over many times and orders."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from components.functions.snapshot_cycle.decisions import (
    KEEP_WEEKLY,
    Snapshot,
    due,
    next_copy,
    prunable,
    stamped,
    thinned,
    time_in_name,
)

DATABASE = "mental-health-platform-kenya-rds"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
# The region's quota for manual snapshots is 100; the database's own final ones and people's need room too.
FAR_UNDER_THE_QUOTA = 45


def snapshot(at: datetime, status: str = "available", automated: bool = False) -> Snapshot:
    name = f"rds:{DATABASE}-{at:%Y-%m-%d-%H-%M}" if automated else stamped(DATABASE, at)
    return Snapshot(
        identifier=name,
        arn=f"arn:aws:rds:eu-west-1:1:snapshot:{name}",
        status=status,
        automated=automated,
        ours=not automated,
        unusable=False,
        source="db-KENYA",
        data_time=at if status == "available" else None,
    )


def ago(minutes: float, status: str = "available", automated: bool = False) -> Snapshot:
    return snapshot(NOW - timedelta(minutes=minutes), status, automated)


def test_a_name_carries_its_minute() -> None:
    assert stamped(DATABASE, NOW) == f"{DATABASE}-snapshot-2026-03-02-0900"
    assert time_in_name(stamped(DATABASE, NOW)) == NOW
    assert time_in_name(f"rds:{DATABASE}-2026-03-02-09-00") is None


@pytest.mark.parametrize(
    ("snapshots", "expected"),
    [
        ([], True),
        ([ago(14)], False),
        ([ago(15)], True),
        ([ago(60), ago(5)], False),
        ([ago(5, "creating")], False),
        ([ago(5, "failed")], True),
        ([ago(5, automated=True)], True),
    ],
)
def test_due(snapshots: list[Snapshot], expected: bool) -> None:
    assert due(snapshots, NOW, QUARTER) is expected


def test_a_tick_that_starts_some_seconds_late_is_not_a_tick_lost() -> None:
    assert due([ago(15)], NOW + timedelta(seconds=3), QUARTER)
    taken_late = replace(ago(15), data_time=NOW - timedelta(minutes=13))
    assert due([taken_late], NOW, QUARTER)


def test_the_newest_available_snapshot_is_copied() -> None:
    source = [ago(30), ago(15), ago(0, "creating")]
    assert next_copy(source, [], 4) == source[1]
    assert next_copy(source, [ago(30)], 4) == source[1]
    assert next_copy(source, [ago(15)], 4) is None
    assert next_copy(source, [ago(15, "creating")], 4) is None


def test_a_failed_copy_is_made_again() -> None:
    assert next_copy([ago(15)], [ago(15, "failed")], 4) == ago(15)


def test_an_automated_snapshot_is_copied_when_it_is_the_newest() -> None:
    automated = ago(5, automated=True)
    assert next_copy([ago(30), automated], [ago(30)], 4) == automated
    copied = replace(ago(5), identifier=stamped(DATABASE, NOW - timedelta(minutes=5)))
    assert next_copy([ago(30), automated], [copied], 4) is None


def test_what_is_marked_unusable_is_not_copied() -> None:
    assert next_copy([ago(30), replace(ago(15), unusable=True)], [], 4) == ago(30)


def test_what_others_took_is_not_copied_under_our_tag_but_a_copy_of_it_is_known() -> None:
    by_hand = replace(ago(5), ours=False)
    assert next_copy([ago(30), by_hand], [], 4) == ago(30)
    assert next_copy([ago(30), by_hand], [by_hand], 4) is None, "newer data are here already"
    assert next_copy([ago(30)], [replace(by_hand, status="failed")], 4) == ago(30)
    assert due([by_hand], NOW, QUARTER), "the cycle's own rhythm does not depend on people"


def test_no_more_copies_than_allowed_run_at_once() -> None:
    running = [ago(minutes, "creating") for minutes in (30, 45, 60)]
    assert next_copy([ago(15)], running, 3) is None
    assert next_copy([ago(15)], running, 4) == ago(15)


def test_copies_of_people_stop_the_cycle_only_where_aws_takes_no_more() -> None:
    by_hand = [replace(ago(60 + minutes, "creating"), ours=False) for minutes in range(20)]
    assert next_copy([ago(15)], by_hand[:19], 4) == ago(15)
    assert next_copy([ago(15)], by_hand, 4) is None
    assert next_copy([ago(15)], [*by_hand[:3], *(ago(minutes, "creating") for minutes in (30, 31, 32, 33))], 4) is None


def test_nothing_to_copy() -> None:
    assert next_copy([], [], 4) is None
    assert next_copy([ago(1, "creating")], [], 4) is None


def histories() -> Iterator[list[Snapshot]]:
    """Made-up pasts: dense, sparse, with gaps, unsorted, some not available."""
    for seed in range(150):
        draw = random.Random(seed)
        longest = draw.choice([90, 60 * 24, 60 * 24 * 8, 60 * 24 * 45])
        past = [ago(draw.uniform(0, longest)) for _ in range(draw.randint(1, 120))]
        yield [replace(item, status="creating", data_time=None) if draw.random() < 0.1 else item for item in past]


def test_the_newest_available_one_is_never_given_up() -> None:
    for past in histories():
        available = [item for item in past if item.available]
        if available:
            newest = max(available, key=lambda item: item.data_time or NOW)
            for later in (0, 1, 10, 100, 1000):
                assert newest not in prunable(past, NOW + timedelta(days=later))


def test_nothing_of_the_last_hour_and_nothing_unfinished_is_given_up() -> None:
    for past in histories():
        for item in prunable(past, NOW):
            assert item.available
            assert item.data_time is not None
            assert NOW - item.data_time > timedelta(hours=1)


def test_giving_up_twice_gives_up_no_more() -> None:
    for past in histories():
        gone = prunable(past, NOW)
        assert prunable([item for item in past if item not in gone], NOW) == []


def test_what_is_evidence_foreign_automated_or_in_use_is_kept() -> None:
    for past in histories():
        old = [replace(item, data_time=item.data_time and item.data_time - timedelta(days=40)) for item in past]
        for protected in (
            [replace(item, unusable=True) for item in old],
            [replace(item, ours=False) for item in old],
            [replace(item, automated=True) for item in old],
        ):
            assert prunable([*protected, ago(1)], NOW) == []
        assert prunable([*old, ago(1)], NOW, frozenset(item.identifier for item in old)) == []


def test_failed_ones_go_unless_they_are_evidence() -> None:
    failed = ago(1, "failed")
    assert prunable([failed, ago(15)], NOW) == [failed]
    assert prunable([replace(failed, unusable=True), ago(15)], NOW) == []


def test_an_unusable_newest_one_does_not_stand_for_the_usable_one() -> None:
    usable, corrupt = ago(60 * 24 * 60), replace(ago(1), unusable=True)
    assert prunable([usable, corrupt], NOW) == []


@cache
def weeks_of_cycles() -> tuple[tuple[datetime, tuple[Snapshot, ...]], ...]:
    """A snapshot every quarter of an hour for 40 days, pruned as the cycle prunes: what is there after each."""
    kept: list[Snapshot] = []
    found = []
    for step in range(40 * 96):
        now = BEGINNING + step * QUARTER
        kept.append(snapshot(now))
        gone = {item.identifier for item in prunable(kept, now)}
        kept = [item for item in kept if item.identifier not in gone]
        found.append((now, tuple(kept)))
    return tuple(found)


def test_weeks_of_cycles_stay_far_under_the_quota_and_keep_every_class() -> None:
    for now, kept in weeks_of_cycles():
        assert len(kept) <= FAR_UNDER_THE_QUOTA
        if now - BEGINNING < timedelta(days=31) or now.minute or now.hour % 6:
            continue
        ages = [now - (item.data_time or now) for item in kept]
        assert sum(age <= timedelta(hours=1) for age in ages) == 5
        for hour in range(23):
            assert [age for age in ages if timedelta(hours=hour) <= age <= timedelta(hours=hour + 1)], hour
        for day in range(6):
            assert [age for age in ages if timedelta(days=day) <= age <= timedelta(days=day + 1)], day
        for week in range(3):
            assert [age for age in ages if timedelta(weeks=week) <= age <= timedelta(weeks=week + 1)], week
        assert max(ages) <= KEEP_WEEKLY


def test_a_daily_one_is_the_same_one_until_its_class_ends() -> None:
    first_of_day = datetime(2026, 1, 20, tzinfo=UTC)
    for now, kept in weeks_of_cycles():
        if first_of_day <= now <= first_of_day + timedelta(days=7):
            assert first_of_day in [item.data_time for item in kept]


def test_thinning_is_by_utc_whatever_the_zone() -> None:
    times = [NOW - timedelta(hours=hours) for hours in range(200)]
    assert {moment.astimezone(UTC) for moment in thinned([t.astimezone() for t in times], NOW)} == thinned(times, NOW)
    assert thinned([], NOW) == set()
