"""Whether people are served, said first when a promotion fails: what failed may be what nobody in distress needs."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.errors import ChecksFailedError, PulumiError, RefusedError
from scripts.promotion import public, verification
from scripts.promotion.verification import Check
from scripts.pulumi_cli import Outcome
from tests.scripts.made_up_site import STACK, MadeUp, facts
from tests.scripts.test_promote import HEALTHY, promotion, ready, result

HERE = public.Answer(200, HEALTHY % "af-south-1")
CRISIS = public.Answer(503, "crisis page")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    return ready(tmp_path, monkeypatch)


# -- the question -------------------------------------------------------------------------------------------------
@pytest.fixture
def asked(tmp_path: Path) -> MadeUp:
    """A standby of which the critical services' targets are healthy at the load balancer."""
    site = MadeUp(tmp_path)
    site.answers |= {
        "elbv2.describe_target_groups": {"TargetGroups": [{"TargetGroupArn": "t"}]},
        "elbv2.describe_target_health": {"TargetHealthDescriptions": [{"TargetHealth": {"State": "healthy"}}] * 9},
    }
    return site


def answer(monkeypatch: pytest.MonkeyPatch, of: Callable[[str], public.Answer]) -> None:
    monkeypatch.setattr(public, "get", of)


def never(_: float) -> None:
    raise AssertionError("it waited")


def test_people_who_are_served_are_seen_at_once(asked: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, lambda _: HERE)
    assert verification.served(asked, 60, never) == Check("served", True, "")


@pytest.mark.parametrize("path", ["health", "crisis"])
def test_they_are_not_if_one_critical_path_does_not_answer(
    asked: MadeUp, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    answer(monkeypatch, lambda url: CRISIS if path in url else HERE)
    found = verification.served(asked, 0, never)
    assert not found.ok
    assert "503" in found.evidence


def test_another_region_that_answers_is_not_this_stack(asked: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, lambda _: public.Answer(200, HEALTHY % "eu-west-1"))
    assert not verification.served(asked, 0, never).ok


def test_the_public_name_is_waited_for_where_critical_services_are_healthy(
    asked: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    answer(monkeypatch, lambda _: HERE if len(waited) >= 2 else CRISIS)
    assert verification.served(asked, 60, waited.append).ok
    assert len(waited) == 2


def test_it_is_not_waited_for_where_they_are_not(asked: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    asked.answers["elbv2.describe_target_health"] = {"TargetHealthDescriptions": []}
    answer(monkeypatch, lambda _: CRISIS)
    assert not verification.served(asked, 60, never).ok


# -- what is said -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("served", "said"), [(True, f"People ARE served by {STACK}"), (False, f"People are NOT served by {STACK}: 503")]
)
def test_a_deployment_that_fails_says_first_whether_people_are_served(
    site: MadeUp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], served: bool, said: str
) -> None:
    monkeypatch.setattr(verification, "served", lambda *_: Check("served", served, "" if served else "503"))
    site.cli.codes["up"], site.cli.said["up"] = 255, "error: cache failed"
    with pytest.raises(PulumiError, match="cache failed"):
        promotion(site).apply()
    assert said in " ".join(capsys.readouterr().err.split())
    assert result(site)["served"] is served


def test_checks_that_were_made_answer_it(
    site: MadeUp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    held = [Check("public name", True, ""), Check("critical paths", True, "")]
    monkeypatch.setattr(verification, "verify", lambda _: [Check("tasks", False, "sync 0/1"), *held])
    monkeypatch.setattr(verification, "served", never)
    with pytest.raises(ChecksFailedError):
        promotion(site).apply()
    assert "People ARE served" in capsys.readouterr().err
    assert result(site)["served"] is True


def test_success_says_so_in_the_result(site: MadeUp) -> None:
    promotion(site).apply()
    assert result(site)["served"] is True


def test_an_interrupted_one_is_asked_once_and_not_waited_for(site: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    def watch(*_: str, on_start: Callable[[Any], None], **__: Any) -> Outcome:
        on_start(type("Process", (), {"poll": lambda self: None, "send_signal": lambda self, n: None})())
        signal.raise_signal(signal.SIGINT)
        return Outcome("pulumi up", 255, "cancelled", 1.0)

    patience: list[float] = []

    def served(_: MadeUp, given: float) -> Check:
        patience.append(given)
        return Check("served", False, "503")

    monkeypatch.setattr(verification, "served", served)
    monkeypatch.setattr(site.cli, "watch", watch)
    with pytest.raises(SystemExit):
        promotion(site).apply()
    assert (patience, result(site)["served"]) == ([0.0], False)


def test_before_the_first_change_nobody_asks(site: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "served", never)
    site.known = facts()
    with pytest.raises(RefusedError, match="No usable copy"):
        promotion(site).apply()
    assert result(site)["served"] is None
