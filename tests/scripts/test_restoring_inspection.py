"""What is made of two databases that the function inside the network looked at: told, compared, refused."""

from __future__ import annotations

import copy
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from components import naming
from scripts import console
from scripts.promotion import verification
from scripts.promotion.record import Record
from scripts.promotion.verification import Check
from scripts.restoring import checks, inspection, target
from scripts.restoring.inspection import Inspection
from scripts.restoring.target import Wanted
from tests.scripts.made_up_kenya import serving
from tests.scripts.made_up_restore import AT, FIRST, RESTORED, Serving, instance, made, restore, results
from tests.scripts.made_up_site import NOW, MadeUp

MOMENT = datetime(2026, 3, 2, 6, 14, 30, tzinfo=UTC)
EVENTS = {"rows": 600, "exact": True, "newest": {"at": "2026-03-02 06:14:29+00"}, "broken": None}
GOOD: dict[str, Any] = {
    "tls": "TLSv1.3",
    "tls_only": True,
    "fingerprint": "f1",
    "objects": {"table app.events": "a", "column app.events.at": "b", "index app.events_at": "c"},
    "tables": {"app.events": EVENTS},
    "indexes": {"checked": 120, "broken": {}, "unchecked": [], "refused": None},
}
DAMAGED: dict[str, Any] = {
    **GOOD,
    "fingerprint": "f2",
    "objects": {"table app.events": "a", "column app.events.at": "other", "table app.notes": "d"},
    "tables": {
        "app.events": {**EVENTS, "rows": 10, "newest": {"at": "2026-03-02 07:00:00+00"}},
        "app.notes": {"rows": 12000, "exact": False, "newest": {}, "broken": None},
    },
    "indexes": None,
}


class Function:
    """The function inside the network: what it answers for each database, and what it was asked."""

    def __init__(self, site: Serving, restored: Any, serves: Any) -> None:
        self.answers = {f"{RESTORED}.example": restored, f"{FIRST}.example": serves}
        self.asked: list[dict[str, Any]] = []
        site.answers["lambda.invoke"] = self.invoke

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - AWS's names
        assert FunctionName == "database-roles"
        event = json.loads(Payload)
        self.asked.append(event)
        answer = self.answers[event["host"]]
        if isinstance(answer, Exception):
            raise answer
        failed = {"FunctionError": "Unhandled"} if "errorMessage" in answer else {}
        return {"Payload": io.BytesIO(json.dumps(answer).encode()), **failed}


def call(name: str, event: dict[str, Any]) -> dict[str, Any]:
    kind = "aws:lambda/invocation:Invocation"
    inputs = {"functionName": "database-roles", "input": json.dumps(event)}
    return {"urn": f"urn:pulumi:kenya::p::{kind}::{name}", "type": kind, "inputs": inputs}


def described(identifier: str, generation: str, role: str) -> dict[str, Any]:
    return {**instance(identifier, generation, role), "Endpoint": {"Address": f"{identifier}.example", "Port": 5432}}


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Serving, MadeUp]:
    site, peer = made(tmp_path, monkeypatch)
    fence = {"task": "lock", "host": "other", "port": 1, "master": "secret-of-master", "services": ["x"]}
    calls = (call("turn-first", {"task": "turn"}), call("fences-first", fence))
    site.document = serving(frozen=True, resources=calls)
    site.databases[FIRST] = described(FIRST, "first", naming.SERVING_ROLE)
    site.databases[RESTORED] = described(RESTORED, "restored", naming.RETAINED_ROLE)
    return site, peer


def looked(site: Serving, restored: Any, serves: Any, at: datetime | None = MOMENT) -> tuple[Inspection, bool, str]:
    Function(site, restored, serves)
    found = Inspection(site, RESTORED, FIRST, at)
    return found, *found.look()


def test_both_are_asked_as_what_they_are(both: tuple[Serving, MadeUp]) -> None:
    site, _ = both
    function = Function(site, GOOD, GOOD)
    found = Inspection(site, RESTORED, FIRST, MOMENT)
    assert found.look() == found.look()
    asked = {"task": "inspect", "master": "secret-of-master", "port": 5432}
    assert function.asked == [
        {**asked, "host": f"{RESTORED}.example", "indexes": True},
        {**asked, "host": f"{FIRST}.example", "indexes": False},
    ], "once each"


