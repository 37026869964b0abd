"""The arithmetic and the judgement of `dr bench`, on made-up figures: nothing here is timed."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts import bench
from scripts.benchmarks import memory, no_change, preview, program_watch, promotion, replica, rpo
from scripts.benchmarks.names import Benchmark
from scripts.benchmarks.result import Result
from scripts.errors import ChecksFailedError, NotMeasuredError, PulumiError, SandboxError
from scripts.rehearsal import chain
from scripts.rehearsal.writer import Row
from tests.scripts.made_up import evidence

EVENTS = """
{"kind": "snapshot.taken", "region": "eu-west-1", "snapshot": "a", "modelled": "2026-11-27T10:00:00+00:00"}
{"kind": "snapshot.available", "region": "eu-west-1", "snapshot": "a", "copy": false, "taken": "2026-11-27 10:00:00", "modelled": "2026-11-27T10:02:00+00:00"}
{"kind": "snapshot.available", "region": "af-south-1", "snapshot": "a", "copy": true, "taken": "2026-11-27 10:00:00.5", "modelled": "2026-11-27T10:09:00+00:00"}
"""  # noqa: E501 - one event a line


def result(figure: float, bound: float | None = 2.0) -> Result:
    return Result(what="x", unit="s", figure=figure, against="y", reference=5.0, bound=bound)


# -- the judgement ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("figure", "bound", "verdict"),
    [(10.0, 2.0, "holds"), (10.01, 2.0, "BROKEN"), (0.0, 2.0, "holds"), (99.0, None, "no bound")],
)
def test_the_bound_decides(figure: float, bound: float | None, verdict: str) -> None:
    measured = result(figure, bound)
    assert measured.verdict == verdict
    assert measured.holds is (verdict != "BROKEN")
    assert measured.document() | {"ratio": figure / 5.0, "verdict": verdict} == measured.document()


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Let every measurement yield what is given, or raise it; the folder of the results."""

    def prepare(**outcomes: Result | Exception) -> Path:
        def measure(name: str) -> Callable[[float, int], Result]:
            def play(speed: float, count: int) -> Result:
                outcome = outcomes.get(name, result(5.0))
                if isinstance(outcome, Exception):
                    raise outcome
                return replace(outcome, details={"speed": speed, "count": count})

            return play

        for name, one in list(bench.MEASUREMENTS.items()):
            monkeypatch.setitem(bench.MEASUREMENTS, name, replace(one, measure=measure(name.name.lower())))
        monkeypatch.setattr(bench, "BUILD", tmp_path)
        return tmp_path / "bench"

    return prepare


