"""What the cache types of the provider are tried with: one function for each type."""

from __future__ import annotations

from typing import Final

from tests.sandbox.provider_lab import Lab, Trial, Trials

TRIALS: Final = Trials()


@TRIALS.of("aws:elasticache/replicationGroup:ReplicationGroup")
def _replication_group(lab: Lab) -> Trial:
    subnets = lab.make("aws:elasticache/subnetGroup:SubnetGroup", name=lab.name("subnets"), subnetIds=lab.subnets).id
    group = lab.make("aws:elasticache/parameterGroup:ParameterGroup", name=lab.name("lru"), family="valkey8").id
    given = {
        "replicationGroupId": lab.name("cache"),
        "description": "one",
        "engine": "valkey",
        "engineVersion": "8.0",
        "nodeType": "cache.t4g.small",
        "numCacheClusters": 2,
        "automaticFailoverEnabled": True,
        "multiAzEnabled": True,
        "parameterGroupName": group,
        "subnetGroupName": subnets,
        "securityGroupIds": [lab.security_group()],
        "port": 6379,
        "atRestEncryptionEnabled": True,
        "kmsKeyId": lab.key,
        "transitEncryptionEnabled": True,
        "transitEncryptionMode": "required",
        "authToken": "token-of-the-cache-1",
        "authTokenUpdateStrategy": "ROTATE",
        "autoMinorVersionUpgrade": False,
        "maintenanceWindow": "sun:06:00-sun:07:00",
        "snapshotWindow": "02:00-03:00",
        "snapshotRetentionLimit": 7,
        "applyImmediately": True,
        "tags": {"Name": "one"},
    }
    changed = {
        "description": "two",
        "engineVersion": "8.1",
        "nodeType": "cache.t4g.medium",
        "numCacheClusters": 3,
        "securityGroupIds": [lab.security_group()],
        "authToken": "token-of-the-cache-2",
        "maintenanceWindow": "sun:08:00-sun:09:00",
        "snapshotWindow": "03:00-04:00",
        "snapshotRetentionLimit": 14,
        "tags": {"Name": "two"},
    }
    anew = {
        "replicationGroupId": "another",
        "subnetGroupName": "another",
        "kmsKeyId": "arn:aws:kms:other",
        "atRestEncryptionEnabled": False,
        "snapshotName": "a-snapshot",
        "snapshotArns": ["arn:aws:s3:::bucket/a.rdb"],
    }
    return Trial(given, changed, anew)


@TRIALS.of("aws:elasticache/subnetGroup:SubnetGroup")
def _subnet_group(lab: Lab) -> Trial:
    given = {"name": lab.name("subnets"), "description": "one", "subnetIds": lab.subnets, "tags": {"Name": "one"}}
    changed = {"description": "two", "subnetIds": [lab.subnet(41), *lab.subnets], "tags": {"Name": "two"}}
    return Trial(given, changed, {"name": "another"})


@TRIALS.of("aws:elasticache/parameterGroup:ParameterGroup")
def _parameter_group(lab: Lab) -> Trial:
    given = {
        "name": lab.name("lru"),
        "family": "valkey8",
        "description": "one",
        "parameters": [{"name": "maxmemory-policy", "value": "allkeys-lru"}],
        "tags": {"Name": "one"},
    }
    changed = {"parameters": [{"name": "timeout", "value": "300"}], "tags": {"Name": "two"}}
    return Trial(given, changed, {"family": "valkey7", "description": "two"})
