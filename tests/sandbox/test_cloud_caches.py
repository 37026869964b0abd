"""Replication groups: each is a real Valkey server behind TLS that is made, changed, restored, lost and deleted."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import valkey
from botocore.exceptions import ClientError

from sandbox.cloud.emulations.cache_use import CacheUse
from tests.sandbox import traffic_world
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA, Site, World, wait

TOKEN = "token-of-the-cache-1"
OTHER = "token-of-the-cache-2"
WINDOWS = {"SnapshotWindow": "02:00-03:00", "PreferredMaintenanceWindow": "sun:06:00-sun:07:00"}


@dataclass
class Estate:
    """A region with a network, a key and what a cache needs."""

    world: World
    site: Site
    key: str

    def client(self) -> Any:
        return self.site.client("elasticache")

    def request(self, name: str, **more: Any) -> dict[str, Any]:
        """What a cache is made with; None takes an argument away."""
        wanted = {
            "ReplicationGroupId": name,
            "ReplicationGroupDescription": "cache",
            "Engine": "valkey",
            "EngineVersion": "8.1",
            "CacheNodeType": "cache.t4g.small",
            "NumCacheClusters": 2,
            "AutomaticFailoverEnabled": True,
            "MultiAZEnabled": True,
            "CacheSubnetGroupName": "caches",
            "SecurityGroupIds": [self.site.database_group],
            "TransitEncryptionEnabled": True,
            "AtRestEncryptionEnabled": True,
            "KmsKeyId": self.key,
            "AuthToken": TOKEN,
            "SnapshotRetentionLimit": 7,
            **WINDOWS,
            **more,
        }
        return {key: value for key, value in wanted.items() if value is not None}

    def create(self, name: str, **more: Any) -> dict[str, Any]:
        return dict(self.client().create_replication_group(**self.request(name, **more))["ReplicationGroup"])

    def describe(self, name: str) -> dict[str, Any]:
        return dict(self.client().describe_replication_groups(ReplicationGroupId=name)["ReplicationGroups"][0])

    def port(self, name: str) -> int:
        """The port of the cache once it is available."""
        wait(lambda: self.describe(name)["Status"] == "available", 30, f"{name} to be available")
        return int(self.describe(name)["NodeGroups"][0]["PrimaryEndpoint"]["Port"])

    def delete(self, name: str) -> None:
        self.client().delete_replication_group(ReplicationGroupId=name)
        wait(lambda: gone(self, name), 30, f"{name} to be gone")

    def snapshot(self, of: str, name: str) -> None:
        self.client().create_snapshot(ReplicationGroupId=of, SnapshotName=name)

        def done() -> bool:
            found = self.client().describe_snapshots(SnapshotName=name)["Snapshots"][0]
            return bool(found["SnapshotStatus"] == "available")

        wait(done, 30, f"{name} to be complete")

    @contextlib.contextmanager
    def session(self, port: int, token: str | None = TOKEN, tls: bool = True) -> Iterator[Any]:
        """A connection that verifies the server's certificate."""
        more = {"ssl_ca_data": self.world.control("GET", "authority")["pem"]} if tls else {}
        client = valkey.Valkey(
            host="127.0.0.1", port=port, password=token, ssl=tls, socket_timeout=5, decode_responses=True, **more
        )
        with contextlib.closing(client):
            yield client


def gone(estate: Estate, name: str) -> bool:
    try:
        estate.describe(name)
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "ReplicationGroupNotFoundFault")
    return False


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    with traffic_world.running() as world:
        site = Site(world, SOUTH_AFRICA)
        site.build_network()
        made = Estate(world, site, world.client("kms", SOUTH_AFRICA).create_key()["KeyMetadata"]["Arn"])
        made.client().create_cache_subnet_group(
            CacheSubnetGroupName="caches", CacheSubnetGroupDescription="caches", SubnetIds=site.private
        )
        made.client().create_cache_parameter_group(
            CacheParameterGroupName="lru", CacheParameterGroupFamily="valkey8", Description="lru"
        )
        yield made
        world.assert_sound()


def test_a_new_cache_answers_over_tls_to_whoever_has_the_token(estate: Estate) -> None:
    begun = estate.create("fresh")
    assert (begun["Status"], begun.get("NodeGroups", [])) == ("creating", [])
    port = estate.port("fresh")
    with estate.session(port) as client:
        assert client.set("key", "value")
        assert client.get("key") == "value"
    with pytest.raises(valkey.AuthenticationError), estate.session(port, token="another-token-at-all") as client:
        client.ping()
    with pytest.raises(valkey.AuthenticationError), estate.session(port, token=None) as client:
        client.get("key")
    with pytest.raises(valkey.ConnectionError), estate.session(port, tls=False) as client:
        client.ping()
    with pytest.raises(valkey.exceptions.NoPermissionError), estate.session(port) as client:
        client.config_set("maxmemory-policy", "noeviction")
    estate.delete("fresh")
    with pytest.raises(valkey.ConnectionError), estate.session(port) as client:
        client.ping()


