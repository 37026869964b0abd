"""The entrance exists completely in peace time; only the two rules above the forwarding ones change."""

import pytest

from components import crisis_page
from components.settings.crisis import PhoneLine
from tests.components.wiring import Stack

RULE = "aws:lb/listenerRule:ListenerRule"
LISTENER = "aws:lb/listener:Listener"
RECORD = "aws:route53/record:Record"
STANDBY = Stack(standby=True)
SERVING = Stack(standby=False)
KENYA = Stack(standby=False, short_name="kenya", region="eu-west-1", role="primary")
LINES = [PhoneLine(label="Befrienders Kenya", number="+254 722 178 177")]


@pytest.mark.parametrize("stack", [STANDBY, SERVING], ids=["standby", "serving"])
def test_forwarding_rules_exist_in_both_states(stack: Stack) -> None:
    recording = stack.recorded()
    forwarding = {
        rule.inputs["priority"]: (rule.inputs["conditions"][0]["pathPattern"]["values"], rule.inputs["actions"][0])
        for rule in recording.of(RULE)
        if rule.inputs["priority"] >= 100
    }
    assert forwarding == {
        100: (["/health"], {"type": "forward", "targetGroupArn": "arn:aws:load-balancer-crisis-detection"}),
        101: (["/crisis/*"], {"type": "forward", "targetGroupArn": "arn:aws:load-balancer-crisis-detection"}),
        102: (["/api/*"], {"type": "forward", "targetGroupArn": "arn:aws:load-balancer-api-gateway"}),
    }


def test_load_balancer_is_hardened() -> None:
    balancer = STANDBY.recorded().one("aws:lb/loadBalancer:LoadBalancer", "load-balancer").inputs
    assert balancer["enableDeletionProtection"] is True
    assert balancer["dropInvalidHeaderFields"] is True
    assert balancer["internal"] is False
    assert balancer["name"] == "mental-health-platform-sa-alb"


def test_listeners_speak_tls_or_redirect() -> None:
    recording = STANDBY.recorded()
    https = recording.one(LISTENER, "load-balancer-https").inputs
    assert https["port"] == 443
    assert https["sslPolicy"].startswith("ELBSecurityPolicy-TLS13")
    assert https["defaultActions"][0]["fixedResponse"]["statusCode"] == "404"
    http = recording.one(LISTENER, "load-balancer-http").inputs
    assert http["defaultActions"] == [
        {"type": "redirect", "redirect": {"port": "443", "protocol": "HTTPS", "statusCode": "HTTP_301"}}
    ]


def test_https_waits_for_the_issued_certificate() -> None:
    waits = STANDBY.recorded().waits_for("load-balancer-https")
    assert "load-balancer-certificate" in waits


def test_target_groups_notice_quickly() -> None:
    group = STANDBY.recorded().one("aws:lb/targetGroup:TargetGroup", "load-balancer-api-gateway").inputs
    assert group["targetType"] == "ip"
    assert group["name"] == "mhp-sa-api-gateway"
    assert group["deregistrationDelay"] == 30
    assert (group["healthCheck"]["interval"], group["healthCheck"]["healthyThreshold"]) == (10, 2)


def test_one_stack_owns_the_validation_record_and_leaves_it_behind() -> None:
    owned = [record for record in STANDBY.recorded().of(RECORD) if record.inputs["type"] == "CNAME"]
    assert [record.retain_on_delete for record in owned] == [True]
    # A stack that is built again finds the record that the one before left behind.
    assert [record.inputs.get("allowOverwrite") for record in owned] == [True]
    assert owned[0].inputs["records"] == ["_def.acm-validations.aws."]
    assert not [record for record in KENYA.recorded().of(RECORD) if record.inputs["type"] == "CNAME"]


def test_crisis_page_names_the_lines_and_escapes_the_text() -> None:
    page = crisis_page.short_page(LINES, "Help <now>")
    assert "Help &lt;now&gt;" in page
    assert 'href="tel:+254722178177"' in page
    assert "+254 722 178 177" in page
    assert len(page.encode()) <= 1024
    assert "Befrienders Kenya" in crisis_page.full_page(LINES, "Help")


def test_a_page_too_long_for_a_fixed_response_is_refused() -> None:
    with pytest.raises(ValueError, match="1024"):
        crisis_page.short_page(LINES, "ä" * 500)


def test_a_page_without_a_phone_line_is_refused() -> None:
    with pytest.raises(ValueError, match="phone line"):
        crisis_page.short_page([], "Help")
