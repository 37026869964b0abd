"""An instance's own automated backups: exactly what was committed before a moment, also after it was deleted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.clock import minutes
from tests.sandbox import history
from tests.sandbox.database_estate import Estate, add_row, gone, running_estate, session
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA, wait

SEED = 20261127


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    with running_estate(BackupRetentionPeriod=7) as estate:
        yield estate


def now(estate: Estate) -> datetime:
    return datetime.fromtimestamp(estate.world.clock.epoch(), UTC)


def own(estate: Estate, name: str, region: str = KENYA, **asked: Any) -> dict[str, Any]:
    """The only backups that a database of this name has or had."""
    entries = estate.rds(region).describe_db_instance_automated_backups(**asked)["DBInstanceAutomatedBackups"]
    (found,) = [entry for entry in entries if entry["DBInstanceIdentifier"] == name]
    return dict(found)


def window(estate: Estate, name: str, region: str = KENYA) -> dict[str, datetime]:
    return dict(own(estate, name, region).get("RestoreWindow", {}))


def reaches(estate: Estate, name: str, moment: datetime) -> None:
    def reached() -> bool:
        latest = window(estate, name).get("LatestTime")
        return latest is not None and latest > moment

    wait(reached, 60.0, f"backups of {name} up to {moment}", lambda: estate.world.control("GET", "status"))


def restore(estate: Estate, name: str, region: str = KENYA, **how: Any) -> history.Content:
    """What is in a database restored like this."""
    estate.rds(region).restore_db_instance_to_point_in_time(TargetDBInstanceIdentifier=name, **how)
    return history.content(estate, estate.port(name, region))


def refused(estate: Estate, region: str = KENYA, **how: Any) -> tuple[str, str]:
    """Code and message."""
    with pytest.raises(ClientError) as error:
        restore(estate, "refused", region, **how)
    told = error.value.response["Error"]
    return str(told["Code"]), str(told["Message"])


@pytest.fixture(scope="module")
def written(estate: Estate) -> history.History:
    """What a writer did to `main`, all of it archived."""
    made = history.write(estate, estate.port("main"), 120, SEED)
    reaches(estate, "main", now(estate))
    return made


def test_each_instance_has_backups_from_the_first_one_on(estate: Estate) -> None:
    found, source = own(estate, "main"), estate.describe("main")
    assert (found["Status"], found["Region"], found["DbiResourceId"]) == ("active", KENYA, source["DbiResourceId"])
    assert (found["DBInstanceArn"], found["KmsKeyId"]) == (source["DBInstanceArn"], estate.keys[KENYA])
    assert (found["BackupRetentionPeriod"], found["Encrypted"]) == (7, True)
    created = next(e for e in estate.world.events("database.available") if e["database"] == "main")
    first = found["RestoreWindow"]["EarliestTime"]
    assert abs(first - datetime.fromisoformat(created["modelled"])) < timedelta(minutes=5)


def test_they_reach_further_every_five_minutes_also_while_nobody_writes(estate: Estate) -> None:
    told = []
    end = now(estate) + timedelta(minutes=60)
    while now(estate) < end:
        at = estate.describe("main")["LatestRestorableTime"]
        assert at <= now(estate)
        told.append(at)
        time.sleep(0.02)
    assert told == sorted(told)
    # A busy machine is late with some, never early with more than there are.
    assert 3 <= len(set(told)) <= 60 / minutes("rds.archive") + 2


@pytest.mark.parametrize(
    ("way", "told", "number"),
    [
        ("SourceDBInstanceIdentifier", "DBInstanceIdentifier", 20),
        ("SourceDbiResourceId", "DbiResourceId", 65),
        ("SourceDBInstanceAutomatedBackupsArn", "DBInstanceAutomatedBackupsArn", 110),
    ],
)
def test_a_restore_has_exactly_what_the_writers_log_says(
    estate: Estate, written: history.History, way: str, told: str, number: int
) -> None:
    moment = written.gap(number)
    expected = written.at(moment)
    assert expected not in (written.started, written.at(now(estate)))
    assert restore(estate, f"by-{number}", RestoreTime=moment, **{way: own(estate, "main")[told]}) == expected


def test_a_moment_at_which_nobody_wrote_is_as_good(estate: Estate, written: history.History) -> None:
    quiet = now(estate)
    reaches(estate, "main", quiet + timedelta(minutes=30))
    assert restore(estate, "quiet", SourceDBInstanceIdentifier="main", RestoreTime=quiet) == written.at(quiet)
    latest = written.at(window(estate, "main")["LatestTime"])
    assert restore(estate, "latest", SourceDBInstanceIdentifier="main", UseLatestRestorableTime=True) == latest


def test_what_is_restored_is_the_sources_but_for_what_aws_takes_its_defaults(estate: Estate) -> None:
    source, restored = estate.describe("main"), estate.describe("latest")
    for same in ("KmsKeyId", "BackupRetentionPeriod", "PreferredBackupWindow", "AllocatedStorage", "DBInstanceClass"):
        assert restored[same] == source[same], same
    assert restored["DBParameterGroups"][0]["DBParameterGroupName"] == "default.postgres17"
    assert (restored["MultiAZ"], restored["DeletionProtection"], restored["TagList"]) == (False, False, [])
    assert restored["DbiResourceId"] != source["DbiResourceId"]


def test_the_restored_one_has_backups_of_its_own_which_begin_with_it(estate: Estate, written: history.History) -> None:
    """Backups that begin on another timeline than the source's lead to its rows, too."""
    port = estate.port("latest")
    first = window(estate, "latest")["EarliestTime"]
    code, message = refused(estate, SourceDBInstanceIdentifier="latest", RestoreTime=written.gap(20))
    assert (code, message.partition(" because")[0]) == (
        "InvalidParameterValue",
        f"The specified instance cannot be restored to a time earlier than {first:%Y-%m-%dT%H:%M:%SZ}",
    )
    again = history.write(estate, port, 20, SEED + 1)
    reaches(estate, "latest", now(estate))
    moment = again.gap(10)
    assert restore(estate, "again", SourceDBInstanceIdentifier="latest", RestoreTime=moment) == again.at(moment)


