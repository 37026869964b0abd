"""What is promised of each source of a standby's data, and how a rehearsal judges it without a copy to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.settings.database import EXPECTED_LOSS_MINUTES
from components.standby_sources import BACKUP_DESTINATIONS
from scripts.project import CHECKOUT, load
from scripts.rehearsal import inspection
from scripts.rehearsal.evidence import Evidence, ReadBack
from scripts.rehearsal.results import result
from scripts.rehearsal.sources import PAIR_WITH_BACKUPS, PROMISES, Source, move_standby, settings
from tests.scripts import made_up
from tests.scripts.made_up import COMMITTED, MINUTE, SOUTH_AFRICA, at, evidence
from tests.scripts.test_checks import verdicts

ARN = "arn:aws:rds:eu-west-1:123456789012:db:mental-health-platform-kenya-rds"
BACKUPS_ARN = "arn:aws:rds:eu-west-2:123456789012:auto-backup:ab-example"


def following(last_row: int, **changed: Any) -> Evidence:
    """A rehearsal with a replica that received the rows up to `last_row`."""
    instance = {**made_up.instance(), "DbiResourceId": "db-REPLICA"}
    read_back = ReadBack(SOUTH_AFRICA, [*range(1, last_row + 1), COMMITTED + 1], COMMITTED + 1)
    kept: dict[str, Any] = {
        "source": Source.REPLICA,
        "rpo_limit": PROMISES[Source.REPLICA].rpo_minutes,
        "standby_instance": "db-REPLICA",
        "instance": instance,
        "restored_from": ARN,
        "read_back": read_back,
    }
    held = evidence(**{**kept, **changed})
    held.data_moment = inspection.data_moment(held)
    return held


def test_a_replica_that_lost_seconds_holds_every_promise() -> None:
    found = following(COMMITTED - 3)
    assert not [name for name, ok in verdicts(found).items() if not ok]
    assert found.rpo_minutes == pytest.approx(0.75 / MINUTE, abs=0.1)
    assert "newest-copy-restored" not in verdicts(found)


def test_a_replica_that_lost_minutes_breaks_its_promise() -> None:
    # A row each fifth of a second; a modelled minute is MINUTE seconds.
    found = following(COMMITTED - round(2 * MINUTE * 5))
    assert found.rpo_minutes == pytest.approx(2.0, abs=0.1)
    assert not verdicts(found)["data-loss-within-rpo"]
    assert not verdicts(found)["rows-exact"]


@pytest.mark.parametrize(
    "instance",
    [
        {**made_up.instance(), "DbiResourceId": "db-OTHER"},
        {**made_up.instance(), "DbiResourceId": "db-REPLICA", "ReadReplicaSourceDBInstanceIdentifier": ARN},
        {},
    ],
    ids=["replaced", "still following", "gone"],
)
def test_a_replica_is_promoted_in_place_or_the_check_fails(instance: dict[str, Any]) -> None:
    assert not verdicts(following(COMMITTED - 3, instance=instance))["promoted-in-place"]


def test_a_copy_in_the_place_of_replicated_backups_is_noticed() -> None:
    kept = {"source": Source.BACKUPS, "rpo_limit": PROMISES[Source.BACKUPS].rpo_minutes}
    assert verdicts(following(COMMITTED - 3, **kept, restored_from=BACKUPS_ARN))["backups-restored"]
    assert not verdicts(following(COMMITTED - 3, **kept, restored_from="rds-snapshot-newest"))["backups-restored"]


def test_without_rows_nothing_is_known_of_the_loss() -> None:
    assert following(0).rpo_minutes is None
    assert evidence(restored_from="unknown").rpo_minutes is None
    assert inspection.data_moment(evidence()) is None


def test_backups_hold_what_was_written_until_their_latest_time() -> None:
    reach = 2.0  # modelled minutes before the loss; the made-up clock's loss is the same number in both times
    last = COMMITTED - round(reach * MINUTE * 5)
    kept = {"source": Source.BACKUPS, "rpo_limit": 30.0, "backups_reach": at(0) - reach * 60}
    for row, right in ((last - 3, False), (last, True), (last + 3, False)):
        assert verdicts(following(row, **kept))["rows-exact"] is right, row
    assert not verdicts(following(last, **{**kept, "backups_reach": None}))["rows-exact"]


@pytest.mark.parametrize("source", list(Source))
def test_the_call_that_a_promotion_begins_with_is_the_sources(source: Source) -> None:
    calls = [made_up.call("rds", promise.operation, t=5.0 + n) for n, promise in enumerate(PROMISES.values())]
    expected = {"snapshot-copies": 5.0, "replicated-backups": 6.0, "read-replica": 7.0}[source]
    assert inspection.restore_began(calls, evidence(source=source)) == at(expected)


def test_the_report_says_what_aws_itself_depends_on() -> None:
    found = following(COMMITTED - 3)
    document = result(found, made_up.timeline(), 7, None)
    assert document["source"]["name"] == "read-replica"
    assert "nothing of us-east-1" in document["source"]["dependence"]
    assert "depends on us-east-1" in PROMISES[Source.COPIES].dependence


def test_promises_are_no_wider_than_what_the_program_warns_of() -> None:
    for source, promise in PROMISES.items():
        assert promise.rpo_minutes <= EXPECTED_LOSS_MINUTES[source.value]


def test_backups_are_rehearsed_between_regions_that_replicate_them(tmp_path: Path) -> None:
    for name in ("Pulumi.yaml", "Pulumi.kenya.yaml", "Pulumi.south-africa.yaml"):
        (tmp_path / name).write_text((CHECKOUT / name).read_text())
    move_standby(tmp_path)
    moved = load(tmp_path)
    assert moved.standby.region == PAIR_WITH_BACKUPS[1]
    assert moved.standby.region in BACKUP_DESTINATIONS[moved.primary.region]
    kenya = yaml.safe_load((tmp_path / "Pulumi.kenya.yaml").read_text())["config"]
    assert kenya["mental-health-platform:peer"]["region"] == moved.standby.region


def test_the_standbys_file_names_source_and_database() -> None:
    assert settings(Source.REPLICA, ARN) == {
        "mental-health-platform:database.standbySource": "read-replica",
        "mental-health-platform:database.standbySourceArn": ARN,
    }
