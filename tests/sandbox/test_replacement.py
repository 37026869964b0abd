"""What the provider replaces: its table, and as witnesses the pages, the plugin's source and AWS's own schemas."""

from __future__ import annotations

from typing import Any, Final

import pytest

from sandbox.provider.tables import TABLE
from tests.components.provider_pages import PAGES
from tests.components.provider_schemas import SCHEMAS
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
_NEW_ID: Final = (
    "the plugin changes it in place, after which the id is another one; the engine's protocol cannot say that"
)
# Where the table and the schema in the plugin's source differ.
PLUGIN_REASONS: Final = {
    ("aws:ec2/routeTableAssociation:RouteTableAssociation", "routeTableId"): _NEW_ID,
    (
        "aws:rds/instance:Instance",
        "identifier",
    ): "since version 5 the plugin renames; the version that was read did not",
    ("aws:route53/record:Record", "setIdentifier"): _NEW_ID,
    ("aws:route53/record:Record", "type"): _NEW_ID,
}


def test_every_disagreement_with_cloudformation_has_a_reason() -> None:
    differing = {(token, name) for token, names in DISAGREEMENTS.items() for name in names}
    assert differing == set(REASONS)


def test_every_type_has_a_page() -> None:
    assert PAGES.keys() == TABLE.keys()


@pytest.mark.parametrize("token", sorted(PAGES))
def test_the_table_replaces_what_the_page_says(token: str) -> None:
    said, replaced = set(PAGES[token].forces_new.split()), _replaced(token)
    assert said <= replaced
    schema = SCHEMAS.get(token)
    witnessed = said | set(schema.forces_new.split() if schema else ())
    for name in replaced - witnessed:
        agreed = name.lower() in _create_only(token)
        known = REASONS.keys() | PLUGIN_REASONS.keys()
        assert agreed or (token, name) in known, f"{name}: no witness says that"


def test_every_disagreement_with_the_plugins_source_has_a_reason() -> None:
    differing = {
        (token, name) for token, schema in SCHEMAS.items() for name in _replaced(token) ^ set(schema.forces_new.split())
    }
    assert differing == set(PLUGIN_REASONS)


def _replaced(token: str) -> set[str]:
    """Those of the program's arguments whose change makes a new resource, says the table."""
    return {field.name for field in TABLE[token].inputs if field.replace} & set(PAGES[token].arguments.split())


def _create_only(token: str) -> set[str]:
    """CloudFormation's names of create-only properties and the table's for them, in small letters."""
    schema: dict[str, Any] = _schema(token) or {}
    marked = {path.rsplit("/", 1)[-1].lower() for path in schema.get("createOnlyProperties", [])}
    spelt = {field.name.lower() for field in TABLE[token].inputs if field.aws.rpartition(".")[2].lower() in marked}
    return marked | spelt
