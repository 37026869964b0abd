"""How certificates, records, load balancers and their parts differ behind the provider's back."""

from __future__ import annotations

from typing import Any, Final

from tests.sandbox.drift import Case, Drifts, Stage
from tests.sandbox.provider_lab import ZONE

DRIFTS: Final = Drifts()
SAYS: Final = {"contentType": "text/plain", "messageBody": "Gone", "statusCode": "410"}
LEADS: Final = {
    "statusCode": "HTTP_301",
    "port": "443",
    "protocol": "HTTPS",
    "host": "a.example.org",
    "path": "/a",
    "query": "a=1",
}
LEADS_ELSEWHERE: Final = {
    "statusCode": "HTTP_302",
    "port": "8443",
    "protocol": "HTTP",
    "host": "b.example.org",
    "path": "/b",
    "query": "b=2",
}


@DRIFTS.of("aws:acm/certificate:Certificate")
def _certificate(stage: Stage) -> list[Case]:
    other = {"domainName": f"{stage.lab.name('www')}.{ZONE}"}
    return [Case(alone=other, recorded={"validationMethod": "EMAIL"})]


@DRIFTS.of("aws:acm/certificateValidation:CertificateValidation")
def _validation(stage: Stage) -> list[Case]:
    return [Case(together=(dict(stage.again),))]


@DRIFTS.of("aws:route53/record:Record")
def _record(stage: Stage) -> list[Case]:
    lab, spare = stage.lab, stage.spare
    zone = lab.aws("route53").create_hosted_zone(Name="other.org", CallerReference="drift")["HostedZone"]["Id"]
    balancers = [
        lab.aws("elbv2").describe_load_balancers(LoadBalancerArns=[arn]) for arn in (lab.balancer, spare.balancer)
    ]
    one, two = (answer["LoadBalancers"][0] for answer in balancers)
    alias = {"name": one["DNSName"], "zoneId": one["CanonicalHostedZoneId"], "evaluateTargetHealth": False}
    return [
        Case(
            base={"healthCheckId": spare.health_checks[0]},
            alone={
                "name": f"{lab.name('record')}.{ZONE}",
                "healthCheckId": spare.health_checks[1],
                "failoverRoutingPolicies.type": "PRIMARY",
            },
            together=(
                {"zoneId": zone.rpartition("/")[2], "name": f"{lab.name('record')}.other.org"},
                {"type": "CNAME", "records": ["x.example.org"], "name": f"{lab.name('record')}.{ZONE}"},
                {"setIdentifier": "second", "failoverRoutingPolicies.type": "PRIMARY"},
            ),
        ),
        Case(
            base={"name": f"{lab.name('record')}.{ZONE}", "ttl": None, "records": None, "aliases": [alias]},
            alone={"aliases.name": two["DNSName"], "aliases.evaluateTargetHealth": True},
            recorded={"aliases.zoneId": "Z1H1FL5HABSF5"},  # a load balancer's name lies in one zone
        ),
    ]


@DRIFTS.of("aws:route53/healthCheck:HealthCheck")
def _health_check(stage: Stage) -> list[Case]:
    calculated = {
        "type": "CALCULATED",
        "childHealthThreshold": 1,
        "childHealthchecks": stage.spare.health_checks,
        **dict.fromkeys(("fqdn", "port", "resourcePath", "searchString", "requestInterval", "failureThreshold")),
        "enableSni": None,
    }
    return [
        Case(
            base={"disabled": False},
            alone={
                "type": "HTTP_STR_MATCH",
                "fqdn": "two.example.org",
                "resourcePath": "/well",
                "requestInterval": 30,
                "disabled": True,
            },
        ),
        Case(base=calculated, alone={"childHealthThreshold": 2, "childHealthchecks": stage.spare.health_checks[:1]}),
    ]


@DRIFTS.of("aws:lb/loadBalancer:LoadBalancer")
def _balancer(stage: Stage) -> list[Case]:
    return [
        Case(
            alone={
                "subnets": [*stage.lab.subnets, stage.spare.third_subnet],
                "accessLogs.bucket": stage.spare.log_bucket,
                "accessLogs.enabled": False,
            },
            recorded={
                "loadBalancerType": "network",  # which has other attributes
                "accessLogs.prefix": "other",  # which the bucket would not admit
            },
        )
    ]


@DRIFTS.of("aws:lb/targetGroup:TargetGroup")
def _target_group(stage: Stage) -> list[Case]:
    return [
        Case(
            alone={
                "port": 9090,
                "protocol": "HTTPS",
                "vpcId": stage.spare.vpc,
                "targetType": "instance",
                "healthCheck.protocol": "HTTPS",
                "healthCheck.port": "8081",
                "healthCheck.path": "/well",
                "healthCheck.matcher": "200-299",
            },
            recorded={"healthCheck.enabled": False},  # targets by address are always checked
        )
    ]


def _actions(name: str, targets: list[str]) -> tuple[dict[str, Any], list[tuple[dict[str, Any], dict[str, Any]]]]:
    """What becomes of a fixed response, and what a forward and a redirect begin with and become."""
    fixed = {
        **{f"{name}.fixedResponse.{part}": value for part, value in SAYS.items()},
        f"{name}.order": 2,
        name: [{"type": "redirect", "order": 1, "redirect": LEADS}],
    }
    fixed[f"{name}.fixedResponse.contentType"] = "application/json"
    forward = ({name: [{"type": "forward", "targetGroupArn": targets[0]}]}, {f"{name}.targetGroupArn": targets[1]})
    redirect = (
        {name: [{"type": "redirect", "redirect": LEADS}]},
        {f"{name}.redirect.{part}": value for part, value in LEADS_ELSEWHERE.items()},
    )
    return fixed, [forward, redirect]


@DRIFTS.of("aws:lb/listener:Listener")
def _listener(stage: Stage) -> list[Case]:
    fixed, others = _actions("defaultActions", [stage.lab.target_group() for _ in range(2)])
    more = [Case(base={"port": 8443 + number, **base}, alone=changes) for number, (base, changes) in enumerate(others)]
    plain = {"protocol": "HTTP", "sslPolicy": None, "certificateArn": None}
    first = Case(
        base={"defaultActions.order": 1},
        alone={
            **fixed,
            "loadBalancerArn": stage.spare.balancer,
            "sslPolicy": "ELBSecurityPolicy-2016-08",
            "certificateArn": stage.again["certificateArn"],
        },
        together=(plain,),
    )
    return [first, *more]


@DRIFTS.of("aws:lb/listenerRule:ListenerRule")
def _rule(stage: Stage) -> list[Case]:
    lab = stage.lab
    fixed, others = _actions("actions", [lab.target_group() for _ in range(2)])
    more = [
        Case(base={"priority": 30 + number, **base}, alone=changes) for number, (base, changes) in enumerate(others)
    ]
    actions = [{"type": "fixed-response", "fixedResponse": SAYS}]
    elsewhere = lab.make(
        "aws:lb/listener:Listener", loadBalancerArn=lab.balancer, port=81, protocol="HTTP", defaultActions=actions
    ).id
    conditions = [{"pathPattern": {"values": ["/*"]}}, {"hostHeader": {"values": ["a.example.org"]}}]
    changes = {
        "listenerArn": elsewhere,
        "conditions.pathPattern.values": ["/other"],
        "conditions.hostHeader.values": ["b.example.org"],
    }
    return [Case(base={"actions.order": 1, "conditions": conditions}, alone={**fixed, **changes}), *more]
