"""What `dr snapshot` continues, keeps, gives up and tells, by what it sees. No AWS."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from components import naming
from components.functions.snapshot_cycle.decisions import stamped
from scripts.errors import IncompleteError, RefusedError
from scripts.project import Project, load
from scripts.snapshots import copies, decisions, estate, listing, model, waiting
from scripts.snapshots.copies import CopyPlan
from scripts.snapshots.model import Database, Key, Snapshot
from scripts.snapshots.names import Reason
from scripts.snapshots.region import Region
from tests.components.examples import settings
from tests.scripts import made_up_site
from tests.scripts.made_up_site import KEY, NOW

KENYA, SOUTH_AFRICA = "eu-west-1", "af-south-1"
BASE = "mental-health-platform-kenya-rds"
DATA_KEY = Key("alias/mental-health-platform-sa-data", KEY, "Enabled")
DATABASE = Database(BASE, "db-KENYA", "available", 100)
DAY = 24 * 60.0
OURS = {naming.MADE_BY_TAG: naming.SNAPSHOT_BY_HAND, naming.REASON_TAG: "manual", naming.COPY_TO_TAG: SOUTH_AFRICA}


def snapshot(minutes: float = 20, region: str = KENYA, tags: dict[str, str] = OURS, **changes: Any) -> Snapshot:
    """One that `dr snapshot` made so many minutes ago."""
    at = NOW - timedelta(minutes=minutes)
    entry = {
        "DBSnapshotIdentifier": stamped(BASE, at),
        "DBInstanceIdentifier": BASE,
        "Status": "available",
        "SnapshotType": "manual",
        "OriginalSnapshotCreateTime": at,
        "Encrypted": True,
        "KmsKeyId": KEY,
        "EngineVersion": "17.6",
        "AllocatedStorage": 100,
        "PercentProgress": 100,
        "TagList": [{"Key": key, "Value": value} for key, value in tags.items()],
        **changes,
    }
    entry.setdefault("DBSnapshotArn", f"arn:aws:rds:{region}:1:snapshot:{entry['DBSnapshotIdentifier']}")
    return model.snapshot(region, cast("Any", entry))


def copied(original: Snapshot, **changes: Any) -> Snapshot:
    minutes = (NOW - (original.data_time or NOW)).total_seconds() / 60
    tags = changes.pop("tags", {naming.MADE_BY_TAG: naming.SNAPSHOT_BY_HAND, naming.REASON_TAG: "manual"})
    return snapshot(minutes, SOUTH_AFRICA, tags, SourceDBSnapshotIdentifier=original.arn, **changes)


def by(maker: str | None) -> dict[str, str]:
    return {} if maker is None else {naming.MADE_BY_TAG: maker}


# -- continuing ---------------------------------------------------------------------------------------------------
def continued(*here: Snapshot, there: tuple[Snapshot, ...] = (), copy: bool = True) -> Snapshot | None:
    return decisions.continued(here, there, DATABASE, Reason.MANUAL, NOW, copy)


def test_what_an_interrupted_run_left_is_continued() -> None:
    creating = snapshot(5, Status="creating", OriginalSnapshotCreateTime=None)
    uncopied = snapshot(10)
    assert continued(creating) == creating
    assert continued(uncopied) == uncopied
    assert continued(uncopied, there=(copied(uncopied, Status="creating"),)) == uncopied
    assert continued(uncopied, there=(copied(uncopied, Status="failed"),)) == uncopied
    assert continued(uncopied, creating) == creating, "the newest"


def test_what_is_complete_is_not_taken_for_a_new_one() -> None:
    whole = snapshot(10)
    assert continued(whole, there=(copied(whole),)) is None
    assert continued(whole, copy=False) is None, "nothing is left to be done"
    assert continued(snapshot(10, tags={**OURS, naming.REASON_TAG: "weekly"})) is None
    assert continued(snapshot(10, tags=by(naming.SNAPSHOT_CYCLE))) is None
    assert continued(snapshot(10, Status="failed")) is None
    assert continued(snapshot(10, DBInstanceIdentifier=f"{BASE}-restored")) is None
    without = {key: value for key, value in OURS.items() if key != naming.COPY_TO_TAG}
    assert continued(snapshot(10, tags=without)) is None, "nobody wanted a copy"


def test_what_is_old_is_not_what_somebody_wants_before_a_deployment() -> None:
    assert continued(snapshot(15)) is not None
    assert continued(snapshot(16)) is None
    assert continued(snapshot(16, Status="creating", OriginalSnapshotCreateTime=None)) is None


def test_the_same_minute_is_the_same_snapshot() -> None:
    whole = snapshot(0)
    assert continued(whole, there=(copied(whole),), copy=True) == whole


# -- giving up ----------------------------------------------------------------------------------------------------
def prunable(*here: Snapshot, there: tuple[Snapshot, ...] = (), key: Key = DATA_KEY) -> list[Snapshot]:
    return decisions.prunable(here, there, BASE, key, NOW)


def test_what_is_past_retention_and_what_failed_goes() -> None:
    old, failed, newest = snapshot(30 * DAY + 1), snapshot(40, Status="failed"), snapshot(5)
    assert prunable(old, failed, newest) == sorted((old, failed), key=lambda entry: entry.identifier)
    assert prunable(snapshot(30 * DAY), newest) == [], "30 days are 30 days"


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": by(naming.SNAPSHOT_CYCLE)},
        {"tags": by(None)},
        {"tags": {**OURS, naming.UNUSABLE_TAG: "evidence"}},
        {"Status": "creating"},
        {"DBInstanceIdentifier": "mental-health-platform-sa-rds"},
        {"DBInstanceIdentifier": f"{BASE}x"},
    ],
)
def test_what_others_made_evidence_and_what_is_unfinished_is_kept(changes: dict[str, Any]) -> None:
    assert prunable(snapshot(99 * DAY, **changes), snapshot(5)) == []


@pytest.mark.parametrize("maker", naming.SNAPSHOT_MAKERS)
def test_the_newest_good_one_is_kept_whoever_made_it(maker: str) -> None:
    old, older = snapshot(40 * DAY), snapshot(50 * DAY)
    assert prunable(old, older) == [older]
    assert prunable(old, older, snapshot(5, tags=by(maker))) == [older, old]


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": by(None)},
        {"tags": {**OURS, naming.UNUSABLE_TAG: "corrupt"}},
        {"Status": "creating"},
        {"SnapshotType": "automated", "tags": {}},
        {"KmsKeyId": "arn:aws:kms:af-south-1:1:key/other"},
        {"Encrypted": False, "KmsKeyId": None},
        {"DBInstanceIdentifier": "mental-health-platform-sa-rds"},
    ],
)
def test_what_is_not_good_does_not_stand_for_the_newest_good_one(changes: dict[str, Any]) -> None:
    old = snapshot(40 * DAY)
    assert prunable(old, snapshot(5, **changes)) == []


def test_without_any_good_one_the_newest_complete_one_is_kept() -> None:
    """A data key that was replaced makes none of them good: that is mended, not pruned away."""
    old, older = snapshot(40 * DAY), snapshot(50 * DAY)
    other = Key("alias/x", "arn:aws:kms:af-south-1:1:key/new", "Enabled")
    for key in (other, Key("alias/x", None, "missing")):
        assert prunable(old, older, key=key) == [older]


def test_the_source_of_a_running_copy_is_kept() -> None:
    old, newest = snapshot(40 * DAY), snapshot(5)
    assert prunable(old, newest, there=(copied(old, Status="creating"),)) == []
    assert prunable(old, newest, there=(copied(old),)) == [old]


def test_a_later_generation_counts_with_the_first() -> None:
    restored = snapshot(5, DBInstanceIdentifier=f"{BASE}-restored")
    assert prunable(snapshot(40 * DAY), restored) == [snapshot(40 * DAY)]


def histories() -> Iterator[tuple[Snapshot, ...]]:
    for seed in range(200):
        draw = random.Random(seed)
        yield tuple(
            snapshot(
                draw.uniform(0, 90 * DAY),
                tags={**OURS, **by(draw.choice([naming.SNAPSHOT_CYCLE, naming.SNAPSHOT_BY_HAND, "somebody"]))},
                Status=draw.choice(["available"] * 6 + ["creating", "failed"]),
            )
            for _ in range(draw.randint(1, 40))
        )


def test_whatever_is_there_the_newest_good_one_stays_and_only_ours_goes() -> None:
    for past in histories():
        gone = prunable(*past)
        good = [entry for entry in past if entry.available and decisions.good(entry, DATA_KEY)]
        if good:
            assert max(good, key=lambda entry: entry.data_time or NOW) not in gone
        assert all(entry.by_hand for entry in gone)
        assert prunable(*(entry for entry in past if entry not in gone)) == [], "a second time gives up no more"


# -- copies -------------------------------------------------------------------------------------------------------
class MadeUpRegion:
    """A region whose answers a test gives; `did` is what was asked of it."""

    name = SOUTH_AFRICA

    def __init__(self, *found: Snapshot | None) -> None:
        self.found = list(found)
        self.did: list[str] = []
        self.stack = load().standby

    def snapshot(self, identifier: str) -> Snapshot | None:
        self.did.append(f"look {identifier}")
        return self.found.pop(0) if len(self.found) > 1 else self.found[0]

    def copy(self, original: Snapshot, identifier: str, *_: Any) -> Snapshot:
        self.did.append(f"copy {identifier}")
        return copied(original, Status="creating")

    def delete(self, identifier: str) -> None:
        self.did.append(f"delete {identifier}")


class MadeUpRecord:
    def add(self, *_: Any, **__: Any) -> None:
        pass


def begin(found: Snapshot | None, region: MadeUpRegion) -> Snapshot:
    original = snapshot(20)
    plan = CopyPlan(cast("Region", region), original.identifier, KEY, found)
    return copies.begin(plan, original, cast("Any", MadeUpRecord()))


def test_a_copy_that_failed_is_begun_anew_if_it_is_ours() -> None:
    original, region = snapshot(20), MadeUpRegion()
    begin(copied(original, Status="failed"), region)
    assert region.did == [f"delete {original.identifier}", f"copy {original.identifier}"]
    region = MadeUpRegion()
    with pytest.raises(RefusedError, match=r"is failed, but is no copy .* \(made by snapshot-cycle\)"):
        begin(copied(original, Status="failed", tags=by(naming.SNAPSHOT_CYCLE)), region)
    assert region.did == []


@pytest.mark.parametrize("status", ["failed", "deleting"])
def test_a_failed_copy_that_is_not_gone_yet_is_not_taken_for_the_new_one(
    status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = snapshot(20)
    region = MadeUpRegion(copied(original, Status=status))

    def taken(*_: Any) -> Snapshot:
        raise ClientError({"Error": {"Code": "DBSnapshotAlreadyExists", "Message": ""}}, "CopyDBSnapshot")

    monkeypatch.setattr(region, "copy", taken)
    with pytest.raises(IncompleteError, match="is not gone yet from af-south-1"):
        begin(copied(original, Status="failed"), region)


def test_one_that_is_there_or_on_its_way_is_found() -> None:
    original, region = snapshot(20), MadeUpRegion()
    for status in ("available", "creating", "copying", "pending"):
        there = copied(original, Status=status)
        assert begin(there, region) == there
    assert region.did == []
    failed, running = copied(original, Status="failed"), copied(original, Status="creating")
    assert decisions.copy_of(original, [failed, running]) == running
    assert decisions.copy_of(original, [snapshot(20, SOUTH_AFRICA)]) is None, "the same name is not the same data"


def test_a_plan_says_what_is_there_already() -> None:
    original = snapshot(20)
    region = cast("Region", MadeUpRegion())
    here = [copied(original, tags=by(naming.SNAPSHOT_CYCLE))]
    told = copies.plan(original, original.identifier, region, KEY, here).told()
    assert told == f"copy {original.identifier} in af-south-1 is there already, made by snapshot-cycle"
    running = [copied(original, Status="creating", PercentProgress=40)]
    assert "is in progress already (40 %)" in copies.plan(original, original.identifier, region, KEY, running).told()


def test_an_automated_ones_copy_has_a_name_that_a_copy_may_have() -> None:
    automated = snapshot(20, DBSnapshotIdentifier=f"rds:{BASE}-2026-11-23-03-05", SnapshotType="automated", tags={})
    assert decisions.copy_name(automated) == stamped(BASE, NOW - timedelta(minutes=20))
    assert decisions.copy_tags("south-africa", automated)[naming.REASON_TAG] == "manual"


def test_what_is_unusable_there_is_unusable_here() -> None:
    corrupt = snapshot(20, tags={**OURS, naming.UNUSABLE_TAG: "found corrupt", naming.SOURCE_TAG: "db-KENYA"})
    assert decisions.copy_tags("south-africa", corrupt) == {
        **naming.tags("south-africa"),
        naming.MADE_BY_TAG: naming.SNAPSHOT_BY_HAND,
        naming.REASON_TAG: "manual",
        naming.SOURCE_TAG: "db-KENYA",
        naming.UNUSABLE_TAG: "found corrupt",
    }


# -- waiting ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("last", "said"),
    [
        (
            snapshot(5, Status="failed"),
            "is failed in af-south-1. | RDS says why in its events: aws rds describe-events",
        ),
        (None, "has disappeared in af-south-1. | RDS says why"),
    ],
)
def test_what_fails_or_disappears_meanwhile_is_said(
    last: Snapshot | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LOOK_EVERY", 0.01)
    region = MadeUpRegion(snapshot(5, Status="creating"), snapshot(5, Status="creating"), last)
    with pytest.raises(IncompleteError) as failed:
        waiting.until_available(cast("Region", region), "name")
    assert said in f"{failed.value.message} | {failed.value.hint}"
    assert region.did == ["look name"] * 3


def test_progress_is_a_line_for_each_tenth(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(waiting, "LOOK_EVERY", 0.01)
    steps = [snapshot(5, Status="creating", PercentProgress=percent) for percent in (0, 3, 41, 45, 88)]
    waiting.until_available(cast("Region", MadeUpRegion(*steps, snapshot(5))), "name")
    lines = [line.strip() for line in capsys.readouterr().err.splitlines()]
    assert [line.partition(" after")[0] for line in lines] == [
        f"name in af-south-1: {percent} %" for percent in (0, 41, 88, 100)
    ]
    assert "min left" in lines[1]


# -- telling ------------------------------------------------------------------------------------------------------
def test_what_a_promotion_would_restore_is_judged_by_the_promotions_own_rule() -> None:
    old, new = copied(snapshot(30)), copied(snapshot(10))
    assert decisions.newest_usable(settings(), [old, new], DATA_KEY) == new
    foreign = copied(snapshot(5), tags=by("somebody"))
    other_key = copied(snapshot(5), KmsKeyId="arn:aws:kms:af-south-1:1:key/x")
    assert decisions.newest_usable(settings(), [old, foreign, other_key], DATA_KEY) == old
    assert decisions.newest_usable(settings(), [foreign], DATA_KEY) is None


def test_a_snapshot_and_its_copy_are_one_line_the_newest_first() -> None:
    old, new = snapshot(60), snapshot(10)
    creating = snapshot(1, Status="creating", OriginalSnapshotCreateTime=None)
    orphan = copied(snapshot(90))
    found = decisions.rows({KENYA: [old, new, creating], SOUTH_AFRICA: [copied(old), orphan]})
    assert found == [{KENYA: creating}, {KENYA: new}, {KENYA: old, SOUTH_AFRICA: copied(old)}, {SOUTH_AFRICA: orphan}]
    twice = copied(old, DBSnapshotIdentifier="again")
    assert len(decisions.rows({KENYA: [old], SOUTH_AFRICA: [copied(old), twice]})) == 2, "none is hidden"


Change = Callable[[Path], None]


def flag(stack: str, value: str) -> Change:
    def change(directory: Path) -> None:
        file = directory / f"Pulumi.{stack}.yaml"
        text = file.read_text()
        was = "true" if "standby: true" in text else "false"
        file.write_text(text.replace(f"standby: {was}", f"standby: {value}"))

    return change


def made_up(directory: Path, *changes: Change) -> Project:
    found = made_up_site.project(directory)
    for change in changes:
        change(directory)
    return found


CREDENTIALS = {"AWS_ACCESS_KEY_ID": "X", "AWS_SECRET_ACCESS_KEY": "x"}


def test_the_serving_stack_is_meant_unless_one_is_named(tmp_path: Path) -> None:
    facts = made_up(tmp_path)
    assert estate.choose(facts, CREDENTIALS, None).home.stack.stack == "kenya"
    chosen = estate.choose(facts, CREDENTIALS, "south-africa")
    assert (chosen.home.stack.stack, chosen.peer.stack.stack, chosen.protected) == ("south-africa", "kenya", False)
    with pytest.raises(RefusedError, match="nowhere is no stack of this project; allowed: kenya, south-africa"):
        estate.choose(facts, CREDENTIALS, "nowhere")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ((flag("south-africa", "false"),), "kenya and south-africa are both configured as serving"),
        ((flag("kenya", "true"),), "No stack is configured as serving"),
    ],
)
def test_where_none_or_both_serve_it_does_not_guess(tmp_path: Path, changes: tuple[Change, ...], said: str) -> None:
    with pytest.raises(RefusedError, match=said) as refused:
        estate.choose(made_up(tmp_path, *changes), CREDENTIALS, None)
    assert refused.value.hint == "Name it with -s: kenya, south-africa."


def test_after_a_promotion_the_list_says_that_nothing_is_protected(tmp_path: Path) -> None:
    facts = made_up(tmp_path, flag("south-africa", "false"))
    found = listing.Listing(estate.regions(facts, CREDENTIALS), NOW, {KENYA: [], SOUTH_AFRICA: []})
    (promised,) = listing.rpo(found)
    assert promised.met is False
    assert "no stack stands by (kenya and south-africa are configured as serving)" in promised.text


@pytest.mark.parametrize(("minutes", "met"), [(60, True), (61, False)])
def test_the_rpo_is_met_by_the_age_of_the_data(tmp_path: Path, minutes: float, met: bool) -> None:
    copy = copied(snapshot(minutes))
    found = listing.Listing(
        estate.regions(made_up(tmp_path), CREDENTIALS), NOW, {SOUTH_AFRICA: [copy]}, {SOUTH_AFRICA: DATA_KEY}
    )
    (promised,) = listing.rpo(found)
    assert (promised.met, promised.copy, promised.age_minutes) == (met, copy.identifier, minutes)


def test_the_list_shows_what_matters_of_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deploy = snapshot(90, tags={**OURS, naming.REASON_TAG: "before-deploy"}, FullSnapshotSizeInBytes=3 << 30)
    bad = copied(deploy, KmsKeyId="arn:aws:kms:af-south-1:1:key/other", tags={naming.UNUSABLE_TAG: "x"})
    plain = snapshot(3 * DAY, SOUTH_AFRICA, {}, Encrypted=False, KmsKeyId=None)
    found = listing.Listing(
        estate.regions(made_up(tmp_path), CREDENTIALS),
        NOW,
        {KENYA: [deploy], SOUTH_AFRICA: [bad, plain]},
        {KENYA: DATA_KEY, SOUTH_AFRICA: DATA_KEY},
    )
    listing.show(found, listing.rpo(found))
    head, first, second, rpo = capsys.readouterr().out.splitlines()
    assert head.split()[-2:] == [KENYA, SOUTH_AFRICA]
    assert first.split("  ")[0] == deploy.identifier
    for text in ("90 min", "3.0 GiB", "before-deploy", "available, data key", "available, OTHER KEY other, UNUSABLE"):
        assert text in first
    for text in ("3 d", "100 GiB", "others", "NOT ENCRYPTED"):
        assert text in second
    assert rpo.startswith("RPO NOT MET: no usable copy in af-south-1")
