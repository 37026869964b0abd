"""The cache comes after everything that matters, closed on all sides, and no later deployment replaces it."""

import json
from itertools import pairwise
from typing import Any

import pulumi
import pytest

from components import naming
from components.cache import MAINTENANCE_WINDOW, SNAPSHOT_WINDOW, Cache, CacheArgs, Source
from tests.components.examples import KENYA, SOUTH_AFRICA, default, refused, settings
from tests.components.program import Program
from tests.components.recording import Recorded, Recording, record

GROUP = ("aws:elasticache/replicationGroup:ReplicationGroup", "cache")
VALUE = ("aws:secretsmanager/secretVersion:SecretVersion", "cache")
STANDBY, PROMOTED, PRIMARY = Program(SOUTH_AFRICA, True), Program(SOUTH_AFRICA, False), Program(KENYA, False)
CRITICAL = ("services-crisis-detection", "services-api-gateway", "takeover-healthy-targets", "takeover-witness")


def promoted() -> Recorded:
    return PROMOTED.recorded().one(*GROUP)


def value(program: Program) -> dict[str, Any]:
    return dict(json.loads(program.recorded().one(*VALUE).inputs["secretString"]))


def build(source: Source) -> Recording:
    args = CacheArgs(
        short_name="sa",
        tags=naming.tags("test"),
        running=True,
        node_type="cache.t4g.medium",
        nodes=2,
        retention_days=7,
        source=source,
        subnet_ids=["subnet-a", "subnet-b"],
        security_group_id="sg-cache",
        key_arn="arn:aws:kms:own",
        secret_id="secret-cache",
        token="pw-token-of-the-cache",
        after=[],
    )
    return record(lambda: Cache("cache", args))


def configured(**cache: str) -> Source:
    changes = {default("cache", key): text for key, text in cache.items()}
    return Source.of(settings(SOUTH_AFRICA, changes).cache, "arn:aws:s3:::imports")


def test_standing_by_has_no_cache_but_all_that_one_needs() -> None:
    recording = STANDBY.recorded()
    assert recording.of(GROUP[0]) == []
    subnets = recording.one("aws:elasticache/subnetGroup:SubnetGroup", "cache")
    assert subnets.inputs["subnetIds"] == [f"network-isolated-{zone}-id" for zone in "abc"]
    (parameters,) = recording.of("aws:elasticache/parameterGroup:ParameterGroup")
    assert parameters.inputs["family"] == "valkey8"
    assert parameters.inputs["parameters"] == [{"name": "maxmemory-policy", "value": "allkeys-lru"}]
    assert value(STANDBY) == {"host": "cache.invalid", "port": 6379, "token": "pw-token-of-the-cache"}


@pytest.mark.parametrize("program", [PROMOTED, PRIMARY], ids=["promoted", "primary"])
def test_a_serving_stack_has_one_and_says_where(program: Program) -> None:
    group = program.recorded().one(*GROUP)
    assert group.inputs["replicationGroupId"] == f"mental-health-platform-{program.settings().short_name}-redis"
    assert value(program)["host"] == "master.cache.cache.amazonaws.com"
    assert value(program)["token"] == "pw-token-of-the-cache"


def test_it_waits_for_the_takeover_and_nothing_critical_for_it() -> None:
    recording = PROMOTED.recorded()
    assert "takeover-witness" in recording.waits_for("cache")
    for name in CRITICAL:
        assert "cache" not in recording.waits_for(name)


def test_it_names_its_nodes_for_the_alarms() -> None:
    alarms = {r.name for r in PROMOTED.recorded().of("aws:cloudwatch/metricAlarm:MetricAlarm")}
    assert {"monitoring-cache-1-memory", "monitoring-cache-2-memory"} <= alarms


def test_no_service_waits_for_it() -> None:
    recording = PROMOTED.recorded()
    for service in recording.of("aws:ecs/service:Service"):
        assert "cache" not in recording.waits_for(service.name)


def test_it_is_encrypted_both_ways_and_asks_for_a_token() -> None:
    inputs = promoted().inputs
    assert (inputs["atRestEncryptionEnabled"], inputs["kmsKeyId"]) == (True, "arn:aws:keys-key")
    assert (inputs["transitEncryptionEnabled"], inputs["transitEncryptionMode"]) == (True, "required")
    assert (inputs["authToken"], inputs["authTokenUpdateStrategy"]) == ("pw-token-of-the-cache", "ROTATE")
    assert promoted().secrets == {"authToken"}
    assert "secretString" in PROMOTED.recorded().one(*VALUE).secrets


def test_it_outlives_a_zone_and_is_reached_by_services_only() -> None:
    inputs = promoted().inputs
    assert (inputs["numCacheClusters"], inputs["automaticFailoverEnabled"], inputs["multiAzEnabled"]) == (2, True, True)
    assert inputs["securityGroupIds"] == ["network-firewall-cache-id"]
    assert inputs["subnetGroupName"] == "mental-health-platform-sa-redis-subnets"


