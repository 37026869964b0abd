"""Read replicas: real servers that stream what their source commits, across regions, until they are promoted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.database_estate import WRONG, Estate, add_row, gone, rows, running_estate, session
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA, wait


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    with running_estate(BackupRetentionPeriod=7) as estate:
        yield estate


def follow(estate: Estate, name: str, source: str = "main", region: str = SOUTH_AFRICA, **more: Any) -> dict[str, Any]:
    """A replica that streams."""
    arn = estate.available(source)["DBInstanceArn"]
    across: dict[str, Any] = {}
    if region != KENYA:
        across = {"SourceRegion": KENYA, "KmsKeyId": estate.keys[region], "DBSubnetGroupName": "database"}
    estate.rds(region).create_db_instance_read_replica(
        DBInstanceIdentifier=name, SourceDBInstanceIdentifier=arn, **(across | more)
    )
    return estate.available(name, region)


def arrived(estate: Estate, port: int, expected: list[int]) -> None:
    """The replica has exactly the source's rows."""
    wait(lambda: rows(estate, port) == expected, what="the rows to arrive")


def statuses(found: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(info["Status"], info["Normal"]) for info in found["StatusInfos"]]


@contextlib.contextmanager
def lost(estate: Estate, region: str) -> Iterator[None]:
    estate.world.control("POST", "cut", {"region": region})
    try:
        yield
    finally:
        estate.world.control("POST", "restore", {"region": region})


# -- following ----------------------------------------------------------------------------------------------------
def test_a_replica_in_the_other_region_follows_every_commit_and_takes_no_writes(estate: Estate) -> None:
    group = [estate.south_africa.database_group]
    replica = follow(estate, "far", VpcSecurityGroupIds=group, DeletionProtection=True)
    main = estate.describe("main")
    assert replica["ReadReplicaSourceDBInstanceIdentifier"] == main["DBInstanceArn"]
    assert main["ReadReplicaDBInstanceIdentifiers"] == [replica["DBInstanceArn"]]
    assert statuses(replica) == [("replicating", True)]
    for same in ("AllocatedStorage", "EngineVersion", "MasterUsername", "DBName", "DBInstanceClass"):
        assert replica[same] == main[same], same
    assert (replica["KmsKeyId"], replica["BackupRetentionPeriod"]) == (estate.keys[SOUTH_AFRICA], 0)
    assert replica["DBParameterGroups"][0]["DBParameterGroupName"] == "default.postgres17"
    assert [group["VpcSecurityGroupId"] for group in replica["VpcSecurityGroups"]] == group

    source, port = estate.port("main"), replica["Endpoint"]["Port"]
    assert rows(estate, port) == rows(estate, source)
    add_row(estate, source, 2001)
    arrived(estate, port, rows(estate, source))
    with pytest.raises(WRONG, match="read-only transaction"):
        add_row(estate, port, 2002)
    with session(estate, source) as connection:
        connection.run("create role newcomer login password 'new-password'")
    wait(lambda: _may_log_in(estate, port, "newcomer", "new-password"), what="the role to arrive")


def _may_log_in(estate: Estate, port: int, user: str, password: str) -> bool:
    try:
        with session(estate, port, user, password):
            return True
    except WRONG:
        return False


def test_the_lag_is_the_age_of_the_newest_commit_and_grows_without_the_source(estate: Estate) -> None:
    source = estate.port("main")

    def lag() -> float:
        found = estate.world.control("GET", f"replica-lag?region={SOUTH_AFRICA}&database=far")
        assert isinstance(found, float)
        return found

    add_row(estate, source, 2100)
    arrived(estate, estate.port("far", SOUTH_AFRICA), rows(estate, source))
    assert 0 <= lag() <= 300
    with lost(estate, KENYA):
        wait(lambda: lag() > 400, what="the lag to grow beyond what an idle source has")
    assert estate.world.control("GET", f"replica-lag?region={KENYA}&database=main") is None


def test_without_its_source_it_stays_readable_and_catches_up_when_it_is_back(estate: Estate) -> None:
    port, then = estate.port("far", SOUTH_AFRICA), rows(estate, estate.port("main"))
    with lost(estate, KENYA):
        assert rows(estate, port) == then
        assert statuses(estate.describe("far", SOUTH_AFRICA)) == [("error", False)]
        with pytest.raises(WRONG, match="read-only transaction"):
            add_row(estate, port, 2200)
    add_row(estate, estate.port("main"), 2201)
    arrived(estate, port, [*then, 2201])
    assert statuses(estate.describe("far", SOUTH_AFRICA)) == [("replicating", True)]


