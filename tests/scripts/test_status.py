"""`dr status`: who serves, what would be lost, what is wrong, and never waiting for a region that does not answer."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

import scripts
from components import naming
from scripts import status
from scripts.project import Project, StackFacts
from scripts.promotion import public
from tests.scripts import made_up_site
from tests.scripts.made_up_site import NOW, MadeUp, copy, facts, lock, pending, state

KENYA, SOUTH_AFRICA = "eu-west-1", "af-south-1"
HTTP_DATE = "Mon, 23 Nov 2026 12:00:00 GMT"


class Body:
    def __init__(self, text: str) -> None:
        self._text = text

    def read(self) -> bytes:
        return self._text.encode()


class World:
    """Both regions. `regions[…]` holds the answers of one; a test changes them."""

    def __init__(self, directory: Path) -> None:
        self.made = MadeUp(directory)
        self.project: Project = self.made.project
        self.documents = {"kenya": state(standby=False), "south-africa": state()}
        self.held: list[Any] = []
        self.known = facts(copy(minutes=12))
        self.silent: set[str] = set()
        self.marker = "taken-over: no"
        self.schedule = "ENABLED"
        self.alarms: list[dict[str, str]] = []

    def site(self, project: Project, stack: StackFacts, _: Any) -> MadeUp:
        """The made-up site of one stack."""
        site = object.__new__(MadeUp)
        site.__dict__.update(self.made.__dict__)
        site.stack, site.region = stack, stack.region
        site.document = self.documents[stack.stack]
        site.held = self.held if stack.stack == "south-africa" else []
        site.known = self.known
        answers: dict[str, Any] = {
            "sts.get_caller_identity": {"ResponseMetadata": {"HTTPHeaders": {"date": HTTP_DATE}}},
            "s3.get_object": {"Body": Body(self.marker if site.region == SOUTH_AFRICA else "no"), "LastModified": NOW},
            "rds.describe_db_instances": {"DBInstances": []},
            "ecs.list_services": {"serviceArns": ["a"]},
            "ecs.describe_services": {
                "services": [{"serviceName": "api", "runningCount": 1, "desiredCount": 1 + (site.region == KENYA)}]
            },
            "cloudwatch.describe_alarms": {"MetricAlarms": self.alarms, "CompositeAlarms": []},
            "scheduler.get_schedule": {"State": self.schedule},
        }
        if site.region in self.silent:
            answers = dict.fromkeys(answers, lambda **_: time.sleep(60))
        site.answers = answers
        return site


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    found = World(tmp_path)
    monkeypatch.setattr(status, "Site", found.site)
    answers(monkeypatch, public.Answer(200, json.dumps({"status": "ok", "region": KENYA})))
    return found


def answers(monkeypatch: pytest.MonkeyPatch, answer: public.Answer) -> None:
    monkeypatch.setattr(public, "get", lambda *_: answer)


def told(world: World) -> dict[str, Any]:
    return status.document(status.look(world.project, {}))


def wrong(world: World) -> str:
    return "\n".join(entry["text"] for entry in told(world)["wrong"])


def test_in_peace_it_says_who_serves_and_the_age_of_the_newest_copy(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    found = status.look(world.project, {})
    assert status.document(found)["serving"] == "kenya"
    assert status.document(found)["rpo_minutes"] == 12
    status.show(found)
    shown = capsys.readouterr().out
    assert "served by kenya (eu-west-1), epoch 1" in shown
    assert "RPO now: 12 min" in shown
    assert "api runs 1/2" in shown


def test_a_silent_region_is_shown_and_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.silent = {KENYA}
    answers(monkeypatch, public.Answer(503, "crisis page"))
    began = time.monotonic()
    found = told(world)
    assert time.monotonic() - began < 4, "below five seconds with the start of the command"
    kenya, south_africa = found["stacks"]
    assert set(kenya["silent"]) == {"takeover", "databases", "services", "alarms"}
    assert (kenya["role"], south_africa["silent"], found["serving"]) == ("serving", {}, None)
    assert found["loss_minutes"] == 12
    assert "nobody serves" in wrong(world)


def test_after_a_promotion_it_says_since_when_and_that_nobody_is_protected(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.documents["south-africa"] = state(standby=False)
    world.documents["south-africa"]["deployment"]["resources"][0]["outputs"]["epoch"] = 2
    world.marker, world.known = "taken-over: yes", facts(instances=(made_up_site.instance(),))
    answers(monkeypatch, public.Answer(200, json.dumps({"status": "ok", "region": SOUTH_AFRICA})))
    status.show(status.look(world.project, {}))
    shown = capsys.readouterr().out
    assert "served by south-africa (af-south-1) since 2026-11-23 12:00 UTC, epoch 2" in shown
    assert "everything: south-africa serves and protects nobody" in shown
    assert "kenya: was deployed as serving, but south-africa has the newer epoch 2" in shown


def test_a_freeze_is_shown_although_everything_answers(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.documents["kenya"]["deployment"]["resources"][0]["outputs"]["frozen"] = True
    answers(monkeypatch, public.Answer(200, json.dumps({"status": "ok", "region": KENYA, "frozen": True})))
    status.show(status.look(world.project, {}))
    shown = capsys.readouterr().out
    assert "platform.example.org: frozen at kenya (eu-west-1)" in shown
    assert "kenya: frozen: people see the crisis page" in shown
    kenya, south_africa = told(world)["stacks"]
    assert (kenya["role"], kenya["frozen"], south_africa["frozen"]) == ("frozen", True, False)


def test_what_is_wrong_is_said(world: World) -> None:
    world.held, world.schedule = [lock()], "DISABLED"
    world.alarms = [{"AlarmName": "copies-old", "StateReason": "missing data"}]
    world.documents["south-africa"] = state(pending())
    world.known = facts(copy(unusable=True), copy("on-its-way", status="creating"))
    said = wrong(world)
    for words in (
        "locked by process",
        "is DISABLED while the stack stands by",
        "alarm copies-old: missing data",
        "an interrupted deployment left database-first",
        f"copy copy: marked {naming.UNUSABLE_TAG}",
        "no usable copy",
    ):
        assert words in said
    assert "on-its-way" not in said


def test_a_copy_older_than_planned_is_wrong(world: World) -> None:
    world.known = facts(copy(minutes=90), life=NOW - timedelta(minutes=80))
    assert "90 minutes old, planned are 60" in wrong(world)
    assert told(world)["loss_minutes"] == 10


def test_a_question_that_fails_is_part_of_the_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: MadeUp) -> Any:
        raise EndpointConnectionError(endpoint_url="https://s3")

    monkeypatch.setattr(MadeUp, "checkpoint", refuse)
    found = told(world)
    assert [view["role"] for view in found["stacks"]] == ["unknown", "unknown"]
    assert "Could not connect" in wrong(world)


def test_a_mistake_of_ours_is_not_hidden(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MadeUp, "locks", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        told(world)


def hang(*_: Any, **__: Any) -> Any:
    time.sleep(60)


def test_with_every_question_hanging_it_still_ends_in_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is one for all questions together, not one for each."""
    world.silent = {KENYA, SOUTH_AFRICA}
    for name in ("checkpoint", "locks", "facts"):
        monkeypatch.setattr(MadeUp, name, hang)
    monkeypatch.setattr(public, "get", hang)
    began = time.monotonic()
    found = told(world)
    assert time.monotonic() - began < 4
    assert max(status.WHOLE, status.SECONDS) < 5, "what is left is for printing"
    kenya, south_africa = found["stacks"]
    assert set(kenya["silent"]) == {"state", "lock", "takeover", "databases", "services", "alarms"}
    assert set(south_africa["silent"]) == {*kenya["silent"], "copies", "schedule"}
    assert "nobody serves" in wrong(world)