def test_the_same_is_told_as_the_same(both: tuple[Serving, MadeUp]) -> None:
    found, held, told = looked(both[0], GOOD, GOOD)
    assert held
    assert told == f"TLSv1.3, 1 tables; the schema is that of {FIRST}; amcheck looked at 120 btree indexes"
    document = found.as_json()
    assert document is not None
    assert (document["same_schema"], document["differences"], document["not_compared"]) == (True, [], None)


def test_damage_is_told_and_no_failure(
    both: tuple[Serving, MadeUp], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.err, "width", 160)
    found, held, told = looked(both[0], GOOD, DAMAGED)
    assert held
    differences = [
        "column app.events.at: differs",
        "index app.events_at: only in what was restored",
        "table app.notes: only in what serves",
    ]
    assert f"the schema is not that of {FIRST}: {', '.join(differences)}" in told
    record = Record.new("kenya", tmp_path / "record")
    found.tell(record)
    (line,) = (record.directory / "events.jsonl").read_text().splitlines()
    document = json.loads(line)
    assert document.items() >= json.loads(json.dumps(found.as_json())).items()
    assert (document["kind"], document["same_schema"], document["differences"]) == ("inspection", False, differences)
    assert document["tables"]["app.events"] == {"restored": EVENTS, "serving": DAMAGED["tables"]["app.events"]}
    assert document["tables"]["app.notes"]["restored"] is None
    shown = capsys.readouterr().err
    for words in ("600", "about 12,000", "no such table", "at 2026-03-02 07:00:00+00", *differences):
        assert words in shown, words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: found.update(tls=None), "the session is not encrypted"),
        (lambda found: found.update(tls_only=False), "it takes logins without TLS"),
        (lambda found: found.update(tables={}), "it has no table, and what serves has 2"),
        (
            lambda found: found["tables"]["app.events"].update(broken="invalid page in block 0 (XX001)"),
            "cannot be read: app.events (invalid page in block 0 (XX001))",
        ),
        (
            lambda found: found["indexes"]["broken"].update({"app.events_at": "item order (XX002)"}),
            "broken indexes: app.events_at (item order (XX002))",
        ),
    ],
)
def test_what_must_not_serve_is_refused(both: tuple[Serving, MadeUp], change: Any, words: str) -> None:
    changed = copy.deepcopy(GOOD)
    change(changed)
    found, held, told = looked(both[0], changed, DAMAGED)
    assert (held, told.startswith(words)) == (False, True), told
    assert found.as_json() is not None


def test_an_empty_database_of_an_empty_one_is_no_fault(both: tuple[Serving, MadeUp]) -> None:
    assert looked(both[0], {**GOOD, "tables": {}}, {**GOOD, "tables": {}})[1]


@pytest.mark.parametrize(
    ("indexes", "words"),
    [
        ({"refused": "this server does not offer amcheck", "checked": 0}, "amcheck after 0 indexes: this server does"),
        ({"unchecked": ["app.big", "app.bigger"]}, "2 not in time: app.big, app.bigger"),
    ],
)
def test_what_was_not_looked_at_is_told(both: tuple[Serving, MadeUp], indexes: dict[str, Any], words: str) -> None:
    _, held, told = looked(both[0], {**GOOD, "indexes": {**GOOD["indexes"], **indexes}}, GOOD)
    assert (held, words in told) == (True, True), told


def test_an_estimate_is_told_as_one(both: tuple[Serving, MadeUp]) -> None:
    tables = {f"app.t{number}": {**EVENTS, "exact": False} for number in range(7)}
    _, held, told = looked(both[0], {**GOOD, "tables": tables}, GOOD)
    assert held
    assert "not counted in time: app.t0, app.t1, app.t2, app.t3, app.t4, and 2 more" in told


