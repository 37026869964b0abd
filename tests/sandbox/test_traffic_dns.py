"""Failover by data plane: records follow health checks, which ask real load balancers and a real bucket."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.public import PublicClient, Unreachable
from tests.sandbox.failover_names import (
    ALIVE,
    INTERVAL_SECONDS,
    MARKER,
    NOT_TAKEN_OVER,
    PAGE_BUCKET,
    TAKEN_OVER,
    Names,
    failover,
    running_names,
)
from tests.sandbox.traffic_world import DOMAIN, KENYA, SOUTH_AFRICA, wait

CHECK_LIMIT_MINUTES = 1.0
PATIENCE = 10  # the largest FailureThreshold that Route 53 takes


@pytest.fixture(scope="module")
def started() -> Iterator[Names]:
    with running_names() as names:
        yield names


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
    assert answer["ttl"] == 60, "an alias has the TTL of the load balancer's own name"
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
    names.close_bucket()
    names.expect("primary")
    assert names.state("page-witness")["status"] == "Failure: HTTP Status Code 403."
    names.open_bucket()
    names.expect("secondary")
    names.open_bucket("another-key")
    names.expect("primary")
    names.open_bucket(MARKER)
    names.expect("secondary")
    names.world.client("s3", SOUTH_AFRICA).put_public_access_block(
        Bucket=PAGE_BUCKET, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True}
    )
    names.expect("primary")


def test_a_bucket_answers_in_its_own_region_only(names: Names) -> None:
    names.mark()
    names.string_check("elsewhere", f"{PAGE_BUCKET}.s3.{KENYA}.amazonaws.com", f"/{MARKER}", TAKEN_OVER)
    names.becomes("elsewhere", False)
    assert "HTTP Status Code 301" in names.state("elsewhere")["status"]


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


def test_a_check_turns_after_its_threshold_of_requests_an_interval_apart(names: Names) -> None:
    names.string_check("patient", names.kenya.alb["DNSName"], "/health", ALIVE, threshold=PATIENCE)
    asked(names, "patient", 200)
    for status, healthy in ((503, False), (200, True)):
        since = names.world.clock.epoch()
        names.say(KENYA, ALIVE, status=status)
        names.becomes("patient", healthy)
        # One interval less than there must be: the first request may have been due before the answer changed.
        assert moment(turn(names, "patient", healthy)) - since >= (PATIENCE - 2) * INTERVAL_SECONDS


def test_failures_that_are_not_in_a_row_are_forgotten(names: Names) -> None:
    names.string_check("forgiving", names.kenya.alb["DNSName"], "/health", ALIVE, threshold=PATIENCE)
    for status in (500, 200) * PATIENCE:
        names.say(KENYA, ALIVE, status=status)
        asked(names, "forgiving", status)
    assert turns(names, "forgiving") == []


def asked(names: Names, check: str, status: int) -> None:
    wait(lambda: f"Code {status}" in names.state(check)["status"], what=f"an answer {status} to {check}")


def turns(names: Names, check: str) -> list[dict[str, Any]]:
    return [event for event in names.world.events("health_check.changed") if event["id"] == names.checks[check]]


def turn(names: Names, check: str, healthy: bool) -> dict[str, Any]:
    """The event of that turn; it is told just after the state has changed."""
    found = wait(lambda: [event for event in turns(names, check) if event["answers"] is healthy], what="the event")
    return found[-1]


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
