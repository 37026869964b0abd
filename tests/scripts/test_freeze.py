"""`dr freeze` and `dr thaw` with everything outside of them made up: what they ask, keep, change and write down."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts import freeze
from scripts.errors import ChecksFailedError, LockedError, NotConfirmedError, RefusedError
from scripts.freezing import before, checks, steps
from scripts.promotion import leftovers, public, verification
from scripts.promotion.record import Record
from scripts.promotion.recovery import Recovery
from scripts.promotion.verification import Check
from scripts.stack_change import Options
from tests.scripts.made_up_kenya import LIVE, Kenya, described, serving
from tests.scripts.made_up_site import denied, lock, pending, state

SET = (
    *("config", "set-all", "--path", "--plaintext", "frozen=true", "--plaintext", "thawCounts.crisis-detection=3"),
    *("--plaintext", "thawCounts.api-gateway=7", "--plaintext", "thawCounts.sync=2"),
    *("--plaintext", "thawCounts.audio-processing=1", "--plaintext", "thawCounts.notifications=1"),
    *("--stack", "kenya"),
)
UP = ("up", "--stack", "kenya", "--yes")
HELD = [Check("roles", True, "5 roles refused")]
FENCE = {"task": "lock"}
LOCKED = {"locked": ["a", "b"], "refused": {"a": "28000", "b": "28000"}, "ended": 0, "revoked": [], "prepared": []}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kenya:
    monkeypatch.setattr(steps, "FREEZES", tmp_path / "freezes")
    monkeypatch.setattr(steps, "THAWS", tmp_path / "thaws")
    monkeypatch.setattr(verification, "hold", lambda _: HELD)
    return Kenya(tmp_path)


def options(**given: Any) -> Options:
    return Options(**{"apply": True, "confirm": "kenya", "as_json": False, "interactive": False, **given})


def result(root: Path) -> dict[str, Any]:
    (found,) = root.glob("*-kenya/result.json")
    read: dict[str, Any] = json.loads(found.read_text())
    return read


# -- freeze -----------------------------------------------------------------------------------------------------------
def test_a_dry_run_changes_nothing(site: Kenya, capsys: pytest.CaptureFixture[str]) -> None:
    freeze.Freeze(site, options(apply=False, as_json=True)).rehearse()
    told = json.loads(capsys.readouterr().out)
    assert (told["applied"], told["counts"], told["findings"][0]["level"]) == (False, LIVE, "ok")
    assert site.changed() == []
    assert not steps.FREEZES.exists()


def test_a_freeze_keeps_the_counts_sets_the_flag_deploys_verifies_and_writes_down(site: Kenya) -> None:
    freeze.Freeze(site, options()).apply()
    assert site.changed() == [SET, UP], "flag and counts in one write of the file"
    written = result(steps.FREEZES)
    assert (written["ok"], written["counts"], written["checks"][0]["name"]) == (True, LIVE, "roles")
    assert written["commit"][1].endswith("commit -m 'Freeze kenya'")


def test_the_counts_are_those_of_the_moment_of_the_confirmation(site: Kenya) -> None:
    looks = iter([{**LIVE, "sync": 9}, LIVE])
    site.answers["ecs.describe_services"] = lambda **_: described(next(looks))
    freeze.Freeze(site, options()).apply()
    assert site.changed()[0] == SET


@pytest.mark.parametrize("typed", [None, "", "south-africa"])
def test_without_the_name_nothing_is_changed(site: Kenya, typed: str | None) -> None:
    for kind, root in ((freeze.Freeze, steps.FREEZES), (freeze.Thaw, steps.THAWS)):
        with pytest.raises(NotConfirmedError):
            kind(site, options(confirm=typed)).apply()
        assert result(root)["exit_code"] == NotConfirmedError.exit_code
    assert site.changed() == []


def test_continued_after_a_kill_it_keeps_the_counts_of_the_first_run(site: Kenya) -> None:
    site.configured("frozen: true", "thawCounts: {api-gateway: 7, sync: 2}")
    site.run({**LIVE, "api-gateway": 0})
    change = freeze.Freeze(site, options())
    change.apply()
    assert site.changed() == [UP]
    assert (change.counts["api-gateway"], change.counts["sync"]) == (7, 2)


def test_a_freeze_by_hand_left_its_counts_in_the_outputs(site: Kenya) -> None:
    site.configured("frozen: true")
    site.document, zero = serving(frozen=True, kept={"api-gateway": 7}), dict.fromkeys(LIVE, 0)
    site.run(zero)
    change = freeze.Freeze(site, options())
    change.apply()
    assert change.counts == {"api-gateway": 7}


def test_what_an_earlier_thaw_left_in_the_file_is_not_taken_for_the_counts_of_now(site: Kenya) -> None:
    site.configured("frozen: false", "thawCounts: {api-gateway: 19}")
    freeze.Freeze(site, options()).apply()
    assert site.changed() == [("config", "rm", "thawCounts", "--stack", "kenya"), SET, UP]


def test_a_freeze_that_was_taken_back_halfway_still_knows_what_it_had_stopped(site: Kenya) -> None:
    site.configured("frozen: false", "thawCounts: {api-gateway: 19}")
    site.run({**LIVE, "api-gateway": 0})
    before_it = before.look(site)
    assert before.counts(site.settings, before_it) == {**LIVE, "api-gateway": 19}


def test_what_forbids_it_is_said_before_anything_is_changed(site: Kenya) -> None:
    arrangements: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: setattr(site, "document", state(standby=True)), RefusedError, "has not taken over"),
        # A promotion that failed at its gate.
        (lambda: setattr(site, "document", state(standby=False)), RefusedError, "has not taken over"),
        (lambda: setattr(site, "document", {}), RefusedError, "has not taken over"),
        (lambda: site.held.append(lock(host="laptop")), LockedError, "on laptop"),
    ]
    for arrange, kind, words in arrangements:
        site.document, site.held = serving(), []
        arrange()
        with pytest.raises(kind, match=words):
            freeze.Freeze(site, options()).apply()
    site.document, site.held = serving(), []
    site.answers["ecs.list_services"] = denied("AccessDeniedException", "ListServices")
    with pytest.raises(RefusedError, match="AccessDenied"):
        freeze.Freeze(site, options()).apply()
    assert site.changed() == []


def test_a_partial_success_is_a_failure(site: Kenya, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "hold", lambda _: [*HELD, Check("page", False, "200")])
    with pytest.raises(ChecksFailedError, match="freeze is not complete: page of 2"):
        freeze.Freeze(site, options()).apply()
    assert result(steps.FREEZES)["exit_code"] == ChecksFailedError.exit_code


# -- thaw -------------------------------------------------------------------------------------------------------------
def frozen(site: Kenya) -> None:
    site.configured("frozen: true", "thawCounts: {api-gateway: 7, sync: 2}")
    site.document = serving(frozen=True, kept={"api-gateway": 1, "notifications": 1})
    site.cli.keys = {"frozen", "thawCounts"}
    site.run(dict.fromkeys(LIVE, 0))


def test_a_thaw_forgets_the_counts_once_they_are_restored(site: Kenya, capsys: pytest.CaptureFixture[str]) -> None:
    frozen(site)
    freeze.Thaw(site, options(as_json=True)).apply()
    rm = ("config", "rm", "thawCounts", "--stack", "kenya")
    thawed = (
        *("config", "set-all", "--path", "--plaintext", "frozen=false", "--plaintext", "thawCounts.api-gateway=7"),
        *("--plaintext", "thawCounts.notifications=1", "--plaintext", "thawCounts.sync=2", "--stack", "kenya"),
    )
    assert site.changed() == [thawed, UP, rm], "also what only the outputs held"
    told = json.loads(capsys.readouterr().out)
    assert told["counts"] == {"api-gateway": 7, "sync": 2, "notifications": 1}


def test_a_thaw_that_is_not_complete_keeps_them(site: Kenya, monkeypatch: pytest.MonkeyPatch) -> None:
    frozen(site)
    monkeypatch.setattr(verification, "hold", lambda _: [Check("counts", False, "sync 0 of 2")])
    with pytest.raises(ChecksFailedError):
        freeze.Thaw(site, options()).apply()
    assert site.changed()[-1] == UP


def test_a_thaw_of_what_is_not_frozen_only_deploys_and_asks(site: Kenya) -> None:
    freeze.Thaw(site, options()).apply()
    assert site.changed() == [UP]


# -- which stack ------------------------------------------------------------------------------------------------------
def test_the_stack_that_serves_is_meant(site: Kenya) -> None:
    assert freeze.choose(site.project, None).stack.stack == freeze.choose(site.project, "kenya").stack.stack == "kenya"
    for other in ("south-africa", "uganda"):
        with pytest.raises(RefusedError, match=f"{other} is no stack that serves; serving by their files: kenya"):
            freeze.choose(site.project, other)


def test_where_both_serve_by_their_files_a_name_is_needed(site: Kenya) -> None:
    file = site.project.standby.file
    file.write_text(file.read_text().replace("standby: true", "standby: false"))
    with pytest.raises(RefusedError, match="has to be said; serving by their files: south-africa, kenya"):
        freeze.choose(site.project, None)
    assert freeze.choose(site.project, "south-africa").stack.stack == "south-africa"


# -- what is verified -------------------------------------------------------------------------------------------------
PAGE = public.Answer(503, "Call +254 722 178 177")
HEALTHY = public.Answer(200, '{"status": "ok", "region": "eu-west-1", "frozen": true}')


class Payload:
    def __init__(self, answer: Any) -> None:
        self.read = io.BytesIO(json.dumps(answer).encode()).read


def invocation() -> dict[str, Any]:
    kind = "aws:lambda/invocation:Invocation"
    inputs = {"functionName": "database-roles", "input": json.dumps(FENCE)}
    return {"urn": f"urn:pulumi:kenya::p::{kind}::fences-first", "type": kind, "inputs": inputs}


def all_is_frozen(site: Kenya, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public, "get", lambda url, *_: HEALTHY if url.endswith("/health") else PAGE)
    site.document = serving(frozen=True, resources=(invocation(),))
    site.run(dict.fromkeys(LIVE, 0))
    cluster = "service/mental-health-platform-kenya-cluster"
    suspended = {"DynamicScalingOutSuspended": True, "ScheduledScalingSuspended": True}
    site.answers["application-autoscaling.describe_scalable_targets"] = {
        "ScalableTargets": [{"ResourceId": f"{cluster}/{name}", "SuspendedState": dict(suspended)} for name in LIVE]
    }
    site.answers["lambda.invoke"] = lambda **_: {"Payload": Payload(LOCKED)}


def broken(site: Kenya) -> list[str]:
    return [name for name, look in checks.of_freeze(site).items() if not look()[0]]


def test_all_holds_of_a_frozen_stack(site: Kenya, monkeypatch: pytest.MonkeyPatch) -> None:
    all_is_frozen(site, monkeypatch)
    assert broken(site) == []
    (call,) = [given for name, given in site.calls if name == "lambda.invoke"]
    assert (call["FunctionName"], json.loads(call["Payload"])) == ("database-roles", FENCE)


def answering(path: str, answer: public.Answer) -> Callable[[Kenya, pytest.MonkeyPatch], None]:
    def arrange(_: Kenya, monkeypatch: pytest.MonkeyPatch) -> None:
        known = public.get
        monkeypatch.setattr(public, "get", lambda url, *_: answer if url.endswith(path) else known(url))

    return arrange


def scales(site: Kenya, _: pytest.MonkeyPatch) -> None:
    targets = site.answers["application-autoscaling.describe_scalable_targets"]["ScalableTargets"]
    targets[0]["SuspendedState"]["DynamicScalingOutSuspended"] = False


def scales_by_the_clock(site: Kenya, _: pytest.MonkeyPatch) -> None:
    targets = site.answers["application-autoscaling.describe_scalable_targets"]["ScalableTargets"]
    targets[0]["SuspendedState"]["ScheduledScalingSuspended"] = False


def has_no_target(site: Kenya, _: pytest.MonkeyPatch) -> None:
    site.answers["application-autoscaling.describe_scalable_targets"]["ScalableTargets"].pop()


def still_open(site: Kenya, _: pytest.MonkeyPatch) -> None:
    error = {"errorMessage": "api_gateway still logs in", "errorType": "NotLocked"}
    site.answers["lambda.invoke"] = lambda **_: {"FunctionError": "Unhandled", "Payload": Payload(error)}


ELSEWHERE = public.Answer(200, HEALTHY.text.replace("eu-west-1", "af-south-1"))
SERVED = public.Answer(200, '{"status": "ok", "region": "eu-west-1"}')


@pytest.mark.parametrize(
    ("arrange", "name"),
    [
        (lambda site, _: setattr(site, "document", serving(resources=(invocation(),))), "state"),
        (answering("/api/", public.Answer(200, "{}")), "page"),
        (answering("/", public.Answer(503, "Service Unavailable")), "page"),
        (answering("/health", PAGE), "health path"),
        (answering("/health", ELSEWHERE), "health path"),
        (answering("/health", SERVED), "health path"),
        (lambda site, _: site.run({**dict.fromkeys(LIVE, 0), "sync": 1}), "tasks"),
        (lambda site, _: site.run(dict.fromkeys(LIVE, 0), {**dict.fromkeys(LIVE, 0), "sync": 1}), "tasks"),
        (lambda site, _: site.run({"sync": 0}), "tasks"),
        (scales, "autoscaling"),
        (scales_by_the_clock, "autoscaling"),
        (has_no_target, "autoscaling"),
        (still_open, "roles"),
        (lambda site, _: setattr(site, "document", serving(frozen=True)), "roles"),
    ],
)
def test_each_thing_that_does_not_hold_is_named(
    site: Kenya, monkeypatch: pytest.MonkeyPatch, arrange: Callable[[Kenya, pytest.MonkeyPatch], None], name: str
) -> None:
    all_is_frozen(site, monkeypatch)
    arrange(site, monkeypatch)
    assert broken(site) == [name]


@pytest.mark.parametrize(("status", "held"), [("stopped", True), ("available", False)])
def test_a_retained_database_that_is_stopped_is_locked_enough(
    site: Kenya, monkeypatch: pytest.MonkeyPatch, status: str, held: bool
) -> None:
    all_is_frozen(site, monkeypatch)
    text = site.stack.file.read_text().replace("serving: first\n", "serving: restored\n")
    second = "origin: empty\n      - name: restored\n        origin: newest\n"
    site.stack.file.write_text(text.replace("origin: empty\n", second))
    still_open(site, monkeypatch)
    site.answers["rds.describe_db_instances"] = {"DBInstances": [{"DBInstanceStatus": status}]}
    assert checks.of_freeze(site)["roles"]()[0] is held


def logins(name: str) -> dict[str, Any]:
    inputs = {"functionName": "database-roles", "input": json.dumps({"task": "roles", "services": [name]})}
    return {**invocation(), "urn": invocation()["urn"].replace("fences-first", name), "inputs": inputs}


def test_a_thaw_is_complete_when_every_service_logs_in(site: Kenya) -> None:
    look = checks.of_thaw(site, {})["logins"]
    assert look() == (False, "the state records no login")
    site.document = serving(resources=(logins("critical-logins"), logins("standard-logins"), invocation()))
    site.answers["lambda.invoke"] = lambda **_: {"Payload": Payload({"logged_in": ["sync"]})}
    assert look() == (True, "critical-logins: sync; standard-logins: sync")
    asked = [json.loads(given["Payload"]) for name, given in site.calls if name == "lambda.invoke"]
    assert asked == [{"task": "try", "services": [group]} for group in ("critical-logins", "standard-logins")]
    error = {"errorMessage": "role is not permitted to log in", "errorType": "DatabaseError"}
    site.answers["lambda.invoke"] = lambda **_: {"FunctionError": "Unhandled", "Payload": Payload(error)}
    assert not look()[0]


def test_what_a_hand_changed_meanwhile_is_read_again_before_it_is_deployed(site: Kenya) -> None:
    site.document = serving(frozen=True, resources=(service("sync", 0), invocation()))
    site.configured("frozen: true")
    freeze.Freeze(site, options()).apply()
    refresh, up = site.changed()
    assert refresh[:5] == ("refresh", "--stack", "kenya", "--target", service("sync", 0)["urn"])
    assert up == UP


def test_a_stack_that_somebody_else_deploys_keeps_its_file(site: Kenya, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(_: Recovery) -> None:
        raise LockedError("somebody deploys", "wait")

    monkeypatch.setattr(Recovery, "run", locked)
    with pytest.raises(LockedError):
        freeze.Freeze(site, options()).apply()
    assert site.changed() == []


def service(name: str, tasks: int) -> dict[str, Any]:
    kind = "aws:ecs/service:Service"
    return {
        "urn": f"urn:pulumi:k::p::{kind}::services-{name}",
        "type": kind,
        "inputs": {"name": name, "desiredCount": tasks},
    }


def test_exact_counts_are_what_the_deployment_asked_for_or_what_runs(site: Kenya) -> None:
    site.document = serving(resources=(service("api-gateway", 7), service("sync", 1)))
    look = checks.of_thaw(site, {"api-gateway": 7, "sync": 2})["counts"]
    assert look()[0], "ECS runs two of sync, as before"
    site.run({**LIVE, "sync": 5, "api-gateway": 9})
    assert look() == (False, "api-gateway 9 of 7, sync 5 of 2")
    bounded = checks.of_thaw(site, {"api-gateway": 90})["counts"]
    site.document = serving(resources=(service("api-gateway", 20),))
    assert bounded()[0], "the most that is configured"


# -- what an interrupted one leaves -----------------------------------------------------------------------------------
def test_what_was_being_changed_is_read_again_and_nothing_global_is(site: Kenya, tmp_path: Path) -> None:
    def urn(kind: str, name: str) -> str:
        return f"urn:pulumi:kenya::p::platform:x:X${kind}::{name}"

    ours, theirs = urn("aws:ecs/service:Service", "services-sync"), urn("aws:route53/record:Record", "dns-primary")
    site.document = serving(pending("updating", ours, name="sync"), pending("updating", theirs, name="x"))
    Recovery(site, Record(tmp_path / "record")).run()
    (command,) = [command for command in site.cli.commands if command[0] == "refresh"]
    assert command[3:] == ("--target", ours, "--yes", "--skip-preview")
    assert leftovers.others_pending(site.cli.documents[-1]) == []


@pytest.mark.parametrize(
    ("kind", "name", "of_freeze", "of_thaw"),
    [
        ("aws:lb/listenerRule:ListenerRule", "takeover-crisis", "page", "takeover"),
        ("aws:appautoscaling/target:Target", "autoscaling-sync", "scaling", "rest"),
        ("aws:ecs/service:Service", "services-api-gateway", "services", "services"),
        ("aws:ecs/service:Service", "services-sync", "services", "rest"),
        ("aws:lambda/invocation:Invocation", "fences-first", "locks", "rest"),
        ("aws:lambda/invocation:Invocation", "critical-logins", "rest", "logins"),
        ("pulumi-python:dynamic/takeover:HealthyTargets", "takeover-healthy-targets", "rest", "gate"),
        ("aws:rds/instance:Instance", "database-restored", "rest", "rest"),
    ],
)
def test_each_operation_belongs_to_a_step(kind: str, name: str, of_freeze: str, of_thaw: str) -> None:
    assert steps.freeze().of(kind, name) == of_freeze
    assert steps.thaw(frozenset({"api-gateway"})).of(kind, name) == of_thaw
    assert {of_freeze} <= steps.FREEZE.keys()
    assert {of_thaw} <= steps.THAW.keys()
