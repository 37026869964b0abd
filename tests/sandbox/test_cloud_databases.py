"""DB instances: each is a real PostgreSQL server that is made, changed, restarted, lost and deleted as RDS does it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from sandbox.cloud import rds_rules
from tests.sandbox.database_estate import REFUSED, WRONG, Estate, gone, rows, running_estate, session
from tests.sandbox.traffic_world import KENYA, wait


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    with running_estate() as estate:
        yield estate


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


def test_a_protected_instance_stays(estate: Estate) -> None:
    with pytest.raises(ClientError, match="Cannot delete protected DB Instance"):
        estate.delete("main")
    assert estate.describe("main")["DBInstanceStatus"] != "deleting"


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
