"""`dr promote` as a whole, with everything outside of it made up: what it looks at, asks, does and writes down."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pulumi
import pytest
from rich.console import Console

from components import naming
from scripts import promote
from scripts.errors import (
    ChecksFailedError,
    CredentialsError,
    DrError,
    LockedError,
    NotConfirmedError,
    PrimaryAnswersError,
    PulumiError,
    RefusedError,
)
from scripts.promotion import preflight, progress, public, record, verification
from scripts.promotion.record import Record
from scripts.promotion.verification import Check
from scripts.pulumi_cli import Outcome
from tests.scripts.made_up_site import ALIVE, STACK, MadeUp, copy, denied, facts, instance, lock, pending, state

ALIVE_AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HEALTHY = '{"status": "ok", "region": "%s"}'
SILENCE = public.Answer(None, "timed out")
PREVIEW = json.dumps(
    {"steps": [{"op": "create", "urn": "urn:pulumi:s::p::aws:x/y:Y::name"}, {"op": "same", "urn": ""}]}
)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    return ready(tmp_path, monkeypatch)


def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    """A standby that nothing keeps from being promoted."""
    monkeypatch.setattr(public, "get", lambda *_: SILENCE)
    monkeypatch.setattr(public, "request", lambda *_: public.Answer(200, ""))
    monkeypatch.setattr(record, "PROMOTIONS", tmp_path / "promotions")
    monkeypatch.setattr(Record, "new", classmethod(lambda cls, stack, root: cls(root / f"1-{stack}")))
    monkeypatch.setattr(verification, "verify", lambda _: [Check("public name", True, "200")])
    monkeypatch.setattr(verification, "served", lambda *_: Check("served", False, "public name: 503"))
    made = MadeUp(tmp_path)
    made.cli.said["preview"] = PREVIEW
    return made


def promotion(site: MadeUp, **options: Any) -> promote.Promotion:
    given = {"apply": True, "confirm": STACK, "primary_is_lost": False, "as_json": False, "interactive": False}
    return promote.Promotion(site, promote.Options(**{**given, **options}))


def result(site: MadeUp) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((record.PROMOTIONS / f"1-{STACK}" / "result.json").read_text())
    return read


def events() -> list[dict[str, Any]]:
    lines = (record.PROMOTIONS / f"1-{STACK}" / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


# -- the whole ----------------------------------------------------------------------------------------------------
def test_a_dry_run_changes_nothing(site: MadeUp, capsys: pytest.CaptureFixture[str]) -> None:
    promotion(site, apply=False, as_json=True).rehearse()
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert (told["applied"], told["data"]["name"], told["lost_minutes"]) == (False, "copy", 20.0)
    assert told["plan"]["steps"] == {"create": 1}
    assert "modelled, not measured" in told["expected"]["basis"]
    assert not record.PROMOTIONS.exists()
    writing = [command for command in site.cli.commands if command[0] not in ("preview", "stack")]
    assert all("--config-file" in command for command in writing), "only a copy of the stack's file"


def test_applied_it_flips_deploys_verifies_and_writes_down(site: MadeUp, capsys: pytest.CaptureFixture[str]) -> None:
    promotion(site).apply()
    assert site.cli.commands[-1] == ("up", "--stack", STACK, "--yes")
    assert ("config", "set", "standby", "false", "--stack", STACK) in site.cli.commands
    written = result(site)
    assert (written["ok"], written["exit_code"], written["resumed"]) == (True, 0, False)
    kinds = [event["kind"] for event in events()]
    assert kinds[-1] == "ended"
    assert kinds.index("confirmed") < kinds.index("flag set") < kinds.index("pulumi up") < kinds.index("check")
    assert "commit -m 'Let south-africa serve'" in capsys.readouterr().out


@pytest.mark.parametrize("typed", [None, "kenya", ""])
def test_without_the_name_nothing_is_changed(site: MadeUp, typed: str | None) -> None:
    with pytest.raises(NotConfirmedError):
        promotion(site, confirm=typed).apply()
    assert not any(
        command[0] in ("up", "refresh") or (command[:1] == ("config",) and "--config-file" not in command)
        for command in site.cli.commands
    )
    assert result(site)["exit_code"] == NotConfirmedError.exit_code


def test_a_partial_success_is_a_failure(site: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "verify", lambda _: [Check("tasks", False, "sync 0/1"), Check("x", True, "")])
    with pytest.raises(ChecksFailedError, match="tasks of 2 checks"):
        promotion(site).apply()
    assert result(site)["ok"] is False


@pytest.mark.parametrize("command", ["preview", "up"])
def test_expired_credentials_are_told_apart_whatever_pulumi_says(site: MadeUp, command: str) -> None:
    def run(*arguments: str, check: bool = True) -> Outcome:
        if arguments[0] == command:
            site.answers["sts.get_caller_identity"] = denied("ExpiredToken", "GetCallerIdentity")
        return plain(*arguments, check=check)

    plain: Callable[..., Outcome] = site.cli.run
    site.cli.run, site.cli.codes[command] = run, 255
    with pytest.raises(CredentialsError, match="no longer taken") as raised:
        promotion(site).apply()
    assert "run the same command again" in str(raised.value.hint)
    assert result(site)["exit_code"] == CredentialsError.exit_code


def test_expired_credentials_are_told_apart_while_verifying(site: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    def verify(_: MadeUp) -> list[Check]:
        site.answers["sts.get_caller_identity"] = denied("ExpiredToken", "GetCallerIdentity")
        return [Check("database", False, "ExpiredToken")]

    monkeypatch.setattr(verification, "verify", verify)
    with pytest.raises(CredentialsError, match=r"no longer taken.*database of 1 checks"):
        promotion(site).apply()


def test_a_deployment_that_fails_says_how_to_go_on(site: MadeUp) -> None:
    site.cli.codes["up"], site.cli.said["up"] = 255, "error: no takeover: …"
    with pytest.raises(PulumiError, match="no takeover") as raised:
        promotion(site).apply()
    assert "run the same command again" in str(raised.value.hint)
    assert result(site)["exit_code"] == PulumiError.exit_code


def test_a_deployment_that_fails_says_what_ecs_says_of_services_that_do_not_run(site: MadeUp) -> None:
    site.cli.codes["up"], site.cli.said["up"] = 255, "error: waiting for sync: not done after 20 minutes"
    events = [
        {"message": "(service sync) has started 1 tasks"},
        {"message": "(service sync) was unable to place a task"},
    ]
    site.answers |= {
        "ecs.list_services": {"serviceArns": ["a", "b"]},
        "ecs.describe_services": {
            "services": [
                {"serviceName": "sync", "desiredCount": 1, "runningCount": 0, "events": events},
                {"serviceName": "api-gateway", "desiredCount": 2, "runningCount": 2, "events": []},
            ]
        },
        "ecs.list_tasks": {"taskArns": ["t"]},
        "ecs.describe_tasks": {
            "tasks": [{"stoppedReason": "Essential container in task exited", "stoppedAt": ALIVE_AT}]
        },
    }
    with pytest.raises(PulumiError) as raised:
        promotion(site).apply()
    told = raised.value.message.partition("What ECS says")[2]
    assert "sync 0/1: was unable to place a task; last stopped task: Essential container in task exited" in told
    assert "api-gateway" not in told


def test_what_ecs_does_not_tell_hides_nothing(site: MadeUp) -> None:
    site.cli.codes["up"], site.cli.said["up"] = 255, "error: no takeover: …"
    site.answers["ecs.list_services"] = denied("AccessDeniedException", "ListServices")
    with pytest.raises(PulumiError, match=r"(?s)no takeover.*AccessDeniedException"):
        promotion(site).apply()


def test_what_the_program_refuses_is_refused_in_its_words(site: MadeUp) -> None:
    site.cli.codes["preview"] = 255
    site.cli.said["preview"] = json.dumps({"diagnostics": [{"severity": "error", "message": "epoch 3 is newer"}]})
    with pytest.raises(RefusedError, match=r"(?s)Nothing was changed.*epoch 3 is newer"):
        promotion(site).apply()


def test_only_the_stack_that_stands_by_is_promoted(site: MadeUp) -> None:
    assert promote.choose(site.project, None).stack == promote.choose(site.project, STACK).stack == STACK
    with pytest.raises(RefusedError, match="kenya is no stack that stands by"):
        promote.choose(site.project, "kenya")


def test_with_json_nothing_else_is_on_standard_output(site: MadeUp, capsys: pytest.CaptureFixture[str]) -> None:
    promotion(site, as_json=True).apply()
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["commit"][0].endswith("add Pulumi.south-africa.yaml")) == (True, True)


# -- preflight ----------------------------------------------------------------------------------------------------
def looked(site: MadeUp, primary_is_lost: bool = False) -> dict[str, list[str]]:
    """Subject -> levels."""
    told: dict[str, list[str]] = {}
    for found in preflight.look(site, primary_is_lost).found:
        told.setdefault(found.subject, []).append(found.level)
    return told


def change(**answers: Any) -> Callable[[MadeUp], None]:
    def apply(site: MadeUp) -> None:
        site.answers |= {name.replace("__", "."): answer for name, answer in answers.items()}

    return apply


def set_to(**values: Any) -> Callable[[MadeUp], None]:
    def apply(site: MadeUp) -> None:
        for name, value in values.items():
            setattr(site, name, value)

    return apply


def frozen() -> dict[str, Any]:
    found = state(standby=False)
    found["deployment"]["resources"][0]["outputs"]["frozen"] = True
    return found


def test_all_is_well(site: MadeUp) -> None:
    told = looked(site)
    assert told.pop("database") == ["warning", "ok"]  # that it will protect nobody
    assert {level for levels in told.values() for level in levels} == {"ok"}
    necessary = {"credentials", "lock", "state", "keys", "certificate", "secrets", "primary"}
    assert set(told) == necessary | {"images", "quotas"}


def without(noun: str) -> Callable[[MadeUp], None]:
    """AWS lists no secret that is scheduled for deletion."""

    def apply(site: MadeUp) -> None:
        listed = site.answers["secretsmanager.list_secrets"]["SecretList"]
        listed[:] = [entry for entry in listed if entry["Name"] != naming.secret("sa", noun)]

    return apply


def empty(noun: str) -> Callable[[MadeUp], None]:
    def apply(site: MadeUp) -> None:
        for entry in site.answers["secretsmanager.list_secrets"]["SecretList"]:
            if entry["Name"] == naming.secret("sa", noun):
                del entry["SecretVersionsToStages"]

    return apply


@pytest.mark.parametrize(
    ("arrange", "subject", "kind", "words"),
    [
        (change(sts__get_caller_identity=denied("ExpiredToken")), "credentials", CredentialsError, "ExpiredToken"),
        (change(sts__get_caller_identity={"Account": "9", "Arn": "a"}), "credentials", CredentialsError, "account 9"),
        (set_to(held=[lock(host="laptop")]), "lock", LockedError, "on laptop"),
        (set_to(document={}), "state", RefusedError, "never deployed"),
        (set_to(document=frozen()), "state", RefusedError, "is frozen: there is nothing to promote"),
        (
            change(kms__describe_key={"KeyMetadata": {"KeyState": "Disabled", "KeyId": "k"}}),
            "keys",
            RefusedError,
            "is Disabled",
        ),
        (change(kms__describe_key=denied("AccessDeniedException")), "keys", RefusedError, "AccessDenied"),
        (change(acm__list_certificates={"CertificateSummaryList": []}), "certificate", RefusedError, "there is none"),
        (
            change(
                acm__describe_certificate={
                    "Certificate": {"Status": "ISSUED", "NotAfter": datetime.now(UTC) - timedelta(days=1)}
                }
            ),
            "certificate",
            RefusedError,
            "ended on",
        ),
        (change(secretsmanager__list_secrets={"SecretList": []}), "secrets", RefusedError, "no secrets"),
        (empty("cache"), "secrets", RefusedError, "sa/cache"),
        (without("registry"), "secrets", RefusedError, "sa/registry"),
        (
            without("database/sync"),
            "secrets",
            RefusedError,
            "scheduled for deletion: mental-health-platform/sa/database/sync",
        ),
        (set_to(known=facts()), "database", RefusedError, "No usable copy"),
        (set_to(known=facts(copy(unusable=True))), "database", RefusedError, "marked platform:unusable"),
        (set_to(known=pulumi.RunError("Reading the databases failed")), "database", RefusedError, "Reading"),
    ],
)
def test_what_forbids_a_promotion(
    site: MadeUp, arrange: Callable[[MadeUp], None], subject: str, kind: type[DrError], words: str
) -> None:
    arrange(site)
    with pytest.raises(kind) as raised:
        promotion(site).apply()
    assert raised.value.message.startswith(f"{subject}: ")
    assert words in raised.value.message
    assert not any(command[0] in ("up", "preview") for command in site.cli.commands)


def test_a_lock_of_a_dead_process_here_only_warns(site: MadeUp) -> None:
    site.held = [lock()]
    assert looked(site)["lock"] == ["warning"]
    assert len(site.held) == 1, "looking removes nothing"


def test_a_running_process_here_is_not_robbed(site: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.promotion.locks.ours_and_dead", lambda _: False)
    site.held = [lock(ALIVE)]
    with pytest.raises(LockedError, match="locked by process"):
        promotion(site).apply()


def test_an_old_copy_only_warns(site: MadeUp) -> None:
    site.known = facts(copy(minutes=500))
    before = preflight.look(site, False)
    assert before.lost_minutes == 500
    assert [found for found in before.found if found.refusal] == []


def test_what_was_interrupted_is_told_and_an_existing_database_needs_no_copy(site: MadeUp) -> None:
    site.document, site.known = state(pending()), facts(instances=(instance("creating"),))
    before = preflight.look(site, False)
    assert (before.data, [left.name for left in before.left]) == (None, ["database-first"])
    assert before.without_data == "nothing is restored: the database is there already"


# -- split brain --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("answer", "given", "level"),
    [
        (SILENCE, False, "ok"),
        (public.Answer(503, "<html>crisis page"), False, "ok"),
        (public.Answer(200, "<html>a login page"), False, "ok"),
        (public.Answer(200, HEALTHY % "af-south-1"), False, "ok"),
        (public.Answer(200, HEALTHY % "eu-west-1"), False, "refused"),
        (public.Answer(200, '{"status": "ok"}'), False, "refused"),
        (public.Answer(200, HEALTHY % "eu-west-1"), True, "warning"),
    ],
)
def test_a_primary_that_answers_stops_it_unless_somebody_says_otherwise(
    site: MadeUp, monkeypatch: pytest.MonkeyPatch, answer: public.Answer, given: bool, level: str
) -> None:
    monkeypatch.setattr(public, "get", lambda *_: answer)
    assert looked(site, given)["primary"] == [level]
    if level == "refused":
        with pytest.raises(PrimaryAnswersError, match="Nothing was changed") as raised:
            promotion(site).apply()
        assert preflight.OVERRIDE in str(raised.value.hint)


def test_silence_costs_no_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public, "_open", lambda *_: time.sleep(5))
    began = time.monotonic()
    assert public.get("https://example.org", 0.2).status is None
    assert time.monotonic() - began < 2


# -- the parts ----------------------------------------------------------------------------------------------------
def test_progress_without_a_terminal_is_lines(tmp_path: Path) -> None:
    shown = io.StringIO()
    book = Record(tmp_path / "record")
    found = progress.Progress(progress.promotion(frozenset({"crisis-detection"})), 26.0, book)
    urn = f"urn:pulumi:{STACK}::p::aws:rds/instance:Instance::database-first"
    metadata = {"urn": urn, "op": "create"}
    with found.showing(Console(file=shown, width=200)):
        found.engine_event(time.time(), {"resourcePreEvent": {"metadata": metadata, "planning": True}})
        assert found.operations == []
        found.engine_event(time.time(), {"resourcePreEvent": {"metadata": metadata}})
        found.engine_event(time.time(), {"resOutputsEvent": {"metadata": metadata}})
    assert "begins database" in shown.getvalue()
    assert "done   database" in shown.getvalue()
    assert "database-first" in (book.directory / "events.jsonl").read_text()
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    terminal.print(found.render(found.started + 60))
    assert "about 25 min left" in terminal.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "name", "step"),
    [
        ("aws:rds/instance:Instance", "database-first", "database"),
        ("aws:scheduler/schedule:Schedule", "snapshots", "copies"),
        ("aws:secretsmanager/secretVersion:SecretVersion", "critical-logins-api", "logins"),
        ("aws:ecs/service:Service", "services-crisis-detection", "services"),
        ("aws:ecs/service:Service", "services-sync", "rest"),
        ("pulumi-python:dynamic/takeover:HealthyTargets", "takeover-healthy-targets", "gate"),
        ("aws:lb/listenerRule:ListenerRule", "takeover-crisis", "takeover"),
        ("aws:ec2/natGateway:NatGateway", "network-nat-a", "rest"),
    ],
)
def test_each_operation_belongs_to_a_step(kind: str, name: str, step: str) -> None:
    assert progress.step_of(kind, name, frozenset({"crisis-detection"})) == step


def test_checks_are_repeated_until_they_hold(site: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    looks = iter([(False, "crisis page"), (True, "200")])
    checks = {"state": lambda: (True, ""), "public name": lambda: next(looks)}
    monkeypatch.setattr(verification, "_checks", lambda _: checks)
    assert verification.verify(site, 5, lambda _: None) == [Check("state", True, ""), Check("public name", True, "200")]
    monkeypatch.setattr(verification, "_checks", lambda _: {"tasks": lambda: (False, "sync 0/1")})
    assert verification.verify(site, 0, lambda _: None) == [Check("tasks", False, "sync 0/1")]


def test_an_interrupted_deployment_ends_with_the_signals_code(
    site: MadeUp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def watch(*_: str, on_start: Callable[[Any], None], **__: Any) -> Outcome:
        process = type("Process", (), {"poll": lambda self: None, "send_signal": lambda self, n: sent.append(n)})()
        on_start(process)
        import signal

        signal.raise_signal(signal.SIGTERM)
        return Outcome("pulumi up", 255, "cancelled", 1.0)

    sent: list[int] = []
    monkeypatch.setattr(site.cli, "watch", watch)
    with pytest.raises(SystemExit) as ended:
        promotion(site).apply()
    assert (ended.value.code, sent) == (143, [2])
    assert "continues" in capsys.readouterr().err
    assert result(site)["error"] == "interrupted"
