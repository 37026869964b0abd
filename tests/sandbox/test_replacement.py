"""What the provider replaces: its table, the provider's pages and AWS's schemas as witnesses, and why they differ."""

from __future__ import annotations

from typing import Any, Final

import pytest

from sandbox.provider.tables import TABLE
from tests.components.provider_pages import PAGES
from tests.sandbox.test_provider_tables import DISAGREEMENTS, _schema

_OWN_CALL: Final = "AWS has a call that changes it, and the plugin makes it"
_NO_CALL: Final = "no call of ElastiCache changes it; CloudFormation names groups itself"
_REFUSES: Final = "CloudFormation refuses the change instead of replacing"
_NAME: Final = "the name is the record's identity in AWS; CloudFormation deletes and creates under one logical name"
_RULE: Final = "a rule of its own to the plugin, changed by ModifySecurityGroupRules; CloudFormation knows permissions"
# Where the table and CloudFormation's createOnlyProperties differ (DISAGREEMENTS), by input.
REASONS: Final = {
    (
        "aws:acm/certificate:Certificate",
        "validationMethod",
    ): "a request states it once; RequestCertificate alone takes it",
    ("aws:ec2/eip:Eip", "domain"): "AllocateAddress alone takes it",
    ("aws:ecs/service:Service", "launchType"): "CloudFormation marks it conditionally",
    ("aws:ecs/service:Service", "name"): "CloudFormation calls it ServiceName and marks that one",
    ("aws:elasticache/parameterGroup:ParameterGroup", "description"): _NO_CALL,
    ("aws:elasticache/parameterGroup:ParameterGroup", "name"): _NO_CALL,
    ("aws:kms/key:Key", "keyUsage"): _REFUSES,
    ("aws:kms/key:Key", "multiRegion"): _REFUSES,
    ("aws:rds/instance:Instance", "availabilityZone"): "CloudFormation marks it conditionally",
    ("aws:rds/instance:Instance", "dbSubnetGroupName"): _OWN_CALL,
    (
        "aws:rds/instance:Instance",
        "engine",
    ): "another engine is another database; CloudFormation marks it conditionally",
    ("aws:rds/instance:Instance", "identifier"): f"{_OWN_CALL} (a new name)",
    ("aws:route53/record:Record", "name"): _NAME,
    ("aws:route53/record:Record", "setIdentifier"): _NAME,
    ("aws:route53/record:Record", "type"): _NAME,
    ("aws:scheduler/schedule:Schedule", "groupName"): "name and group together are the schedule's identity",
    ("aws:servicediscovery/httpNamespace:HttpNamespace", "description"): "CloudFormation calls UpdateHttpNamespace",
    ("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "fromPort"): _RULE,
    ("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "ipProtocol"): _RULE,
    ("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "toPort"): _RULE,
    ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "fromPort"): _RULE,
    ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "ipProtocol"): _RULE,
    ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "toPort"): _RULE,
}
# Replaced by the table although neither a page that was read nor CloudFormation says so.
UNSAID: Final = {
    ("aws:rds/instance:Instance", "snapshotIdentifier"): "CloudFormation's DBSnapshotIdentifier, marked conditionally",
    ("aws:route53/record:Record", "zoneId"): "CloudFormation's HostedZoneId, marked",
    ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "bucket"): "the block belongs to one bucket",
}


def test_every_disagreement_with_cloudformation_has_a_reason() -> None:
    differing = {(token, name) for token, names in DISAGREEMENTS.items() for name in names}
    assert differing == set(REASONS)


@pytest.mark.parametrize("token", sorted(PAGES.keys() & TABLE.keys()))
def test_the_table_replaces_what_the_page_says(token: str) -> None:
    page = PAGES[token]
    if page.forces_new is None:
        return  # not read: test_provider_tables.py holds the table against CloudFormation
    said = set(page.forces_new.split())
    replaced = {field.name for field in TABLE[token].inputs if field.replace}
    assert said <= replaced
    for name in (replaced - said) & set(page.arguments.split()):
        agreed = name.lower() in _create_only(token)
        assert agreed or (token, name) in REASONS.keys() | UNSAID.keys(), f"{name}: neither witness says that"


def _create_only(token: str) -> set[str]:
    """CloudFormation's names of create-only properties and the table's for them, in small letters."""
    schema: dict[str, Any] = _schema(token) or {}
    marked = {path.rsplit("/", 1)[-1].lower() for path in schema.get("createOnlyProperties", [])}
    spelt = {field.name.lower() for field in TABLE[token].inputs if field.aws.rpartition(".")[2].lower() in marked}
    return marked | spelt