def test_a_daily_backup_shortens_the_way_and_changes_nothing(estate: Estate) -> None:
    port = estate.port("main")
    before = history.write(estate, port, 20, SEED + 2)
    taken = estate.world.control("POST", "automated-backup", {"region": KENYA, "database": "main"})
    estate.completed(taken)
    after = history.write(estate, port, 20, SEED + 3)
    reaches(estate, "main", now(estate))
    for name, written in (("before", before), ("after", after)):
        moment = written.gap(10)
        assert restore(estate, name, SourceDBInstanceIdentifier="main", RestoreTime=moment) == written.at(moment)


def test_a_moment_outside_of_the_window_is_refused_with_its_end(estate: Estate) -> None:
    reach = window(estate, "main")
    source = {"SourceDBInstanceIdentifier": "main"}
    late = refused(estate, RestoreTime=reach["LatestTime"] + timedelta(hours=5), **source)
    assert late[0] == "InvalidParameterValue"
    assert late[1].startswith("The specified instance cannot be restored to a time later than ")
    early = refused(estate, RestoreTime=reach["EarliestTime"] - timedelta(minutes=1), **source)
    assert early[0] == "InvalidParameterValue"
    assert early[1].endswith(
        f"be restored to a time earlier than {reach['EarliestTime']:%Y-%m-%dT%H:%M:%SZ} because its backup retention "
        "period is set to 7 days."
    )
    estate.rds().restore_db_instance_to_point_in_time(
        TargetDBInstanceIdentifier="first", RestoreTime=reach["EarliestTime"], **source
    )
    assert estate.available("first")


def test_before_the_first_backup_has_ended_there_is_no_restore(estate: Estate) -> None:
    estate.create("late", BackupRetentionPeriod=0)
    estate.available("late")
    assert "LatestRestorableTime" not in estate.describe("late")
    assert refused(estate, SourceDBInstanceIdentifier="late", UseLatestRestorableTime=True)[0] == (
        "PointInTimeRestoreNotEnabled"
    )
    estate.rds().modify_db_instance(DBInstanceIdentifier="late", BackupRetentionPeriod=3, ApplyImmediately=True)
    wait(lambda: estate.describe("late")["BackupRetentionPeriod"] == 3, 20, "backups")
    wait(lambda: own(estate, "late")["Status"] == "creating", 5, "the first backup")
    assert refused(estate, SourceDBInstanceIdentifier="late", UseLatestRestorableTime=True)[0] == (
        "InvalidDBInstanceState"
    )
    reaches(estate, "late", now(estate))
    add_row_to_new_table(estate, "late")
    estate.rds().modify_db_instance(DBInstanceIdentifier="late", BackupRetentionPeriod=0, ApplyImmediately=True)
    wait(lambda: "LatestRestorableTime" not in estate.describe("late"), 20, "no backups any more")
    entries = estate.rds().describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"]
    assert "late" not in {entry["DBInstanceIdentifier"] for entry in entries}
    estate.delete("late")


