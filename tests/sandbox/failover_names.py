"""A failover name with its health checks, load balancers and page bucket, for the tests of DNS.

The arrangement is the platform's: the PRIMARY's check is calculated from "kenya answers" and two inverted checks of
"south-africa has taken over", one at its load balancer, one at its page bucket. The SECONDARY has no check.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.sandbox import traffic_world
from tests.sandbox.traffic_world import DOMAIN, KENYA, SOUTH_AFRICA, Site, World, fixed, wait

SPEED = 120.0  # a modelled minute is half a second
INTERVAL_SECONDS = 10  # modelled, between two requests of a check
PAGE_BUCKET, MARKER = "mental-health-platform-pages", "takeover.txt"
ALIVE, TAKEN_OVER, NOT_TAKEN_OVER = "crisis-ok", "taken-over: yes", "taken-over: no"


@dataclass
class Names:
    """Both load balancers, the page bucket, the checks and the failover records of the platform's name."""

    world: World
    zone: str
    kenya: Site
    south_africa: Site
    rules: dict[str, str]  # region -> the rule that the checks ask for
    checks: dict[str, str] = field(default_factory=dict)

    @property
    def route53(self) -> Any:
        return self.world.client("route53", "us-east-1")

    def say(self, region: str, body: str, status: int = 200) -> None:
        """What the load balancer of a region answers to its checker."""
        site = self.kenya if region == KENYA else self.south_africa
        site.client("elbv2").modify_rule(RuleArn=self.rules[region], Actions=[fixed(status, body)])

    def mark(self, body: str = TAKEN_OVER) -> None:
        self.world.client("s3", SOUTH_AFRICA).put_object(Bucket=PAGE_BUCKET, Key=MARKER, Body=body.encode())

    def unmark(self) -> None:
        self.world.client("s3", SOUTH_AFRICA).delete_object(Bucket=PAGE_BUCKET, Key=MARKER)

    def open_bucket(self, key: str = "*") -> None:
        """Let everyone read this key, and nothing else."""
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{PAGE_BUCKET}/{key}",
        }
        s3 = self.world.client("s3", SOUTH_AFRICA)
        s3.delete_public_access_block(Bucket=PAGE_BUCKET)
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        s3.put_bucket_policy(Bucket=PAGE_BUCKET, Policy=json.dumps(policy))

    def close_bucket(self) -> None:
        self.world.client("s3", SOUTH_AFRICA).delete_bucket_policy(Bucket=PAGE_BUCKET)

    def check(self, name: str, **config: Any) -> str:
        made = self.route53.create_health_check(CallerReference=name, HealthCheckConfig=config)
        self.checks[name] = str(made["HealthCheck"]["Id"])
        return self.checks[name]

    def string_check(
        self, name: str, host: str, path: str, string: str, *, inverted: bool = False, threshold: int = 3
    ) -> str:
        return self.check(
            name,
            Type="HTTPS_STR_MATCH",
            FullyQualifiedDomainName=host,
            ResourcePath=path,
            Port=443,
            SearchString=string,
            RequestInterval=INTERVAL_SECONDS,
            FailureThreshold=threshold,
            Inverted=inverted,
        )

    def calculated(self, name: str, children: list[str], threshold: int) -> str:
        return self.check(name, Type="CALCULATED", ChildHealthChecks=children, HealthThreshold=threshold)

    def record(self, name: str, role: str, site: Site, check: str | None = None, evaluate: bool = False) -> None:
        record = failover(name, role, site, check, evaluate)
        self.change("UPSERT", record)

    def change(self, action: str, record: dict[str, Any]) -> dict[str, Any]:
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
        answer = self.route53.change_resource_record_sets(HostedZoneId=self.zone, ChangeBatch=batch)
        return dict(answer["ChangeInfo"])

    def state(self, name: str) -> dict[str, Any]:
        """One check as the control call tells it."""
        found = self.world.control("GET", "health-checks")
        return next(dict(entry) for entry in found if entry["id"] == self.checks[name])

    def healthy(self, name: str) -> bool:
        return bool(self.state(name)["healthy"])

    def becomes(self, name: str, healthy: bool) -> None:
        wait(lambda: self.healthy(name) is healthy, what=f"{name} healthy={healthy}", tell=lambda: self.state(name))

    def leads_to(self, name: str = DOMAIN) -> str:
        return str(self.world.control("GET", f"resolve?name={name}")["record"])

    def expect(self, record: str, name: str = DOMAIN) -> None:
        wait(lambda: self.leads_to(name) == record, what=f"{name} -> {record}", tell=lambda: self.overview())

    def stays(self, record: str, minutes: float = 3) -> None:
        end = self.world.clock.epoch() + minutes * 60
        while self.world.clock.epoch() < end:
            assert self.leads_to() == record, self.overview()
            time.sleep(0.05)

    def overview(self) -> str:
        return json.dumps(self.world.control("GET", "health-checks"), indent=1)

    def cut(self, region: str) -> None:
        self.world.control("POST", "cut", {"region": region})

    def bring_back(self, region: str) -> None:
        self.world.control("POST", "restore", {"region": region})


def failover(name: str, role: str, site: Site, check: str | None = None, evaluate: bool = False) -> dict[str, Any]:
    alias = {
        "HostedZoneId": site.alb["CanonicalHostedZoneId"],
        "DNSName": site.alb["DNSName"],
        "EvaluateTargetHealth": evaluate,
    }
    record = {"Name": name, "Type": "A", "SetIdentifier": role.lower(), "Failover": role, "AliasTarget": alias}
    return record | ({"HealthCheckId": check} if check else {})


@contextlib.contextmanager
def running_names() -> Iterator[Names]:
    """A fresh cloud with the arrangement in it: kenya answers, nobody has taken over."""
    with traffic_world.running(SPEED) as world:
        zone = traffic_world.hosted_zone(world)
        sites = {region: Site(world, region) for region in (KENYA, SOUTH_AFRICA)}
        rules = {}
        for region, path in ((KENYA, "/health"), (SOUTH_AFRICA, "/takeover")):
            sites[region].build_network()
            sites[region].build_balancer(zone)
            rules[region] = sites[region].rule(1, fixed(200, "starting"), path=path)
            sites[region].rule(2, fixed(200, f"page of {region}"))
        world.client("s3", SOUTH_AFRICA).create_bucket(
            Bucket=PAGE_BUCKET, CreateBucketConfiguration={"LocationConstraint": SOUTH_AFRICA}
        )
        names = Names(world, zone, sites[KENYA], sites[SOUTH_AFRICA], rules)
        names.say(KENYA, ALIVE)
        names.say(SOUTH_AFRICA, NOT_TAKEN_OVER)
        names.open_bucket()
        south_africa, page = names.south_africa.alb["DNSName"], f"{PAGE_BUCKET}.s3.{SOUTH_AFRICA}.amazonaws.com"
        children = [
            names.string_check("kenya", names.kenya.alb["DNSName"], "/health", ALIVE),
            names.string_check("alb-witness", south_africa, "/takeover", TAKEN_OVER, inverted=True),
            names.string_check("page-witness", page, f"/{MARKER}", TAKEN_OVER, inverted=True),
        ]
        names.record(DOMAIN, "PRIMARY", names.kenya, names.calculated("primary", children, 3))
        names.record(DOMAIN, "SECONDARY", names.south_africa)
        yield names
        world.assert_sound()
