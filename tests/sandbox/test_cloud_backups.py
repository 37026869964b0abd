"""Replicated automated backups: real WAL of a real server, restored in another region to a moment, row by row."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloud.backup_regions import regions, replicates
from tests.sandbox.database_estate import Estate, add_row, rows, running_estate, session
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA, wait

LONDON = "eu-west-2"  # RDS replicates backups from eu-west-1 to there, and not to af-south-1


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    with running_estate(BackupRetentionPeriod=7) as estate:
        estate.keys[LONDON] = estate.world.client("kms", LONDON).create_key()["KeyMetadata"]["Arn"]
        yield estate


def start(estate: Estate, source: str = "main", region: str = LONDON, **more: Any) -> dict[str, Any]:
    """The replication as it begins."""
    wanted = {"SourceDBInstanceArn": estate.available(source)["DBInstanceArn"], "KmsKeyId": estate.keys[LONDON]}
    given = {name: value for name, value in (wanted | more).items() if value is not None}
    answer = estate.rds(region).start_db_instance_automated_backups_replication(SourceRegion=KENYA, **given)
    return dict(answer["DBInstanceAutomatedBackup"])


def backups(estate: Estate, **asked: Any) -> dict[str, Any]:
    """The replicated ones; what was restored from them has its own."""
    entries = estate.rds(LONDON).describe_db_instance_automated_backups(**asked)["DBInstanceAutomatedBackups"]
    (found,) = [entry for entry in entries if entry["Region"] == KENYA]
    return dict(found)


def reaches(estate: Estate, moment: datetime) -> dict[str, Any]:
    """The backups once they reach a moment."""
    wait(lambda: backups(estate)["RestoreWindow"].get("LatestTime", moment) > moment, 30.0, f"backups up to {moment}")
    return backups(estate)


def now(estate: Estate) -> datetime:
    return datetime.fromtimestamp(estate.world.clock.epoch(), UTC)


def restore(estate: Estate, name: str, **more: Any) -> list[int]:
    """The rows of a database restored from the backups."""
    arn = backups(estate)["DBInstanceAutomatedBackupsArn"]
    estate.rds(LONDON).restore_db_instance_to_point_in_time(
        TargetDBInstanceIdentifier=name, SourceDBInstanceAutomatedBackupsArn=arn, **more
    )
    return rows(estate, estate.port(name, LONDON))


def test_backups_of_a_source_arrive_and_reach_further_every_five_minutes(estate: Estate) -> None:
    begun = start(estate, BackupRetentionPeriod=14)
    source = estate.describe("main")
    assert begun["Status"] == "pending"
    assert begun.get("RestoreWindow", {}) == {}
    assert (begun["DBInstanceArn"], begun["Region"]) == (source["DBInstanceArn"], KENYA)
    assert (begun["BackupRetentionPeriod"], begun["KmsKeyId"]) == (14, estate.keys[LONDON])
    assert begun["DBInstanceAutomatedBackupsArn"].startswith(f"arn:aws:rds:{LONDON}:123456789012:auto-backup:ab-")
    with pytest.raises(ClientError, match="has no restore window yet"):
        restore(estate, "too-early", UseLatestRestorableTime=True)
    found = reaches(estate, now(estate))
    assert found["Status"] == "replicating"
    assert timedelta(0) <= now(estate) - found["RestoreWindow"]["LatestTime"] <= timedelta(minutes=15)
    replications = estate.describe("main")["DBInstanceAutomatedBackupsReplications"]
    assert replications == [{"DBInstanceAutomatedBackupsArn": begun["DBInstanceAutomatedBackupsArn"]}]
    assert backups(estate, DBInstanceAutomatedBackupsArn=begun["DBInstanceAutomatedBackupsArn"])["Status"]
    with pytest.raises(ClientError, match="already replicating"):
        start(estate)


def test_a_restore_has_exactly_the_rows_committed_up_to_the_moment(estate: Estate) -> None:
    source = estate.port("main")
    moments: list[tuple[datetime, list[int]]] = []
    for n in range(5000, 5006):
        add_row(estate, source, n)
        time.sleep(0.1)
        moments.append((now(estate), rows(estate, source)))
        time.sleep(0.1)
    with session(estate, source) as connection:
        connection.run("delete from numbers where n between 1 and 900")
    reaches(estate, now(estate))
    for at in (1, 4):
        moment, then = moments[at]
        assert restore(estate, f"then-{at}", RestoreTime=moment) == then
    port = estate.port("then-4", LONDON)
    add_row(estate, port, 7777)
    restored = estate.describe("then-4", LONDON)
    assert (restored["KmsKeyId"], restored["BackupRetentionPeriod"]) == (estate.keys[LONDON], 14)
    assert 7777 not in rows(estate, source)


def test_without_the_source_the_newest_moment_is_restored(estate: Estate) -> None:
    """What was committed up to LatestTime is there, nothing after it is, although the source's region is lost."""
    source, written = estate.port("main"), []
    with session(estate, source) as connection:
        for n in range(6000, 6100):
            connection.run("insert into numbers values (:n)", n=n)
            written.append((now(estate), n))
            time.sleep(0.02)
    reaches(estate, written[30][0])
    estate.world.control("POST", "cut", {"region": KENYA})
    try:
        latest = backups(estate)["RestoreWindow"]["LatestTime"]
        found = [n for n in restore(estate, "newest", UseLatestRestorableTime=True) if 6000 <= n < 7000]
        assert found == list(range(6000, 6000 + len(found)))
        acknowledged = [n for at, n in written if at <= latest]
        assert len(acknowledged) <= len(found) <= len(acknowledged) + 1
        time.sleep(0.5)
        assert backups(estate)["RestoreWindow"]["LatestTime"] == latest, "nothing arrives from a lost region"
        with pytest.raises(ClientError, match="ServiceUnavailable"):
            estate.rds(LONDON).stop_db_instance_automated_backups_replication(
                SourceDBInstanceArn=backups(estate)["DBInstanceArn"]
            )
    finally:
        estate.world.control("POST", "restore", {"region": KENYA})
    reaches(estate, now(estate))