def test_its_descriptions_say_what_was_asked_for(estate: Estate) -> None:
    estate.create("shown", CacheParameterGroupName="lru")
    estate.port("shown")
    found = estate.describe("shown")
    assert (found["AutomaticFailover"], found["MultiAZ"], found["AuthTokenEnabled"]) == ("enabled", "enabled", True)
    assert (found["AtRestEncryptionEnabled"], found["KmsKeyId"]) == (True, estate.key)
    assert (found["TransitEncryptionEnabled"], found["TransitEncryptionMode"]) == (True, "required")
    assert (found["SnapshotRetentionLimit"], found["SnapshotWindow"]) == (7, "02:00-03:00")
    nodes = found["NodeGroups"][0]["NodeGroupMembers"]
    assert [node["CurrentRole"] for node in nodes] == ["primary", "replica"]
    assert len({node["PreferredAvailabilityZone"] for node in nodes}) == 2
    (node,) = estate.client().describe_cache_clusters(CacheClusterId="shown-002")["CacheClusters"]
    assert node["CacheParameterGroup"]["CacheParameterGroupName"] == "lru"
    assert node["SecurityGroups"][0]["SecurityGroupId"] == estate.site.database_group
    assert node["PreferredMaintenanceWindow"] == "sun:06:00-sun:07:00"
    estate.delete("shown")


def test_a_parameter_of_the_group_reaches_the_server(estate: Estate) -> None:
    client = estate.client()
    with pytest.raises(ClientError, match="cannot be modified or does not exist"):
        client.modify_cache_parameter_group(
            CacheParameterGroupName="lru",
            ParameterNameValues=[{"ParameterName": "appendonly", "ParameterValue": "yes"}],
        )
    with pytest.raises(ClientError, match="is not allowed"):
        client.modify_cache_parameter_group(
            CacheParameterGroupName="lru", ParameterNameValues=[{"ParameterName": "timeout", "ParameterValue": "5"}]
        )
    estate.create("tuned", CacheParameterGroupName="lru")
    port = estate.port("tuned")
    client.modify_cache_parameter_group(
        CacheParameterGroupName="lru",
        ParameterNameValues=[{"ParameterName": "maxmemory-policy", "ParameterValue": "allkeys-lru"}],
    )
    with estate.session(port) as session:
        assert session.info("memory")["maxmemory_policy"] == "allkeys-lru"
    with pytest.raises(ClientError, match="InvalidCacheParameterGroupState"):
        client.delete_cache_parameter_group(CacheParameterGroupName="lru")
    with pytest.raises(ClientError, match="CacheSubnetGroupInUse"):
        client.delete_cache_subnet_group(CacheSubnetGroupName="caches")
    estate.delete("tuned")


def test_a_rotated_token_leaves_the_one_before_valid_until_it_is_set(estate: Estate) -> None:
    estate.create("rotated")
    port = estate.port("rotated")

    def modify(strategy: str) -> None:
        estate.client().modify_replication_group(
            ReplicationGroupId="rotated", AuthToken=OTHER, AuthTokenUpdateStrategy=strategy, ApplyImmediately=True
        )

    modify("ROTATE")
    for token in (TOKEN, OTHER):
        with estate.session(port, token=token) as client:
            assert client.ping()
    with pytest.raises(ClientError, match="AuthToken"):
        estate.client().modify_replication_group(
            ReplicationGroupId="rotated", AuthToken="with space and more", ApplyImmediately=True
        )
    modify("SET")
    with pytest.raises(valkey.AuthenticationError), estate.session(port, token=TOKEN) as client:
        client.ping()
    estate.delete("rotated")


def test_a_change_of_size_takes_its_time(estate: Estate) -> None:
    estate.create("resized")
    estate.port("resized")
    estate.client().modify_replication_group(
        ReplicationGroupId="resized", CacheNodeType="cache.t4g.medium", ApplyImmediately=True
    )
    during = estate.describe("resized")
    assert (during["Status"], during["CacheNodeType"]) == ("modifying", "cache.t4g.small")
    with pytest.raises(ClientError, match="InvalidReplicationGroupState"):
        estate.client().delete_replication_group(ReplicationGroupId="resized")
    estate.port("resized")
    assert estate.describe("resized")["CacheNodeType"] == "cache.t4g.medium"
    estate.client().increase_replica_count(ReplicationGroupId="resized", NewReplicaCount=2, ApplyImmediately=True)
    estate.port("resized")
    assert len(estate.describe("resized")["MemberClusters"]) == 3
    estate.delete("resized")


