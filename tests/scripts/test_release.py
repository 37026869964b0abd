"""`dr database release` on a real file with everything outside made up: its order, what it refuses, and every kill."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from components import naming
from scripts.errors import ChecksFailedError, CredentialsError, LockedError, NotConfirmedError, RefusedError
from scripts.releasing import final, steps
from scripts.releasing.listing import look
from scripts.snapshots import decisions
from scripts.snapshots.model import Key, Snapshot
from scripts.snapshots.model import snapshot as as_snapshot
from tests.scripts.made_up_release import (
    FINAL,
    GENERATIONS,
    LAST,
    RELEASED,
    Releasing,
    made,
    recorded,
    release,
    results,
)
from tests.scripts.made_up_restore import FIRST, RESTORED, Killed, backups, snapshot, tag_list
from tests.scripts.made_up_site import KEY, NOW, MadeUp, denied, lock

DONE = [(True, "restored", [FIRST, RESTORED])] * 2


@pytest.fixture
def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Releasing, MadeUp]:
    return made(tmp_path, monkeypatch)


def is_done(site: Releasing) -> None:
    """It is gone and nothing else is; both snapshots are there, and its entry stays."""
    assert list(site.databases) == [RESTORED]
    generations = site.settings.database.generations
    assert [(g.name, g.released) for g in generations] == [("first", True), ("restored", False)]
    assert site.settings.database_identifier(generations[1]) == RESTORED
    assert LAST in site.snapshots
    assert [name for name in site.snapshots if name != LAST] == [FINAL]
    for entry in site.snapshots.values():
        assert naming.UNUSABLE_TAG in {tag["Key"] for tag in entry["TagList"]}


def killed(site: Releasing, peer: MadeUp, count: int, after: bool) -> None:
    """Before or after its change of this number."""
    site.cli.kill_at, site.cli.kill_after = count, after
    with pytest.raises(Killed):
        release(site, peer).apply()
    site.cli.kill_at = None


def unfenced(site: Releasing) -> None:
    """What locked the database is gone from the state."""
    kept = [r for r in site.document["deployment"]["resources"] if not r["urn"].endswith("::fences-first")]
    site.document["deployment"]["resources"] = kept


# -- the whole ----------------------------------------------------------------------------------------------------
def test_a_dry_run_changes_nothing_and_tells_everything(
    sites: tuple[Releasing, MadeUp], capsys: pytest.CaptureFixture[str]
) -> None:
    site, peer = sites
    before = site.stack.file.read_text()
    release(site, peer, apply=False, as_json=True).rehearse()
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert told["target"] == {
        "generation": "first",
        "database": FIRST,
        "status": "available",
        "released": False,
        "protected": True,
        "complete": False,
    }
    assert (told["applied"], told["plan"]["steps"], told["final_snapshot"]) == (False, {"update": 1}, None)
    assert told["expected"]["minutes"] > 5
    for words in (FIRST, "final snapshot", "protection off", "delete database-first", "two final snapshots"):
        assert words in shown.err
    assert "dr database release first -s kenya --apply" in shown.err
    assert (site.changed(), site.snapshots, list(site.databases)) == ([], {}, [FIRST, RESTORED])
    assert (site.stack.file.read_text(), steps.RELEASES.exists()) == (before, False)


def test_locked_then_the_snapshot_then_the_file_then_two_deployments(sites: tuple[Releasing, MadeUp]) -> None:
    site, peer = sites
    release(site, peer).apply()
    is_done(site)
    assert site.cli.ups == DONE
    assert site.cli.previewed[0] == ["update database-first"]
    assert site.cli.previewed[1] == ["delete database-first", "delete fences-first"]
    calls = [name for name, _ in site.calls]
    assert calls.index("lambda.invoke") < calls.index("rds.create_db_snapshot")
    (events,) = (file.read_text().splitlines() for file in steps.RELEASES.glob("*/events.jsonl"))
    kinds = [json.loads(line)["kind"] for line in events]
    order = ["confirmed", "check", "final snapshot", "released", "pulumi up", "marked unusable"]
    assert [kind for kind in dict.fromkeys(kinds) if kind in order] == order
    (told,) = results()
    assert (told["ok"], told["final_snapshot"], told["resumed"]) == (True, FINAL, False)
    assert [check["name"] for check in told["checks"]] == [
        "locked",
        "released",
        "serving",
        "preview",
        "final snapshots",
    ]


CHANGES = 3  # the file, and two deployments


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("count", range(1, CHANGES + 1))
def test_killed_at_any_change_it_is_continued(sites: tuple[Releasing, MadeUp], count: int, after: bool) -> None:
    site, peer = sites
    killed(site, peer, count, after)
    assert FINAL in site.snapshots, "before anything is changed"
    release(site, peer).apply()
    is_done(site)
    assert site.cli.changes <= CHANGES + 1, "what was done is not done again, but for a deployment of what is so"


@pytest.mark.parametrize("after", [False, True])
def test_killed_around_the_snapshot_it_takes_only_one(sites: tuple[Releasing, MadeUp], after: bool) -> None:
    site, peer = sites
    run = release(site, peer)

    def unheard(**asked: Any) -> Any:
        if after:
            site.create_snapshot(**asked)
        raise Killed

    site.answers["rds.create_db_snapshot"] = unheard
    with pytest.raises(Killed):
        run.apply()
    assert site.changed() == []
    release(site, peer).apply()
    is_done(site)


@pytest.mark.parametrize("gone", [False, True])
def test_killed_in_the_deletion_it_is_continued(sites: tuple[Releasing, MadeUp], gone: bool) -> None:
    """The engine takes away what locked the database before the database itself."""
    site, peer = sites
    site.cli.ends_deleting = True
    with pytest.raises(Killed):
        release(site, peer).apply()
    assert site.databases[FIRST]["DBInstanceStatus"] == "deleting"
    unfenced(site)
    if gone:
        del site.databases[FIRST]
    site.cli.ends_deleting = False
    release(site, peer).apply()
    is_done(site)
    assert results()[-1]["final_snapshot"] == FINAL


def test_unlocked_but_not_deleted_yet_it_is_continued(sites: tuple[Releasing, MadeUp]) -> None:
    """The second deployment ended once the fence was gone from the state: there is none to ask any more."""
    site, peer = sites
    killed(site, peer, 2, after=True)
    unfenced(site)
    release(site, peer).apply()
    is_done(site)


def test_unprotected_by_rds_but_not_in_the_state_it_is_continued(sites: tuple[Releasing, MadeUp]) -> None:
    """The first deployment was killed once RDS had taken the protection off, and before the state said so."""
    site, peer = sites
    killed(site, peer, 2, after=True)
    assert not site.protected()
    database = site.of_first()[0]
    database["protect"] = True
    before = len(site.cli.commands)
    release(site, peer).rehearse()
    assert [c for c in site.cli.commands[before:] if c[0] in ("state", "up", "preview")] == [], (
        "a dry run mends nothing"
    )
    release(site, peer).apply()
    assert ("state", "unprotect", database["urn"], "--stack", "kenya", "--yes") in site.cli.commands
    is_done(site)


def test_a_plain_deployment_meanwhile_is_a_step_of_the_same_way(sites: tuple[Releasing, MadeUp]) -> None:
    site, peer = sites
    killed(site, peer, 1, after=True)
    for _ in range(2):
        site.cli.run("up")
    assert (FIRST in site.databases, FINAL in site.snapshots, LAST in site.snapshots) == (False, True, True)
    release(site, peer).apply()
    is_done(site)


def test_the_same_again_finds_that_it_is_done(
    sites: tuple[Releasing, MadeUp], capsys: pytest.CaptureFixture[str]
) -> None:
    site, peer = sites
    release(site, peer).apply()
    changed = len(site.changed())
    site.snapshots.clear()  # given up by hand, later
    capsys.readouterr()
    release(site, peer, as_json=True).apply()
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["target"]["complete"]) == (True, True)
    assert [check["name"] for check in told["checks"]] == ["released", "serving", "preview"]
    assert (len(site.changed()), site.snapshots) == (changed, {})


@pytest.mark.parametrize("typed", ["kenya", "first", RESTORED])
def test_the_databases_own_name_has_to_be_typed(sites: tuple[Releasing, MadeUp], typed: str) -> None:
    site, peer = sites
    with pytest.raises(NotConfirmedError) as refused:
        release(site, peer, confirm=typed).apply()
    assert f"Type {FIRST}" in str(refused.value.hint)
    assert (site.changed(), site.snapshots) == ([], {})


# -- what stops it ------------------------------------------------------------------------------------------------
def test_one_that_somebody_can_write_to_is_not_given_up(sites: tuple[Releasing, MadeUp]) -> None:
    site, peer = sites
    said = {"errorMessage": "NotLocked: role api may log in"}
    site.answers["lambda.invoke"] = lambda **_: {
        "FunctionError": "Unhandled",
        "Payload": io.BytesIO(json.dumps(said).encode()),
    }
    with pytest.raises(ChecksFailedError, match="release is not complete: locked of 1"):
        release(site, peer).apply()
    assert (site.changed(), site.snapshots) == ([], {})


@pytest.mark.parametrize("at", ["before", "after"])
def test_a_plan_that_takes_away_more_is_refused(sites: tuple[Releasing, MadeUp], at: str) -> None:
    site, peer = sites
    replaced = [{"op": "replace", "urn": recorded("aws:rds/instance:Instance", "database-restored")["urn"]}]
    run = release(site, peer)
    if at == "before":
        site.cli.more = replaced
    else:

        def meanwhile(**asked: Any) -> Any:
            site.cli.more = replaced
            return site.create_snapshot(**asked)

        site.answers["rds.create_db_snapshot"] = meanwhile
    with pytest.raises(RefusedError, match=r"would replace database-restored .* one database and nothing else"):
        run.apply()
    assert FIRST in site.databases
    assert len(site.cli.ups) == (0 if at == "before" else 1)


def configured(*declared: Any, **changes: Any) -> Callable[[Releasing, MadeUp], None]:
    return lambda site, _: site.generations(*declared, **changes)


def status(word: str) -> Callable[[Releasing, MadeUp], None]:
    return lambda site, _: site.databases[FIRST].update({"DBInstanceStatus": word})


def follows(site: Releasing, peer: MadeUp) -> None:
    arn = f"arn:aws:rds:eu-west-1:123456789012:db:{FIRST}"
    text = peer.stack.file.read_text()
    wanted = f"standbySource: read-replica\n    standbySourceArn: {arn}"
    peer.stack.file.write_text(text.replace("standbySource: snapshot-copies", wanted))
    peer.reread()


THIRD = {"name": "third", "origin": "2026-03-02T09:14:30+03:00", "of": "first"}


@pytest.mark.parametrize(
    ("arrange", "name", "kind", "words"),
    [
        (None, "second", RefusedError, "second is no generation of kenya; .* there is: first"),
        (None, "restored", RefusedError, f"{RESTORED} .restored. serves kenya"),
        (
            configured(*GENERATIONS, restoring={"generation": "restored"}),
            "first",
            RefusedError,
            "A restore of kenya is under way .generation restored.",
        ),
        (follows, "first", RefusedError, f"south-africa follows {FIRST}"),
        (configured(*GENERATIONS, THIRD), "first", RefusedError, "third of kenya is declared and was never deployed"),
        (lambda site, _: site.databases.pop(FIRST), "first", RefusedError, f"{FIRST} .first. does not exist"),
        (lambda site, _: site.forget(), "first", RefusedError, "no deployment of kenya made it"),
        (status("stopped"), "first", RefusedError, f"{FIRST} is stopped: RDS takes no snapshot"),
        (status("incompatible-restore"), "first", RefusedError, "RDS takes no snapshot"),
        (
            lambda site, _: site.snapshots.update({LAST: snapshot(LAST, 99)}),
            "first",
            RefusedError,
            f"Snapshot {LAST} exists already",
        ),
        (lambda site, _: site.held.append(lock(host="laptop")), "first", LockedError, "on laptop"),
        (
            lambda site, _: site.answers.update({"ecs.list_services": denied("ExpiredToken", "ListServices")}),
            "first",
            CredentialsError,
            "ExpiredToken",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_changed(
    sites: tuple[Releasing, MadeUp],
    arrange: Callable[[Releasing, MadeUp], Any] | None,
    name: str,
    kind: type[Exception],
    words: str,
) -> None:
    site, peer = sites
    if arrange:
        arrange(site, peer)
    before = site.stack.file.read_text()
    with pytest.raises(kind, match=words):
        release(site, peer, name).apply()
    assert (site.changed(), site.stack.file.read_text()) == ([], before)
    assert "rds.create_db_snapshot" not in [call for call, _ in site.calls]


def test_one_that_is_gone_may_be_needed_no_more(sites: tuple[Releasing, MadeUp]) -> None:
    """What another one was made of is no matter once that is there: its backups stay, and so does its name."""
    site, peer = sites
    site.generations(GENERATIONS[0], {**THIRD, "name": "restored"})
    release(site, peer).apply()
    assert list(site.databases) == [RESTORED]
    assert site.settings.database.generations[1].of == "first"


# -- the final snapshot -------------------------------------------------------------------------------------------
def tagged(resource_id: str) -> list[dict[str, str]]:
    """As one of the database with RDS's own name `resource_id` is."""
    return tag_list({**decisions.tags("kenya", final.REASON, resource_id, None), naming.UNUSABLE_TAG: final.WHY})