def test_a_moment_outside_of_the_window_is_refused(estate: Estate) -> None:
    window = backups(estate)["RestoreWindow"]
    for moment, message in (
        (window["LatestTime"] + timedelta(hours=5), "cannot be restored to a time later than"),
        (window["EarliestTime"] - timedelta(minutes=1), "cannot be restored to a time earlier than"),
    ):
        with pytest.raises(ClientError, match=message) as refused:
            restore(estate, "outside", RestoreTime=moment)
        assert refused.value.response["Error"]["Code"] == "InvalidParameterValue"
    for told in ({}, {"UseLatestRestorableTime": True, "RestoreTime": window["LatestTime"]}):
        with pytest.raises(ClientError, match="InvalidParameterCombination"):
            restore(estate, "outside", **told)
    with pytest.raises(ClientError, match="DBInstanceAutomatedBackupNotFound"):
        estate.rds(LONDON).restore_db_instance_to_point_in_time(
            TargetDBInstanceIdentifier="outside",
            SourceDBInstanceAutomatedBackupsArn="arn:aws:rds:eu-west-2:123456789012:auto-backup:ab-none",
            UseLatestRestorableTime=True,
        )


def test_a_disabled_key_stops_it_without_a_word(estate: Estate) -> None:
    kms, key = estate.world.client("kms", LONDON), estate.keys[LONDON].rpartition("/")[2]
    kms.disable_key(KeyId=key)
    try:
        then = backups(estate)
        time.sleep(estate.world.clock.seconds(15))
        assert backups(estate) == then
    finally:
        kms.enable_key(KeyId=key)
    reaches(estate, now(estate))


def test_where_it_is_not_to_be_had(estate: Estate) -> None:
    estate.create("careless", BackupRetentionPeriod=0)
    for refused, message in (
        ({"region": SOUTH_AFRICA, "KmsKeyId": None}, "InvalidParameterValue.*Feature is not available in region"),
        ({"source": "careless", "KmsKeyId": None}, "InvalidDBInstanceState.*Automated backups are not enabled"),
        ({"KmsKeyId": estate.keys[KENYA]}, "KMSKeyNotAccessible"),
        ({"SourceDBInstanceArn": "arn:aws:rds:eu-west-1:123456789012:db:nobody"}, "DBInstanceNotFound"),
        ({"SourceDBInstanceArn": "arn:aws:rds:eu-west-2:123456789012:db:main"}, "must be in another AWS Region"),
        ({"BackupRetentionPeriod": 36}, "Invalid backup retention period"),
    ):
        with pytest.raises(ClientError, match=message):
            start(estate, **refused)
    estate.delete("careless")
    assert estate.rds(SOUTH_AFRICA).describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"] == []


def test_each_region_says_from_where_it_can_have_backups(estate: Estate) -> None:
    def supports(region: str, source: str) -> bool:
        (found,) = estate.rds(region).describe_source_regions(RegionName=source)["SourceRegions"]
        assert (found["RegionName"], found["Status"]) == (source, "available")
        return bool(found["SupportsDBInstanceAutomatedBackupsReplication"])

    assert supports(LONDON, KENYA)
    assert not supports(SOUTH_AFRICA, KENYA)
    everything = estate.rds(SOUTH_AFRICA).describe_source_regions()["SourceRegions"]
    assert len(everything) > 20
    assert SOUTH_AFRICA not in {found["RegionName"] for found in everything}
    assert not any(replicates(SOUTH_AFRICA, region) or replicates(region, SOUTH_AFRICA) for region in regions())
    for one in regions():
        for other in regions():
            assert replicates(one, other) == replicates(other, one) or one == other


def test_stopped_it_keeps_what_arrived(estate: Estate) -> None:
    arn = estate.describe("main")["DBInstanceArn"]
    stopped = estate.rds(LONDON).stop_db_instance_automated_backups_replication(SourceDBInstanceArn=arn)
    assert stopped["DBInstanceAutomatedBackup"]["Status"] == "retained"
    assert estate.describe("main").get("DBInstanceAutomatedBackupsReplications", []) == []
    with pytest.raises(ClientError, match="not replicating to the current region"):
        estate.rds(LONDON).stop_db_instance_automated_backups_replication(SourceDBInstanceArn=arn)
    assert 5005 in restore(estate, "kept", UseLatestRestorableTime=True)