def add_row_to_new_table(estate: Estate, name: str) -> None:
    port = estate.port(name)
    with session(estate, port) as connection:
        connection.run("create table numbers (n bigint)")
    add_row(estate, port, 1)


def test_a_lost_region_archives_nothing(estate: Estate) -> None:
    port = estate.port("main")
    moment = now(estate)
    estate.world.control("POST", "cut", {"region": KENYA})
    try:
        time.sleep(estate.world.clock.seconds(20))
        stood = now(estate)
    finally:
        estate.world.control("POST", "restore", {"region": KENYA})
    latest = window(estate, "main")["LatestTime"]
    assert latest < moment + timedelta(minutes=3) or latest > stood
    later = history.write(estate, port, 10, SEED + 4)
    reaches(estate, "main", now(estate))
    at = later.gap(5)
    assert restore(estate, "returned", SourceDBInstanceIdentifier="main", RestoreTime=at) == later.at(at)


def test_with_its_key_disabled_nothing_is_restored(estate: Estate) -> None:
    kms, key = estate.world.client("kms", KENYA), estate.keys[KENYA].rpartition("/")[2]
    kms.disable_key(KeyId=key)
    try:
        told = refused(estate, SourceDBInstanceIdentifier="main", UseLatestRestorableTime=True)
    finally:
        kms.enable_key(KeyId=key)
    assert told[0] == "KMSKeyNotAccessibleFault"


def test_deleted_it_can_be_restored_if_somebody_wanted_that(estate: Estate) -> None:
    port = estate.port("again")
    written = history.write(estate, port, 20, SEED + 5)
    resource = estate.describe("again")["DbiResourceId"]
    estate.delete("again", SkipFinalSnapshot=True, DeleteAutomatedBackups=False)
    wait(lambda: gone(estate, "again"), 30, "the deletion")
    kept = own(estate, "again")
    assert (kept["Status"], kept["DbiResourceId"]) == ("retained", resource)
    assert own(estate, "again", Filters=[{"Name": "status", "Values": ["retained"]}]) == kept
    assert kept["RestoreWindow"]["LatestTime"] > written.gap(19)
    assert refused(estate, SourceDBInstanceIdentifier="again", UseLatestRestorableTime=True)[0] == "DBInstanceNotFound"
    moment = written.gap(7)
    assert restore(estate, "again", SourceDbiResourceId=resource, RestoreTime=moment) == written.at(moment)


def test_deleted_its_backups_are_gone_by_default(estate: Estate) -> None:
    resource = estate.describe("first")["DbiResourceId"]
    estate.delete("first")
    wait(lambda: gone(estate, "first"), 30, "the deletion")
    assert refused(estate, SourceDbiResourceId=resource, UseLatestRestorableTime=True)[0] == (
        "DBInstanceAutomatedBackupNotFound"
    )


def test_a_replica_has_backups_of_its_own_after_its_promotion(estate: Estate) -> None:
    rds = estate.rds(SOUTH_AFRICA)
    rds.create_db_instance_read_replica(
        DBInstanceIdentifier="follower",
        SourceDBInstanceIdentifier=estate.describe("main")["DBInstanceArn"],
        SourceRegion=KENYA,
        KmsKeyId=estate.keys[SOUTH_AFRICA],
        DBSubnetGroupName="database",
        VpcSecurityGroupIds=[estate.south_africa.database_group],
    )
    estate.available("follower", SOUTH_AFRICA)
    assert rds.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"] == []
    rds.promote_read_replica(DBInstanceIdentifier="follower", BackupRetentionPeriod=7)
    port = estate.port("follower", SOUTH_AFRICA)
    wait(lambda: window(estate, "follower", SOUTH_AFRICA), 30, "the first backup")
    written = history.write(estate, port, 10, SEED + 6)
    moment = written.gap(5)
    wait(lambda: window(estate, "follower", SOUTH_AFRICA)["LatestTime"] > written.gap(9), 20)
    how = {"SourceDBInstanceIdentifier": "follower", "RestoreTime": moment}
    assert restore(estate, "promoted-restored", SOUTH_AFRICA, **how) == written.at(moment)
