"""The parts of `dr restore database`: what it is made of and called, what is marked, and what is verified."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ConnectTimeoutError

from components import naming
from scripts.errors import (
    IncompleteError,
    RefusedError,
)
from scripts.restoring import checks, marking, target
from scripts.restoring.inspection import Inspection
from scripts.restoring.moment import written
from scripts.restoring.target import Wanted
from scripts.snapshots import model
from tests.scripts.made_up_kenya import LIVE
from tests.scripts.made_up_restore import (
    AT,
    EARLIEST,
    FIRST,
    LATEST,
    NAMESPACE,
    RESTORED,
    SNAPSHOT,
    Serving,
    backups,
    done,
    instance,
    made,
    reaches,
    region,
    restore,
    results,
    snapshot,
)
from tests.scripts.made_up_site import NOW, MadeUp


@pytest.fixture
def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Serving, MadeUp]:
    return made(tmp_path, monkeypatch)


# -- what it is made of and called --------------------------------------------------------------------------------
def test_an_earlier_generation_is_asked_for_what_the_serving_one_does_not_reach(sites: tuple[Serving, MadeUp]) -> None:
    site, peer = sites
    restore(site, peer).apply()
    own = {"EarliestTime": NOW - timedelta(minutes=10), "LatestTime": LATEST}
    reaches(backups(), backups(RESTORED, DbiResourceId="db-restored", RestoreWindow=own))(site)
    earlier = target.choose(site, Wanted(at=NOW - timedelta(minutes=90)), NOW)
    assert (earlier.generation.of, earlier.identifier) == ("first", f"{RESTORED}-2")
    assert "which does not serve" in earlier.source
    assert target.choose(site, Wanted(at=NOW - timedelta(minutes=7)), NOW).generation.of == "restored"
    with pytest.raises(RefusedError) as refused:
        target.choose(site, Wanted(at=EARLIEST - timedelta(days=1)), NOW)
    assert refused.value.message.count("it can be restored to a time from") == 2, "both windows are told"


@pytest.mark.parametrize(
    "arrange",
    [
        lambda site: site.databases.update({RESTORED: instance(RESTORED, "x", "somebody's")}),
        reaches(backups(), backups(RESTORED, Status="retained")),
        lambda site: site.answers.update(
            {"rds.describe_db_snapshots": {"DBSnapshots": [snapshot("final", 9, DBInstanceIdentifier=RESTORED)]}}
        ),
    ],
)
def test_a_name_that_was_ever_used_is_not_used_again(
    sites: tuple[Serving, MadeUp], arrange: Callable[[Serving], None]
) -> None:
    site, _ = sites
    arrange(site)
    assert target.choose(site, Wanted(at=AT), NOW).identifier == f"{RESTORED}-2"


def test_a_snapshot_is_not_called_damaged_by_its_own_restore(sites: tuple[Serving, MadeUp]) -> None:
    site, _ = sites
    made_at = NOW - timedelta(minutes=60) + timedelta(milliseconds=400)
    entry = snapshot(SNAPSHOT, 60, OriginalSnapshotCreateTime=made_at)
    site.answers["rds.describe_db_snapshots"] = {"DBSnapshots": [entry]}
    chosen = target.choose(site, Wanted(snapshot=SNAPSHOT), NOW)
    assert chosen.damage_from == made_at.replace(microsecond=0) + timedelta(seconds=1)
    assert marking.damaged([model.snapshot("eu-west-1", cast("Any", entry))], FIRST, RESTORED, chosen.damage_from) == []


# -- marking --------------------------------------------------------------------------------------------------------
def tagged(site: MadeUp) -> list[str]:
    calls = [given for name, given in site.calls if name == "rds.add_tags_to_resource"]
    assert all(given["Tags"][0]["Key"] == naming.UNUSABLE_TAG for given in calls)
    return [given["ResourceName"].rpartition(":")[2] for given in calls]


def test_what_holds_the_damage_is_marked_in_both_regions(sites: tuple[Serving, MadeUp]) -> None:
    site, peer = sites
    marked = [{"Key": naming.UNUSABLE_TAG, "Value": "before"}]
    entries = [
        snapshot("good", 48),
        snapshot("damaged", 46),
        snapshot("daily", 5, SnapshotType="automated"),
        snapshot("known", 5, TagList=marked),
        snapshot("broken", 5, Status="failed"),
        snapshot("other", 5, DBInstanceIdentifier="mental-health-platform-sa-rds"),
        snapshot(f"{FIRST}-snapshot-2026-11-23-1113", 0, Status="creating", OriginalSnapshotCreateTime=None),
        snapshot(f"{FIRST}-snapshot-2026-11-23-1112", 0, Status="creating", OriginalSnapshotCreateTime=None),
        snapshot("unknown", 0, Status="creating", OriginalSnapshotCreateTime=None),
    ]
    new = snapshot("new", 1, DBInstanceIdentifier=RESTORED)
    site.answers["rds.describe_db_snapshots"] = lambda **_: {"DBSnapshots": [*entries, *([new] if site.made else [])]}
    peer.answers["rds.describe_db_snapshots"] = {
        "DBSnapshots": [snapshot("good", 48, "af-south-1"), snapshot("copied", 46, "af-south-1")]
    }
    restore(site, peer).apply()
    assert tagged(site) == ["damaged", "daily", f"{FIRST}-snapshot-2026-11-23-1113", "unknown"]
    assert tagged(peer) == ["copied"]
    (told,) = results()
    assert {"region": "af-south-1", "name": "copied"} in told["marked_unusable"]
    assert told["rpo_gap"]["region"] == "af-south-1"


def test_the_newest_moment_has_no_damage_behind_it(sites: tuple[Serving, MadeUp]) -> None:
    site, peer = sites
    site.answers["rds.describe_db_snapshots"] = {"DBSnapshots": [snapshot("newer", 1)]}
    restore(site, peer, Wanted()).apply()
    assert tagged(site) == []


def test_a_silent_peer_holds_up_nobody_and_is_marked_later(
    sites: tuple[Serving, MadeUp], capsys: pytest.CaptureFixture[str]
) -> None:
    site, peer = sites
    region(peer)
    answering = peer.answers["rds.describe_db_snapshots"]
    peer.answers["rds.describe_db_snapshots"] = ConnectTimeoutError(endpoint_url="rds.af-south-1")
    with pytest.raises(IncompleteError, match="Copies in af-south-1 are not marked"):
        restore(site, peer).apply()
    assert "a promotion of south-africa brings the damage back" in capsys.readouterr().err
    assert (site.settings.frozen, site.settings.database.serving) == (False, "restored")
    assert site.declared()["restoring"]["generation"] == "restored"
    peer.answers["rds.describe_db_snapshots"] = answering | {"DBSnapshots": [snapshot("copied", 46, "af-south-1")]}
    restore(site, peer).apply()
    assert tagged(peer) == ["copied"]
    done(site, written(AT), "first")


def test_a_region_that_sends_nothing_there_is_not_asked(sites: tuple[Serving, MadeUp]) -> None:
    site, peer = sites
    text = site.stack.file.read_text().replace("  mental-health-platform:protects: south-africa\n", "")
    site.stack.file.write_text(text)
    restore(site, peer).apply()
    assert peer.calls == []
    assert results()[0]["rpo_gap"] is None


# -- what is verified -----------------------------------------------------------------------------------------------
GOOD = instance(RESTORED, "restored", naming.RETAINED_ROLE, f"{FIRST}@{written(AT)}")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "encrypted, protected, backed up"),
        ({"DBInstanceStatus": "incompatible-parameters"}, "is incompatible-parameters"),
        ({"KmsKeyId": "arn:other"}, "is encrypted with arn:other"),
        ({"DBParameterGroups": [{"DBParameterGroupName": "default.postgres17"}]}, "the parameters default.postgres17"),
        ({"MultiAZ": False}, "is in one zone"),
        ({"DeletionProtection": False}, "can be deleted"),
        ({"BackupRetentionPeriod": 0}, "has no backups"),
        ({"PubliclyAccessible": True}, "is publicly accessible"),
        ({"TagList": GOOD["TagList"][:-1]}, "was made of nothing"),
        ({"TagList": instance(RESTORED, "other", "x", f"{FIRST}@{written(AT)}")["TagList"]}, "is generation other"),
    ],
)
def test_the_restored_instance_is_judged(sites: tuple[Serving, MadeUp], changes: dict[str, Any], words: str) -> None:
    site, _ = sites
    chosen = target.choose(site, Wanted(at=AT), NOW)
    site.databases[RESTORED] = {**GOOD, **changes}
    inspection = Inspection(site, RESTORED, FIRST, AT)
    held, told = checks.before_serving(site, chosen, inspection)["restored"]()
    assert (held, words in told) == (not changes, True), told


def test_a_preview_that_finds_something_is_told(sites: tuple[Serving, MadeUp]) -> None:
    site, _ = sites
    look = checks.afterwards(site)["preview"]
    assert look() == (True, "nothing to change")
    urn = "urn:pulumi:kenya::p::aws:rds/instance:Instance::database-first"
    site.cli.said["preview"] = json.dumps({"steps": [{"op": "update", "urn": urn}]})
    assert look() == (False, "update aws:rds/instance:Instance database-first")


def test_the_live_counts_are_those_of_before(sites: tuple[Serving, MadeUp]) -> None:
    site, peer = sites
    restore(site, peer).apply()
    flags = next(command for command in site.changed() if command[1] == "set-all")
    assert [f"thawCounts.{name}={tasks}" in flags for name, tasks in LIVE.items()] == [True] * len(LIVE)
    assert f"{NAMESPACE}thawCounts" not in site.written()
