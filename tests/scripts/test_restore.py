"""`dr restore database` on a real file with everything outside made up: its order, what it refuses, and every kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from components import naming
from scripts import restore as command
from scripts.errors import (
    ChecksFailedError,
    CredentialsError,
    LockedError,
    NotConfirmedError,
    PulumiError,
    RefusedError,
)
from scripts.promotion import verification
from scripts.promotion.verification import Check
from scripts.restoring import steps
from scripts.restoring.moment import written
from scripts.restoring.target import Wanted
from tests.scripts.made_up_restore import (
    AT,
    EARLIEST,
    FIRST,
    LATEST,
    RESTORED,
    SNAPSHOT,
    WHOLE,
    Killed,
    Serving,
    backups,
    done,
    made,
    reaches,
    restore,
    results,
    snapshot,
)
from tests.scripts.made_up_site import NOW, MadeUp, denied, lock


@pytest.fixture
def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Serving, MadeUp]:
    return made(tmp_path, monkeypatch)


# -- the whole ----------------------------------------------------------------------------------------------------
def test_a_dry_run_changes_nothing_and_tells_everything(
    sites: tuple[Serving, MadeUp], capsys: pytest.CaptureFixture[str]
) -> None:
    site, peer = sites
    before = site.stack.file.read_text()
    restore(site, peer, apply=False, as_json=True).rehearse()
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert told["target"] == {
        "generation": "restored",
        "database": RESTORED,
        "origin": written(AT),
        "of": "first",
        "source": f"{FIRST}, as it was at 2026-11-23 11:13:00 UTC",
        "at": str(AT),
        "damage_from": str(AT),
        "under_way": False,
        "complete": False,
    }
    assert (told["applied"], told["lost_minutes"]) == (False, 47.0)
    assert told["expected"]["minutes"] > 20
    assert "freeze 1, database 24, serving 1, thaw 4" in told["expected"]["basis"]
    for words in (RESTORED, "47 minutes since 2026-11-23 11:13:00 UTC", "freeze, restore, verify", "full one"):
        assert words in shown.err
    assert site.changed() == []
    assert (site.stack.file.read_text(), steps.RESTORES.exists()) == (before, False)
    (previewed,) = [command for command in site.cli.commands if "--config-file" in command and command[1] == "set-all"]
    assert "database.generations[1].origin=2026-11-23T11:13:00Z" in previewed


def test_each_step_is_a_deployment_of_the_changed_file(sites: tuple[Serving, MadeUp]) -> None:
    site, peer = sites
    restore(site, peer).apply()
    assert site.cli.ups == WHOLE
    done(site, written(AT), "first")
    (told,) = results()
    assert (told["ok"], told["resumed"], told["commit"][1].rpartition(" -m ")[2]) == (
        True,
        False,
        "'Restore the database of kenya'",
    )
    (events,) = (file.read_text().splitlines() for file in steps.RESTORES.glob("*/events.jsonl"))
    (declared,) = [event for event in map(json.loads, events) if event["kind"] == "declared"]
    assert (declared["target"]["database"], "T" in declared["at"]) == (RESTORED, True)
    names = [check["name"] for check in told["checks"]]
    assert names.index("restored") < names.index("critical paths") < names.index("preview")
    assert names.count("roles") == 2, "once frozen, and again before it serves"


CHANGES = 10  # flag and counts, declaration, serving, flag, counts forgotten, restore forgotten; and four deployments


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("count", range(1, CHANGES + 1))
def test_killed_at_any_change_it_is_continued_and_restores_once(
    sites: tuple[Serving, MadeUp], count: int, after: bool
) -> None:
    site, peer = sites
    killed(site, peer, Wanted(at=AT), count, after)
    assert site.declared().get("restoring") in (None, {"generation": "restored", "damageFrom": written(AT)})
    restore(site, peer).apply()
    done(site, written(AT), "first")
    assert site.cli.changes <= CHANGES + 4, "what was done is not done again, but for deployments of what is so already"


def killed(site: Serving, peer: MadeUp, wanted: Wanted, count: int, after: bool) -> None:
    site.cli.kill_at, site.cli.kill_after = count, after
    with pytest.raises(Killed):
        restore(site, peer, wanted).apply()
    site.cli.kill_at = None


@pytest.mark.parametrize("count", [3, 4, 6, 9])
@pytest.mark.parametrize(
    ("wanted", "origin", "of", "damage"),
    [
        (Wanted(), written(LATEST), "first", None),
        (Wanted(snapshot=SNAPSHOT), SNAPSHOT, None, written(NOW - timedelta(minutes=60))),
    ],
)
def test_so_are_the_newest_moment_and_a_snapshot(
    sites: tuple[Serving, MadeUp], wanted: Wanted, origin: str, of: str | None, damage: str | None, count: int
) -> None:
    site, peer = sites
    killed(site, peer, wanted, count, after=True)
    assert site.declared()["restoring"] == {"generation": "restored", **({"damageFrom": damage} if damage else {})}
    reaches(backups(RestoreWindow={"EarliestTime": EARLIEST, "LatestTime": NOW}))(site)
    restore(site, peer, wanted).apply()
    done(site, origin, of)


def test_what_was_frozen_and_judged_before_by_hand_is_taken_over(sites: tuple[Serving, MadeUp]) -> None:
    site, peer = sites
    site.configured("frozen: true", "thawCounts: {api-gateway: 7}")
    restore(site, peer).apply()
    assert site.cli.ups == WHOLE
    done(site, written(AT), "first")


def test_thawed_by_hand_in_the_middle_it_freezes_again(sites: tuple[Serving, MadeUp]) -> None:
    site, peer = sites
    killed(site, peer, Wanted(at=AT), 4, after=True)  # the deployment that makes the database
    assert site.made == [RESTORED]
    site.cli.run("config", "set", "frozen", "false", "--stack", "kenya")
    restore(site, peer).apply()
    assert site.cli.ups[2:] == WHOLE[1:]
    done(site, written(AT), "first")


def test_the_same_again_finds_that_it_is_done(
    sites: tuple[Serving, MadeUp], capsys: pytest.CaptureFixture[str]
) -> None:
    site, peer = sites
    restore(site, peer).apply()
    changed = len(site.changed())
    capsys.readouterr()
    restore(site, peer, as_json=True).apply()
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["target"]["complete"]) == (True, True)
    assert [check["name"] for check in told["checks"]] == ["database", "retained", "preview"]
    assert len(site.changed()) == changed


def test_a_second_restore_is_the_third_generation(sites: tuple[Serving, MadeUp]) -> None:
    site, peer = sites
    restore(site, peer).apply()
    restore(site, peer, Wanted(snapshot=SNAPSHOT)).apply()
    assert [g["name"] for g in site.declared()["generations"]] == ["first", "restored", "restored-2"]
    assert site.settings.database.serving == "restored-2"
    assert site.made == [RESTORED, f"{RESTORED}-2"]


def test_without_the_name_nothing_is_changed(sites: tuple[Serving, MadeUp]) -> None:
    site, peer = sites
    with pytest.raises(NotConfirmedError):
        restore(site, peer, confirm="restored").apply()
    assert site.changed() == []


def test_a_restore_that_fails_leaves_what_serves_and_says_the_way_on(
    sites: tuple[Serving, MadeUp], capsys: pytest.CaptureFixture[str]
) -> None:
    site, peer = sites
    ups = iter(range(9))
    site.cli.watch = lambda *arguments, **_: (
        site.cli.run(*arguments) if next(ups) == 0 else type(site.cli.run("up"))("pulumi up", 255, "storage-full", 1.0)
    )
    with pytest.raises(PulumiError, match="storage-full"):
        restore(site, peer).apply()
    shown = capsys.readouterr().err
    assert f"By the stack's file {FIRST} serves" in shown
    assert "`dr thaw -s kenya --apply` lets people write to it" in shown
    assert site.settings.database.serving == "first"


def test_what_does_not_hold_keeps_it_from_serving(
    sites: tuple[Serving, MadeUp], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, peer = sites
    monkeypatch.setattr(verification, "hold", lambda looks, *_: [Check(name, name != "restored", "") for name in looks])
    with pytest.raises(ChecksFailedError, match="restore is not complete: restored of"):
        restore(site, peer).apply()
    assert (site.settings.database.serving, site.settings.frozen) == ("first", True)


@pytest.mark.parametrize(("status", "minutes"), [("available", 0), ("storage-full", -4)])
def test_the_newest_moment_is_all_that_was_written_where_it_is_still_uploaded(
    sites: tuple[Serving, MadeUp], status: str, minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RDS uploads it a look later than the freeze; an instance that is broken is not waited for."""
    site, peer = sites
    monkeypatch.setattr(command, "UPLOADED_WITHIN", 60.0)  # it ends with the last moment, however busy the machine is
    site.databases[FIRST]["DBInstanceStatus"] = status
    moments = iter([LATEST, NOW - timedelta(minutes=4), NOW - timedelta(minutes=4), NOW])

    def window(**_: Any) -> dict[str, Any]:
        return {
            "DBInstanceAutomatedBackups": [
                backups(RestoreWindow={"EarliestTime": EARLIEST, "LatestTime": next(moments)})
            ]
        }

    site.answers["rds.describe_db_instance_automated_backups"] = window
    restore(site, peer, Wanted()).apply()
    assert site.declared()["generations"][1]["origin"] == written(NOW + timedelta(minutes=minutes))