@pytest.mark.parametrize(("spent", "left"), [(0.4, 2.5), (1.8, 2.5), (2.4, 2.0), (2.9, 1.5), (20.0, 1.5)])
def test_the_start_of_the_command_counts(
    spent: float, left: float, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []
    found = status.look(world.project, {})

    def look(_facts: Project, _environment: Any, seconds: float) -> status.Status:
        given.append(seconds)
        return found

    monkeypatch.setattr(status, "look", look)
    monkeypatch.setattr(scripts, "STARTED", time.monotonic() - spent)
    status.run(as_json=True)
    assert given == [pytest.approx(left, abs=0.3)]


@pytest.fixture
def silence() -> Iterator[str]:
    """An address where connections are accepted and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_real_clients_on_connections_that_hang_are_not_waited_for(
    tmp_path: Path, silence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their own limits are longer and each call has a second attempt: what counts is ours, for the whole."""
    monkeypatch.setenv("HTTPS_PROXY", silence)
    environment = {"AWS_ENDPOINT_URL": silence, "AWS_ACCESS_KEY_ID": "X", "AWS_SECRET_ACCESS_KEY": "fake"}
    site = made_up_site.project(tmp_path)
    began = time.monotonic()
    found = status.document(status.look(site, environment))
    assert time.monotonic() - began < 4.5, "with what starting the command takes on a machine at rest, below five"
    assert [len(view["silent"]) for view in found["stacks"]] == [6, 8]
    assert found["serving"] is None
