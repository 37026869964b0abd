"""Single facts out of what a rehearsal recorded."""

from __future__ import annotations

from typing import Any, cast

import pytest

from sandbox.public import Answer, PublicClient, Unreachable
from scripts.project import load
from scripts.rehearsal import inspection
from scripts.rehearsal.calls import PULL_FUNCTION
from scripts.rehearsal.evidence import ReadBack
from scripts.rehearsal.faults import Fault, request
from scripts.rehearsal.sources import PROMISES, Source
from scripts.rehearsal.timeline import MARKER, Span
from scripts.rehearsal.writer import Row, RowWriter
from tests.scripts.made_up import CRITICAL, KENYA, LOSS, SOUTH_AFRICA, URN, at, call, evidence, instance, timeline

PULL = "FUNCTION-mental-health-platform-sa-snapshot-cycle"


class Told:
    """A public name with one answer."""

    def __init__(self, answer: Answer | Exception) -> None:
        self.answer = answer

    def get(self, _: str) -> Answer:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def read_back(answer: Answer | Exception, *regions: str) -> ReadBack:
    client = cast("PublicClient", Told(answer))
    rows = RowWriter(client)
    rows.rows += [Row(number, LOSS, LOSS, region) for number, region in enumerate(regions, start=1)]
    return inspection.read_back(client, rows)


def test_rows_are_read_back_with_the_last_one_written() -> None:
    told = Answer(200, "[1, 3]", SOUTH_AFRICA)
    assert read_back(told, KENYA, KENYA, SOUTH_AFRICA) == ReadBack(SOUTH_AFRICA, [1, 3], 3)
    assert read_back(told, KENYA) == ReadBack(SOUTH_AFRICA, [1, 3], None)
    assert read_back(told) == ReadBack(SOUTH_AFRICA, [1, 3], None)


def test_a_refusal_is_no_row() -> None:
    assert read_back(Answer(503, "crisis page", SOUTH_AFRICA), SOUTH_AFRICA) == ReadBack(SOUTH_AFRICA, [], None)
    assert read_back(Unreachable("refused"), SOUTH_AFRICA) == ReadBack(None, [], None)


@pytest.mark.parametrize(
    ("operation", "found"), [("same", 0), ("refresh", 0), ("read", 0), ("update", 1), ("delete", 1)]
)
def test_drift_is_an_operation_that_changes_something(operation: str, found: int) -> None:
    metadata = {"op": operation, "urn": f"{URN}aws:rds/instance:Instance::database-first"}
    changes = inspection.drift_in({"resOutputsEvent": {"metadata": metadata}})
    assert changes == [f"{operation} aws:rds/instance:Instance database-first"] * found
    assert inspection.drift_in({"summaryEvent": {}}) == []


def test_the_restored_copy_is_named_by_a_tag() -> None:
    assert inspection.restored_from(instance()) == "rds-snapshot-newest"
    assert inspection.restored_from({}) is None


def test_a_recording_is_due_once_replication_had_its_time() -> None:
    stored = {"early": (at(-5), 100), "cut short": (at(-5), 100), "lost": (at(-2), 100), "last second": (at(-0.5), 100)}
    due = inspection.missing_recordings(stored, {"early": 100, "cut short": 40}, LOSS, speed=12)
    assert due == (3, ["cut short", "lost"])


def test_the_restore_begins_with_its_call() -> None:
    e = evidence()
    restore = PROMISES[Source.COPIES].operation
    made = [call("rds", restore, KENYA, t=2.5), call("rds", restore, t=2.9), call("rds", restore, t=3.5)]
    assert inspection.restore_began(made, e) == at(2.9)
    assert inspection.restore_began([call("rds", restore, t=1)], e) is None


def test_pulls_count_from_the_restore_to_the_end() -> None:
    e = evidence(restore_began=at(2.9))
    made = [call("rds", "DescribeDBInstances", KENYA, PULL, t=t) for t in (2.1, 3.0, 4.0, 31.0)]
    assert inspection.pulls_after(made, [], e) == 2
    assert inspection.pulls_after(made, [], evidence(restore_began=None)) == 0


@pytest.mark.parametrize(("end", "minutes", "counted"), [(3.2, 1.0, 0), (3.2, 0.25, 1), (2.95, 1.0, 1)])
def test_a_pull_that_had_begun_before_the_restore_may_end_after_it(end: float, minutes: float, counted: int) -> None:
    pull = call("rds", "DescribeDBInstances", KENYA, PULL, t=3.0)
    run = {"t": at(end), "kind": "function.invoked", "function": f"x-{PULL_FUNCTION}", "seconds": at(minutes) - at(0)}
    assert inspection.pulls_after([pull], [run], evidence(restore_began=at(2.9))) == counted


def healthy(minutes: float, group: str, region: str = SOUTH_AFRICA) -> dict[str, Any]:
    return {"t": at(minutes), "kind": "target.healthy", "region": region, "target_group": group}


def test_the_first_healthy_target_of_each_critical_service_counts() -> None:
    events = [
        healthy(1, "mhp-sa-api-gateway"),  # before the promotion
        healthy(20, "mhp-kenya-api-gateway", KENYA),
        healthy(24.6, "mhp-sa-api-gateway"),
        healthy(24.7, "mhp-sa-api-gateway"),
        {**healthy(24.0, "mhp-sa-crisis-detection"), "kind": "target.unhealthy"},
        healthy(24.5, "mhp-sa-crisis-detection"),
        healthy(24.4, "mhp-sa-other"),
    ]
    assert inspection.targets_healthy(events, evidence(), CRITICAL) == {
        "api-gateway": at(24.6),
        "crisis-detection": at(24.5),
    }


def rule(minutes: float, body: str = "taken-over: yes", region: str = SOUTH_AFRICA) -> dict[str, Any]:
    return {"t": at(minutes), "kind": "alb.rule_changed", "region": region, "body": body}


def marker(start: float, end: float | None, failed: bool = False) -> Span:
    return Span("urn", MARKER, "takeover-marker", "update", "takeover", at(start), at(end) if end else None, failed)


def test_the_takeover_is_said_by_the_first_witness_and_complete_with_the_second() -> None:
    e = evidence()
    assert inspection.takeover_said([rule(24.9)], [marker(24.8, 25.1)], e) == (at(24.8), at(25.1))
    assert inspection.takeover_said([rule(24.9)], [], e) == (at(24.9), None)
    assert inspection.takeover_said([], [marker(24.8, None)], e) == (at(24.8), None)
    assert inspection.takeover_said([rule(1), rule(24, "no"), rule(24, region=KENYA)], [], e) == (None, None)
    assert inspection.takeover_said([], [marker(24.8, 25, failed=True)], e) == (None, None)


def test_the_made_up_timeline_has_both_witnesses() -> None:
    assert inspection.takeover_said([rule(24.9)], timeline().spans, evidence()) == (at(24.86), at(24.97))


def test_faults_hit_the_standard_service_of_the_standby_region() -> None:
    project = load()
    crash = request(Fault.STANDARD_SERVICE, project)
    assert crash == {"kind": "service-crash", "service": "sync", "region": SOUTH_AFRICA}
    refused = request(Fault.SIDE_RESOURCE, project)
    assert (refused["region"], refused["kind"], refused["contains"]) == (SOUTH_AFRICA, "api-error", "database/sync")
