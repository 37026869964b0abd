"""Failover by data plane: records follow health checks, which ask real load balancers and a real bucket.

The arrangement is the platform's: the PRIMARY's check is calculated from "kenya answers" and two inverted checks of
"south-africa has taken over", one at its load balancer, one at its page bucket. The SECONDARY has no check.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.public import PublicClient, Unreachable
from tests.sandbox import traffic_world
from tests.sandbox.traffic_world import DOMAIN, KENYA, SOUTH_AFRICA, Site, World, fixed, wait

SPEED = 120.0  # a modelled minute is half a second
PAGE_BUCKET, MARKER = "mental-health-platform-pages", "takeover.txt"
ALIVE, TAKEN_OVER, NOT_TAKEN_OVER = "crisis-ok", "taken-over: yes", "taken-over: no"
CHECK_LIMIT_MINUTES = 1.0


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

    def open_bucket(self, opened: bool = True) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{PAGE_BUCKET}/*",
        }
        s3 = self.world.client("s3", SOUTH_AFRICA)
        s3.delete_public_access_block(Bucket=PAGE_BUCKET)
        if opened:
            policy = {"Version": "2012-10-17", "Statement": [statement]}
            s3.put_bucket_policy(Bucket=PAGE_BUCKET, Policy=json.dumps(policy))
        else:
            s3.delete_bucket_policy(Bucket=PAGE_BUCKET)

    def check(self, name: str, **config: Any) -> str:
        made = self.route53.create_health_check(CallerReference=name, HealthCheckConfig=config)
        self.checks[name] = str(made["HealthCheck"]["Id"])
        return self.checks[name]

    def string_check(self, name: str, host: str, path: str, string: str, *, inverted: bool = False) -> str:
        return self.check(
            name,
            Type="HTTPS_STR_MATCH",
            FullyQualifiedDomainName=host,
            ResourcePath=path,
            Port=443,
            SearchString=string,
            RequestInterval=10,
            FailureThreshold=3,
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


@pytest.fixture(scope="module")
def started() -> Iterator[Names]:
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


@pytest.fixture
def names(started: Names) -> Names:
    """Peace: kenya answers, nobody has taken over."""
    for region in (KENYA, SOUTH_AFRICA):
        started.bring_back(region)
    started.say(KENYA, ALIVE)
    started.say(SOUTH_AFRICA, NOT_TAKEN_OVER)
    started.open_bucket()
    started.unmark()
    for name in ("kenya", "alb-witness", "page-witness"):
        started.becomes(name, True)
    started.expect("primary")
    return started


def test_in_peace_the_name_leads_to_kenya(names: Names) -> None:
    answer = names.world.control("GET", f"resolve?name={DOMAIN}")
    assert (answer["record"], answer["region"], answer["target"]) == ("primary", KENYA, names.kenya.alb["DNSName"])
    assert 0 < answer["ttl"] <= 300
    assert PublicClient(names.world.url, names.world.clock).get("/x") == (200, f"page of {KENYA}", KENYA)


def test_a_lost_primary_region_moves_the_name_within_a_minute(names: Names) -> None:
    names.cut(KENYA)
    names.expect("secondary")
    wait(lambda: last(names, "dns.changed")["record"] == "secondary", what="the event")
    lost, moved = moment(last(names, "region.cut")), last(names, "dns.changed")
    assert (moved["before"], moved["region"]) == ("primary", SOUTH_AFRICA)
    assert 0 < (moment(moved) - lost) / 60 <= CHECK_LIMIT_MINUTES


def last(names: Names, kind: str) -> dict[str, Any]:
    return names.world.events(kind)[-1]


def moment(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["modelled"]).timestamp()


def test_an_error_of_the_primary_moves_the_name_and_its_recovery_moves_it_back(names: Names) -> None:
    names.say(KENYA, ALIVE, status=503)
    names.expect("secondary")
    assert names.state("kenya")["status"] == "Failure: HTTP Status Code 503."
    names.say(KENYA, ALIVE)
    names.expect("primary")


def test_an_answer_without_the_string_is_none(names: Names) -> None:
    names.say(KENYA, "some other page", status=200)
    names.becomes("kenya", False)
    assert "did not contain the search string" in names.state("kenya")["status"]
    names.expect("secondary")


def test_a_short_failure_moves_nothing(names: Names) -> None:
    """Three checks in a row, ten seconds apart: one that fails alone is forgotten."""
    names.say(KENYA, "hiccup", status=500)
    wait(lambda: "500" in names.state("kenya")["status"], what="a failed check")
    names.say(KENYA, ALIVE)
    names.stays("primary", minutes=1.5)


@pytest.mark.parametrize("witness", ["alb", "page"])
def test_either_witness_of_a_takeover_moves_the_name(names: Names, witness: str) -> None:
    if witness == "alb":
        names.say(SOUTH_AFRICA, TAKEN_OVER)
    else:
        names.mark()
    names.expect("secondary")
    assert names.healthy("kenya"), "kenya answers as before"
    assert not names.healthy(f"{witness}-witness")


def test_a_marker_that_says_no_is_no_witness(names: Names) -> None:
    names.mark(NOT_TAKEN_OVER)
    names.stays("primary", minutes=1.5)


def test_the_page_bucket_speaks_only_if_policy_and_access_block_let_it(names: Names) -> None:
    names.mark()
    names.expect("secondary")
    names.open_bucket(False)
    names.expect("primary")
    assert names.state("page-witness")["status"] == "Failure: HTTP Status Code 403."
    names.open_bucket()
    names.expect("secondary")
    names.world.client("s3", SOUTH_AFRICA).put_public_access_block(
        Bucket=PAGE_BUCKET, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True}
    )
    names.expect("primary")


def test_a_marker_under_a_kms_key_is_readable_by_nobody_outside(names: Names) -> None:
    names.world.client("s3", SOUTH_AFRICA).put_object(
        Bucket=PAGE_BUCKET, Key=MARKER, Body=TAKEN_OVER.encode(), ServerSideEncryption="aws:kms"
    )
    names.stays("primary", minutes=1.5)


def test_a_dead_standby_cannot_pull_traffic(names: Names) -> None:
    names.cut(SOUTH_AFRICA)
    names.stays("primary", minutes=2)
    assert names.healthy("alb-witness"), "no answer is no takeover"


def test_a_lost_standby_that_had_taken_over_gives_the_name_back(names: Names) -> None:
    """Both witnesses live in the standby region: with it gone, kenya is the only one left that may answer."""
    names.say(SOUTH_AFRICA, TAKEN_OVER)
    names.mark()
    names.expect("secondary")
    names.cut(SOUTH_AFRICA)
    names.expect("primary")


def test_a_primary_that_comes_back_half_alive_gets_nothing_after_a_takeover(names: Names) -> None:
    names.cut(KENYA)
    names.expect("secondary")
    names.say(SOUTH_AFRICA, TAKEN_OVER)
    names.mark()
    names.becomes("alb-witness", False)
    names.becomes("page-witness", False)
    names.bring_back(KENYA)
    names.becomes("kenya", True)
    names.stays("secondary")
    names.say(SOUTH_AFRICA, NOT_TAKEN_OVER)  # one witness restarts or is edited by mistake
    names.becomes("alb-witness", True)
    names.stays("secondary", minutes=1.5)


def test_without_a_takeover_a_primary_that_comes_back_gets_the_name_back(names: Names) -> None:
    names.cut(KENYA)
    names.expect("secondary")
    names.bring_back(KENYA)
    names.expect("primary")


# -- evaluation rules ---------------------------------------------------------------------------------------------
def test_with_both_unhealthy_the_primary_answers(names: Names) -> None:
    """An empty target group counts as unhealthy where target health is evaluated: hence no evaluation on ours."""
    name = f"evaluated.{DOMAIN}"
    names.record(name, "PRIMARY", names.kenya, evaluate=True)
    names.record(name, "SECONDARY", names.south_africa, evaluate=True)
    assert names.leads_to(name) == "primary"
    names.record(name, "SECONDARY", names.south_africa, evaluate=False)
    assert names.leads_to(name) == "secondary"
    names.cut(KENYA)
    names.record(name, "SECONDARY", names.south_africa, evaluate=True)
    assert names.leads_to(name) == "primary"


@pytest.mark.parametrize(("threshold", "healthy"), [(0, True), (1, True), (2, False)])
def test_a_calculated_check_counts_its_healthy_children(names: Names, threshold: int, healthy: bool) -> None:
    dead = names.string_check(f"dead-{threshold}", names.kenya.alb["DNSName"], "/health", "never said")
    names.becomes(f"dead-{threshold}", False)
    names.calculated(f"sum-{threshold}", [dead, names.checks["kenya"]], threshold)
    assert names.healthy(f"sum-{threshold}") is healthy


def test_a_new_check_is_healthy_and_an_inverted_one_is_not_until_there_is_data(names: Names) -> None:
    host = names.kenya.alb["DNSName"]
    slow = {"Type": "HTTPS", "FullyQualifiedDomainName": host, "Port": 443, "ResourcePath": "/", "RequestInterval": 30}
    names.check("new", **slow, FailureThreshold=10)
    names.check("new-inverted", **slow, FailureThreshold=10, Inverted=True)
    assert (names.healthy("new"), names.healthy("new-inverted")) == (True, False)


def test_a_disabled_check_is_healthy(names: Names) -> None:
    check = names.string_check("disabled", names.kenya.alb["DNSName"], "/health", "never said")
    names.becomes("disabled", False)
    names.route53.update_health_check(HealthCheckId=check, Disabled=True)
    assert names.healthy("disabled")
    names.route53.update_health_check(HealthCheckId=check, Disabled=False, SearchString=ALIVE)
    names.becomes("disabled", True)


def test_a_check_of_an_unknown_host_fails(names: Names) -> None:
    names.string_check("nowhere", "nowhere.example.com", "/", "x")
    names.becomes("nowhere", False)
    assert "NXDomain" in names.state("nowhere")["status"]


def test_the_api_tells_what_a_checker_saw(names: Names) -> None:
    status = names.route53.get_health_check_status(HealthCheckId=names.checks["kenya"])
    report = status["HealthCheckObservations"][0]["StatusReport"]
    assert report["Status"] == "Success: HTTP Status Code 200, OK"
    with pytest.raises(ClientError, match="calculated"):
        names.route53.get_health_check_status(HealthCheckId=names.checks["primary"])


def test_what_a_health_check_is_refused_for(names: Names) -> None:
    with pytest.raises(ClientError, match="does not exist"):
        names.calculated("orphan", ["00000000-0000-0000-0000-000000000000"], 1)
    with pytest.raises(ClientError, match="HealthCheckInUse"):
        names.route53.delete_health_check(HealthCheckId=names.checks["kenya"])
    with pytest.raises(ClientError, match="HealthCheckAlreadyExists"):
        names.string_check("kenya", "x.example.com", "/", "x")
    with pytest.raises(ClientError, match="NoSuchHealthCheck"):
        names.route53.delete_health_check(HealthCheckId="00000000-0000-0000-0000-000000000000")


# -- records ------------------------------------------------------------------------------------------------------
def test_a_change_takes_a_minute_to_be_in_sync(names: Names) -> None:
    change = names.change("UPSERT", failover(f"sync.{DOMAIN}", "PRIMARY", names.kenya))
    assert change["Status"] == "PENDING"
    wait(lambda: names.route53.get_change(Id=change["Id"])["ChangeInfo"]["Status"] == "INSYNC", what="INSYNC")
    with pytest.raises(ClientError, match="Could not find"):
        names.route53.get_change(Id="CNOTHING")


def test_one_failover_record_is_deleted_without_its_sibling_or_namesake(names: Names) -> None:
    first, second = f"first.{DOMAIN}", f"second.{DOMAIN}"
    for name in (first, second):
        names.record(name, "PRIMARY", names.kenya)
        names.record(name, "SECONDARY", names.south_africa)
    names.change("DELETE", failover(first, "PRIMARY", names.kenya))
    assert (names.leads_to(first), names.leads_to(second)) == ("secondary", "primary")
    with pytest.raises(ClientError, match="was not found"):
        names.change("DELETE", failover(first, "PRIMARY", names.kenya))
    with pytest.raises(ClientError, match="already exists"):
        names.change("CREATE", failover(second, "PRIMARY", names.kenya))


@pytest.mark.parametrize("wrong", [{"HostedZoneId": "Z0000000000000"}, {"DNSName": "no-1.eu-west-1.elb.amazonaws.com"}])
def test_an_alias_must_name_a_load_balancer_and_its_zone(names: Names, wrong: dict[str, str]) -> None:
    record = failover(f"wrong.{DOMAIN}", "PRIMARY", names.kenya)
    record["AliasTarget"] |= wrong
    with pytest.raises(ClientError, match="does not lie within the target zone"):
        names.change("CREATE", record)


def test_an_unknown_name_is_told(names: Names) -> None:
    with pytest.raises(RuntimeError, match="has no alias record"):
        names.leads_to(f"unknown.{DOMAIN}")


# -- a person on the internet -------------------------------------------------------------------------------------
def test_a_client_sees_the_crisis_page_within_two_and_a_half_minutes_of_the_loss(names: Names) -> None:
    """Detection and the cached answer's TTL together; nobody does anything. The bound is issue 3's."""
    client = PublicClient(names.world.url, names.world.clock)
    assert client.get("/").answered_by == KENYA
    names.cut(KENYA)
    lost = names.world.clock.epoch()
    unanswered = set()

    def moved() -> bool:
        try:
            return client.get("/").answered_by == SOUTH_AFRICA
        except Unreachable as unreachable:
            unanswered.add(unreachable.region)
            return False

    wait(moved, what="an answer of south-africa")
    assert (names.world.clock.epoch() - lost) / 60 <= 2.5
    assert unanswered == {KENYA}
