"""Every way in which `dr snapshot` does not do what was asked: one message, its exit code, and what was changed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from components import naming
from scripts import project
from scripts.errors import (
    CredentialsError,
    DrError,
    IncompleteError,
    NotConfirmedError,
    RefusedError,
)
from scripts.snapshots import copies, create, decisions, listing, recorded, waiting
from scripts.snapshots.estate import choose
from scripts.snapshots.prune import Prune
from tests.sandbox.snapshot_lab import DATABASE, Lab, running_lab, tag_list
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA

NAME = f"{DATABASE}-snapshot-2026-01-01-0900"
ARN = f"arn:aws:rds:{KENYA}:123456789012:snapshot:{NAME}"
BY_HAND = {naming.MADE_BY_TAG: naming.SNAPSHOT_BY_HAND, naming.REASON_TAG: "manual"}


@pytest.fixture(scope="module")
def started() -> Iterator[Lab]:
    with running_lab() as found:
        yield found


@pytest.fixture
def lab(started: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    monkeypatch.setattr(waiting, "LOOK_EVERY", 0.1)
    monkeypatch.setattr(recorded, "SNAPSHOTS", tmp_path / "records")
    started.clear()
    return started


def refusal(kind: type[DrError], attempt: Callable[[], Any]) -> str:
    """The message and the hint of the failure."""
    with pytest.raises(DrError) as caught:
        attempt()
    assert type(caught.value) is kind, caught.value.message
    return f"{caught.value.message} | {caught.value.hint}"


def result(tmp_path: Path) -> dict[str, Any]:
    """What the newest record says in the end."""
    newest = max((tmp_path / "records").iterdir())
    return dict(json.loads((newest / "result.json").read_text()))


def take(lab: Lab, name: str = NAME, tags: dict[str, str] = BY_HAND) -> None:
    """A snapshot as `dr snapshot` made it in January."""
    lab.rds().create_db_snapshot(DBInstanceIdentifier=DATABASE, DBSnapshotIdentifier=name, Tags=tag_list(tags))


def bring(lab: Lab, name: str, tags: dict[str, str] = BY_HAND, of: str = NAME) -> None:
    """A copy of it under some name."""
    lab.rds(SOUTH_AFRICA).copy_db_snapshot(
        SourceDBSnapshotIdentifier=ARN.replace(NAME, of),
        TargetDBSnapshotIdentifier=name,
        KmsKeyId=lab.keys[SOUTH_AFRICA],
        SourceRegion=KENYA,
        Tags=tag_list(tags),
    )


def nothing(lab: Lab) -> bool:
    found = [*lab.snapshots().values(), *lab.snapshots(SOUTH_AFRICA).values()]
    return not [entry for entry in found if entry["SnapshotType"] == "manual"]


# -- whose, where, with what --------------------------------------------------------------------------------------
def test_credentials_of_another_account_are_refused(lab: Lab, tmp_path: Path) -> None:
    for file in lab.project.directory.glob("Pulumi*.yaml"):
        (tmp_path / file.name).write_text(file.read_text().replace("123456789012", "999999999999"))
    other = choose(project.load(tmp_path), lab.environment(), None)
    said = refusal(CredentialsError, lambda: lab.create(other))
    assert "belong to account 123456789012" in refusal(
        CredentialsError, lambda: listing.look(project.load(tmp_path), lab.environment())
    )
    assert "belong to account 123456789012; kenya is in 999999999999. Nothing was changed." in said
    assert nothing(lab)


def test_expired_credentials_are_told_apart(lab: Lab) -> None:
    with lab.fault(kind="expired-credentials", principal="SOMEBODY"):
        said = refusal(CredentialsError, lambda: lab.create(lab.estate(principal="SOMEBODY")))
        ended = lab.command("list", principal="SOMEBODY")
        made = lab.command("create", "--apply", principal="SOMEBODY")
    assert "ExpiredToken" in said
    assert "Nothing was changed. | Get new credentials" in said
    assert (ended.returncode, made.returncode) == (11, 11)
    assert "Nothing is known." in ended.stdout
    assert "Traceback" not in ended.stderr + made.stderr


def test_a_stack_without_a_serving_database_is_refused(lab: Lab) -> None:
    said = refusal(RefusedError, lambda: lab.create(lab.estate("south-africa")))
    assert "south-africa has not exactly one serving database in af-south-1 (found: none). Nothing was changed" in said


def test_a_key_that_cannot_encrypt_is_refused_with_the_command_that_mends_it(lab: Lab) -> None:
    take(lab)
    lab.completed(NAME)
    kms, key_id = lab.world.client("kms", SOUTH_AFRICA), lab.keys[SOUTH_AFRICA].rpartition("/")[2]
    kms.disable_key(KeyId=key_id)
    try:
        for attempt in (lab.create, lambda: lab.copy(NAME)):
            said = refusal(RefusedError, attempt)
            assert "alias/mental-health-platform-sa-data in af-south-1 is Disabled" in said
            assert f"aws kms enable-key --key-id {lab.keys[SOUTH_AFRICA]} --region af-south-1" in said
        lab.create(copy=False, apply=False)
    finally:
        kms.enable_key(KeyId=key_id)
    assert list(lab.snapshots(SOUTH_AFRICA)) == []


def test_with_the_peer_gone_only_a_snapshot_without_copy_is_taken(lab: Lab) -> None:
    with lab.cut(SOUTH_AFRICA):
        said = refusal(RefusedError, lab.create)
        assert "af-south-1 did not answer" in said
        assert said.count("af-south-1 did not answer") <= 2
        assert said.endswith("Nothing was changed. | With af-south-1 gone: --no-copy takes the snapshot alone.")
        assert nothing_here(lab)
        lab.create(copy=False, wait=True)
    assert not nothing_here(lab)


def nothing_here(lab: Lab) -> bool:
    return not [entry for entry in lab.snapshots().values() if entry["SnapshotType"] == "manual"]


def test_with_its_own_region_gone_it_ends_soon_and_changes_nothing(lab: Lab) -> None:
    lab.world.control("POST", "cut", {"region": KENYA, "timing_out": True})
    try:
        began = time.monotonic()
        said = refusal(RefusedError, lambda: lab.create(copy=False))
        assert time.monotonic() - began < 12
        assert "eu-west-1 did not answer: no answer within 8 s. Nothing was changed" in said
        found = listing.look(lab.project, lab.environment())
        assert time.monotonic() - began < 20
        assert set(found.silent) == {KENYA}
    finally:
        lab.world.control("POST", "restore", {"region": KENYA})


# -- the snapshot -------------------------------------------------------------------------------------------------
def test_a_full_region_is_one_message_and_nothing_is_made(lab: Lab, tmp_path: Path) -> None:
    full = {
        "kind": "api-error",
        "region": KENYA,
        "service": "rds",
        "operation": "CreateDBSnapshot",
        "code": "SnapshotQuotaExceeded",
        "message": "Cannot create more than 100 manual snapshots",
    }
    with lab.fault(**full):
        said = refusal(RefusedError, lab.create)
    assert said.startswith("eu-west-1 takes no more: Cannot create more than 100 manual snapshots")
    assert "dr snapshot prune" in said
    assert nothing(lab)
    assert (result(tmp_path)["ok"], result(tmp_path)["exit_code"]) == (False, 3)


def test_people_leave_the_cycle_its_room(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    take(lab)
    lab.completed(NAME)
    take(lab, "somebodys-own", {})
    monkeypatch.setattr(copies, "OF_THE_CYCLE", 98)
    said = refusal(RefusedError, lab.create)
    assert said.startswith("eu-west-1 has 2 manual snapshots that the snapshot cycle did not make.")
    lab.copy(NAME, apply=False)
    monkeypatch.setattr(copies, "OF_THE_CYCLE", 100)
    assert refusal(RefusedError, lambda: lab.copy(NAME)).startswith("af-south-1 has 0 manual snapshots")


def test_a_database_that_stays_busy_is_refused_in_the_end(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(create, "BUSY_MINUTES", 0.5 / 60)
    with lab.fault(kind="duration", operation="rds.snapshot", minutes=5):
        take(lab)
        said = refusal(RefusedError, lambda: lab.create(reason="weekly", copy=False))
    assert f"{DATABASE} was busy for 0.00833333 minutes" in said
    assert "not currently in the available state" in said
    lab.completed(NAME)
    assert [name for name in lab.snapshots() if "-2026-01-01-" not in name and ":" not in name] == []


def test_waiting_has_an_end_and_what_was_begun_goes_on(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(waiting, "PATIENCE_HOURS", 0.5 / 3600)
    with lab.fault(kind="duration", operation="rds.snapshot", minutes=5):
        said = refusal(IncompleteError, lambda: lab.create(copy=False, wait=True))
    assert "is not complete in eu-west-1 after" in said
    assert "run the same command again, it continues" in said
    assert result(tmp_path)["exit_code"] == 9
    lab.completed(result(tmp_path)["snapshot"])


# -- the copy -----------------------------------------------------------------------------------------------------
def test_what_there_is_not_and_what_is_not_complete_is_not_copied(lab: Lab) -> None:
    said = refusal(RefusedError, lambda: lab.copy("no-such"))
    assert said.startswith("There is no snapshot no-such of the platform in eu-west-1. Nothing was changed.")
    with lab.fault(kind="duration", operation="rds.snapshot", minutes=5):
        take(lab)
        said = refusal(RefusedError, lambda: lab.copy(NAME))
    assert f"{NAME} is creating (0 %): AWS copies what is complete. Nothing was changed." in said


def test_a_stack_that_protects_itself_nowhere_has_no_copies(lab: Lab) -> None:
    said = refusal(RefusedError, lambda: lab.copy(NAME, lab.estate("south-africa")))
    assert said.startswith("south-africa protects itself nowhere (no `protects` in its settings)")


def test_a_name_that_something_else_has_is_left_alone(lab: Lab) -> None:
    take(lab)
    lab.completed(NAME)
    other = f"{DATABASE}-other"
    take(lab, other)
    lab.completed(other)
    bring(lab, NAME, {}, of=other)
    said = refusal(RefusedError, lambda: lab.copy(NAME))
    assert f"{NAME} exists in af-south-1 and is creating, but is no copy of this snapshot" in said
    assert "(made by others). Nothing was copied." in said


def test_twenty_copies_at_a_time_are_one_message_and_the_snapshot_stays(lab: Lab, tmp_path: Path) -> None:
    take(lab)
    lab.completed(NAME)
    with ExitStack() as faults:
        faults.enter_context(lab.fault(kind="duration", operation="rds.copy", minutes=20))
        for number in range(copies.COPIES_AT_ONCE):
            bring(lab, f"{NAME}-{number}", {})
        lab.rds().delete_db_snapshot(DBSnapshotIdentifier=NAME)
        said = refusal(IncompleteError, lab.create)
    made = result(tmp_path)["snapshot"]
    assert said.startswith(f"{made} was made, but not copied: af-south-1 takes no more: Cannot copy more than 20")
    assert "20 manual snapshots there" in said
    assert "20 copies in progress (at most 20)" in said
    assert said.endswith(f"Then: `dr snapshot copy {made} --apply`.")
    assert result(tmp_path)["exit_code"] == 9
    for number in range(copies.COPIES_AT_ONCE):
        lab.completed(f"{NAME}-{number}", SOUTH_AFRICA)
    lab.copy(made, wait=True)
    assert result(tmp_path)["copy"]["status"] == "available"


def test_what_aws_refuses_once_the_snapshot_is_made_says_how_to_go_on(lab: Lab, tmp_path: Path) -> None:
    denied = {
        "kind": "api-error",
        "region": SOUTH_AFRICA,
        "service": "rds",
        "operation": "CopyDBSnapshot",
        "code": "AccessDenied",
        "message": "not authorized to perform: rds:CopyDBSnapshot",
    }
    with lab.fault(**denied):
        said = refusal(IncompleteError, lab.create)
    assert "AWS refused CopyDBSnapshot: AccessDenied: not authorized to perform: rds:CopyDBSnapshot" in said
    name = result(tmp_path)["snapshot"]
    assert said.endswith(f"{name} stays: `dr snapshot copy {name} --apply --wait` goes on once it is complete.")
    lab.create(wait=True)
    assert (result(tmp_path)["snapshot"], result(tmp_path)["continued"]) == (name, True)


# -- giving up ----------------------------------------------------------------------------------------------------
def pruning(lab: Lab, **changes: Any) -> Callable[[], None]:
    return lambda: lab.prune(**changes)


def two_old_ones(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Both may go, and a third one is the newest."""
    names = (NAME, NAME.replace("0900", "0915"))
    for name in (*names, NAME.replace("0900", "0930")):
        take(lab, name)
        lab.completed(name)
        lab.port()
    monkeypatch.setattr(decisions, "RETENTION", decisions.RETENTION * 0)
    return names