def written(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("*.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_everything_is_measured_and_written_down(measured: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder = measured()
    bench.run([])
    found = written(folder)
    assert set(found["results"]) == {name.value for name in Benchmark}
    assert (
        found["results"]["preview"] | {"figure": 5.0, "ratio": 1.0, "verdict": "holds"} == found["results"]["preview"]
    )
    assert found["results"]["memory"]["details"] == {"speed": 60.0, "count": 10}
    assert {"processors", "load"} <= set(found["machine"])
    assert "preview: x: 5.00 s / y 5.00 s = 1.000 (bound 2, holds)" in capsys.readouterr().out


def test_only_what_is_named_is_measured_at_the_speed_and_count_asked_for(measured: Any) -> None:
    folder = measured()
    bench.run([Benchmark.RPO], speed=30.0, count=3)
    (only,) = written(folder)["results"].values()
    assert only["details"] == {"speed": 30.0, "count": 3}


def test_a_broken_bound_fails_after_everything_was_measured(measured: Any) -> None:
    folder = measured(preview=result(10.5))
    with pytest.raises(ChecksFailedError, match="Above its bound: preview"):
        bench.run([])
    found = written(folder)["results"]
    assert (found["preview"]["verdict"], len(found)) == ("BROKEN", len(Benchmark))


def test_what_could_not_be_measured_is_told_and_does_not_stop_the_others(measured: Any) -> None:
    folder = measured(promotion=PulumiError("no engine"))
    with pytest.raises(NotMeasuredError, match="Not measured: promotion"):
        bench.run([])
    found = written(folder)
    assert found["failures"] == {"promotion": "no engine"}
    assert len(found["results"]) == len(Benchmark) - 1


# -- promotion and preview ----------------------------------------------------------------------------------------
def test_a_promotion_is_judged_by_its_median_against_the_chain() -> None:
    found = promotion.judged([120.0, 114.9, 100.0], 100.0)
    assert (found.ratio, found.bound, found.holds) == (1.149, chain.BOUND, True)
    assert not promotion.judged([115.1], 100.0).holds


def test_a_promotion_that_failed_has_no_duration() -> None:
    with pytest.raises(PulumiError, match="ended with code 255"):
        promotion.duration(evidence(up_code=255))


def test_of_two_stacks_the_slower_median_counts() -> None:
    found = preview.judged({"empty": [3.0, 9.0, 3.0], "one": [5.0, 4.0, 99.0], "two": [6.5, 6.0, 5.0]})
    assert (found.figure, found.reference, found.holds) == (6.0, 3.0, True)
    assert "two" in found.what
    assert not preview.judged({"empty": [3.0], "one": [6.1], "two": [1.0]}).holds


# -- lost data ----------------------------------------------------------------------------------------------------
def test_copies_are_those_that_became_available_in_the_standby_region() -> None:
    events = [json.loads(line) for line in EVENTS.strip().splitlines()]
    (copy,) = rpo.copies_in(events, "af-south-1")
    assert copy.identifier == "a"
    assert (copy.available - copy.taken) == pytest.approx(9 * 60 - 0.5)


MADE = [rpo.Copy("old", 0.0, 540.0), rpo.Copy("slow", 900.0, 2400.0), rpo.Copy("quick", 1800.0, 2340.0)]


@pytest.mark.parametrize(
    ("moment", "newest", "minutes"),
    [
        (540.0, "old", 9.0),
        (2339.0, "old", 2339 / 60),  # two are on their way: neither counts
        (2340.0, "quick", 9.0),
        (3000.0, "quick", 20.0),  # the one that came later has older data
    ],
)
def test_a_copy_counts_from_its_completion_and_by_its_data(moment: float, newest: str, minutes: float) -> None:
    assert rpo.newest_at(moment, MADE).identifier == newest
    assert rpo.lost_minutes(moment, MADE) == pytest.approx(minutes)


def test_before_the_first_copy_there_is_no_figure() -> None:
    with pytest.raises(SandboxError, match="No copy was available"):
        rpo.newest_at(539.0, MADE)


def test_the_worst_moment_is_judged_and_the_program_must_agree() -> None:
    found = rpo.judged([600.0, 2339.0, 3000.0], MADE, "quick")
    assert found.figure == pytest.approx(2339 / 60)
    assert (found.details["median"], found.holds) == (20.0, True)
    assert not rpo.judged([540.0 + 37 * 60, 3000.0], [MADE[0]], "old").holds
    with pytest.raises(SandboxError, match="would restore slow, the newest available copy is quick"):
        rpo.judged([3000.0], MADE, "slow")


def test_the_moments_are_seeded_and_in_order() -> None:
    first, second = (rpo.seeded(random.Random(7), 1000.0, 20, 300.0) for _ in range(2))
    assert first == second == sorted(first)
    assert 1000.0 <= first[0] <= first[-1] <= 1000.0 + 300 * 60


def test_the_preview_says_what_would_be_restored() -> None:
    database = {"type": rpo.INSTANCE, "inputs": {"snapshotIdentifier": "copy-7"}}
    steps = [{"op": "same", "newState": database | {"inputs": {}}}, {"op": "create", "newState": database}]
    assert rpo.restored_in(json.dumps({"steps": steps})) == "copy-7"
    with pytest.raises(SandboxError, match="restores no database"):
        rpo.restored_in(json.dumps({"steps": steps[:1]}))


def test_a_replica_is_judged_in_modelled_seconds_and_lacks_what_was_acknowledged_before() -> None:
    rows = [Row(1, 9.0, 9.1, "k"), Row(2, 9.5, 9.9, "k"), Row(3, 9.95, 10.2, "k")]
    looks = [replica.Look(10.0, 0.5, 1), replica.Look(10.1, 0.2, 2)]
    found = replica.judged(looks, rows, speed=10.0)
    assert (found.figure, found.holds) == (5.0, True)
    assert found.details["acknowledged rows that it lacks"] == [1, 0]
    assert not replica.judged([replica.Look(10.0, 6.1, 3)], rows, speed=10.0).holds


# -- the program's share and memory -------------------------------------------------------------------------------
def test_the_program_s_share_counts_preview_and_update() -> None:
    runs = [program_watch.Run(10.0, 12.0, 1.5), program_watch.Run(13.0, 16.0, 2.0)]
    ours = no_change.summed(10.0, runs)
    assert (ours.program, ours.busy) == (5.0, 3.5)
    found = no_change.told("kenya", [no_change.Deployment(4.0, 1.0, 0.5)], [ours])
    assert (found.details["its share"], found.ratio, found.bound) == (0.5, 2.5, None)


def test_the_watch_sees_the_launcher_and_nothing_else(tmp_path: Path) -> None:
    launcher = tmp_path / program_watch.LAUNCHER.decode()
    launcher.write_text("import time\nsum(range(10**7))\ntime.sleep(0.4)\n")
    script = f"sleep 0.2 & {sys.executable} {launcher}; wait"
    with subprocess.Popen(["sh", "-c", script]) as shell:
        watch = program_watch.ProgramWatch(shell.pid)
        watch.start()
        shell.wait()
    (run,) = watch.finish()
    assert run.last - run.first >= 0.4
    assert run.busy > 0
    assert program_watch.descendants(shell.pid) == []
    assert program_watch.processor_seconds(shell.pid) is None


def test_a_process_takes_memory_and_one_that_ended_none() -> None:
    with subprocess.Popen([sys.executable, "-c", "x = bytearray(64 << 20); print(flush=True); input()"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:  # fmt: skip
        assert child.stdout is not None
        child.stdout.readline()
        taken = memory.sample({"cloud": child.pid})
        child.communicate(b"\n")
    assert 64 <= taken["cloud"] <= 128
    assert memory.sample({"cloud": child.pid}) == {"cloud": 0.0}


def test_the_largest_peak_is_judged(tmp_path: Path) -> None:
    for name in memory.PARTS:
        (tmp_path / f"{name}.json").write_text('{"pid": 1}')
    sampler = memory.Sampler(tmp_path)
    for now in ({"cloud": 900.0}, {"cloud": 1000.0, "postgres": 50.0}, {"cloud": 1020.0}):
        sampler.keep(now)
    assert sampler.peak == {"cloud": 1000.0, "postgres": 50.0}
    found = memory.judged([sampler.peak, {"cloud": 1500.0}, {"cloud": 10.0}])
    assert (found.figure, found.holds) == (1500.0, True)
    assert found.details["parts at the largest"] == {"cloud": 1500.0}
    assert not memory.judged([{"cloud": 1536.5}]).holds
