"""DescribeOrderableDBInstanceOptions, from AWS's own tables as cfn-lint carries them; moto answers with nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.core.responses import ActionResult, PaginatedResult
from moto.ec2.models import ec2_backends
from moto.rds.responses import RDSResponse

from sandbox.cloud import rds_rules
from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations.patching import replace


def install(_: Cloud) -> None:
    """Answer with what RDS sells in each region."""

    def describe_orderable_db_instance_options(self: RDSResponse) -> ActionResult:
        asked: dict[str, Any] = dict(self.params)
        found = _offers(self.region, asked) if asked.get("engine") == "postgres" else iter(())
        return PaginatedResult({"OrderableDBInstanceOptions": list(found)})

    replace(RDSResponse, describe_orderable_db_instance_options=describe_orderable_db_instance_options)


def _offers(region: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One option for each version, class and kind of storage that fits what was asked."""
    if asked.get("license_model") not in (None, rds_rules.LICENSE):
        return
    zones = [{"Name": zone.name} for zone in ec2_backends[ACCOUNT][region].describe_availability_zones()]
    wanted_class, wanted_version = asked.get("db_instance_class"), asked.get("engine_version")
    for version in rds_rules.versions():
        if "." not in version or version in rds_rules.deprecated() or wanted_version not in (None, version):
            continue
        for name in sorted(rds_rules.classes(region)):
            if wanted_class in (None, name):
                for storage, (least, most) in rds_rules.STORAGE.items():
                    yield _offer(version, name, storage, least, most) | {"AvailabilityZones": zones}


def _offer(version: str, name: str, storage: str, least: int, most: int) -> dict[str, Any]:
    return {
        "Engine": "postgres",
        "EngineVersion": version,
        "DBInstanceClass": name,
        "LicenseModel": rds_rules.LICENSE,
        "StorageType": storage,
        "MinStorageSize": least,
        "MaxStorageSize": most,
        "MultiAZCapable": True,
        "ReadReplicaCapable": True,
        "Vpc": True,
        "SupportsStorageEncryption": True,
        "SupportsIops": storage in ("gp3", "io1", "io2"),
        "SupportsStorageThroughput": storage == "gp3",
        "SupportsEnhancedMonitoring": True,
        "SupportsIAMDatabaseAuthentication": True,
        "SupportsPerformanceInsights": True,
        "SupportsStorageAutoscaling": True,
        "OutpostCapable": False,
        "SupportsGlobalDatabases": False,
        "SupportsClusters": False,
    }
