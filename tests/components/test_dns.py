"""Failover records and checks; nothing global may depend on the flag."""

import pytest

from tests.components.wiring import Stack

CHECK = "aws:route53/healthCheck:HealthCheck"
RECORD = "aws:route53/record:Record"
SECONDARY = Stack(standby=True)
PRIMARY = Stack(standby=False, short_name="kenya", region="eu-west-1", role="primary")

# Written through us-east-1, whatever the region of the thing itself.
GLOBAL = (
    "aws:iam/",
    "aws:route53/",
    "aws:s3/bucket:",
    "aws:s3/bucketLifecycleConfiguration:",
    "aws:s3/bucketOwnershipControls:",
    "aws:s3/bucketPolicy:",
    "aws:s3/bucketPublicAccessBlock:",
    "aws:s3/bucketReplicationConfig:",
    "aws:s3/bucketServerSideEncryptionConfiguration:",
    "aws:s3/bucketVersioning:",
)


@pytest.mark.parametrize("role", ["primary", "secondary"])
def test_nothing_global_changes_with_the_flag(role: str) -> None:
    def global_inputs(standby: bool) -> dict[tuple[str, str], object]:
        stack = Stack(standby=standby, role="primary" if role == "primary" else "secondary")
        return {item.key: item.inputs for item in stack.recorded() if item.typ.startswith(GLOBAL)}

    standby, serving = global_inputs(True), global_inputs(False)
    assert standby == serving
    assert len(standby) > 20


def test_primary_serves_only_while_it_answers_and_nobody_took_over() -> None:
    recording = PRIMARY.recorded()
    answer = recording.one(CHECK, "dns-answers").inputs
    assert answer["fqdn"] == "load-balancer.elb.amazonaws.com"
    assert answer["resourcePath"] == "/health"
    assert answer["searchString"] == '"status": "ok"'
    assert answer["invertHealthcheck"] is False
    combined = recording.one(CHECK, "dns-serves").inputs
    assert combined["type"] == "CALCULATED"
    assert combined["childHealthchecks"] == ["dns-answers-id", "witness-1", "witness-2"]
    assert combined["childHealthThreshold"] == 3
    record = recording.one(RECORD, "dns-primary").inputs
    assert record["failoverRoutingPolicies"] == [{"type": "PRIMARY"}]
    assert record["healthCheckId"] == "dns-serves-id"


def test_secondary_is_never_unhealthy() -> None:
    record = SECONDARY.recorded().one(RECORD, "dns-secondary").inputs
    assert record["failoverRoutingPolicies"] == [{"type": "SECONDARY"}]
    assert "healthCheckId" not in record
    assert record["setIdentifier"] == "sa"


@pytest.mark.parametrize(("stack", "name"), [(PRIMARY, "dns-primary"), (SECONDARY, "dns-secondary")])
def test_targets_health_is_left_out_of_the_decision(stack: Stack, name: str) -> None:
    record = stack.recorded().one(RECORD, name).inputs
    assert record["aliases"] == [
        {"name": "load-balancer.elb.amazonaws.com", "zoneId": "ZELB", "evaluateTargetHealth": False}
    ]
    assert record["name"] == "platform.example.org"


def test_two_inverted_witnesses_each_enough() -> None:
    recording = SECONDARY.recorded()
    checks = {check.name: check.inputs for check in recording.of(CHECK)}
    assert set(checks) == {"dns-witness-alb", "dns-witness-page"}
    assert checks["dns-witness-alb"]["resourcePath"] == "/.well-known/dr/taken-over"
    assert checks["dns-witness-page"]["resourcePath"] == "/taken-over"
    assert checks["dns-witness-page"]["fqdn"] == "mental-health-platform-sa-page.s3.af-south-1.amazonaws.com"
    for check in checks.values():
        assert check["type"] == "HTTPS_STR_MATCH"
        assert check["searchString"] == "taken-over: yes"
        assert check["invertHealthcheck"] is True
        assert check["enableSni"] is True
        assert (check["requestInterval"], check["failureThreshold"]) == (10, 3)