def test_a_snapshot_brings_its_data_into_a_new_cache(estate: Estate) -> None:
    estate.create("source")
    with estate.session(estate.port("source")) as client:
        client.set("kept", "yes")
    estate.snapshot("source", "evening")
    with estate.session(estate.port("source")) as client:
        client.set("later", "no")
    estate.delete("source")
    estate.create("restored", SnapshotName="evening")
    with estate.session(estate.port("restored")) as client:
        assert client.keys() == ["kept"]
    estate.delete("restored")
    with pytest.raises(ClientError, match="SnapshotNotFoundFault"):
        estate.create("restored", SnapshotName="morning")


def test_an_application_finds_the_cache_when_there_is_one_and_lives_without(estate: Estate) -> None:
    value: list[str | None] = [None]
    ways: list[str | None] = [None]
    use = CacheUse(lambda: value[0], lambda _host, _port: ways[0])
    assert use.state() == "none"  # the secret has no value yet
    value[0] = json.dumps({"host": "cache.invalid", "port": 6379, "token": TOKEN})
    assert use.state() == "none"
    estate.create("used")
    value[0] = json.dumps({"host": "127.0.0.1", "port": estate.port("used"), "token": TOKEN})
    assert use.state() == "connected"
    ways[0] = "timed out"
    assert use.state() == "timed out"
    ways[0] = None
    value[0] = json.dumps({"host": "127.0.0.1", "port": estate.port("used"), "token": OTHER})
    assert "AuthenticationError" in use.state()
    port = estate.port("used")
    estate.delete("used")
    value[0] = json.dumps({"host": "127.0.0.1", "port": port, "token": TOKEN})
    assert "ConnectionError" in use.state()


def grant(bucket: str, region: str, *actions: str) -> str:
    principal = {"Service": f"{region}.elasticache-snapshot.amazonaws.com"}
    where = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statement = {"Effect": "Allow", "Principal": principal, "Action": list(actions), "Resource": where}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


READ = ("s3:GetObject", "s3:ListBucket", "s3:GetBucketAcl")
WRITE = ("s3:PutObject", "s3:ListMultipartUploadParts")


def make_bucket(estate: Estate, name: str, region: str = SOUTH_AFRICA) -> Any:
    s3 = estate.world.client("s3", region)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
    return s3


def test_an_exported_file_brings_its_data_into_a_new_cache(estate: Estate) -> None:
    s3 = make_bucket(estate, "exports")
    s3.put_bucket_policy(Bucket="exports", Policy=grant("exports", SOUTH_AFRICA, *READ, *WRITE))
    estate.create("exported")
    with estate.session(estate.port("exported")) as client:
        client.set("carried", "over")
    estate.snapshot("exported", "to-export")
    estate.client().copy_snapshot(SourceSnapshotName="to-export", TargetSnapshotName="day-1", TargetBucket="exports")
    estate.create("imported", SnapshotArns=["arn:aws:s3:::exports/day-1-0001.rdb"])
    with estate.session(estate.port("imported")) as client:
        assert client.get("carried") == "over"
    estate.delete("imported")
    estate.delete("exported")


def test_a_file_that_is_no_rdb_makes_a_cache_that_failed(estate: Estate) -> None:
    s3 = make_bucket(estate, "broken")
    s3.put_bucket_policy(Bucket="broken", Policy=grant("broken", SOUTH_AFRICA, *READ))
    s3.put_object(Bucket="broken", Key="a.rdb", Body=b"this is no RDB file")
    estate.create("failing", SnapshotArns=["arn:aws:s3:::broken/a.rdb"])
    wait(lambda: estate.describe("failing")["Status"] == "create-failed", 30, "the failure")
    estate.delete("failing")


def test_a_file_is_read_from_the_own_region_and_with_permission_only(estate: Estate) -> None:
    s3 = make_bucket(estate, "closed")
    s3.put_object(Bucket="closed", Key="a.rdb", Body=b"content")
    far = make_bucket(estate, "far", KENYA)
    far.put_bucket_policy(Bucket="far", Policy=grant("far", SOUTH_AFRICA, *READ))
    for arn, why in (
        ("arn:aws:s3:::closed/a.rdb", "has not been granted the permissions"),
        ("arn:aws:s3:::far/a.rdb", "outside of the region"),
        ("arn:aws:s3:::nowhere/a.rdb", "does not exist"),
        ("closed/a.rdb", "Invalid S3 ARN"),
    ):
        with pytest.raises(ClientError, match=why):
            estate.create("never", SnapshotArns=[arn])
    s3.put_bucket_policy(Bucket="closed", Policy=grant("closed", KENYA, *READ))
    with pytest.raises(ClientError, match="has not been granted the permissions"):
        estate.create("never", SnapshotArns=["arn:aws:s3:::closed/a.rdb"])
    s3.put_bucket_policy(Bucket="closed", Policy=grant("closed", SOUTH_AFRICA, *READ))
    with pytest.raises(ClientError, match="Unable to fetch metadata"):
        estate.create("never", SnapshotArns=["arn:aws:s3:::closed/b.rdb"])


