"""`dr snapshot` against an emulated AWS with real PostgreSQL: create, copy, list, prune, and what interrupts them."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from components import naming
from components.functions.snapshot_cycle.decisions import time_in_name
from components.metrics import OWN_NAMESPACE
from scripts.project import CHECKOUT
from scripts.rehearsal import access
from scripts.snapshots import decisions, listing, model, recorded, waiting
from scripts.snapshots.names import Reason
from scripts.snapshots.region import Region
from tests.components.lambda_source import handler
from tests.e2e import aws_command
from tests.sandbox import roles
from tests.sandbox.snapshot_lab import DATABASE, Lab, rows, running_lab, session, tag_list, tags
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA, wait

Capture = pytest.CaptureFixture[str]


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


def manual(lab: Lab, region: str = KENYA) -> list[str]:
    """The names of a region's snapshots that RDS did not make by itself."""
    return [name for name, entry in lab.snapshots(region).items() if entry["SnapshotType"] == "manual"]


def told(capsys: Capture) -> dict[str, Any]:
    """The result that the last command printed."""
    return dict(json.loads(capsys.readouterr().out))


def entry(document: dict[str, Any], name: str) -> dict[str, Any]:
    """A snapshot's line in what `list --json` says."""
    return dict(next(row for row in document["snapshots"] if row["name"] == name))


def later(monkeypatch: pytest.MonkeyPatch, delay: timedelta) -> None:
    """Let AWS's clock be so much later for what is asked from now on."""
    ask = Region.caller

    def caller(self: Region) -> tuple[str, str, datetime]:
        account, arn, now = ask(self)
        return account, arn, now + delay

    monkeypatch.setattr(Region, "caller", caller)


