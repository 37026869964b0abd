"""DB instances and snapshots: each is a real PostgreSQL server, each snapshot a base backup, each copy a copy."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pg8000.native
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from moto.rds.exceptions import RDSClientError

from sandbox.cloud import rds_rules
from tests.sandbox import traffic_world
from tests.sandbox.traffic_world import KENYA, MASTER_PASSWORD, SOUTH_AFRICA, Site, World, wait

REFUSED = (OSError, pg8000.native.InterfaceError)  # nobody listens
WRONG = pg8000.native.DatabaseError  # PostgreSQL itself says no
OPERATION_SECONDS = 30.0


@dataclass
class Estate:
    """Both regions with networks and keys, and an encrypted source database in Kenya."""

    world: World
    kenya: Site
    south_africa: Site
    keys: dict[str, str]

    def rds(self, region: str = KENYA) -> Any:
        return self.world.client("rds", region)

    def create(self, name: str, **more: Any) -> None:
        defaults = {
            "DBInstanceClass": "db.t4g.medium",
            "Engine": "postgres",
            "EngineVersion": "17.5",
            "AllocatedStorage": 20,
            "MasterUsername": "postgres",
            "MasterUserPassword": MASTER_PASSWORD,
            "DBName": "platform",
        }
        self.rds().create_db_instance(DBInstanceIdentifier=name, **(defaults | more))

    def describe(self, name: str, region: str = KENYA) -> dict[str, Any]:
        return dict(self.rds(region).describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0])

    def available(self, name: str, region: str = KENYA) -> dict[str, Any]:
        """The instance once it is available."""
        wait(
            lambda: self.describe(name, region)["DBInstanceStatus"] == "available",
            OPERATION_SECONDS,
            f"{name} to be available",
            lambda: self.world.control("GET", "status"),
        )
        return self.describe(name, region)

    def port(self, name: str, region: str = KENYA) -> int:
        return int(self.available(name, region)["Endpoint"]["Port"])

    def snapshot(self, database: str, name: str) -> dict[str, Any]:
        """A completed snapshot."""
        self.available(database)
        self.rds().create_db_snapshot(DBInstanceIdentifier=database, DBSnapshotIdentifier=name)
        return self.completed(name)

    def described_snapshot(self, name: str, region: str = KENYA) -> dict[str, Any]:
        return dict(self.rds(region).describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"][0])

    def completed(self, name: str, region: str = KENYA) -> dict[str, Any]:
        wait(
            lambda: self.described_snapshot(name, region)["Status"] == "available",
            OPERATION_SECONDS,
            f"{name} to be complete",
        )
        return self.described_snapshot(name, region)

    def copy(self, arn: str, name: str, **more: Any) -> None:
        """Copy a snapshot of Kenya to South Africa, as somebody in South Africa does."""
        self.rds(SOUTH_AFRICA).copy_db_snapshot(
            SourceDBSnapshotIdentifier=arn, TargetDBSnapshotIdentifier=name, SourceRegion=KENYA, **more
        )

    def restore(self, snapshot: str, name: str, region: str = KENYA, **more: Any) -> None:
        self.rds(region).restore_db_instance_from_db_snapshot(
            DBInstanceIdentifier=name, DBSnapshotIdentifier=snapshot, **more
        )

    def delete(self, name: str, region: str = KENYA, **more: Any) -> None:
        how = more or {"SkipFinalSnapshot": True}
        self.rds(region).delete_db_instance(DBInstanceIdentifier=name, **how)


@contextlib.contextmanager
def session(
    estate: Estate, port: int, user: str = "postgres", password: str = MASTER_PASSWORD, tls: bool = True
) -> Iterator[pg8000.native.Connection]:
    """A connection that verifies the server's certificate against RDS's CA bundle."""
    context = ssl.create_default_context(cafile=str(estate.world.directory / "rds-ca.pem")) if tls else False
    connection = pg8000.native.Connection(user, "127.0.0.1", "platform", port, password, ssl_context=context, timeout=5)
    try:
        yield connection
    finally:
        with contextlib.suppress(*REFUSED):  # some tests take the server away
            connection.close()


def rows(estate: Estate, port: int) -> list[int]:
    with session(estate, port) as connection:
        return [row[0] for row in connection.run("select n from numbers order by n")]


def add_row(estate: Estate, port: int, n: int) -> None:
    with session(estate, port) as connection:
        connection.run("insert into numbers values (:n)", n=n)


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    with traffic_world.running() as world:
        sites = {}
        keys = {}
        for region in (KENYA, SOUTH_AFRICA):
            site = sites[region] = Site(world, region)
            site.build_network()
            world.client("rds", region).create_db_subnet_group(
                DBSubnetGroupName="database", DBSubnetGroupDescription="database", SubnetIds=site.private
            )
            keys[region] = world.client("kms", region).create_key()["KeyMetadata"]["Arn"]
        estate = Estate(world, sites[KENYA], sites[SOUTH_AFRICA], keys)
        estate.create(
            "main",
            DBSubnetGroupName="database",
            VpcSecurityGroupIds=[sites[KENYA].database_group],
            StorageEncrypted=True,
            KmsKeyId=keys[KENYA],
            DeletionProtection=True,
        )
        with session(estate, estate.port("main")) as connection:
            connection.run("create table numbers (n bigint primary key)")
            connection.run("insert into numbers select * from generate_series(1, 1000)")
            connection.run("create role reader login password 'first-password'")
            connection.run("grant select on numbers to reader")
        yield estate
        world.assert_sound()


# -- instances ----------------------------------------------------------------------------------------------------
def test_a_new_instance_is_a_server_that_answers_with_tls_only(estate: Estate) -> None:
    estate.create("fresh")
    begun = estate.describe("fresh")
    assert begun["DBInstanceStatus"] == "creating"
    assert "Endpoint" not in begun
    port = estate.port("fresh")
    with session(estate, port) as connection:
        ((encrypted,),) = connection.run("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
        ((version,),) = connection.run("select current_setting('server_version_num')::int / 10000")
        ((superuser,),) = connection.run("select rolsuper from pg_roles where rolname = 'postgres'")
    assert (encrypted, version, superuser) == (True, 17, False)
    with pytest.raises(WRONG, match="no encryption"), session(estate, port, tls=False):
        pass
    with pytest.raises(WRONG, match="password authentication failed"), session(estate, port, password="wrong"):
        pass
    estate.delete("fresh")


def test_a_parameter_of_the_group_reaches_the_server(estate: Estate) -> None:
    rds = estate.rds()
    rds.create_db_parameter_group(DBParameterGroupName="loose", DBParameterGroupFamily="postgres17", Description="x")
    estate.create("tuned", DBParameterGroupName="loose")
    port = estate.port("tuned")
    parameters = [
        {"ParameterName": "rds.force_ssl", "ParameterValue": "0", "ApplyMethod": "immediate"},
        {"ParameterName": "statement_timeout", "ParameterValue": "12345", "ApplyMethod": "immediate"},
    ]
    rds.modify_db_parameter_group(DBParameterGroupName="loose", Parameters=parameters)

    def taken() -> bool:
        with session(estate, port) as connection:
            return bool(connection.run("show statement_timeout") == [["12345ms"]])

    wait(taken, what="the new statement_timeout")
    with session(estate, port, tls=False) as connection:
        assert connection.run("select 1") == [[1]]
    estate.delete("tuned")


def test_a_change_takes_its_time(estate: Estate) -> None:
    estate.create("changing", BackupRetentionPeriod=1)
    port = estate.port("changing")
    estate.rds().modify_db_instance(
        DBInstanceIdentifier="changing",
        MasterUserPassword="another-password",
        BackupRetentionPeriod=7,
        DeletionProtection=True,
        ApplyImmediately=True,
    )
    during = estate.describe("changing")
    assert (during["DBInstanceStatus"], during["DeletionProtection"]) == ("modifying", True)
    assert during["BackupRetentionPeriod"] == 1
    assert during["PendingModifiedValues"] == {"MasterUserPassword": "****", "BackupRetentionPeriod": 7}
    with session(estate, port):
        pass  # the old password holds until then
    with pytest.raises(ClientError, match="InvalidDBInstanceState"):
        estate.rds().modify_db_instance(DBInstanceIdentifier="changing", BackupRetentionPeriod=3)
    with pytest.raises(ClientError, match="InvalidDBInstanceState"):
        estate.rds().create_db_snapshot(DBInstanceIdentifier="changing", DBSnapshotIdentifier="too-early")

    after = estate.available("changing")
    assert (after["BackupRetentionPeriod"], after["PendingModifiedValues"]) == (7, {})
    with session(estate, port, password="another-password"):
        pass
    with pytest.raises(WRONG, match="password authentication failed"), session(estate, port):
        pass
    with pytest.raises(ClientError, match="Invalid storage size"):
        estate.rds().modify_db_instance(DBInstanceIdentifier="changing", AllocatedStorage=10)
    estate.rds().modify_db_instance(DBInstanceIdentifier="changing", DeletionProtection=False)
    estate.delete("changing")


def test_a_change_in_the_maintenance_window_waits(estate: Estate) -> None:
    estate.available("main")
    estate.rds().modify_db_instance(DBInstanceIdentifier="main", AllocatedStorage=30, ApplyImmediately=False)
    found = estate.describe("main")
    assert (found["DBInstanceStatus"], found["AllocatedStorage"]) == ("available", 20)
    assert found["PendingModifiedValues"] == {"AllocatedStorage": 30}


def test_a_reboot_ends_all_sessions(estate: Estate) -> None:
    estate.create("rebooted")
    port = estate.port("rebooted")
    with session(estate, port) as connection:
        estate.rds().reboot_db_instance(DBInstanceIdentifier="rebooted")
        assert estate.describe("rebooted")["DBInstanceStatus"] == "rebooting"
        estate.available("rebooted")
        with pytest.raises((*REFUSED, WRONG)):
            connection.run("select 1")
    with session(estate, port):
        pass
    estate.delete("rebooted")


def test_deletion_stops_the_server_and_removes_its_data(estate: Estate) -> None:
    estate.create("short-lived")
    port = estate.port("short-lived")
    data = estate.world.directory / "databases" / estate.describe("short-lived")["DbiResourceId"]
    assert (data / "PG_VERSION").exists()
    with pytest.raises(ClientError, match="FinalDBSnapshotIdentifier is required"):
        estate.delete("short-lived", SkipFinalSnapshot=False)
    estate.delete("short-lived")
    assert estate.describe("short-lived")["DBInstanceStatus"] == "deleting"
    wait(lambda: not data.exists(), what="the data to be gone")
    with pytest.raises(REFUSED), session(estate, port):
        pass
    wait(lambda: gone(estate, "short-lived"), what="the instance to be gone")


def gone(estate: Estate, name: str, region: str = KENYA) -> bool:
    try:
        estate.describe(name, region)
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "DBInstanceNotFound")
    return False


def test_a_protected_instance_stays(estate: Estate) -> None:
    with pytest.raises(ClientError, match="Cannot delete protected DB Instance"):
        estate.delete("main")
    assert estate.describe("main")["DBInstanceStatus"] != "deleting"


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


# -- snapshots ----------------------------------------------------------------------------------------------------
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


# -- refusals -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"DBInstanceClass": "db.t1.gigantic"}, "Invalid DB Instance class"),
        ({"EngineVersion": "17.99"}, "Cannot find version 17.99"),
        ({"BackupRetentionPeriod": 40}, "Invalid backup retention period"),
        ({"AllocatedStorage": 1}, "Invalid storage size"),
        ({"StorageType": "io1", "AllocatedStorage": 20, "Iops": 1000}, "Invalid storage size"),
        ({"MasterUserPassword": "short"}, "shorter than 8"),
        ({"MasterUserPassword": "with/slash-in-it"}, "Only printable ASCII"),
        ({"MasterUsername": "rdsadmin"}, "reserved word"),
        ({"DBName": "9lives"}, "must begin with a letter"),
        ({"VpcSecurityGroupIds": ["sg-0000000000000000"]}, "Invalid security group"),
        ({"StorageEncrypted": True, "KmsKeyId": "alias/nothing"}, "KMSKeyNotAccessible"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_rds_refuses_to_create(estate: Estate, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        estate.create("refused", **change)
    assert gone(estate, "refused")


def test_a_major_version_means_its_newest_minor_one(estate: Estate) -> None:
    newest = rds_rules.full_version("17")
    assert newest.startswith("17.")
    assert newest == [version for version in rds_rules.versions() if version.startswith("17.")][-1]


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


# -- lost regions -------------------------------------------------------------------------------------------------
def test_a_lost_region_takes_its_databases_with_it_and_brings_them_back(estate: Estate) -> None:
    port = estate.port("main")
    then = rows(estate, port)
    with session(estate, port) as connection:
        estate.world.control("POST", "cut", {"region": KENYA})
        try:
            with pytest.raises((*REFUSED, WRONG)):
                connection.run("select 1")
            with pytest.raises(REFUSED), session(estate, port):
                pass
            with pytest.raises(BotoCoreError):
                estate.describe("main")
        finally:
            estate.world.control("POST", "restore", {"region": KENYA})
    assert estate.port("main") == port
    assert rows(estate, port) == then


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3])
def test_a_region_lost_during_a_creation_has_no_server_until_it_is_back(estate: Estate, delay: float) -> None:
    name = f"unlucky-{int(delay * 10)}"
    estate.create(name)
    time.sleep(delay)  # the server is being made
    estate.world.control("POST", "cut", {"region": KENYA})
    estate.world.control("POST", "restore", {"region": KENYA})
    port = estate.port(name)
    with session(estate, port):
        pass
    estate.delete(name)