def test_what_was_written_while_the_replicas_region_was_lost_arrives_later(estate: Estate) -> None:
    source = estate.port("main")
    with lost(estate, SOUTH_AFRICA), session(estate, source) as connection:
        connection.run("create table bulk as select n, repeat('x', 900) as filler from generate_series(1, 20000) n")
        connection.run("checkpoint")
        connection.run("insert into numbers values (2300)")
        connection.run("drop table bulk")
        connection.run("checkpoint")
    arrived(estate, estate.port("far", SOUTH_AFRICA), rows(estate, source))


def test_a_snapshot_of_a_replica_becomes_a_database_of_its_own(estate: Estate) -> None:
    rds, then = estate.rds(SOUTH_AFRICA), rows(estate, estate.port("far", SOUTH_AFRICA))
    rds.create_db_snapshot(DBInstanceIdentifier="far", DBSnapshotIdentifier="of-a-replica")
    estate.completed("of-a-replica", SOUTH_AFRICA)
    assert statuses(estate.available("far", SOUTH_AFRICA)) == [("replicating", True)]
    estate.restore("of-a-replica", "alone", SOUTH_AFRICA)
    port = estate.port("alone", SOUTH_AFRICA)
    add_row(estate, port, 2400)
    assert rows(estate, port) == [*then, 2400]
    assert "ReadReplicaSourceDBInstanceIdentifier" not in estate.describe("alone", SOUTH_AFRICA)
    with session(estate, port) as connection:
        assert connection.run("select slot_name from pg_replication_slots where slot_name like 'rds%'") == []
    estate.delete("alone", SOUTH_AFRICA)


def test_a_replica_in_the_same_region_shares_key_and_parameters_and_outlives_its_source(estate: Estate) -> None:
    estate.create("parent", BackupRetentionPeriod=1, StorageEncrypted=True, KmsKeyId=estate.keys[KENYA])
    with session(estate, estate.port("parent")) as connection:
        connection.run("create table numbers (n bigint)")
        connection.run("insert into numbers values (1), (2)")
    child = follow(estate, "child", "parent", KENYA)
    assert child["ReadReplicaSourceDBInstanceIdentifier"] == "parent"
    assert child["KmsKeyId"] == estate.keys[KENYA]
    abroad = follow(estate, "abroad", "parent")
    estate.delete("parent")
    wait(lambda: gone(estate, "parent"), what="the source to be gone")
    promoted = estate.available("child")
    assert "ReadReplicaSourceDBInstanceIdentifier" not in promoted
    add_row(estate, promoted["Endpoint"]["Port"], 3)
    assert rows(estate, promoted["Endpoint"]["Port"]) == [1, 2, 3]
    orphan = estate.describe("abroad", SOUTH_AFRICA)
    assert statuses(orphan) == [("terminated", False)]
    assert orphan["ReadReplicaSourceDBInstanceIdentifier"] == abroad["ReadReplicaSourceDBInstanceIdentifier"]
    assert rows(estate, abroad["Endpoint"]["Port"]) == [1, 2]
    estate.delete("child")
    estate.delete("abroad", SOUTH_AFRICA)


def test_a_deleted_replica_is_forgotten_by_its_source(estate: Estate) -> None:
    follow(estate, "brief")
    with pytest.raises(ClientError, match="can not be specified when deleting a replica"):
        estate.delete("brief", SOUTH_AFRICA, FinalDBSnapshotIdentifier="last-words")
    known = estate.describe("main")["ReadReplicaDBInstanceIdentifiers"]
    estate.delete("brief", SOUTH_AFRICA)
    wait(
        lambda: len(estate.describe("main")["ReadReplicaDBInstanceIdentifiers"]) == len(known) - 1,
        what="the source to forget it",
    )
    wait(lambda: gone(estate, "brief", SOUTH_AFRICA), what="the replica to be gone")