def test_a_lost_region_takes_its_cache_along_and_brings_it_back_with_its_data(estate: Estate) -> None:
    estate.create("lost")
    port = estate.port("lost")
    with estate.session(port) as client:
        client.set("before", "the loss")
    estate.world.control("POST", "cut", {"region": SOUTH_AFRICA})
    with pytest.raises(valkey.ConnectionError), estate.session(port) as client:
        client.ping()
    estate.world.control("POST", "restore", {"region": SOUTH_AFRICA})
    with estate.session(port) as client:
        assert client.get("before") == "the loss"
    estate.delete("lost")


REFUSALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "name too long": ({"ReplicationGroupId": "a" * 41}, "InvalidParameterValue", "1 to 40"),
    "name with two hyphens": ({"ReplicationGroupId": "a--b"}, "InvalidParameterValue", "1 to 40"),
    "unknown node type": ({"CacheNodeType": "cache.t9.huge"}, "InvalidParameterValue", "CacheNodeType"),
    "unknown version": ({"EngineVersion": "8.7"}, "InvalidParameterValue", "not offered"),
    "redis that AWS never had": ({"Engine": "redis", "EngineVersion": "7.4"}, "InvalidParameterValue", "not offered"),
    "one node": ({"NumCacheClusters": 1}, "InvalidParameterCombination", "at least two nodes"),
    "seven nodes": ({"NumCacheClusters": 7}, "InvalidParameterValue", "between 1 and 6"),
    "two zones without failover": ({"AutomaticFailoverEnabled": False}, "InvalidParameterCombination", "Multi-AZ"),
    "short token": ({"AuthToken": "short"}, "InvalidParameterValue", "AuthToken"),
    "token with an underscore": ({"AuthToken": "token_of_the_cache"}, "InvalidParameterValue", "AuthToken"),
    "TLS outside of a VPC": (
        {"CacheSubnetGroupName": None, "SecurityGroupIds": None},
        "InvalidParameterCombination",
        "CacheSubnetGroupName",
    ),
    "key without encryption": ({"AtRestEncryptionEnabled": False}, "InvalidParameterCombination", "KmsKeyId"),
    "another region's key": (
        {"KmsKeyId": f"arn:aws:kms:{KENYA}:123456789012:key/other"},
        "InvalidKMSKeyFault",
        "no enabled key",
    ),
    "no such subnet group": ({"CacheSubnetGroupName": "none"}, "CacheSubnetGroupNotFoundFault", "none"),
    "no such parameter group": ({"CacheParameterGroupName": "none"}, "CacheParameterGroupNotFound", "none"),
    "parameters of another engine": (
        {"CacheParameterGroupName": "lru", "EngineVersion": "7.2"},
        "InvalidParameterCombination",
        "valkey7",
    ),
    "no such security group": ({"SecurityGroupIds": ["sg-none"]}, "InvalidParameterValue", "security group"),
    "retention of 40 days": ({"SnapshotRetentionLimit": 40}, "InvalidParameterValue", "between 0 and 35"),
    "short window": ({"SnapshotWindow": "02:00-02:30"}, "InvalidParameterValue", "60 minutes"),
    "windows that overlap": ({"SnapshotWindow": "05:30-06:30"}, "InvalidParameterValue", "overlap"),
    "two sources": (
        {"SnapshotName": "a", "SnapshotArns": ["arn:aws:s3:::a/b"]},
        "InvalidParameterCombination",
        "together",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_elasticache_refuses(estate: Estate, case: str) -> None:
    changed, code, words = REFUSALS[case]
    with pytest.raises(ClientError, match=words) as refusal:
        estate.create("refused", **changed)
    assert refusal.value.response["Error"]["Code"] == code


def test_a_token_needs_tls(estate: Estate) -> None:
    with pytest.raises(ClientError, match="encryption in transit"):
        estate.create("refused", TransitEncryptionEnabled=False)
    with pytest.raises(ClientError, match="TransitEncryptionEnabled must be given"):
        estate.create("refused", TransitEncryptionEnabled=None)
