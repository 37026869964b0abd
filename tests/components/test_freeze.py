"""A freeze is state of the stack: what it changes, in which order, and that a thaw goes the same way back."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pulumi
import pytest

from components import guards, live_counts
from components.dns import HEALTHY
from components.healthy_targets import HealthyTargetsProvider
from components.stack_outputs import Outputs
from components.takeover import frozen_health
from components.workloads import Count
from tests.components.examples import KENYA, LAST_SIGN, SOUTH_AFRICA, refused, settings, with_copies
from tests.components.program import LIVE, Program
from tests.components.recording import Recorded, Recording

SERVING, FROZEN = Program(KENYA, False), Program(KENYA, False, frozen=True)
RETAINED, BOTH_FROZEN = Program(KENYA, False, retained=True), Program(KENYA, False, frozen=True, retained=True)
STANDBY, PROMOTED = Program(SOUTH_AFRICA, True), Program(SOUTH_AFRICA, False)
RULE, SERVICE, CALL = "aws:lb/listenerRule:ListenerRule", "aws:ecs/service:Service", "aws:lambda/invocation:Invocation"
TARGET, ALARM = "aws:appautoscaling/target:Target", "aws:cloudwatch/metricAlarm:MetricAlarm"
GATE = "pulumi-python:dynamic/takeover:HealthyTargets"
SERVICES = ("crisis-detection", "api-gateway", "sync", "audio-processing", "notifications")
PREVIEWS = "/.well-known/dr/"


def path(recording: Recording, rule: str) -> str:
    return str(recording.one(RULE, rule).inputs["conditions"][0]["pathPattern"]["values"][0])


def comparable(resource: Recorded) -> dict[str, Any]:
    archive = pulumi.AssetArchive
    return {key: sorted(v.assets) if isinstance(v, archive) else v for key, v in resource.inputs.items()}


def changed(before: Program, after: Program) -> set[str]:
    """Types of what both have and an update would touch."""
    known = {resource.key: comparable(resource) for resource in before.recorded() if resource.typ.startswith("aws:")}
    return {r.typ for r in after.recorded() if r.key in known and known[r.key] != comparable(r)}


def ordered(recording: Recording, chain: list[str]) -> None:
    for earlier, later in pairwise(chain):
        assert earlier in recording.waits_for(later), f"{later} does not wait for {earlier}"


# -- what people and health checks meet -----------------------------------------------------------------------------
def test_while_frozen_everybody_meets_the_crisis_page_and_health_checks_the_load_balancer() -> None:
    recording = FROZEN.recorded()
    assert (path(recording, "takeover-crisis"), path(recording, "takeover-frozen")) == ("/*", "/health")
    rules = [recording.one(RULE, f"takeover-{noun}").inputs for noun in ("witness", "frozen", "crisis")]
    assert [rule["priority"] for rule in rules] == [1, 5, 10], "the first that matches answers"
    answer = rules[1]["actions"][0]["fixedResponse"]
    assert (answer["statusCode"], answer["contentType"]) == ("200", "application/json")
    assert HEALTHY in answer["messageBody"], "what Route 53 looks for"
    assert json.loads(answer["messageBody"]) == {"status": "ok", "region": "eu-west-1", "frozen": True}


@pytest.mark.parametrize("program", [SERVING, STANDBY, PROMOTED], ids=str)
def test_otherwise_the_load_balancers_own_answer_is_where_nobody_asks(program: Program) -> None:
    assert path(program.recorded(), "takeover-frozen").startswith(PREVIEWS)


def test_a_freeze_leaves_both_witnesses_and_all_of_dns() -> None:
    for typ, name in ((RULE, "takeover-witness"), ("aws:s3/bucketObjectv2:BucketObjectv2", "takeover-marker")):
        assert FROZEN.recorded().one(typ, name).inputs == SERVING.recorded().one(typ, name).inputs
    assert not {typ for typ in changed(SERVING, FROZEN) if typ.startswith(("aws:route53", "aws:s3"))}


def test_a_promoted_stack_that_is_frozen_still_says_that_it_took_over() -> None:
    """Its page covers everything but the witness and the health path: the name stays with it."""
    recording = Program(SOUTH_AFRICA, False, frozen=True).recorded()
    rule = recording.one(RULE, "takeover-witness").inputs
    assert rule["actions"][0]["fixedResponse"]["messageBody"] == "taken-over: yes"
    assert (
        recording.one("aws:s3/bucketObjectv2:BucketObjectv2", "takeover-marker").inputs["content"] == "taken-over: yes"
    )
    assert (path(recording, "takeover-crisis"), path(recording, "takeover-frozen")) == ("/*", "/health")
    ordered(recording, ["takeover-frozen", "takeover-crisis", "services-api-gateway", "fences-first"])


def test_the_answer_is_short_enough_for_a_health_check_and_says_ok_first() -> None:
    assert frozen_health("eu-west-1").startswith('{"status": "ok"')


# -- what a freeze changes, and its order ---------------------------------------------------------------------------
def test_what_a_freeze_changes() -> None:
    assert changed(SERVING, FROZEN) == {RULE, SERVICE, TARGET, ALARM, CALL}
    turn = [p.recorded().one(CALL, "turns-first").inputs["triggers"] for p in (SERVING, FROZEN)]
    assert turn == [{"locked": "false"}, {"locked": "true"}]
    before, after = ({r.key for r in p.recorded()} for p in (SERVING, FROZEN))
    assert {name for typ, name in after - before if typ == CALL} == {"fences-first"}
    # A call that is taken away does nothing.
    assert before - after == {(CALL, "critical-logins"), (CALL, "standard-logins")}


def test_what_locks_or_opens_is_called_again_whichever_way_the_last_change_was_broken_off() -> None:
    """A call that failed after the database had done it leaves the state as before; its turn is another one by then."""
    for program in (SERVING, FROZEN, RETAINED, BOTH_FROZEN):
        recording = program.recorded()
        calls = [r for r in recording.of(CALL) if not r.name.startswith("turns-")]
        serving = "restored" if program.retained else "first"
        for call in calls:
            of = call.name.removeprefix("fences-") if call.name.startswith("fences-") else serving
            assert call.inputs["triggers"]["turn"] == f"result-of-turns-{of}", call.name
        assert calls
    for stack in (SERVING, STANDBY):
        # Made while standing by: a promotion does not wait for one.
        assert stack.recorded().one(CALL, "turns-first").inputs["triggers"] == {"locked": "false"}
    moved = {r.name: r.inputs["triggers"]["locked"] for r in RETAINED.recorded().of(CALL) if "turns" in r.name}
    assert moved == {"turns-first": "true", "turns-restored": "false"}


def test_the_gate_knows_of_the_freeze_before_the_page_goes_on_and_counts_again_at_the_thaw() -> None:
    """Taken away, it would still stand in the state of a freeze that failed, and let the thaw pass without counting."""
    frozen, serving = (p.recorded().one(GATE, "takeover-healthy-targets").inputs for p in (FROZEN, SERVING))
    assert (frozen["frozen"], frozen["services"], serving["frozen"]) == (True, [], False)
    assert "takeover-healthy-targets" in FROZEN.recorded().waits_for("takeover-crisis")
    provider = HealthyTargetsProvider()
    assert provider.diff("id", frozen, serving).changes
    assert provider.diff("id", serving, frozen).changes
    assert provider.update("id", serving, frozen).outs == frozen, "without a look at AWS"


def test_what_writes_runs_nothing_and_nothing_raises_it() -> None:
    for name in SERVICES:
        service = FROZEN.recorded().one(SERVICE, f"services-{name}")
        assert (service.inputs["desiredCount"], service.ignore_changes) == (0, ())
        assert service.inputs.get("waitForSteadyState") in (None, False)
        target = FROZEN.recorded().one(TARGET, f"autoscaling-{name}").inputs
        assert (target["minCapacity"], set(target["suspendedState"].values())) == (0, {True})
        assert set(SERVING.recorded().one(TARGET, f"autoscaling-{name}").inputs["suspendedState"].values()) == {False}


def test_a_freeze_comes_in_its_order() -> None:
    for service in SERVICES:
        chain = [
            "takeover-frozen",
            "takeover-crisis",
            f"autoscaling-{service}",
            f"services-{service}",
        ]
        ordered(FROZEN.recorded(), chain)
    for service in SERVICES[:2]:
        ordered(FROZEN.recorded(), [f"services-{service}", "fences-first"])


def test_a_standard_service_that_does_not_stop_leaves_no_database_open() -> None:
    waits = FROZEN.recorded().waits_for("fences-first")
    assert not {f"services-{service}" for service in SERVICES[2:]} & waits
    assert {"takeover-crisis", "standard-logins-sync"} <= waits


def test_a_thaw_comes_in_the_reverse_order() -> None:
    chain = [
        "critical-logins",
        "services-api-gateway",
        "takeover-healthy-targets",
        "takeover-crisis",
        "takeover-frozen",
    ]
    ordered(SERVING.recorded(), chain)
    ordered(SERVING.recorded(), ["takeover-crisis", "takeover-witness", "standard-logins", "services-sync"])
    ordered(SERVING.recorded(), ["takeover-crisis", "autoscaling-api-gateway"])


def test_a_freeze_waits_for_nothing_that_may_be_broken() -> None:
    """Neither for the cache, nor for alarms or the public name, nor for ECS to call a service steady."""
    waits = FROZEN.recorded().waits_for("fences-first")
    assert not [name for name in waits if name.startswith(("monitoring", "cache", "dns"))]


def called(program: Program) -> set[str]:
    return {r.name for r in program.recorded().of(CALL) if not r.name.startswith("turns-")}


# -- fences ---------------------------------------------------------------------------------------------------------
def test_the_fence_names_secrets_and_the_database_itself() -> None:
    call = FROZEN.recorded().one(CALL, "fences-first")
    assert json.loads(call.inputs["input"]) == {
        "task": "lock",
        "host": "database-first.rds.amazonaws.com",
        "port": 5432,
        "master": "arn:aws:secrets-database-master",
        "services": [f"arn:aws:secrets-database-{name}" for name in sorted(SERVICES)],
    }
    assert call.inputs["triggers"] == {"database": "db-database-first", "turn": "result-of-turns-first"}
    assert {"network-firewall-function-database-in", "secrets-database-master"} <= FROZEN.recorded().waits_for(
        "fences-first"
    )


def test_a_generation_that_does_not_serve_is_always_fenced() -> None:
    recording = RETAINED.recorded()
    assert called(RETAINED) == {"critical-logins", "standard-logins", "fences-first"}
    fence = recording.one(CALL, "fences-first")
    assert json.loads(fence.inputs["input"])["host"] == "database-first.rds.amazonaws.com"
    # One that cannot be fenced holds up nobody in distress.
    assert "takeover-witness" in recording.waits_for("fences-first")
    assert "fences-first" not in recording.waits_for("takeover-witness")
    assert "standard-logins" not in recording.waits_for("fences-first")
    # The function reads the logins.
    assert {f"critical-logins-{SERVICES[0]}", "standard-logins-sync"} <= recording.waits_for("fences-first")
    assert recording.one("aws:rds/instance:Instance", "database-first").protect


def test_while_frozen_every_generation_is_fenced_and_no_role_is_set() -> None:
    assert called(BOTH_FROZEN) == {"fences-first", "fences-restored"}


def test_the_fence_of_the_generation_that_was_moved_away_from_is_not_called_again() -> None:
    before, after = (p.recorded().one(CALL, "fences-first").inputs for p in (BOTH_FROZEN, RETAINED))
    assert before == after


def test_who_has_one_generation_and_serves_has_no_fence() -> None:
    for program in (SERVING, PROMOTED, STANDBY, Program(SOUTH_AFRICA, True, "read-replica")):
        assert not [r.name for r in program.recorded() if r.name.startswith("fences")]


# -- alarms ---------------------------------------------------------------------------------------------------------
def test_a_freeze_is_no_outage_to_the_alarms() -> None:
    def alarm(program: Program, noun: str) -> dict[str, Any]:
        return program.recorded().one(ALARM, f"monitoring-{noun}").inputs

    for noun in (*(f"{name}-running" for name in SERVICES), "crisis-detection-targets", "api-gateway-targets"):
        assert alarm(SERVING, noun)["treatMissingData"] == "breaching"
        assert alarm(FROZEN, noun)["treatMissingData"] == "notBreaching"
    assert alarm(FROZEN, "sync-waiting")["threshold"] > 20 * alarm(SERVING, "sync-waiting")["threshold"]
    # What tells of an outage goes on telling.
    for noun in ("database-storage", "health-check-answers", "health-check-serves", "answers-failing"):
        assert alarm(FROZEN, noun) == alarm(SERVING, noun)


# -- counts ---------------------------------------------------------------------------------------------------------
OWN_FROZEN = {"standby": False, "frozen": True, "thawCounts": {"sync": 5.0, "api-gateway": 7.0}}
OWN_SERVING = {"standby": False, "frozen": False, "thawCounts": None}


def decided(service: str, live: int, own: dict[str, Any], **changes: Any) -> Count:
    given = settings(KENYA, {(key,): value for key, value in changes.items()})
    return live_counts.decide(given, dict.fromkeys(SERVICES, live), Outputs(KENYA, own))[service]


def test_counts_are_exported_while_frozen() -> None:
    assert FROZEN.recorded().exports["thawCounts"] == dict.fromkeys(SERVICES, LIVE)
    assert FROZEN.recorded().exports["frozen"] is True
    assert SERVING.recorded().exports["thawCounts"] is None
    assert SERVING.recorded().exports["frozen"] is False


@pytest.mark.parametrize(
    ("own", "live", "changes", "expected"),
    [
        (OWN_SERVING, 6, {"frozen": True}, Count(tasks=0, autoscaled=False)),
        (OWN_FROZEN, 0, {"frozen": True}, Count(tasks=0, autoscaled=False)),
        (OWN_FROZEN, 0, {}, Count(tasks=7, autoscaled=False)),
        (OWN_FROZEN, 0, {"thawCounts": {"api-gateway": 4}}, Count(tasks=4, autoscaled=False)),
        # A thaw that was interrupted, and one that is over while its counts are still configured.
        (OWN_FROZEN, 7, {}, Count(tasks=7, autoscaled=False)),
        (OWN_SERVING, 9, {"thawCounts": {"api-gateway": 4}}, Count(tasks=9, autoscaled=True)),
        # A freeze that was interrupted and is taken back.
        (OWN_SERVING, 0, {"thawCounts": {"api-gateway": 4}}, Count(tasks=4, autoscaled=False)),
        # Clamped to the bounds, which may have been changed meanwhile.
        (OWN_FROZEN, 0, {"thawCounts": {"api-gateway": 90}}, Count(tasks=20, autoscaled=False)),
        # Nobody kept a count.
        ({**OWN_FROZEN, "thawCounts": None}, 0, {}, Count(tasks=2, autoscaled=False)),
    ],
)
def test_a_thaw_starts_what_ran(own: dict[str, Any], live: int, changes: dict[str, Any], expected: Count) -> None:
    assert decided("api-gateway", live, own, **changes) == expected


def test_what_was_kept_is_kept_by_the_next_deployment() -> None:
    own = Outputs(KENYA, OWN_FROZEN)
    frozen = settings(KENYA, {("frozen",): True})
    assert live_counts.thaw_counts(frozen, dict.fromkeys(SERVICES, 0), own) == {"api-gateway": 7, "sync": 5}


def test_a_service_that_would_be_new_waits_for_the_thaw() -> None:
    frozen = settings(KENYA, {("frozen",): True})
    live = dict.fromkeys(SERVICES[:-1], 2)
    with pytest.raises(pulumi.RunError, match=r"notifications would be new\. Nothing was changed\. Thaw it first"):
        live_counts.decide(frozen, live, Outputs(KENYA, OWN_SERVING))


# -- refusals -------------------------------------------------------------------------------------------------------
def test_only_a_stack_that_serves_can_be_frozen() -> None:
    assert "frozen: true is for a stack that serves" in refused({("frozen",): True})
    frozen = settings(KENYA, {("frozen",): True})
    serves = replace(with_copies(), taken_over_at=LAST_SIGN)
    # Outputs tell what was asked for: a promotion that failed at its gate, or was killed after it.
    for own in ({}, {"standby": True}, {"standby": False}):
        with pytest.raises(pulumi.RunError, match=r"it does not serve\. Nothing was changed"):
            guards.decide(frozen, with_copies(), Outputs(KENYA, own), None)
        assert guards.decide(frozen, serves, Outputs(KENYA, own), None).databases


def test_a_primary_that_lost_its_place_can_be_frozen_and_not_thawed() -> None:
    """Half alive, it still writes: fencing it off is what a freeze is for."""
    own, newer = Outputs(KENYA, {"standby": False, "epoch": 1.0}), Outputs(SOUTH_AFRICA, {"epoch": 2.0})
    serves = replace(with_copies(), taken_over_at=LAST_SIGN)
    assert guards.decide(settings(KENYA, {("frozen",): True}), serves, own, newer).epoch == 1
    with pytest.raises(pulumi.RunError, match="must not serve"):
        guards.decide(settings(KENYA), serves, own, newer)


def test_thaw_counts_name_services_and_numbers() -> None:
    assert "thawCounts: api is no service; allowed: crisis-detection" in refused({("thawCounts",): {"api": 2}}, KENYA)
    assert "greater than or equal to 0" in refused({("thawCounts",): {"sync": -1}}, KENYA)
