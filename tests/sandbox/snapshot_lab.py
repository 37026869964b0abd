"""Both regions with a real database, named and tagged as the program does it, and `dr snapshot` for them."""

from __future__ import annotations

import contextlib
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pg8000.native

from components import naming
from scripts.project import CHECKOUT, Project
from scripts.snapshots.copy import Options as CopyOptions
from scripts.snapshots.copy import bring
from scripts.snapshots.create import Create
from scripts.snapshots.create import Options as CreateOptions
from scripts.snapshots.estate import Estate, choose
from scripts.snapshots.names import Reason
from scripts.snapshots.prune import Options as PruneOptions
from scripts.snapshots.prune import Prune
from tests.sandbox import traffic_world
from tests.sandbox.traffic_world import KENYA, MASTER_PASSWORD, SOUTH_AFRICA, World, wait
from tests.scripts import made_up_site

SPEED = 60.0  # a modelled minute is a second: an interrupted run is continued for 15 of them
DATABASE = naming.physical("kenya", "rds")
SERVES = {naming.ROLE_TAG: naming.SERVING_ROLE, **naming.tags("kenya")}
STACKS = {KENYA: "kenya", SOUTH_AFRICA: "sa"}


@dataclass
class Lab:
    """The cloud, a working copy of the project, and the ARN of each region's data key."""

    world: World
    project: Project
    keys: dict[str, str]

    def rds(self, region: str = KENYA) -> Any:
        return self.world.client("rds", region)

    def environment(self, principal: str = "OPERATOR") -> dict[str, str]:
        """What `dr sandbox env` would set, as far as RDS, KMS and STS go."""
        return {
            "AWS_ACCESS_KEY_ID": principal,
            "AWS_SECRET_ACCESS_KEY": "fake",
            "AWS_ENDPOINT_URL": self.world.url,
            "AWS_DEFAULT_REGION": SOUTH_AFRICA,
        }

    def estate(self, stack: str | None = None, principal: str = "OPERATOR") -> Estate:
        return choose(self.project, self.environment(principal), stack)

    # -- the commands -------------------------------------------------------------------------------------------
    def create(self, estate: Estate | None = None, **changes: Any) -> None:
        given = {"reason": Reason.MANUAL, "copy": True, "wait": False, "apply": True, "as_json": True, **changes}
        Create(estate or self.estate(), CreateOptions(**given)).run()

    def prune(self, estate: Estate | None = None, **changes: Any) -> None:
        given = {"apply": True, "confirm": "kenya", "as_json": True, "interactive": False, **changes}
        Prune(estate or self.estate(), PruneOptions(**given)).run()

    def copy(self, name: str, estate: Estate | None = None, **changes: Any) -> None:
        given = {"name": name, "wait": False, "apply": True, "as_json": True, **changes}
        bring(estate or self.estate(), CopyOptions(**given))

    def command(self, *arguments: str, principal: str = "OPERATOR") -> subprocess.CompletedProcess[str]:
        """`dr snapshot …` as a person types it."""
        with self.started(*arguments, principal=principal) as process:
            out, err = process.communicate(timeout=120)
            return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @contextlib.contextmanager
    def started(self, *arguments: str, principal: str = "OPERATOR") -> Iterator[subprocess.Popen[str]]:
        """The same, still running; it is ended with the block."""
        given = {**_without_aws(os.environ), **self.environment(principal), "PYTHONPATH": str(CHECKOUT)}
        command = [sys.executable, "-m", "scripts.dr", "snapshot", *arguments]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command,
            cwd=self.project.directory,
            env=given,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    # -- what came of it ----------------------------------------------------------------------------------------
    def snapshots(self, region: str = KENYA) -> dict[str, dict[str, Any]]:
        """All of a region, by name."""
        found = self.rds(region).describe_db_snapshots()["DBSnapshots"]
        return {entry["DBSnapshotIdentifier"]: entry for entry in found}

    def completed(self, name: str, region: str = KENYA) -> dict[str, Any]:
        wait(lambda: self.snapshots(region)[name]["Status"] == "available", 60, f"{name} in {region}")
        return self.snapshots(region)[name]

    def port(self, name: str = DATABASE, region: str = KENYA) -> int:
        rds = self.rds(region)

        def available() -> int:
            found = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
            return int(found["Endpoint"]["Port"]) if found["DBInstanceStatus"] == "available" else 0

        return wait(available, 90, f"{name} to be available")

    def clear(self) -> None:
        """No manual snapshot anywhere, and the database free again."""
        for region in (KENYA, SOUTH_AFRICA):
            manual = [name for name, entry in self.snapshots(region).items() if entry["SnapshotType"] == "manual"]
            for name in manual:
                self.completed(name, region)
                self.rds(region).delete_db_snapshot(DBSnapshotIdentifier=name)
        self.port()

    @contextlib.contextmanager
    def cut(self, region: str) -> Iterator[None]:
        self.world.control("POST", "cut", {"region": region})
        try:
            yield
        finally:
            self.world.control("POST", "restore", {"region": region})

    @contextlib.contextmanager
    def fault(self, **fault: Any) -> Iterator[None]:
        self.world.control("POST", "faults", fault)
        try:
            yield
        finally:
            self.world.control("DELETE", "faults", fault)


def _without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(("AWS_", "PULUMI_"))}


def tags(entry: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in entry["TagList"]}


def tag_list(given: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in given.items()]


def rows(lab: Lab, port: int) -> list[int]:
    with session(lab, port) as connection:
        return [row[0] for row in connection.run("select n from numbers order by n")]


@contextlib.contextmanager
def session(lab: Lab, port: int) -> Iterator[pg8000.native.Connection]:
    context = ssl.create_default_context(cafile=str(lab.world.directory / "rds-ca.pem"))
    connection = pg8000.native.Connection(
        "postgres", "127.0.0.1", "platform", port, MASTER_PASSWORD, ssl_context=context, timeout=5
    )
    with contextlib.closing(connection):
        yield connection


@contextlib.contextmanager
def running_lab() -> Iterator[Lab]:
    """A fresh cloud with a database in Kenya that has a table of ten numbers."""
    with traffic_world.running(SPEED) as world, tempfile.TemporaryDirectory() as name:
        keys = {}
        for region, short in STACKS.items():
            kms = world.client("kms", region)
            keys[region] = kms.create_key()["KeyMetadata"]["Arn"]
            kms.create_alias(AliasName=naming.data_key_alias(short), TargetKeyId=keys[region])
        lab = Lab(world, made_up_site.project(Path(name)), keys)
        lab.rds().create_db_instance(
            DBInstanceIdentifier=DATABASE,
            DBInstanceClass="db.t4g.medium",
            Engine="postgres",
            EngineVersion="17.5",
            AllocatedStorage=20,
            MasterUsername="postgres",
            MasterUserPassword=MASTER_PASSWORD,
            DBName="platform",
            StorageEncrypted=True,
            KmsKeyId=keys[KENYA],
            BackupRetentionPeriod=7,
            Tags=tag_list(SERVES),
        )
        with session(lab, lab.port()) as connection:
            connection.run("create table numbers (n bigint primary key)")
            connection.run("insert into numbers select * from generate_series(1, 10)")
        yield lab
        world.assert_sound()