@pytest.mark.parametrize("typed", [None, "south-africa", "Kenya", ""])
def test_without_the_stacks_name_nothing_goes(lab: Lab, monkeypatch: pytest.MonkeyPatch, typed: str | None) -> None:
    names = two_old_ones(lab, monkeypatch)
    said = refusal(NotConfirmedError, pruning(lab, confirm=typed))
    assert said == "Not confirmed: nothing was changed. | Type kenya, or --confirm kenya."
    assert set(names) <= set(lab.snapshots())


def test_while_a_region_is_lost_nothing_is_given_up(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    names = two_old_ones(lab, monkeypatch)
    with lab.cut(SOUTH_AFRICA):
        assert "af-south-1 did not answer" in refusal(RefusedError, pruning(lab))
    assert set(names) <= set(lab.snapshots())


def test_what_could_not_be_given_up_is_a_failure_and_the_rest_goes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept, gone = two_old_ones(lab, monkeypatch)
    denied = {"kind": "api-error", "region": KENYA, "service": "rds", "operation": "DeleteDBSnapshot"}
    with lab.fault(**denied, code="InvalidDBSnapshotState", message="in use", contains=kept):
        said = refusal(IncompleteError, pruning(lab))
    assert said.startswith(f"Not everything was given up: {kept} in eu-west-1: ")
    assert kept in lab.snapshots()
    assert gone not in lab.snapshots()
    assert (result(tmp_path)["exit_code"], result(tmp_path)["deleted"]) == (9, [{"region": KENYA, "name": gone}])
    pruning(lab)()
    assert kept not in lab.snapshots(), "running it again continues"


def test_what_is_marked_meanwhile_is_left_alone(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the confirmation somebody marks one as evidence."""
    marked, gone = two_old_ones(lab, monkeypatch)
    confirm = Prune._confirm

    def slowly(self: Prune) -> None:
        arn = lab.snapshots()[marked]["DBSnapshotArn"]
        lab.rds().add_tags_to_resource(ResourceName=arn, Tags=[{"Key": naming.UNUSABLE_TAG, "Value": "evidence"}])
        confirm(self)

    monkeypatch.setattr(Prune, "_confirm", slowly)
    pruning(lab)()
    assert marked in lab.snapshots()
    assert gone not in lab.snapshots()


# -- by the command line ------------------------------------------------------------------------------------------
def test_the_command_line_ends_with_the_code_of_its_failure(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lab.command("create", "-s", "nowhere").returncode == 3
    assert lab.command("create", "--reason", "boredom").returncode == 2
    assert lab.command("copy").returncode == 2
    assert lab.command("copy", NAME, "-s", "south-africa").returncode == 3
    dry = lab.command("create", "--reason", "before-schema-change", "--json")
    assert dry.returncode == 0
    assert json.loads(dry.stdout)["reason"] == "before-schema-change"
    assert "This was a dry run" in dry.stderr