# -- refusals -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"KmsKeyId": None}, "InvalidParameterCombination.*Cannot create a cross region unencrypted read replica"),
        ({"SourceRegion": None}, "InvalidParameterValue.*PreSignedUrl could not be authenticated"),
        ({"KmsKeyId": "alias/nothing"}, "KMSKeyNotAccessible"),
        ({"DBParameterGroupName": "default.postgres17"}, "InvalidParameterCombination.*A parameter group can't be"),
        ({"DBInstanceClass": "db.t1.gigantic"}, "Invalid DB Instance class"),
        ({"SourceDBInstanceIdentifier": "arn:aws:rds:eu-west-1:123456789012:db:nobody"}, "DBInstanceNotFound"),
        ({"SourceDBInstanceIdentifier": "main"}, "DBInstanceNotFound"),
        ({"DBInstanceIdentifier": "far"}, "DBInstanceAlreadyExists"),
        ({"VpcSecurityGroupIds": ["sg-0000000000000000"]}, "Invalid security group"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_a_replica_is_refused_for(estate: Estate, change: dict[str, Any], message: str) -> None:
    wanted = {
        "DBInstanceIdentifier": "refused",
        "SourceDBInstanceIdentifier": estate.available("main")["DBInstanceArn"],
        "SourceRegion": KENYA,
        "KmsKeyId": estate.keys[SOUTH_AFRICA],
        **change,
    }
    with pytest.raises(ClientError, match=message):
        estate.rds(SOUTH_AFRICA).create_db_instance_read_replica(**{k: v for k, v in wanted.items() if v is not None})
    assert gone(estate, "refused", SOUTH_AFRICA)


def test_a_source_without_backups_cannot_be_followed(estate: Estate) -> None:
    estate.create("careless", BackupRetentionPeriod=0)
    arn = estate.available("careless")["DBInstanceArn"]
    with pytest.raises(ClientError, match=r"InvalidDBInstanceState.*Automated backups are not enabled"):
        estate.rds(SOUTH_AFRICA).create_db_instance_read_replica(
            DBInstanceIdentifier="follower", SourceDBInstanceIdentifier=arn
        )
    estate.delete("careless")


def test_a_lost_source_cannot_be_followed(estate: Estate) -> None:
    arn = estate.available("main")["DBInstanceArn"]
    with lost(estate, KENYA), pytest.raises(ClientError, match="ServiceUnavailable"):
        estate.rds(SOUTH_AFRICA).create_db_instance_read_replica(
            DBInstanceIdentifier="late",
            SourceDBInstanceIdentifier=arn,
            SourceRegion=KENYA,
            KmsKeyId=estate.keys[SOUTH_AFRICA],
        )


def test_a_replicas_master_password_is_its_sources(estate: Estate) -> None:
    with pytest.raises(ClientError, match=r"InvalidParameterCombination.*master user password of a read replica"):
        estate.rds(SOUTH_AFRICA).modify_db_instance(DBInstanceIdentifier="far", MasterUserPassword="another-password")


def test_only_a_replica_is_promoted(estate: Estate) -> None:
    with pytest.raises(ClientError, match=r"InvalidDBInstanceState.*not a read replica"):
        estate.rds().promote_read_replica(DBInstanceIdentifier="main")
    with pytest.raises(ClientError, match="Invalid backup retention period"):
        estate.rds(SOUTH_AFRICA).promote_read_replica(DBInstanceIdentifier="far", BackupRetentionPeriod=36)


# -- promotion: last, because the source is lost for it -----------------------------------------------------------
def test_promoted_without_its_source_it_has_every_row_it_received_and_takes_writes(estate: Estate) -> None:
    rds, source, port = estate.rds(SOUTH_AFRICA), estate.port("main"), estate.port("far", SOUTH_AFRICA)
    for n in range(3000, 3050):
        add_row(estate, source, n)
    received = rows(estate, source)
    arrived(estate, port, received)
    with lost(estate, KENYA):
        rds.promote_read_replica(
            DBInstanceIdentifier="far", BackupRetentionPeriod=7, PreferredBackupWindow="03:00-03:30"
        )
        during = estate.describe("far", SOUTH_AFRICA)
        assert (during["DBInstanceStatus"], during["BackupRetentionPeriod"]) == ("modifying", 0)
        with pytest.raises(ClientError, match="InvalidDBInstanceState"):
            rds.modify_db_instance(DBInstanceIdentifier="far", MultiAZ=True, ApplyImmediately=True)
        after = estate.available("far", SOUTH_AFRICA)
        assert "ReadReplicaSourceDBInstanceIdentifier" not in after
        assert after.get("StatusInfos", []) == []
        assert (after["BackupRetentionPeriod"], after["PreferredBackupWindow"]) == (7, "03:00-03:30")
        assert rows(estate, port) == received
        add_row(estate, port, 9001)
        rds.modify_db_instance(
            DBInstanceIdentifier="far", MultiAZ=True, MasterUserPassword="own-password", ApplyImmediately=True
        )
        assert estate.available("far", SOUTH_AFRICA)["MultiAZ"] is True
        with session(estate, port, password="own-password"):
            pass
    with pytest.raises(ClientError, match="not a read replica"):
        rds.promote_read_replica(DBInstanceIdentifier="far")
    add_row(estate, source, 3050)
    wait(lambda: estate.describe("main").get("ReadReplicaDBInstanceIdentifiers", []) == [], what="the source to know")
    with session(estate, port, password="own-password") as connection:
        found = [row[0] for row in connection.run("select n from numbers order by n")]
    assert found == [*received, 9001]
    assert rows(estate, source) == [*received, 3050]
    with session(estate, source) as connection:
        assert connection.run("select slot_name from pg_replication_slots where slot_name like 'rds%'") == []
