"""What a rehearsal leaves behind: fields, files, the link, and a report that stands alone."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from scripts import rehearse
from scripts.rehearsal import chart, report, results
from scripts.rehearsal.evidence import Evidence
from scripts.rehearsal.timeline import Timeline
from scripts.rehearsal.writer import Look
from tests.scripts import made_up
from tests.scripts.made_up import KENYA, LOSS, SOUTH_AFRICA, SPEED, at, evidence, timeline

REQUIRED = {
    "scenario",
    "ok",
    "seed",
    "lost_region",
    "calls_to_lost_region_during_promotion",
    "global_control_plane_calls_during_promotion",
    "rto_minutes",
    "rpo_minutes",
    "rows",
    "dns",
    "preview_after",
    "drift_after",
    "checks",
}


def result(e: Evidence, t: Timeline | None = None, error: str | None = None) -> dict[str, Any]:
    return results.result(e, t or timeline(), 7, error)


def events(e: Evidence, t: Timeline | None = None) -> list[dict[str, Any]]:
    return results.events(e, t or timeline(), made_up.sandbox_events())


def untouched() -> tuple[Evidence, Timeline]:
    """Of a rehearsal that ended before anything was up."""
    e = Evidence(KENYA, SOUTH_AFRICA, None, 60, 240, 2.5, SPEED, ["999"])
    return e, Timeline(timeline().clock, made_up.CRITICAL)


def test_the_result_has_what_is_promised() -> None:
    found = json.loads(json.dumps(result(evidence())))
    assert found.keys() >= REQUIRED
    assert found["ok"] is True
    assert found["scenario"] == "region-loss"
    assert found["seed"] == 7
    assert found["lost_region"] == KENYA
    assert found["calls_to_lost_region_during_promotion"] == 0
    assert found["global_control_plane_calls_during_promotion"] == 0
    assert found["rto_minutes"] == {"crisis_page": 1.4, "critical": 25.3, "all": 29.6}
    assert found["rpo_minutes"] == 2.3
    assert found["rows"] == {"committed_before": made_up.COMMITTED, "present_after": made_up.RESTORED}
    assert {moment: answer["region"] for moment, answer in found["dns"].items()} == {
        "before": KENYA,
        "after_loss": SOUTH_AFRICA,
        "after_promotion": SOUTH_AFRICA,
        "after_return": SOUTH_AFRICA,
    }
    assert found["preview_after"] == []
    assert found["drift_after"] == []
    assert all(check.keys() >= {"name", "ok", "evidence"} for check in found["checks"])


def test_one_broken_promise_breaks_the_whole() -> None:
    assert result(evidence(preview_code=7, preview_after=["update x y"]))["ok"] is False


def test_what_ended_early_is_never_ok() -> None:
    found = result(evidence(), error="SandboxError: gone")
    assert found["ok"] is False
    assert found["error"] == "SandboxError: gone"
    assert all(check["ok"] for check in found["checks"])


def test_a_rehearsal_that_never_began_can_be_written(tmp_path: Path) -> None:
    e, t = untouched()
    document = result(e, t, "PulumiError: no engine")
    assert document["ok"] is False
    assert document["calls_to_lost_region_during_promotion"] is None
    assert document["rows"] == {"committed_before": 0, "present_after": None}
    assert document["rto_minutes"] == {"crisis_page": None, "critical": None, "all": None}
    directory = tmp_path / "one"
    directory.mkdir()
    results.write(directory, document, results.events(e, t, []))
    page = (directory / "report.html").read_text()
    assert "ended before the region was lost" in page
    assert "PulumiError: no engine" in page


def test_events_are_in_order_with_minutes_since_the_loss() -> None:
    found = events(evidence())
    moments = [event["t"] for event in found]
    assert moments == sorted(moments)
    cut = next(event for event in found if event["kind"] == "region.cut")
    assert cut["at_minutes"] == 0.0
    restore = next(event for event in found if event["kind"] == "resource" and event["name"] == "database-first")
    assert (restore["at_minutes"], restore["end_minutes"]) == (2.9, 22.5)
    assert "function.ran" not in {event["kind"] for event in found}


def test_looks_become_spans() -> None:
    looks = [
        Look(1.0, "ok", KENYA, 200),
        Look(2.0, "ok", KENYA, 200),
        Look(3.0, "unreachable", KENYA, None),
        Look(4.0, "crisis-page", SOUTH_AFRICA, 503),
        Look(5.0, "crisis-page", SOUTH_AFRICA, 503),
    ]
    spans = [(span["state"], span["t"], span["end"]) for span in results.seen(looks)]
    assert spans == [("ok", 1.0, 3.0), ("unreachable", 3.0, 4.0), ("crisis-page", 4.0, 5.0)]
    assert list(results.seen([])) == []


def test_the_files_are_written_and_latest_points_to_the_newest(tmp_path: Path) -> None:
    for name in ("first", "second"):
        directory = tmp_path / name
        directory.mkdir()
        results.write(directory, result(evidence()), events(evidence()))
    latest = tmp_path / "latest"
    assert latest.is_symlink()
    assert latest.readlink() == Path("second")
    assert sorted(path.name for path in latest.iterdir()) == ["events.jsonl", "report.html", "result.json"]
    lines = (latest / "events.jsonl").read_text().splitlines()
    assert all(json.loads(line).keys() >= {"t", "kind", "at_minutes"} for line in lines)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "latest", "second"]


def test_directories_are_named_by_time_and_scenario(tmp_path: Path) -> None:
    made = results.new_directory(root=tmp_path)
    assert re.fullmatch(r"\d{8}T\d{6}\.\d{6}Z-region-loss", made.name)
    assert made.is_dir()


def test_engine_logs_with_secrets_are_not_kept(tmp_path: Path) -> None:
    box, directory = tmp_path / "box", tmp_path / "kept"
    box.mkdir()
    directory.mkdir()
    for name in ("calls.jsonl", "cloud.log", "engine-events.jsonl"):
        (box / name).write_text(name)
    kept = results.keep_logs(box, directory)
    assert sorted(path.name for path in kept.iterdir()) == ["calls.jsonl", "cloud.log"]


@pytest.mark.parametrize(
    ("ended", "told"),
    [(SystemExit(143), "interrupted (exit code 143)"), (LookupError("x"), "LookupError: x")],
)
def test_what_ended_a_rehearsal_is_said(ended: BaseException, told: str) -> None:
    assert rehearse.told(ended) == told


# -- the report ---------------------------------------------------------------------------------------------------
class Page(HTMLParser):
    """Collects tags, attributes and text; notes what does not nest."""

    VOID = frozenset({"meta", "br", "line", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [f"{name}={value}" for name, value in attrs if name in ("src", "href", "srcset", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page(e: Evidence, t: Timeline | None = None, error: str | None = None) -> Page:
    return Page(report.render(result(e, t, error), events(e, t)))


def test_the_report_needs_nothing_else() -> None:
    text = report.render(result(evidence()), events(evidence()))
    found = Page(text)
    assert found.references == []
    assert not {"script", "link", "img", "iframe"} & set(found.tags)
    assert "@import" not in text
    assert "url(" not in text
    assert (found.wrong, found.open) == ([], [])


def test_the_report_shows_numbers_timeline_checks_and_calls() -> None:
    text = page(evidence()).text
    for part in (
        "Every promise held",
        "25.3 min",
        "of 240 min at most",
        "of 900 committed before the loss; 140 lost",
        "create Instance database-first",
        "Nothing called the lost region",
        "rds in af-south-1",
        "Measured:",
        "Modelled:",
        "rds.multi_az",
        "dr rehearse region-loss --seed 7",
    ):
        assert part in text, part


def test_the_report_of_a_failure_says_so_and_what_failed() -> None:
    e = evidence(fault="standard-service", up_code=255, all_running=None, crisis_page=at(3.1))
    found = page(e, timeline("services-sync"), "SandboxError: <gone>")
    assert "Not passed" in found.text
    assert "SandboxError: <gone>" in found.text  # shown as text, not as markup
    assert "injected fault: standard-service" in found.text
    assert "✗ broken" in found.text
    assert found.wrong == []


def test_backticks_become_code_and_markup_stays_text() -> None:
    assert str(report.prose("`pulumi up` of <b>")) == "<code>pulumi up</code> of &lt;b&gt;"


def test_a_limit_is_kept_or_broken() -> None:
    kept = report.tiles(result(evidence()))
    assert all(tile.ok for tile in kept)
    late = report.tiles(result(evidence(crisis_page=at(2.6))))[0]
    assert (late.ok, late.share) == (False, 100.0)
    unread = report.tiles(result(evidence(read_back=None)))[4]
    assert (unread.ok, unread.value) == (False, "not read")
    never = report.tiles(result(evidence(write_accepted=None)))[1]
    assert (never.ok, never.value) == (False, "never")


# -- its drawing --------------------------------------------------------------------------------------------------
def test_bars_lie_where_the_minutes_say() -> None:
    found = events(evidence())
    scale = chart.scale_of(found)
    assert scale is not None
    bars = {bar.label: bar for bar in chart.resources(found, scale, {"restore": "restore", "all": "rest"}).bars}
    restore = bars["create Instance database-first"]
    assert restore.x == scale.x(2.9)
    assert restore.end == pytest.approx(scale.x(22.5), abs=0.11)
    assert restore.end_label == "19.6"
    assert all(
        bar.x >= chart.LABELS and bar.end <= chart.LABELS + chart.PLOT + chart.NARROWEST for bar in bars.values()
    )


def test_a_failed_operation_is_marked() -> None:
    found = events(evidence(), timeline("services-sync"))
    scale = chart.scale_of(found)
    assert scale is not None
    bar = chart.resources(found, scale, {"all": "rest"}).bars[-1]
    assert (bar.style, bar.end_label) == ("failed", "failed")


@pytest.mark.parametrize("last", [0.5, 3.0, 30.0, 75.0, 500.0, 2000.0])
def test_the_axis_has_few_marks_and_names_the_loss(last: float) -> None:
    ticks = chart.Scale(-1.0, last).ticks()
    assert ticks[0].label == "loss"
    assert len(ticks) <= chart.MOST_TICKS + 1


def test_without_a_loss_there_is_no_drawing() -> None:
    assert chart.scale_of([]) is None
    assert chart.scale_of([{"kind": "remark", "t": LOSS, "at_minutes": None, "end_minutes": None}]) is None
