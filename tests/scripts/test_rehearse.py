"""The command around a rehearsal: it always leaves a result, stops its sandbox, and ends with the right failure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from botocore.exceptions import EndpointConnectionError

from scripts import rehearse
from scripts.benchmarks import promotion
from scripts.errors import AwsError, ChecksFailedError, PulumiError
from scripts.rehearsal import results
from scripts.rehearsal.evidence import Evidence
from scripts.rehearsal.faults import Fault
from scripts.rehearsal.sources import Source
from tests.scripts import made_up


class Box:
    """A sandbox that is only a directory."""

    stopped = 0

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        Box.stopped += 1


class World:
    def events(self) -> Iterator[dict[str, Any]]:
        yield from made_up.sandbox_events()


class Rehearsal:
    """Ends as told."""

    def __init__(self, evidence: Evidence, ends: BaseException | None) -> None:
        self.evidence = evidence
        self.timeline = made_up.timeline()
        self.world = World()
        self.ends = ends
        self.collected = False
        self.after_promotion: bool | None = None
        self.seed = 0
        self.silent = False

    def run(self, *, after_promotion: bool = True) -> None:
        self.after_promotion = after_promotion
        if self.ends is not None:
            raise self.ends

    def collect(self) -> None:
        self.collected = True
        raise EndpointConnectionError(endpoint_url="http://gone")


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Play a rehearsal that finds `evidence` and ends with `ends`; returns it and the directory of its result."""

    def play(evidence: Evidence, ends: BaseException | None = None) -> tuple[Rehearsal, Path]:
        rehearsal = Rehearsal(evidence, ends)

        def made(_: Box, seed: int, __: Fault | None, ___: Source = Source.COPIES, silent: bool = False) -> Rehearsal:
            rehearsal.seed, rehearsal.silent = seed, silent
            return rehearsal

        directory = tmp_path / "rehearsals" / "one-region-loss"
        directory.mkdir(parents=True)
        for module in (rehearse, promotion):
            monkeypatch.setattr(module, "Sandbox", lambda speed: Box(tmp_path))
            monkeypatch.setattr(module, "RegionLoss", made)
        monkeypatch.setattr(results, "new_directory", lambda: directory)
        Box.stopped = 0
        return rehearsal, directory

    return play


def result(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "result.json").read_text())
    return found


def run(seed: int | None = 7, fault: Fault | None = None, keep: bool = False) -> None:
    rehearse.region_loss(seed=seed, speed=12.0, fault=fault, source=Source.COPIES, keep=keep)


def test_a_good_rehearsal_ends_well(played: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rehearsal, directory = played(made_up.evidence())
    run()
    assert result(directory)["ok"] is True
    assert result(directory)["seed"] == 7
    assert (directory.parent / "latest").readlink() == Path(directory.name)
    assert rehearsal.after_promotion is True
    assert Box.stopped == 1
    shown = capsys.readouterr().err
    assert "seed 7" in shown
    assert "report.html" in shown


def test_without_a_seed_one_is_drawn_and_printed(played: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rehearsal, _ = played(made_up.evidence())
    run(seed=None)
    assert rehearsal.seed > 0
    assert f"seed {rehearsal.seed}" in capsys.readouterr().err


def test_a_broken_promise_is_a_failure_of_its_own(played: Any) -> None:
    _, directory = played(made_up.evidence(preview_code=7, preview_after=["update x y"]))
    with pytest.raises(ChecksFailedError, match=r"1 of \d+ checks do not hold: preview-empty") as raised:
        run()
    assert raised.value.hint == "To repeat it: dr rehearse region-loss --seed 7 --source snapshot-copies"
    assert result(directory)["ok"] is False
    assert Box.stopped == 1


@pytest.mark.parametrize(
    ("ends", "expected", "told"),
    [
        (PulumiError("no engine"), PulumiError, "PulumiError: no engine"),
        (EndpointConnectionError(endpoint_url="x"), AwsError, "EndpointConnectionError"),
        (SystemExit(143), SystemExit, "interrupted (exit code 143)"),
        (SystemExit(130), SystemExit, "interrupted (exit code 130)"),
    ],
)
def test_a_result_is_written_whatever_ends_it(
    played: Any, ends: BaseException, expected: type[BaseException], told: str
) -> None:
    rehearsal, directory = played(made_up.evidence(), ends)
    with pytest.raises(expected):
        run()
    written = result(directory)
    assert written["ok"] is False
    assert told in written["error"]
    assert rehearsal.collected
    assert Box.stopped == 1
    assert (directory / "report.html").exists()


def test_the_logs_are_kept_on_request(played: Any, tmp_path: Path) -> None:
    _, directory = played(made_up.evidence())
    (tmp_path / "calls.jsonl").write_text("")
    run(keep=True)
    assert (directory / "sandbox" / "calls.jsonl").exists()


def test_the_region_may_be_lost_by_silence(played: Any) -> None:
    rehearsal, _ = played(made_up.evidence())
    rehearse.region_loss(seed=7, speed=12.0, fault=None, source=Source.COPIES, keep=False, silent=True)
    assert rehearsal.silent


# -- dr bench promotion -------------------------------------------------------------------------------------------
def test_a_benchmark_ends_after_the_promotion(played: Any) -> None:
    rehearsal, _ = played(made_up.evidence(up_seconds=130.0))
    measured = promotion.measure(12.0, 1)
    assert measured.figure == 130.0
    assert rehearsal.after_promotion is False
    assert Box.stopped == 1