def seen(name: str, minutes: float, **changes: Any) -> Snapshot:
    return as_snapshot("eu-west-1", {**snapshot(name, minutes), "TagList": tagged("db-first"), **changes})  # type: ignore[typeddict-item]


def test_an_old_one_does_not_count_and_an_own_unfinished_one_does(sites: tuple[Releasing, MadeUp]) -> None:
    site, peer = sites
    run = release(site, peer)
    run.look()
    wanted = run.target
    assert wanted is not None
    hours = 60.0
    fresh, old = seen("a", hours), seen("b", 25 * hours)
    assert final.found([fresh, old], wanted, NOW) is fresh
    assert final.found([old], wanted, NOW) is None
    running = seen("c", 25 * hours, Status="creating")
    assert final.found([old, running], wanted, NOW) is running
    others = [
        seen("d", 1, DBInstanceIdentifier=RESTORED),
        seen("e", 1, Status="failed"),
        seen("f", 1, TagList=[{"Key": naming.MADE_BY_TAG, "Value": naming.SNAPSHOT_BY_HAND}]),
        seen("g", 1, TagList=tagged("db-earlier")),
    ]
    assert final.found(others, wanted, NOW) is None


def test_nothing_prunes_it_and_no_promotion_takes_it(sites: tuple[Releasing, MadeUp]) -> None:
    site, _ = sites
    old = seen(FINAL, 400 * 24 * 60)
    newer = seen("x-snapshot", 10, TagList=snapshot("x", 1)["TagList"])
    key = Key("alias", KEY, "Enabled")
    assert decisions.prunable([old, newer], [], FIRST, key, NOW + timedelta(days=1)) == []
    assert decisions.newest_usable(site.settings, [seen(FINAL, 1)], key) is None


