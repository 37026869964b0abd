"""The public name's health checks as both stacks register them, and what they ask: the load balancers, the rule and the
object by which the standby says whether it took over."""

from __future__ import annotations

from typing import Any

from tests.components.program import Program
from tests.components.recording import Recording
from tests.sandbox.traffic_world import SOUTH_AFRICA, Site, World, fixed

CHECK = "aws:route53/healthCheck:HealthCheck"
RULE, MARKER = "aws:lb/listenerRule:ListenerRule", "aws:s3/bucketObjectv2:BucketObjectv2"
BALANCER = "load-balancer.elb.amazonaws.com"  # each stack's, as the mocks name it


class Witnesses:
    """What south-africa says of itself, in the words of the program that stands by, or of the one that serves."""

    def __init__(self, world: World, standby: Recording) -> None:
        self._site = Site(world, SOUTH_AFRICA)
        self._says = {True: standby, False: Program("south-africa", False).recorded()}
        self._rule = ""

    def build(self, zone: str) -> None:
        """A load balancer with the rule, the page bucket with the marker: not taken over."""
        self._site.build_network()
        self._site.build_balancer(zone)
        rule = self._says[True].one(RULE, "takeover-witness").inputs
        (path,) = rule["conditions"][0]["pathPattern"]["values"]
        self._rule = self._site.rule(int(rule["priority"]), self._answer(True), path=path)
        self._bucket()
        self.say_at_the_page(standby=True)

    @property
    def site(self) -> Site:
        """South-africa's network and load balancer."""
        return self._site

    def say_at_the_balancer(self, *, standby: bool) -> None:
        """Switch the rule's answer."""
        self._site.client("elbv2").modify_rule(RuleArn=self._rule, Actions=[self._answer(standby)])

    def say_at_the_page(self, *, standby: bool) -> None:
        """Write the marker."""
        marker = self._says[standby].one(MARKER, "takeover-marker").inputs
        self._site.client("s3").put_object(
            Bucket=marker["bucket"], Key=marker["key"], Body=marker["content"].encode(), ContentType="text/plain"
        )

    def _answer(self, standby: bool) -> dict[str, Any]:
        (action,) = self._says[standby].one(RULE, "takeover-witness").inputs["actions"]
        given = action["fixedResponse"]
        return fixed(int(given["statusCode"]), given["messageBody"])

    def _bucket(self) -> None:
        """The one that everybody may read, by the program's own policy."""
        s3, standby = self._site.client("s3"), self._says[True]
        name = standby.one("aws:s3/bucket:Bucket", "storage-page").inputs["bucket"]
        policy = standby.one("aws:s3/bucketPolicy:BucketPolicy", "storage-page").inputs["policy"]
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": SOUTH_AFRICA})
        s3.put_public_access_block(
            Bucket=name,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": False,
                "RestrictPublicBuckets": False,
            },
        )
        s3.put_bucket_policy(Bucket=name, Policy=policy.replace("arn:aws:storage-page", f"arn:aws:s3:::{name}"))


def put(route53: Any, stack: Recording, balancer: str, real: dict[str, str]) -> None:
    """A stack's checks; `balancer` is its load balancer's DNS name. What a calculated one is made of is in `real`."""
    checks = stack.of(CHECK)
    for check in sorted(checks, key=lambda check: check.inputs["type"] == "CALCULATED"):
        config = request(check.inputs, balancer, real)
        made = route53.create_health_check(CallerReference=check.name, HealthCheckConfig=config)
        real[f"{check.name}-id"] = str(made["HealthCheck"]["Id"])


def request(given: dict[str, Any], balancer: str, real: dict[str, str]) -> dict[str, Any]:
    """CreateHealthCheck's configuration for what the program registered."""
    if given["type"] == "CALCULATED":
        children = [real[child] for child in given["childHealthchecks"]]
        return {
            "Type": given["type"],
            "ChildHealthChecks": children,
            "HealthThreshold": int(given["childHealthThreshold"]),
        }
    return {
        "Type": given["type"],
        "FullyQualifiedDomainName": balancer if given["fqdn"] == BALANCER else given["fqdn"],
        "Port": int(given["port"]),
        "ResourcePath": given["resourcePath"],
        "SearchString": given["searchString"],
        "RequestInterval": int(given["requestInterval"]),
        "FailureThreshold": int(given["failureThreshold"]),
        "Inverted": given["invertHealthcheck"],
        "EnableSNI": given["enableSni"],
    }
