"""What the snapshot cycle tells CloudWatch: the age of what a promotion would restore, and that it runs at all."""

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from components import naming
from components.metrics import METRICS, OWN_NAMESPACE
from tests.components.test_snapshot_handler import (
    BASE,
    HERE,
    NOW,
    OURS,
    THERE,
    Region,
    copied,
    database,
    notes,
    refused,
    snapshot,
    tag_list,
    tick,
)


def published(here: Region) -> dict[str, float]:
    """Every figure that a tick told CloudWatch, after its form was looked at."""
    figures = {}
    for arguments in here.names("put_metric_data"):
        assert arguments["Namespace"] == OWN_NAMESPACE
        for entry in arguments["MetricData"]:
            assert f"{OWN_NAMESPACE} {entry['MetricName']}" in METRICS, "no alarm could read it"
            assert entry["Dimensions"] == [{"Name": "Stack", "Value": "south-africa"}]
            assert entry["Timestamp"] == NOW
            figures[entry["MetricName"]] = entry["Value"]
    return figures


def test_the_age_of_the_newest_usable_copy_is_told_in_minutes() -> None:
    copies = [copied(25), copied(40), copied(10, Status="creating"), copied(5, TagList=unusable())]
    here, there = Region(snapshots=copies), Region([database()], [snapshot(10)])
    tick(here, there)
    assert published(here) == {"NewestCopyAge": 25.0, "CopyCycleRuns": 1.0}
    assert there.names("put_metric_data") == []


def unusable() -> list[dict[str, str]]:
    return tag_list({**OURS, naming.UNUSABLE_TAG: "2026-03-02 corruption"})


def test_without_a_copy_its_age_is_not_told() -> None:
    here = Region()
    tick(here, Region([database()]))
    assert published(here) == {"CopyCycleRuns": 1.0}


def backup(minutes_ago: float | None, region: str = THERE, name: str = BASE) -> dict[str, Any]:
    """A replicated backup; without a time it waits for its first snapshot."""
    window = {} if minutes_ago is None else {"LatestTime": NOW - timedelta(minutes=minutes_ago)}
    return {"DBInstanceIdentifier": name, "Region": region, "RestoreWindow": window}


def test_the_age_of_the_newest_replicated_backup_is_told_in_minutes() -> None:
    """This region's own databases have backups too, and so may another one of the primary's region."""
    others = [backup(1, region=HERE, name="mental-health-platform-sa-rds"), backup(2, name="somebody-elses")]
    here = Region(snapshots=[copied(25)], backups=[backup(300), backup(7, name=f"{BASE}-2"), backup(None), *others])
    there = Region([database()], [snapshot(10)])
    tick(here, there)
    assert published(here) == {"NewestCopyAge": 25.0, "NewestBackupAge": 7.0, "CopyCycleRuns": 1.0}
    assert there.names("describe_db_instance_automated_backups") == []


def test_backups_that_wait_for_their_first_snapshot_have_no_age() -> None:
    here = Region(backups=[backup(None)])
    tick(here, Region([database()]))
    assert published(here) == {"CopyCycleRuns": 1.0}


def test_backups_that_cannot_be_listed_fail_the_tick_after_the_copying() -> None:
    here, there = Region(), Region([database()], [snapshot(10)])
    here.errors["describe_db_instance_automated_backups"] = refused("AccessDenied")
    with pytest.raises(RuntimeError, match="list backups"):
        tick(here, there)
    assert here.names("copy_db_snapshot")
    assert published(here) == {}


def test_the_age_goes_on_while_the_primary_does_not_answer() -> None:
    here, there = Region(snapshots=[copied(50)]), Region()
    there.errors["describe_db_instances"] = EndpointConnectionError(endpoint_url="https://rds.eu-west-1.amazonaws.com")
    with pytest.raises(RuntimeError):
        tick(here, there)
    assert published(here) == {"NewestCopyAge": 50.0}


def test_a_copy_of_another_database_is_announced_as_a_full_one() -> None:
    here = Region(snapshots=[copied(40)])
    result = tick(here, Region([database(resource="db-RESTORED")], [snapshot(10)]))
    assert "FULL COPY: the primary is another database now (db-RESTORED, before db-KENYA)" in notes(result)
    assert published(here)["FullCopies"] == 1.0


@pytest.mark.parametrize("status", ["creating", "failed"])
def test_a_copy_by_hand_that_is_not_complete_hides_no_full_copy(status: str) -> None:
    """A person was faster than the cycle after a restore: nothing of that copy can be reused yet."""
    by_hand = copied(35, Status=status)
    by_hand["TagList"] = tag_list({naming.MADE_BY_TAG: naming.SNAPSHOT_BY_HAND, naming.SOURCE_TAG: "db-RESTORED"})
    here = Region(snapshots=[copied(40), by_hand])
    tick(here, Region([database(resource="db-RESTORED")], [snapshot(10)]))
    assert published(here)["FullCopies"] == 1.0
    by_hand["Status"] = "available"
    complete = Region(snapshots=[copied(40), by_hand])
    tick(complete, Region([database(resource="db-RESTORED")], [snapshot(10)]))
    assert "FullCopies" not in published(complete)


def test_a_full_copy_is_announced_when_it_is_started_and_not_before() -> None:
    here, there = Region(snapshots=[copied(40)]), Region([database(resource="db-RESTORED")], [snapshot(10)])
    here.errors["copy_db_snapshot"] = refused("SnapshotQuotaExceeded")
    assert "FULL COPY" not in notes(tick(here, there))
    assert "FullCopies" not in published(here)


def test_a_metric_that_is_refused_fails_the_tick_after_the_copying() -> None:
    here, there = Region(), Region([database()], [snapshot(10)])
    here.errors["put_metric_data"] = refused("AccessDenied")
    with pytest.raises(RuntimeError, match="metrics"):
        tick(here, there)
    assert here.names("copy_db_snapshot")