def test_its_snapshots_are_daily_and_apart_from_everything_else() -> None:
    assert (promoted().inputs["snapshotWindow"], promoted().inputs["snapshotRetentionLimit"]) == (SNAPSHOT_WINDOW, 7)

    def hours(window: str) -> tuple[str, str]:
        begin, end = window.replace("sun:", "").split("-")
        return begin, end

    database = settings().database
    windows = sorted(
        hours(w) for w in (SNAPSHOT_WINDOW, MAINTENANCE_WINDOW, database.backup_window, database.maintenance_window)
    )
    assert all(before[1] <= after[0] for before, after in pairwise(windows))


def test_a_later_deployment_ignores_what_it_began_with_and_nothing_else() -> None:
    assert promoted().ignore_changes == ("snapshotName", "snapshotArns")


def test_by_default_it_begins_empty() -> None:
    assert not {"snapshotName", "snapshotArns"} & promoted().inputs.keys()


def test_it_begins_with_a_snapshot() -> None:
    inputs = build(configured(restore="snapshot", snapshot="evening")).one(*GROUP).inputs
    assert inputs["snapshotName"] == "evening"
    assert "snapshotArns" not in inputs


def test_it_begins_with_a_file_of_the_stacks_own_bucket() -> None:
    inputs = build(Source(rdb_arns=["arn:aws:s3:::imports/day/1-0001.rdb"])).one(*GROUP).inputs
    assert inputs["snapshotArns"] == ["arn:aws:s3:::imports/day/1-0001.rdb"]
    assert "snapshotName" not in inputs


def test_a_files_arn_is_in_the_imports_bucket() -> None:
    found: list[str] = []

    def resolve() -> None:
        (arn,) = configured(restore="rdb", rdb="day/1-0001.rdb").rdb_arns or []
        pulumi.Output.from_input(arn).apply(found.append)

    record(resolve)
    assert found == ["arn:aws:s3:::imports/day/1-0001.rdb"]


def test_a_service_that_needs_it_may_read_the_secret_and_that_one_only() -> None:
    recording = STANDBY.recorded()
    policies = [r for r in recording.of("aws:iam/rolePolicy:RolePolicy") if r.name.endswith("-cache")]
    assert {r.name for r in policies} == {"services-api-gateway-cache", "services-sync-cache"}
    for policy in policies:
        read, decrypt = json.loads(policy.inputs["policy"])["Statement"]
        assert (read["Action"], read["Resource"]) == (["secretsmanager:GetSecretValue"], ["arn:aws:secrets-cache"])
        assert decrypt["Action"] == ["kms:Decrypt"]


@pytest.mark.parametrize(("service", "told"), [("api-gateway", True), ("sync", True), ("crisis-detection", False)])
def test_task_definitions_name_the_secret_and_nothing_of_a_promotion(service: str, told: bool) -> None:
    def environment(program: Program) -> dict[str, str]:
        definition = program.recorded().one("aws:ecs/taskDefinition:TaskDefinition", f"services-{service}")
        (container,) = json.loads(definition.inputs["containerDefinitions"])
        return {entry["name"]: entry["value"] for entry in container["environment"]}

    assert environment(STANDBY).get("CACHE_SECRET") == ("arn:aws:secrets-cache" if told else None)
    assert environment(STANDBY) == environment(PROMOTED)


def test_elasticache_of_the_region_may_read_the_imports_and_nobody_else() -> None:
    recording = STANDBY.recorded()
    policy = json.loads(recording.one("aws:s3/bucketPolicy:BucketPolicy", "cache-imports").inputs["policy"])
    (allowed,) = [statement for statement in policy["Statement"] if statement["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "af-south-1.elasticache-snapshot.amazonaws.com"}
    assert sorted(allowed["Action"]) == ["s3:GetBucketAcl", "s3:GetObject", "s3:ListBucket"]
    block = recording.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "cache-imports").inputs
    assert all(block[key] for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls"))
    rules = recording.one("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", "cache-imports")
    assert rules.inputs["rules"][0]["expiration"] == {"days": 30}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"restore": "snapshot"}, "restore: snapshot needs cache.snapshot"),
        ({"restore": "rdb"}, "restore: rdb needs cache.rdb"),
        ({"restore": "backup"}, "allowed: 'none', 'snapshot' or 'rdb'"),
        ({"rdb": "no/dump"}, "cache.rdb"),
        ({"rdb": "a,b.rdb"}, "cache.rdb"),
        ({"nodes": 1}, "greater than or equal to 2"),
        ({"nodes": 7}, "less than or equal to 6"),
        ({"nodeType": "t4g.medium"}, "cache.nodeType"),
        ({"retentionDays": 40}, "less than or equal to 35"),
        ({"retentionDays": 0}, "greater than or equal to 1"),
        ({"nodeTypes": "cache.t4g.medium"}, "did you mean nodeType?"),
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, Any], words: str) -> None:
    assert words in refused({default("cache", key): text for key, text in changes.items()})
