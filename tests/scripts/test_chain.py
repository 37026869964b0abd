"""The unavoidable chain is computed from the clock's table, and long enough to be worth measuring."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.clock import DEFAULT_SPEED, DURATIONS, Clock
from scripts import bench
from scripts.errors import ChecksFailedError, PulumiError
from scripts.rehearsal import chain
from tests.scripts.made_up import evidence


def test_the_chain_follows_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    before = chain.total(chain.promotion())
    monkeypatch.setitem(DURATIONS, "rds.restore", replace(DURATIONS["rds.restore"], minutes=112.0))
    monkeypatch.setitem(DURATIONS, "ecs.task_start", replace(DURATIONS["ecs.task_start"], minutes=2.5))
    assert chain.total(chain.promotion()) == pytest.approx(before + 100 + 1)  # the standard tasks run beside the cache


def test_the_chain_lasts_at_least_80_seconds_at_the_default_speed() -> None:
    assert Clock(DEFAULT_SPEED).seconds(chain.total(chain.promotion())) >= 80


def test_every_link_says_why_and_where_its_figure_comes_from() -> None:
    assert all(link.minutes > 0 and link.why and link.source for link in chain.promotion())


def test_the_bound_decides(capsys: pytest.CaptureFixture[str]) -> None:
    bench.compare(evidence(up_seconds=114.9), 100.0)
    assert "pulumi up 114.9 s / chain 100.0 s = 1.149 (bound 1.15)" in capsys.readouterr().out
    with pytest.raises(ChecksFailedError, match=r"1\.151 times the unavoidable chain"):
        bench.compare(evidence(up_seconds=115.1), 100.0)


def test_a_promotion_that_failed_has_no_speed() -> None:
    with pytest.raises(PulumiError, match="ended with code 255"):
        bench.compare(evidence(up_code=255), 100.0)


def test_chain_and_sources_are_printed_beforehand(capsys: pytest.CaptureFixture[str]) -> None:
    bench.show_chain(chain.promotion(), Clock(DEFAULT_SPEED))
    shown = capsys.readouterr().err
    assert "restore the database" in shown
    assert "the chain" in shown
    assert "RDS event log" in shown