# -- create → copy → list → prune ---------------------------------------------------------------------------------
def test_a_snapshot_is_taken_copied_listed_and_given_up_after_its_time(
    lab: Lab, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.create(reason=Reason.BEFORE_DEPLOY, wait=True)
    made = told(capsys)
    name = made["snapshot"]
    assert made["ok"]
    assert made["status"] == made["copy"]["status"] == "available"
    assert name.startswith(f"{DATABASE}-snapshot-20")
    original, copied = lab.snapshots()[name], lab.snapshots(SOUTH_AFRICA)[name]
    assert copied["KmsKeyId"] == lab.keys[SOUTH_AFRICA]
    assert copied["OriginalSnapshotCreateTime"] == original["OriginalSnapshotCreateTime"]
    assert tags(original) == {
        **naming.tags("kenya"),
        naming.MADE_BY_TAG: "dr-snapshot",
        naming.REASON_TAG: "before-deploy",
        naming.COPY_TO_TAG: SOUTH_AFRICA,
        naming.SOURCE_TAG: original["DbiResourceId"],
    }
    assert tags(copied) == {
        **naming.tags("south-africa"),
        naming.MADE_BY_TAG: "dr-snapshot",
        naming.REASON_TAG: "before-deploy",
        naming.SOURCE_TAG: original["DbiResourceId"],
    }

    listed = listing.look(lab.project, lab.environment())
    row = entry(listing.document(listed, listing.rpo(listed)), name)
    assert (row["reason"], row["allocated_gib"]) == ("before-deploy", 20)
    assert [row["regions"][region]["status"] for region in (KENYA, SOUTH_AFRICA)] == ["available"] * 2
    assert listing.rpo(listed)[0].met is True
    assert listing.rpo(listed)[0].copy == name

    lab.create(wait=True)
    assert told(capsys)["snapshot"] != name
    lab.prune()
    assert told(capsys)["planned"] == []
    later(monkeypatch, decisions.RETENTION + timedelta(hours=1))
    lab.prune()
    assert told(capsys)["deleted"] == [{"region": region, "name": name} for region in (KENYA, SOUTH_AFRICA)]
    lab.prune()
    assert told(capsys)["planned"] == [], "the newest good one stays, however old it is"
    for region in (KENYA, SOUTH_AFRICA):
        assert len(manual(lab, region)) == 1


def test_a_copy_has_exactly_the_rows_of_its_moment_and_outlives_the_region(lab: Lab, capsys: Capture) -> None:
    before = rows(lab, lab.port())
    lab.create(wait=True)
    name = told(capsys)["snapshot"]
    with session(lab, lab.port()) as connection:
        connection.run("insert into numbers values (4711)")
    with lab.cut(KENYA):
        lab.rds(SOUTH_AFRICA).restore_db_instance_from_db_snapshot(
            DBInstanceIdentifier="restored", DBSnapshotIdentifier=name
        )
        assert rows(lab, lab.port("restored", SOUTH_AFRICA)) == before
        lab.rds(SOUTH_AFRICA).delete_db_instance(DBInstanceIdentifier="restored", SkipFinalSnapshot=True)
    with session(lab, lab.port()) as connection:
        connection.run("delete from numbers where n = 4711")


def test_a_dry_run_changes_nothing(lab: Lab, capsys: Capture) -> None:
    lab.create(apply=False)
    planned = told(capsys)
    assert (planned["applied"], planned["copy"]["region"]) == (False, SOUTH_AFRICA)
    assert manual(lab) == manual(lab, SOUTH_AFRICA) == []
    lab.create(copy=False, wait=True)
    name = told(capsys)["snapshot"]
    lab.copy(name, apply=False)
    assert told(capsys)["copy"] == {"region": SOUTH_AFRICA, "name": name, "status": None}
    lab.prune(apply=False, confirm=None)
    assert manual(lab, SOUTH_AFRICA) == []
    assert manual(lab) == [name]


def test_without_copy_nothing_leaves_the_region_and_copy_brings_it_later(lab: Lab, capsys: Capture) -> None:
    lab.create(copy=False)
    made = told(capsys)
    assert (made["status"], made["copy"]) == ("creating", None), "nothing is waited for"
    lab.completed(made["snapshot"])
    assert naming.COPY_TO_TAG not in tags(lab.snapshots()[made["snapshot"]])
    lab.copy(made["snapshot"], wait=True)
    assert told(capsys)["copy"]["status"] == "available"
    lab.copy(made["snapshot"])
    assert told(capsys)["copy"]["status"] == "available"
    assert len(lab.snapshots(SOUTH_AFRICA)) == 1


def test_a_busy_database_is_waited_for_and_the_name_says_when_it_was_taken(lab: Lab, capsys: Capture) -> None:
    with lab.fault(**slow("rds.snapshot", 8)):
        automated = lab.world.control("POST", "automated-backup", {"region": KENYA, "database": DATABASE})
    lab.create(copy=False, wait=True)
    name = told(capsys)["snapshot"]
    taken, named = lab.snapshots()[name]["OriginalSnapshotCreateTime"], time_in_name(name)
    assert named is not None
    busy_since = lab.snapshots()[automated]["OriginalSnapshotCreateTime"]
    assert busy_since + timedelta(minutes=5) < named <= taken, "the name is not of the moment of asking"
    assert lab.snapshots()[automated]["Status"] == "available"
    lab.copy(automated, wait=True)
    copied = told(capsys)["copy"]["name"]
    assert copied.startswith(f"{DATABASE}-snapshot-20")
    assert tags(lab.snapshots(SOUTH_AFRICA)[copied])[naming.REASON_TAG] == "manual"
    row = next(row for row in listing.look(lab.project, lab.environment()).rows() if len(row) == 2)
    assert [row[region].identifier for region in (KENYA, SOUTH_AFRICA)] == [automated, copied]


def test_what_is_unusable_stays_unusable_as_a_copy(lab: Lab, capsys: Capture) -> None:
    lab.create(copy=False, wait=True)
    name = told(capsys)["snapshot"]
    arn = lab.snapshots()[name]["DBSnapshotArn"]
    lab.rds().add_tags_to_resource(ResourceName=arn, Tags=[{"Key": naming.UNUSABLE_TAG, "Value": "found corrupt"}])
    lab.copy(name, wait=True)
    assert tags(lab.snapshots(SOUTH_AFRICA)[name])[naming.UNUSABLE_TAG] == "found corrupt"
    assert "UNUSABLE" in "\n".join(shown(lab, capsys))
    listed = listing.look(lab.project, lab.environment())
    assert listing.rpo(listed)[0].text.startswith("no usable copy in af-south-1")


def shown(lab: Lab, capsys: Capture) -> list[str]:
    capsys.readouterr()
    found = listing.look(lab.project, lab.environment())
    listing.show(found, listing.rpo(found))
    return capsys.readouterr().out.splitlines()


# -- beside the snapshot cycle ------------------------------------------------------------------------------------
def test_the_cycle_neither_copies_nor_prunes_what_was_made_by_hand(lab: Lab, capsys: Capture) -> None:
    lab.create(wait=True)
    kept = told(capsys)["snapshot"]
    lab.create(reason=Reason.WEEKLY, copy=False, wait=True)
    alone = told(capsys)["snapshot"]
    tick(lab, lab.world.clock.now())
    cycles = wait(lambda: [name for name in manual(lab) if name not in (kept, alone)], what="the cycle's own")
    lab.completed(cycles[0])
    tick(lab, lab.world.clock.now())
    lab.completed(cycles[0], SOUTH_AFRICA)
    assert alone not in lab.snapshots(SOUTH_AFRICA)
    tick(lab, lab.world.clock.now() + timedelta(days=29))
    assert {kept, alone} <= set(lab.snapshots())
    assert kept in lab.snapshots(SOUTH_AFRICA)


def tick(lab: Lab, now: datetime) -> None:
    """One run of the deployed function's code."""
    environment = handler.Environment(
        region=SOUTH_AFRICA,
        source_region=KENYA,
        source_base=DATABASE,
        key_arn=lab.keys[SOUTH_AFRICA],
        parameter=naming.sign_of_life_parameter("sa"),
        role_tag=naming.ROLE_TAG,
        serving_role=naming.SERVING_ROLE,
        made_by_tag=naming.MADE_BY_TAG,
        made_by=naming.SNAPSHOT_CYCLE,
        source_tag=naming.SOURCE_TAG,
        unusable_tag=naming.UNUSABLE_TAG,
        metric_namespace=OWN_NAMESPACE,
        stack="south-africa",
        copy_tags=naming.tags("south-africa"),
    )
    handler.Cycle(environment, now, lab.world.client).run()


# -- interrupted --------------------------------------------------------------------------------------------------
def slow(operation: str, minutes: float) -> dict[str, Any]:
    return {"kind": "duration", "operation": operation, "minutes": minutes}


def test_a_run_that_was_killed_while_the_snapshot_was_made_is_continued(lab: Lab, capsys: Capture) -> None:
    with lab.fault(**slow("rds.snapshot", 12)), lab.started("create", "--apply", "--wait") as process:
        wait(lambda: manual(lab), 30, "a snapshot in creation")
        process.kill()
        assert process.wait() == -9
        (name,) = manual(lab)
        assert lab.snapshots()[name]["Status"] == "creating"
    lab.create(wait=True)
    made = told(capsys)
    assert (made["snapshot"], made["continued"], made["copy"]["status"]) == (name, True, "available")
    assert manual(lab) == manual(lab, SOUTH_AFRICA) == [name]


def test_a_run_that_was_killed_while_the_copy_was_made_finds_it(lab: Lab, capsys: Capture) -> None:
    with lab.fault(**slow("rds.copy", 12)), lab.started("create", "--apply", "--wait") as process:
        wait(lambda: lab.snapshots(SOUTH_AFRICA), 30, "a copy in progress")
        process.kill()
        (name,) = lab.snapshots(SOUTH_AFRICA)
        assert lab.snapshots(SOUTH_AFRICA)[name]["Status"] == "creating"
    lab.create(wait=True)
    assert told(capsys)["snapshot"] == name
    lab.copy(name, wait=True)
    assert manual(lab) == manual(lab, SOUTH_AFRICA) == [name]


def test_an_answer_that_was_lost_is_no_second_snapshot(
    lab: Lab, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a request is sent again because its answer never came: the name is taken, by ourselves."""
    send = Region.create

    def twice(self: Region, database: str, identifier: str, given: dict[str, str]) -> Any:
        send(self, database, identifier, given)
        wait(lambda: lab.snapshots()[identifier]["Status"] == "available", what="the first")
        lab.port()
        return send(self, database, identifier, given)

    monkeypatch.setattr(Region, "create", twice)
    lab.create(copy=False, wait=True)
    assert manual(lab) == [told(capsys)["snapshot"]]


# -- one region gone ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("gone", [KENYA, SOUTH_AFRICA])
def test_the_list_works_with_one_region_gone_and_says_so(lab: Lab, capsys: Capture, gone: str) -> None:
    lab.create(wait=True)
    name = told(capsys)["snapshot"]
    with lab.cut(gone):
        began = time.monotonic()
        ended = lab.command("list", "--json")
        assert time.monotonic() - began < 20, "not waited for, on a busy machine either"
        text = lab.command("list").stdout
    assert ended.returncode == 8
    assert f"The list is incomplete: {gone} did not tell everything." in ended.stderr
    found = json.loads(ended.stdout)
    regions = entry(found, name)["regions"]
    assert regions.pop(gone) == {"status": "unknown"}
    assert [there["status"] for there in regions.values()] == ["available"]
    assert found["rpo"][0]["met"] is (True if gone == KENYA else None)
    assert f"! {gone}: {gone} did not answer" in text
    assert ("RPO met" if gone == KENYA else "RPO unknown") in text


def test_both_regions_answer_and_the_exit_code_is_0(lab: Lab) -> None:
    ended = lab.command("list")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1] == (
        "RPO NOT MET: no usable copy in af-south-1: a promotion of south-africa would be refused"
    )


# -- what the page says -------------------------------------------------------------------------------------------
PAGE = (CHECKOUT / "docs" / "snapshots.md").read_text()
ACCOUNT = "123456789012"


def block(kind: str, section: str) -> str:
    """The first block of code of that kind in a section of the page."""
    found = re.search(rf"^## {section}$.*?^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, section
    return found[1].replace("ACCOUNT", ACCOUNT)


def person(lab: Lab, name: str, without: str = "") -> str:
    """The principal of somebody with the page's policy."""
    policy = json.loads(block("json", "What the credentials may do"))
    for statement in policy["Statement"]:
        statement["Action"] = [kept for kept in statement["Action"] if kept != without] or ["sts:GetCallerIdentity"]
    iam = lab.world.client("iam", "us-east-1")
    roles.make(iam, name, "ec2.amazonaws.com", allowed=None)
    iam.put_role_policy(RoleName=name, PolicyName="page", PolicyDocument=json.dumps(policy))
    return f"TASK-{name}"


def test_the_pages_policy_is_enough_for_all_four_and_all_of_it_is_needed(
    lab: Lab, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    principal = person(lab, "operator")
    automated = lab.world.control("POST", "automated-backup", {"region": KENYA, "database": DATABASE})
    lab.completed(automated)
    lab.create(lab.estate(principal=principal), wait=True)
    lab.copy(automated, lab.estate(principal=principal), wait=True)
    assert listing.look(lab.project, lab.environment(principal)).silent == {}
    capsys.readouterr()
    monkeypatch.setattr(decisions, "RETENTION", timedelta(0))
    with lab.fault(kind="duration", operation="rds.snapshot", minutes=1):
        lab.create(lab.estate(principal=principal), reason=Reason.WEEKLY, wait=True)
    capsys.readouterr()
    lab.prune(lab.estate(principal=principal))
    assert len(told(capsys)["deleted"]) >= 2
    found = lab.world.control("GET", "access")
    own = {"operator": found["roles"]["operator"]}
    uses = [use for use in found["uses"] if use["role"] == "operator"]
    assert [str(part) for part in access.unused(own, uses)] == []
    assert not [refused for refused in found["refusals"] if refused["role"] == "operator"]


def test_the_pages_policy_cannot_delete_what_others_made(lab: Lab) -> None:
    principal = person(lab, "curious")
    made = {naming.MADE_BY_TAG: naming.SNAPSHOT_CYCLE}
    name = f"{DATABASE}-snapshot-2026-01-01-0900"
    lab.rds().create_db_snapshot(DBInstanceIdentifier=DATABASE, DBSnapshotIdentifier=name, Tags=tag_list(made))
    lab.completed(name)
    with pytest.raises(ClientError, match="AccessDenied"):
        lab.estate(principal=principal).home.delete(name)
    assert name in lab.snapshots()


def test_the_pages_commands_by_hand_do_the_same(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in lab.environment().items():
        monkeypatch.setenv(key, value)
    values: dict[str, str] = {}
    answers: dict[str, list[Any]] = {}
    for line in block("console", "By hand").splitlines():
        typed = re.sub(r"\$([A-Z]+)", lambda found: values[found[1]], line.removeprefix("$ "))
        words = shlex.split(typed)
        if words[0] != "aws":
            name, _, value = words[0].partition("=")
            values[name] = value
        elif words[2] == "wait":
            made = lab.completed(words[-1], words[words.index("--region") + 1])
            decided = decisions.good(model.snapshot(SOUTH_AFRICA, cast("Any", made)), lab.estate().peer.key())
            assert decided is ("af-south-1" in words), "what is copied so is what a promotion would take"
        else:
            call = aws_command.parse(words[1:])
            answers.setdefault(call.method, []).append(aws_command.run(call))
    assert set(answers) == {"describe_db_snapshots", "create_db_snapshot", "copy_db_snapshot", "delete_db_snapshot"}
    assert manual(lab) == manual(lab, SOUTH_AFRICA) == []
