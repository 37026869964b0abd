"""The unavoidable chain is computed from the clock's table, and long enough to be worth measuring."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.clock import DEFAULT_SPEED, DURATIONS, Clock
from scripts.benchmarks import promotion
from scripts.rehearsal import chain
from scripts.rehearsal.sources import Source


def test_the_chain_follows_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    before = chain.total(chain.promotion())
    monkeypatch.setitem(DURATIONS, "rds.restore", replace(DURATIONS["rds.restore"], minutes=112.0))
    monkeypatch.setitem(DURATIONS, "ecs.task_start", replace(DURATIONS["ecs.task_start"], minutes=2.5))
    assert chain.total(chain.promotion()) == pytest.approx(before + 100 + 1)  # the standard tasks run beside the cache


def test_the_chain_lasts_at_least_80_seconds_at_the_default_speed() -> None:
    assert Clock(DEFAULT_SPEED).seconds(chain.total(chain.promotion())) >= 80


@pytest.mark.parametrize("source", [*Source, None])
def test_every_link_says_why_and_where_its_figure_comes_from(source: Source | None) -> None:
    assert all(link.minutes > 0 and link.why and link.source for link in chain.promotion(source))


def test_a_replica_is_promoted_and_not_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = chain.total(chain.promotion(Source.REPLICA))
    monkeypatch.setitem(DURATIONS, "rds.restore", replace(DURATIONS["rds.restore"], minutes=112.0))
    assert chain.total(chain.promotion(Source.REPLICA)) == before
    monkeypatch.setitem(DURATIONS, "rds.promote", replace(DURATIONS["rds.promote"], minutes=105.0))
    assert chain.total(chain.promotion(Source.REPLICA)) == pytest.approx(before + 100)


def test_chain_and_sources_are_printed_beforehand(capsys: pytest.CaptureFixture[str]) -> None:
    promotion.show_chain(chain.promotion(), Clock(DEFAULT_SPEED))
    shown = capsys.readouterr().err
    assert "restore the database" in shown
    assert "the chain" in shown
    assert "RDS event log" in shown
