"""The modelled clock: conversions, the table of AWS's durations, and what the default speed makes of them."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox.clock import DEFAULT_SPEED, DURATIONS, Clock, database_minutes, minutes

STARTED = 1_800_000_000.0


def test_modelled_time_starts_at_the_real_time_and_runs_faster() -> None:
    clock = Clock(speed=12, started_at=STARTED)
    assert clock.at(STARTED) == datetime.fromtimestamp(STARTED, UTC)
    assert clock.at(STARTED + 5) == datetime.fromtimestamp(STARTED + 60, UTC)
    assert clock.seconds(1) == 5
    assert clock.minutes_between(STARTED, STARTED + 10) == 2


def test_now_moves_by_the_speed() -> None:
    clock = Clock(speed=600)
    first = clock.epoch()
    time.sleep(0.05)
    passed = clock.epoch() - first
    assert 30 <= passed < 600, "0.05 s are 30 modelled seconds, and a busy machine makes it a little more"
    assert abs(clock.now().timestamp() - clock.epoch()) < 60


@pytest.mark.parametrize("speed", [0, -1])
def test_time_must_pass(speed: float) -> None:
    with pytest.raises(ValueError, match="speed must be positive"):
        Clock(speed=speed)


def test_a_second_process_finds_the_same_clock(tmp_path: Path) -> None:
    (tmp_path / "cloud.json").write_text(json.dumps({"speed": 7, "started_at": STARTED, "port": 1}))
    clock = Clock.of(tmp_path)
    assert (clock.speed, clock.started_at) == (7, STARTED)


@pytest.mark.parametrize("name", sorted(DURATIONS))
def test_every_duration_is_positive_and_says_where_it_comes_from(name: str) -> None:
    found = DURATIONS[name]
    assert 0 < found.minutes <= 60
    assert "http" in found.source or found.source.startswith("assumption")


def test_an_unknown_operation_is_no_zero() -> None:
    with pytest.raises(KeyError):
        minutes("rds.teleport")


def test_a_database_that_is_safe_takes_longer() -> None:
    plain = database_minutes("rds.restore", multi_az=False, backups=False)
    assert plain == minutes("rds.restore")
    safe = database_minutes("rds.restore", multi_az=True, backups=True)
    assert safe == plain + minutes("rds.multi_az") + minutes("rds.first_backup")


def test_a_promotion_lasts_at_least_80_seconds_at_the_default_speed() -> None:
    """Restore, roles, critical services and DNS wait for each other; issue 3 asks for at least 80 s of real time."""
    restore = database_minutes("rds.restore", multi_az=True, backups=True)
    chain = restore + minutes("lambda.cold_start") + minutes("ecs.task_start")
    assert Clock(DEFAULT_SPEED).seconds(chain) >= 80
