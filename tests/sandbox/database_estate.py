"""Both regions with a source database to snapshot, copy and restore, for the tests of DB instances and snapshots."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pg8000.native
from botocore.exceptions import ClientError

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


def gone(estate: Estate, name: str, region: str = KENYA) -> bool:
    try:
        estate.describe(name, region)
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "DBInstanceNotFound")
    return False


@contextlib.contextmanager
def running_estate(**main: Any) -> Iterator[Estate]:
    """A fresh cloud with the estate in it; its sandbox has had no error at the end. `main`: more of the source."""
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
            **main,
        )
        with session(estate, estate.port("main")) as connection:
            connection.run("create table numbers (n bigint primary key)")
            connection.run("insert into numbers select * from generate_series(1, 1000)")
            connection.run("create role reader login password 'first-password'")
            connection.run("grant select on numbers to reader")
        yield estate
        world.assert_sound()