@pytest.mark.parametrize(
    ("newest", "late"),
    [
        ("2026-03-02 06:14:30+00", False),
        ("2026-03-02 06:14:31+00", True),
        ("2026-03-02 06:14:31", True),
        ("2026-03-03", True),
        ("2026-03-02", False),
        ("infinity", False),
        ("0044-03-15 BC", False),
        (None, False),
    ],
)
def test_what_is_later_than_the_moment_is_told(both: tuple[Serving, MadeUp], newest: str | None, late: bool) -> None:
    tables = {"app.events": {**EVENTS, "newest": {"at": newest}}}
    _, held, told = looked(both[0], {**GOOD, "tables": tables}, GOOD)
    assert held
    assert (f"later than the moment, if these are no appointments: app.events.at {newest}" in told) is late


def test_too_many_objects_to_name_still_differ(both: tuple[Serving, MadeUp]) -> None:
    _, held, told = looked(both[0], {**GOOD, "objects": None}, DAMAGED)
    assert held
    assert f"the schema is not that of {FIRST}: too many objects to name" in told


# -- who does not answer --------------------------------------------------------------------------------------------
SILENT = {"errorMessage": "Can't create a connection", "errorType": "InterfaceError"}


@pytest.mark.parametrize("error", [SILENT, ReadTimeoutError(endpoint_url="lambda")])
def test_the_one_that_serves_need_not_answer(both: tuple[Serving, MadeUp], error: Any) -> None:
    found, held, told = looked(both[0], GOOD, error)
    assert held
    said = error["errorMessage"] if isinstance(error, dict) else str(error)
    assert f"not compared with {FIRST}: {said}" in told
    assert found.look()[1] == told
    document = found.as_json()
    assert document is not None
    assert (document["not_compared"], document["same_schema"], document["differences"]) == (said, None, None)
    assert document["tables"]["app.events"] == {"restored": EVENTS}


def test_one_that_is_gone_or_has_no_address_is_not_asked(both: tuple[Serving, MadeUp]) -> None:
    site, _ = both
    del site.databases[FIRST]["Endpoint"]
    site.databases[FIRST]["DBInstanceStatus"] = "failed"
    assert "it is failed" in looked(site, GOOD, GOOD)[2]
    del site.databases[FIRST]
    assert "it does not exist" in looked(site, GOOD, GOOD)[2]


def test_the_restored_one_is_asked_until_it_answers(both: tuple[Serving, MadeUp]) -> None:
    site, _ = both
    function = Function(site, SILENT, GOOD)
    found = Inspection(site, RESTORED, FIRST, MOMENT)
    assert found.look() == (False, f"{RESTORED}: Can't create a connection")
    assert found.as_json() is None
    function.answers[f"{RESTORED}.example"] = GOOD
    assert found.look()[0]


def test_a_state_without_a_call_of_the_function_is_told(both: tuple[Serving, MadeUp]) -> None:
    site, _ = both
    site.document = serving(frozen=True)
    assert looked(site, GOOD, GOOD)[1:] == (
        False,
        f"{RESTORED}: the state records no call of the function inside the network",
    )


# -- as a part of the command ---------------------------------------------------------------------------------------
def test_it_is_one_of_the_checks(both: tuple[Serving, MadeUp]) -> None:
    site, _ = both
    Function(site, {**GOOD, "tls_only": False}, GOOD)
    chosen = target.choose(site, Wanted(at=AT), NOW)
    look = checks.before_serving(site, chosen, Inspection(site, RESTORED, FIRST, AT))["inspected"]
    assert look()[0] is False


def test_what_was_found_is_in_the_result(both: tuple[Serving, MadeUp], monkeypatch: pytest.MonkeyPatch) -> None:
    site, peer = both
    monkeypatch.setattr(inspection, "_ask", lambda _site, name, **_: (GOOD if name == RESTORED else DAMAGED, None))
    del site.databases[RESTORED]

    def hold(looks: Any, *_: Any) -> list[Check]:
        return [Check(name, True, looks[name]()[1] if name == "inspected" else "") for name in looks]

    monkeypatch.setattr(verification, "hold", hold)
    restore(site, peer).apply()
    (result,) = results()
    assert result["inspection"]["database"] == RESTORED
    assert result["inspection"]["beside"] == FIRST
    assert result["inspection"]["same_schema"] is False
    assert result["inspection"]["tables"]["app.events"]["restored"]["rows"] == 600
