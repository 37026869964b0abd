"""The fault table is well formed, rows share sandboxes only where each still meets its fault, and runs are judged."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer

from sandbox.supervisor import SandboxFailed, control
from scripts import errors, rehearse_faults
from scripts.project import CHECKOUT
from scripts.rehearsal import fault_page, fault_report
from scripts.rehearsal.fault_drill import Result, Run, problems_of
from scripts.rehearsal.fault_rows import Injected, Outcome, Row, Stage, chains
from scripts.rehearsal.fault_table import FAULTS
from tests.sandbox.traffic_world import running

BY_NAME = {row.name: row for row in FAULTS}


@pytest.fixture(scope="module")
def kinds() -> Iterator[set[str]]:
    """The kinds of fault that the cloud says it knows."""
    with running() as world:
        with pytest.raises(SandboxFailed) as refused:
            control(world.url, "POST", "faults", kind="unheard-of")
        yield set(re.findall(r"[a-z-]+", str(refused.value).partition("one of")[2].partition(", not")[0]))


def test_there_are_at_least_twenty_of_different_names() -> None:
    assert len(FAULTS) == len(BY_NAME) >= 20


@pytest.mark.parametrize("row", FAULTS, ids=lambda row: row.name)
def test_a_row_is_well_formed(row: Row, kinds: set[str]) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", row.name)
    assert row.broken
    assert row.mended
    assert (row.error is None) == (row.says == "") == (row.outcome is Outcome.PROMOTED) == (row.stage is Stage.WHOLE)
    assert row.error is None or row.error in vars(errors).values()
    re.compile(row.says)
    if isinstance(row.breaks, Injected):
        assert row.breaks.kind in kinds


def test_each_cause_is_told_in_words_of_its_own() -> None:
    """Else a run that the next fault ends would look as if the one before were not mended."""
    told = [row.says for row in FAULTS if row.error]
    assert len(told) == len(set(told))


def test_every_outcome_and_every_stage_is_met() -> None:
    assert {row.outcome for row in FAULTS} == set(Outcome)
    assert {row.stage for row in FAULTS} == set(Stage)


@pytest.mark.parametrize("seed", range(20))
def test_in_a_sandbox_each_fault_is_still_met_after_the_one_before(seed: int) -> None:
    found = chains(FAULTS, random.Random(seed))
    assert sorted(row.name for chain in found for row in chain) == sorted(BY_NAME)
    for chain in found:
        for before, after in pairwise(chain):
            assert after.stage >= before.stage
            if after.stage == before.stage:
                assert after.stage <= Stage.RESTORE_REFUSED
        if chain[-1].stage is Stage.WHOLE:
            assert {row.stage for row in chain[:-1]} <= {Stage.PREFLIGHT}
    # As few as can be: those that make the database, those of the standard services and those of a whole promotion
    # each need one of their own.
    assert len(found) == 6


def test_the_seed_draws_the_order() -> None:
    orders = {tuple(row.name for row in chains(FAULTS, random.Random(seed))[0]) for seed in range(10)}
    assert len(orders) > 1
    assert chains(FAULTS, random.Random(3)) == chains(FAULTS, random.Random(3))


def test_an_unknown_fault_is_refused_with_the_known_ones() -> None:
    with pytest.raises(typer.BadParameter, match=r"'nothing-like-it' is not one of 'copies-unusable', "):
        rehearse_faults.chosen(["latency", "nothing-like-it"])
    assert [row.name for row in rehearse_faults.chosen(["latency", "image-gone"])] == ["image-gone", "latency"]


# -- judgement ----------------------------------------------------------------------------------------------------
IMAGE = BY_NAME["image-lost-midway"]
SAID = (
    "`pulumi up` ended with code 255:\nerror: update failed\nerror: no takeover: CannotPullContainerError: x: not found"
)


def run(code: int | None = 6, error: str = SAID, stderr: str = "", **document: Any) -> Run:
    return Run(code, 1.0, stderr, {"ok": code == 0, "error": error, "served": code == 0, **document})


def test_a_failure_with_its_cause_and_the_crisis_page_up_holds() -> None:
    assert problems_of(Result(IMAGE, run(), served=False), taken_over=False) == []


@pytest.mark.parametrize(
    ("changed", "served", "taken_over", "problem"),
    [
        (run(code=0, error=""), False, False, "exit code 0 instead of 6"),
        (run(code=1), False, False, "exit code 1 instead of 6"),
        (run(code=None), False, False, "did not end"),
        (run(error="no takeover: something else"), False, False, "does not name the cause"),
        (run(error=""), False, False, "without a message"),
        (run(ok=True), False, False, "says ok=True"),
        (run(served=True), False, False, "says served=True"),
        (run(served=None), False, False, "says served=None"),
        (run(stderr="Traceback (most recent call last)\n"), False, False, "a traceback"),
        (run(), True, True, "people are served"),
        (run(), False, True, "the takeover is said"),
    ],
)
def test_what_breaks_a_promise(changed: Run, served: bool, taken_over: bool, problem: str) -> None:
    assert problem in "; ".join(problems_of(Result(IMAGE, changed, served), taken_over))


def test_success_without_anybody_being_served_is_none() -> None:
    found = problems_of(Result(BY_NAME["latency"], run(0, ""), served=False), taken_over=True)
    assert found == ["people are not served", "the takeover is said although the critical services do not answer"]


def test_the_table_shows_the_line_that_tells_most() -> None:
    assert run().first_line == "error: no takeover: CannotPullContainerError: x: not found"
    assert run(0, "").first_line == "promoted"


# -- what is left behind ------------------------------------------------------------------------------------------
def test_the_report_names_each_row_and_escapes_what_was_said(tmp_path: Path) -> None:
    broken = Result(IMAGE, run(error="<b>no</b>"), False, ["exit code 1 instead of 6"], "went on")
    document = rehearse_faults.document_of([broken], 7, 60.0, 1.0, 1, None)
    assert not document["ok"]
    fault_report.write(tmp_path, document)
    page = (tmp_path / "report.html").read_text()
    assert IMAGE.name in page
    assert "exit code 1 instead of 6" in page
    assert "<b>no</b>" not in page


def test_the_page_of_faults_is_the_table() -> None:
    assert (CHECKOUT / "docs" / "faults.md").read_text() == fault_page.page(), "make docs writes it anew"