def test_what_is_never_uploaded_is_waited_for_only_so_long(
    sites: tuple[Serving, MadeUp], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, peer = sites
    monkeypatch.setattr(command, "UPLOADED_WITHIN", 0.05)
    restore(site, peer, Wanted()).apply()
    assert site.declared()["generations"][1]["origin"] == written(LATEST)


# -- what is refused ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arrange", "wanted", "kind", "words"),
    [
        (None, Wanted(at=LATEST + timedelta(seconds=1)), RefusedError, "from 2026-11-17 12:00:00 to 2026-11-23 11:55"),
        (
            None,
            Wanted(at=EARLIEST - timedelta(seconds=1)),
            RefusedError,
            "it can be restored to a time from 2026-11-17",
        ),
        (reaches(), Wanted(at=AT), RefusedError, "there are no automated backups of it in eu-west-1"),
        (reaches(), Wanted(), RefusedError, "no automated backups of mental-health-platform-kenya-rds"),
        (None, Wanted(snapshot="gone"), RefusedError, "snapshot gone in eu-west-1: it does not exist"),
        (None, Wanted(snapshot="newest"), RefusedError, "newest is no identifier of a snapshot"),
        (None, Wanted(snapshot="2026-03-02T09:14:30Z"), RefusedError, "is no identifier of a snapshot"),
        (None, Wanted(snapshot="a b"), RefusedError, "a b is no identifier of a snapshot"),
        (None, Wanted(snapshot="rds:x-2026-11-23"), RefusedError, "one of RDS's own snapshots"),
        (lambda site: site.held.append(lock(host="laptop")), Wanted(), LockedError, "on laptop"),
        (
            lambda site: site.answers.update({"ecs.list_services": denied("ExpiredToken", "ListServices")}),
            Wanted(),
            CredentialsError,
            "ExpiredToken",
        ),
        (
            lambda site: site.answers.update({"rds.describe_db_snapshots": denied("AccessDenied", "X")}),
            Wanted(at=AT),
            RefusedError,
            "Reading the database copies in eu-west-1 failed",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_changed(
    sites: tuple[Serving, MadeUp],
    arrange: Callable[[Serving], None] | None,
    wanted: Wanted,
    kind: type[Exception],
    words: str,
) -> None:
    site, peer = sites
    if arrange:
        arrange(site)
    with pytest.raises(kind, match=words):
        restore(site, peer, wanted).apply()
    assert site.changed() == []


def test_another_restore_is_refused_while_one_is_under_way(sites: tuple[Serving, MadeUp]) -> None:
    site, peer = sites
    killed(site, peer, Wanted(at=AT), 3, after=True)
    for other in (Wanted(), Wanted(at=AT + timedelta(seconds=1)), Wanted(snapshot=SNAPSHOT)):
        with pytest.raises(RefusedError, match="with --at 2026-11-23T11:13:00Z is under way") as refused:
            restore(site, peer, other).rehearse()
        assert "--at 2026-11-23T11:13:00Z --apply` continues it" in str(refused.value.hint)


def test_a_marked_snapshot_is_not_restored(sites: tuple[Serving, MadeUp]) -> None:
    site, peer = sites
    tags = [{"Key": naming.UNUSABLE_TAG, "Value": "damaged"}]
    site.answers["rds.describe_db_snapshots"] = {"DBSnapshots": [snapshot(SNAPSHOT, 60, TagList=tags)]}
    with pytest.raises(RefusedError, match="marked platform:unusable"):
        restore(site, peer, Wanted(snapshot=SNAPSHOT)).rehearse()
