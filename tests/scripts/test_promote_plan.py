"""What `dr promote` says and refuses before it begins: which data people get, how long it takes, what it takes away."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from components import naming
from components.facts import Facts
from scripts.errors import RefusedError
from scripts.promotion import estimate, plan, record
from scripts.pulumi_cli import Outcome
from scripts.rehearsal import chain
from scripts.rehearsal.sources import Source
from tests.components.examples import BACKUPS, SOURCE_ARN
from tests.scripts import made_up_site
from tests.scripts.made_up_site import DATABASE, KEY, NOW, STACK, MadeUp, copy, facts
from tests.scripts.test_promote import promotion, ready, result

BACKED_UP = replace(BACKUPS, key_arn=KEY, latest=NOW - timedelta(minutes=7))
REPLICA = replace(made_up_site.instance(), role=naming.REPLICA_ROLE, replica_of=SOURCE_ARN)
FOLLOWING = replace(facts(copy(), instances=(REPLICA,)), replica_lag=timedelta(seconds=3))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    return ready(tmp_path, monkeypatch)


# -- data ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("source", "known", "row", "data", "lost"),
    [
        (
            Source.COPIES,
            facts(copy()),
            f"{DATABASE} will be restored from copy copy",
            "restored as it was at 2026-11-23 11:40 UTC (copy copy); about 20 minutes until the primary's last sign of",
            20.0,
        ),
        (
            Source.COPIES,
            facts(copy(), life=None),
            f"{DATABASE} will be restored from copy copy",
            "(copy copy); when the primary last answered is unknown, so is the loss",
            None,
        ),
        (
            Source.BACKUPS,
            replace(facts(copy()), backups=(BACKED_UP,)),
            f"{DATABASE} will be restored from replicated backups {BACKED_UP.arn}",
            f"restored as it was at 2026-11-23 11:53 UTC (replicated backups {BACKED_UP.arn}); about 7 minutes until",
            7.0,
        ),
        (
            Source.REPLICA,
            FOLLOWING,
            f"{DATABASE} follows {SOURCE_ARN} and will be promoted in place",
            f"replica {DATABASE} is promoted in place; about 3 seconds until the primary's last sign of life are lost",
            0.1,
        ),
        (
            Source.REPLICA,
            replace(FOLLOWING, replica_lag=None),
            f"{DATABASE} follows {SOURCE_ARN} and will be promoted in place",
            "how far it was behind when the primary last answered is unknown, so is the loss",
            None,
        ),
        (
            Source.REPLICA,
            facts(copy()),
            f"{DATABASE} will be restored from copy copy",
            "restored as it was at 2026-11-23 11:40 UTC (copy copy); about 20 minutes",
            20.0,
        ),
        (
            Source.COPIES,
            facts(copy(), instances=(made_up_site.instance("creating"),)),
            f"{DATABASE} exists and is creating",
            "nothing is restored: the database is there already",
            None,
        ),
    ],
)
def test_it_says_which_data_people_get_and_what_is_lost(
    site: MadeUp,
    capsys: pytest.CaptureFixture[str],
    source: Source,
    known: Facts,
    row: str,
    data: str,
    lost: float | None,
) -> None:
    made_up_site.configure(site.project, source)
    site.known = known
    promotion(site, apply=False, as_json=True).rehearse()
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert row in [found["text"] for found in told["findings"]]
    assert data in " ".join(shown.err.split())
    assert told["lost_minutes"] == lost


# -- time ---------------------------------------------------------------------------------------------------------
def test_the_estimate_is_that_of_the_source() -> None:
    restore, replica = (estimate.promotion(STACK, source) for source in (Source.COPIES, Source.REPLICA))
    assert "restore the database 20" in restore.basis
    assert "promote the replica 7" in replica.basis
    assert "restore" not in replica.basis
    assert replica.minutes < restore.minutes
    assert estimate.promotion(STACK, None).minutes < replica.minutes
    assert estimate.promotion(STACK, Source.BACKUPS).minutes == restore.minutes == chain.total(chain.promotion())


def test_a_promotion_is_estimated_by_the_data_that_it_takes(site: MadeUp) -> None:
    made_up_site.configure(site.project, Source.REPLICA)
    site.known = FOLLOWING
    run = promotion(site, apply=False)
    run.rehearse()
    assert "promote the replica" in run.estimate.basis


def test_only_a_complete_promotion_on_aws_from_the_same_source_counts_as_measured(tmp_path: Path) -> None:
    def write(name: str, **more: Any) -> None:
        (tmp_path / f"{name}-{STACK}").mkdir()
        told: dict[str, Any] = {"ok": True, "on_aws": True, "resumed": False, "minutes": 44.0, "up_minutes": 31.0}
        told |= {"data": {"source": "snapshot-copies"}, **more}
        (tmp_path / f"{name}-{STACK}" / "result.json").write_text(json.dumps(told))

    assert record.measured_minutes(tmp_path, STACK, Source.COPIES) is None
    others: dict[str, dict[str, Any]] = {
        "3": {"on_aws": False},
        "4": {"ok": False},
        "5": {"resumed": True},
        "6": {"data": None},
    }
    for name, more in others.items():
        write(name, **more)
    assert record.measured_minutes(tmp_path, STACK, Source.COPIES) is None
    write("1")
    assert record.measured_minutes(tmp_path, STACK, Source.COPIES) == 31.0, "without the wait for whoever confirms"
    assert record.measured_minutes(tmp_path, STACK, Source.REPLICA) is None


def test_what_is_written_down_as_measured_is_the_time_of_pulumi_up(
    site: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.cli, "watch", lambda *_, **__: Outcome("pulumi up", 0, "", 1860.0))
    site.elsewhere = None
    promotion(site).apply()
    assert (result(site)["up_minutes"], result(site)["minutes"]) == (31.0, pytest.approx(0, abs=0.5))
    found_in = record.PROMOTIONS
    monkeypatch.setattr(
        estimate, "measured_minutes", lambda _, stack, source: record.measured_minutes(found_in, stack, source)
    )
    found = estimate.promotion(STACK, Source.COPIES)
    assert (found.minutes, found.basis.partition(":")[0]) == (31.0, "measured")


# -- what is taken away -------------------------------------------------------------------------------------------
def step(operation: str, kind: str) -> dict[str, str]:
    return {"op": operation, "urn": f"urn:pulumi:s::p::{kind}::name"}


def previewed(*steps: dict[str, str]) -> str:
    return json.dumps({"steps": steps, "diagnostics": [{"severity": "warning", "message": "old copy"}]})


def test_a_plan_tells_what_it_would_take_away() -> None:
    found = plan.read(
        previewed(
            step("delete", "aws:ec2/vpc:Vpc"),
            step("replace", "aws:ec2/subnet:Subnet"),
            step("update", "aws:ecs/service:Service"),
            *(step("replace", kind) for kind in plan.MAY_BE_REPLACED),
        )
    )
    assert found.losses == ["delete name (aws:ec2/vpc:Vpc)", "replace name (aws:ec2/subnet:Subnet)"]
    assert (found.steps["replace"], found.warnings) == (4, ["old copy"])


@pytest.mark.parametrize("apply", [True, False])
def test_a_plan_that_takes_something_away_is_refused_with_the_way_out(site: MadeUp, apply: bool) -> None:
    site.cli.said["preview"] = previewed(step("delete", "aws:ec2/vpc:Vpc"))
    run = promotion(site, apply=apply)
    with pytest.raises(RefusedError, match=r"would delete name \(aws:ec2/vpc:Vpc\)\. .*Nothing was changed") as refused:
        (run.apply if apply else run.rehearse)()
    assert f"pulumi preview --diff -s {STACK}" in str(refused.value.hint)
    assert f"pulumi up -s {STACK}" in str(refused.value.hint)
    assert not [command for command in site.cli.commands if command[0] == "up" or STACK in command[2:3]]
    if apply:
        written = result(site)
        assert (written["plan"]["losses"], written["served"]) == (["delete name (aws:ec2/vpc:Vpc)"], None)


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("replace", "aws:ecs/taskDefinition:TaskDefinition"),  # the preflight's way out of an image that is gone
        ("delete", "platform:database:Fences"),  # what it consists of is listed itself
    ],
)
def test_what_holds_nothing_is_no_loss(site: MadeUp, operation: str, kind: str) -> None:
    site.cli.said["preview"] = previewed(step(operation, kind))
    promotion(site).apply()
    assert site.cli.commands[-1] == ("up", "--stack", STACK, "--yes")