# -- dr database list ---------------------------------------------------------------------------------------------
def test_the_list_has_what_the_file_says_and_what_rds_says(sites: tuple[Releasing, MadeUp]) -> None:
    site, _ = sites
    site.generations(*RELEASED)
    site.databases[FIRST]["DeletionProtection"] = False
    site.databases[f"{FIRST}-old"] = site.databases[FIRST] | {"DBInstanceIdentifier": f"{FIRST}-old"}
    site.databases["other-rds"] = site.databases[FIRST] | {"DBInstanceIdentifier": "other-rds"}
    elsewhere = backups(Region="af-south-1", RestoreWindow={"EarliestTime": NOW, "LatestTime": NOW})
    site.answers["rds.describe_db_instance_automated_backups"] = {
        "DBInstanceAutomatedBackups": [backups(), elsewhere, backups(RESTORED, RestoreWindow={})]
    }
    entries = look(site)
    assert [(e["generation"], e["database"], e["meant"], e["role"], e["protected"]) for e in entries] == [
        ("first", FIRST, "released", naming.RETAINED_ROLE, False),
        ("restored", RESTORED, "serving", naming.SERVING_ROLE, True),
        (None, f"{FIRST}-old", "not declared", naming.RETAINED_ROLE, False),
    ]
    assert [(e["status"], e["gib"], e["backups_to"]) for e in entries] == [
        ("available", 100, NOW - timedelta(minutes=5)),
        ("available", 100, None),
        ("available", 100, None),
    ]
    del site.databases[FIRST]
    assert (look(site)[0]["status"], look(site)[0]["meant"]) == (None, "released")
    site.answers["rds.describe_db_instances"] = denied("AccessDenied", "DescribeDBInstances")
    with pytest.raises(RefusedError, match="databases: AWS refused DescribeDBInstances"):
        look(site)
