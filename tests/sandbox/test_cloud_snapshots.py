"""DB snapshots: each is a base backup, each copy a copy, each restored instance a server with exactly its rows."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.rds.exceptions import RDSClientError

from sandbox.cloud import rds_rules
from tests.sandbox.database_estate import WRONG, Estate, add_row, gone, rows, running_estate, session
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA, wait


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    with running_estate() as estate:
        yield estate


# -- taking -------------------------------------------------------------------------------------------------------
def test_a_snapshot_takes_its_time_and_nobody_may_take_a_second_one_meanwhile(estate: Estate) -> None:
    estate.available("main")
    rds = estate.rds()
    begun = rds.create_db_snapshot(DBInstanceIdentifier="main", DBSnapshotIdentifier="slow")["DBSnapshot"]
    assert begun["Status"] == "creating"
    assert estate.describe("main")["DBInstanceStatus"] == "backing-up"
    with pytest.raises(ClientError, match="not currently in the available state"):
        rds.create_db_snapshot(DBInstanceIdentifier="main", DBSnapshotIdentifier="second")
    with pytest.raises(ClientError, match="InvalidDBSnapshotState"):
        estate.restore("slow", "too-early")
    with pytest.raises(ClientError, match="InvalidDBSnapshotState"):
        rds.delete_db_snapshot(DBSnapshotIdentifier="slow")
    done = estate.completed("slow")
    assert (done["PercentProgress"], done["SnapshotType"], done["Encrypted"]) == (100, "manual", True)
    assert done["SnapshotCreateTime"] == done["OriginalSnapshotCreateTime"]
    assert estate.available("main")["DBInstanceStatus"] == "available"
    rds.delete_db_snapshot(DBSnapshotIdentifier="slow")


def test_during_the_backup_window_a_manual_snapshot_fails_and_the_automated_one_can_be_copied(estate: Estate) -> None:
    estate.create("nightly", BackupRetentionPeriod=7)
    with session(estate, estate.port("nightly")) as connection:
        connection.run("create table numbers (n bigint)")
        connection.run("insert into numbers values (3)")
    rds = estate.rds()
    name = estate.world.control("POST", "automated-backup", {"region": KENYA, "database": "nightly"})
    assert name.startswith("rds:nightly-20")
    with pytest.raises(ClientError, match="InvalidDBInstanceState"):
        rds.create_db_snapshot(DBInstanceIdentifier="nightly", DBSnapshotIdentifier="in-the-window")
    automated = estate.completed(name)
    assert automated["SnapshotType"] == "automated"
    with pytest.raises(ClientError, match="InvalidDBSnapshotState"):
        rds.delete_db_snapshot(DBSnapshotIdentifier=name)
    estate.copy(automated["DBSnapshotArn"], "nightly-copy")
    copied = estate.completed("nightly-copy", SOUTH_AFRICA)
    assert (copied["SnapshotType"], copied["Encrypted"]) == ("manual", False)
    assert copied["OriginalSnapshotCreateTime"] == automated["OriginalSnapshotCreateTime"]
    estate.delete("nightly")
    assert rds.describe_db_snapshots(DBInstanceIdentifier="nightly")["DBSnapshots"] == []
    estate.restore("nightly-copy", "morning", SOUTH_AFRICA)
    assert rows(estate, estate.port("morning", SOUTH_AFRICA)) == [3]
    estate.delete("morning", SOUTH_AFRICA)
    estate.rds(SOUTH_AFRICA).delete_db_snapshot(DBSnapshotIdentifier="nightly-copy")


def test_there_is_no_automated_backup_of_what_keeps_none(estate: Estate) -> None:
    with pytest.raises(RuntimeError, match="nobody is not an available instance"):
        estate.world.control("POST", "automated-backup", {"region": KENYA, "database": "nobody"})


def test_a_final_snapshot_has_everything(estate: Estate) -> None:
    estate.create("last")
    with session(estate, estate.port("last")) as connection:
        connection.run("create table numbers (n bigint)")
        connection.run("insert into numbers values (42)")
    estate.delete("last", FinalDBSnapshotIdentifier="final")
    estate.completed("final")
    wait(lambda: gone(estate, "last"), what="the instance to be gone")
    estate.restore("final", "risen")
    assert rows(estate, estate.port("risen")) == [42]
    estate.delete("risen")


# -- restoring ----------------------------------------------------------------------------------------------------
def test_a_restore_has_exactly_the_rows_roles_and_passwords_of_its_snapshot(estate: Estate) -> None:
    source = estate.port("main")
    before = rows(estate, source)
    add_row(estate, source, 5001)
    estate.snapshot("main", "exact")
    add_row(estate, source, 5002)
    with session(estate, source) as connection:
        connection.run("alter role reader password 'second-password'")
        connection.run("create role latecomer login password 'first-password'")
    try:
        estate.restore("exact", "restored")
        port = estate.port("restored")
        assert port != source
        assert rows(estate, port) == [*before, 5001]
        with session(estate, port, "reader", "first-password") as connection:
            assert connection.run("select count(*) from numbers") == [[len(before) + 1]]
        for user, password in (("reader", "second-password"), ("latecomer", "first-password")):
            with pytest.raises(WRONG, match="password authentication failed"), session(estate, port, user, password):
                pass
        add_row(estate, port, 6000)
        assert 6000 not in rows(estate, source)
        estate.delete("restored")
    finally:
        with session(estate, source) as connection:
            connection.run("alter role reader password 'first-password'")
            connection.run("drop role latecomer")


def test_a_snapshot_under_load_has_all_that_was_acknowledged_before_it(estate: Estate) -> None:
    port = estate.port("main")
    with session(estate, port) as connection:
        for n in range(7000, 7050):
            connection.run("insert into numbers values (:n)", n=n)
        estate.rds().create_db_snapshot(DBInstanceIdentifier="main", DBSnapshotIdentifier="busy")
        n = 7050
        while estate.described_snapshot("busy")["Status"] != "available":
            connection.run("insert into numbers values (:n)", n=n)
            n += 1
    estate.restore("busy", "from-busy")
    found = [row for row in rows(estate, estate.port("from-busy")) if 7000 <= row < 8000]
    assert found == list(range(7000, 7000 + len(found))), "no gap"
    assert 50 <= len(found) < n - 7000, f"{len(found)} of {n - 7000}"
    estate.delete("from-busy")


def test_a_restore_takes_the_default_security_group_unless_told(estate: Estate) -> None:
    estate.snapshot("main", "groups")
    default = next(
        group["GroupId"]
        for group in estate.kenya.client("ec2").describe_security_groups()["SecurityGroups"]
        if group["GroupName"] == "default" and group["VpcId"] == estate.kenya.vpc
    )
    told = [estate.kenya.database_group]
    estate.restore("groups", "untold", DBSubnetGroupName="database")
    estate.restore("groups", "told", DBSubnetGroupName="database", MultiAZ=True, VpcSecurityGroupIds=told)
    groups = {
        name: [group["VpcSecurityGroupId"] for group in estate.describe(name)["VpcSecurityGroups"]]
        for name in ("untold", "told")
    }
    assert groups == {"untold": [default], "told": told}
    untold = estate.available("untold")
    assert (untold["MultiAZ"], untold["DeletionProtection"]) == (False, False)
    assert untold["DBParameterGroups"][0]["DBParameterGroupName"].startswith("default.")
    assert estate.available("told")["MultiAZ"] is True
    foreign = estate.kenya.client("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    stranger = estate.kenya.client("ec2").create_security_group(GroupName="x", Description="x", VpcId=foreign)
    with pytest.raises(ClientError, match="InvalidVPCNetworkState"):
        estate.restore("groups", "mixed", DBSubnetGroupName="database", VpcSecurityGroupIds=[stranger["GroupId"]])
    with pytest.raises(ClientError, match="DBInstanceAlreadyExists"):
        estate.restore("groups", "told")
    for name in ("untold", "told"):
        estate.delete(name)


# -- copies -------------------------------------------------------------------------------------------------------
def test_a_copy_in_the_other_region_keeps_the_original_time_and_survives_its_source(estate: Estate) -> None:
    original = estate.snapshot("main", "to-copy")
    rows_then = rows(estate, estate.port("main"))
    estate.copy(original["DBSnapshotArn"], "copied", KmsKeyId=estate.keys[SOUTH_AFRICA])
    assert estate.described_snapshot("copied", SOUTH_AFRICA)["Status"] == "creating"
    copied = estate.completed("copied", SOUTH_AFRICA)
    assert copied["OriginalSnapshotCreateTime"] == original["OriginalSnapshotCreateTime"]
    assert copied["SnapshotCreateTime"] > original["SnapshotCreateTime"]
    assert (copied["SourceRegion"], copied["SourceDBSnapshotIdentifier"]) == (KENYA, original["DBSnapshotArn"])
    assert copied["KmsKeyId"] == estate.keys[SOUTH_AFRICA]

    estate.rds().delete_db_snapshot(DBSnapshotIdentifier="to-copy")
    estate.world.control("POST", "cut", {"region": KENYA})
    try:
        estate.restore("copied", "abroad", SOUTH_AFRICA, DBSubnetGroupName="database")
        estate.rds(SOUTH_AFRICA).delete_db_snapshot(DBSnapshotIdentifier="copied")
        abroad = estate.available("abroad", SOUTH_AFRICA)
        assert rows(estate, abroad["Endpoint"]["Port"]) == rows_then
        assert abroad["KmsKeyId"] == estate.keys[SOUTH_AFRICA]
    finally:
        estate.world.control("POST", "restore", {"region": KENYA})
    estate.delete("abroad", SOUTH_AFRICA)


def test_what_a_copy_across_regions_is_refused_for(estate: Estate) -> None:
    arn = estate.snapshot("main", "refused")["DBSnapshotArn"]
    with pytest.raises(ClientError, match="Must specify new KMS key"):
        estate.copy(arn, "keyless")
    with pytest.raises(ClientError, match="KMSKeyNotAccessible"):
        estate.copy(arn, "wrong-key", KmsKeyId=estate.keys[KENYA])
    with pytest.raises(ClientError, match="KMSKeyNotAccessible"):
        estate.rds(SOUTH_AFRICA).copy_db_snapshot(  # without SourceRegion nothing is presigned
            SourceDBSnapshotIdentifier=arn, TargetDBSnapshotIdentifier="unsigned", KmsKeyId=estate.keys[SOUTH_AFRICA]
        )
    with pytest.raises(ClientError, match="DBSnapshotNotFound"):
        estate.copy(arn + "x", "sourceless", KmsKeyId=estate.keys[SOUTH_AFRICA])
    estate.world.control("POST", "cut", {"region": KENYA})
    try:
        with pytest.raises(ClientError, match="ServiceUnavailable"):
            estate.copy(arn, "from-the-dead", KmsKeyId=estate.keys[SOUTH_AFRICA])
    finally:
        estate.world.control("POST", "restore", {"region": KENYA})
    assert estate.rds(SOUTH_AFRICA).describe_db_snapshots()["DBSnapshots"] == []


def test_a_copy_whose_source_region_is_lost_is_not_completed(estate: Estate) -> None:
    arn = estate.snapshot("main", "interrupted")["DBSnapshotArn"]
    estate.copy(arn, "halfway", KmsKeyId=estate.keys[SOUTH_AFRICA])
    estate.world.control("POST", "cut", {"region": KENYA})
    try:
        started = estate.world.clock.epoch()
        wait(lambda: estate.world.clock.epoch() - started > 10 * 60, what="ten modelled minutes")
        assert estate.described_snapshot("halfway", SOUTH_AFRICA)["Status"] == "creating"
    finally:
        estate.world.control("POST", "restore", {"region": KENYA})
    estate.completed("halfway", SOUTH_AFRICA)
    estate.rds(SOUTH_AFRICA).delete_db_snapshot(DBSnapshotIdentifier="halfway")


# -- quotas -------------------------------------------------------------------------------------------------------
def pretend(count: int, **properties: Any) -> Any:
    """A backend with so many snapshots."""
    snapshots = {str(n): SimpleNamespace(**properties) for n in range(count)}
    return SimpleNamespace(database_snapshots=snapshots, region_name=SOUTH_AFRICA)


def test_a_region_holds_100_manual_snapshots() -> None:
    rds_rules.check_snapshot_quota(pretend(99, snapshot_type="manual"))
    rds_rules.check_snapshot_quota(pretend(200, snapshot_type="automated"))
    with pytest.raises(RDSClientError, match="more than 100"):
        rds_rules.check_snapshot_quota(pretend(100, snapshot_type="manual"))


def test_a_region_takes_20_copies_at_a_time() -> None:
    source: Any = SimpleNamespace(region=KENYA, status="available", encrypted=False, db_snapshot_identifier="one")
    busy = {"snapshot_type": "manual", "status": "creating", "source_region": KENYA}
    rds_rules.check_copy(pretend(19, **busy), source, None, None)
    with pytest.raises(RDSClientError, match="more than 20"):
        rds_rules.check_copy(pretend(20, **busy), source, None, None)
