"""Services: rollouts, targets, steady states, the circuit breaker, lost regions, refusals."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from pg8000.exceptions import InterfaceError

from sandbox.public import PublicClient, Unreachable
from tests.sandbox import traffic_world
from tests.sandbox.traffic_platform import Platform, running_platform
from tests.sandbox.traffic_world import KENYA, forward, wait


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform() as started:
        yield started


def test_a_service_comes_up_serves_scales_and_goes(platform: Platform) -> None:
    ecs = platform.site.client("ecs")
    configuration = {
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        "maximumPercent": 200,
        "minimumHealthyPercent": 100,
    }
    definition = platform.define()
    platform.create("gateway", definition, deploymentConfiguration=configuration, healthCheckGracePeriodSeconds=60)
    service = platform.service("gateway")
    assert service["deploymentConfiguration"]["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert service["healthCheckGracePeriodSeconds"] == 60
    assert service["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    wait(
        lambda: platform.service("gateway")["deployments"][0]["rolloutState"] == "COMPLETED",
        what="the rollout",
        tell=lambda: platform.events("gateway"),
    )
    assert "has reached a steady state" in platform.events("gateway")

    tasks = ecs.list_tasks(cluster="main", serviceName="gateway")["taskArns"]
    task = ecs.describe_tasks(cluster="main", tasks=tasks)["tasks"][0]
    assert (task["lastStatus"], task["taskDefinitionArn"]) == ("RUNNING", definition)
    details = {entry["name"]: entry["value"] for entry in task["attachments"][0]["details"]}
    health = platform.site.client("elbv2").describe_target_health(TargetGroupArn=platform.group)
    assert [entry["Target"]["Id"] for entry in health["TargetHealthDescriptions"]] == [details["privateIPv4Address"]]

    public = PublicClient(platform.world.url, platform.world.clock)
    status, body, answered_by = public.get("/api/health")
    assert (status, answered_by) == (200, KENYA)
    assert json.loads(body) == {"status": "ok", "service": "api-gateway", "region": KENYA}
    assert [public.post("/api/events", {"seq": n, "body": f"row {n}"}).status for n in (1, 2, 3)] == [201, 201, 201]
    assert public.post("/api/events", {"seq": 3, "body": "row 3"}).status == 200
    assert public.post("/api/events", {"seq": 3, "body": "other"}).status == 409
    assert json.loads(public.get("/api/events").body) == {"count": 3, "min": 1, "max": 3}
    assert json.loads(public.get("/api/events?after=1").body) == [2, 3]

    ecs.update_service(cluster="main", service="gateway", desiredCount=3)
    wait(lambda: platform.target_states() == ["healthy"] * 3, what="three healthy targets")
    service = platform.service("gateway")
    assert (service["runningCount"], service["deployments"][0]["rolloutState"]) == (3, "COMPLETED")
    newer = platform.define(environment=[{"name": "NEW", "value": "yes"}])
    ecs.update_service(cluster="main", service="gateway", taskDefinition=newer, desiredCount=1)
    wait(lambda: platform.service("gateway")["deployments"][0]["rolloutState"] == "COMPLETED", what="the new one")
    assert platform.service("gateway")["taskDefinition"] == newer
    assert len(platform.service("gateway")["deployments"]) == 1
    platform.remove("gateway")
    wait(lambda: platform.target_states() == [], what="an empty target group")


def test_a_task_whose_database_breaks_is_replaced_and_recovers(platform: Platform) -> None:
    platform.create("survivor", platform.define())
    wait(lambda: platform.target_states() == ["healthy"], what="a healthy target")
    first = platform.site.client("ecs").list_tasks(cluster="main", serviceName="survivor")["taskArns"]
    with traffic_world.master(platform.endpoint["Port"]) as connection:
        connection.run("alter table app.events rename to elsewhere")
        wait(lambda: "Health checks failed with these codes: [503]" in platform.events("survivor"), what="503")
        connection.run("alter table app.elsewhere rename to events")
    wait(lambda: platform.target_states() == ["healthy"], what="the replacement")
    assert platform.site.client("ecs").list_tasks(cluster="main", serviceName="survivor")["taskArns"] != first
    platform.remove("survivor")


def test_a_crashing_version_is_rolled_back(platform: Platform) -> None:
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    good = platform.define()
    platform.create("rolling", good, deploymentConfiguration=breaker)
    wait(lambda: platform.service("rolling")["deployments"][0]["rolloutState"] == "COMPLETED", what="the first rollout")
    fault = {"kind": "service-crash", "service": "api-gateway", "region": KENYA}
    platform.world.control("POST", "faults", fault)
    bad = platform.define(environment=[{"name": "VERSION", "value": "2"}])
    platform.site.client("ecs").update_service(cluster="main", service="rolling", taskDefinition=bad)
    wait(lambda: "deployment failed: tasks failed to start" in platform.events("rolling"), what="the failed deployment")
    assert "healthy" in platform.target_states()  # the old version has served all the time
    platform.world.control("DELETE", "faults", fault)
    wait(lambda: platform.service("rolling")["deployments"][0]["rolloutState"] == "COMPLETED", what="the rollback")
    service = platform.service("rolling")
    assert service["taskDefinition"] == good
    assert "rolling back" in service["deployments"][0]["rolloutStateReason"] or service["runningCount"] == 1
    platform.remove("rolling")


def test_what_create_service_refuses(platform: Platform) -> None:
    unused = platform.site.target_group("unused")
    wrong_port = [{"targetGroupArn": platform.group, "containerName": "api-gateway", "containerPort": 9}]
    no_rule = [{"targetGroupArn": unused, "containerName": "api-gateway", "containerPort": 8080}]
    with pytest.raises(ClientError, match="did not have a container port 9"):
        platform.create("refused", platform.define(), loadBalancers=wrong_port)
    with pytest.raises(ClientError, match="does not have an associated load balancer"):
        platform.create("refused", platform.define(), loadBalancers=no_rule)


def test_a_lost_region_is_unreachable_and_comes_back(platform: Platform) -> None:
    platform.create("lasting", platform.define())
    wait(lambda: platform.target_states() == ["healthy"], what="a healthy target")
    public = PublicClient(platform.world.url, platform.world.clock)
    platform.world.control("POST", "cut", {"region": KENYA})
    with pytest.raises(OSError, match="refused"):
        public.get("/api/health")
    platform.world.control("POST", "restore", {"region": KENYA})

    def answers() -> bool:
        try:
            return public.get("/api/health").status == 200
        except OSError:
            return False

    wait(answers, what="the region to answer again")
    platform.remove("lasting")


def test_no_desired_task_is_a_steady_state(platform: Platform) -> None:
    """So nothing may conclude from `steady` that a service answers."""
    platform.create("none", platform.define(), count=0)
    wait(lambda: "has reached a steady state" in platform.events("none"), what="a steady state")
    assert platform.service("none")["deployments"][0]["rolloutState"] == "COMPLETED"
    assert platform.target_states() == []
    platform.remove("none")


def test_a_first_version_that_crashes_fails_its_deployment_and_stops_trying(platform: Platform) -> None:
    fault = {"kind": "service-crash", "service": "hopeless", "region": KENYA}
    platform.world.control("POST", "faults", fault)
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    platform.create("hopeless", platform.define(), deploymentConfiguration=breaker)
    wait(lambda: platform.service("hopeless")["deployments"][0]["rolloutState"] == "FAILED", what="the breaker")
    assert platform.service("hopeless")["deployments"][0]["failedTasks"] == 3
    (told,) = [event for event in platform.world.events("deployment.failed") if event["service"] == "hopeless"]
    assert told["region"] == KENYA
    begun = platform.world.clock.epoch()
    wait(lambda: platform.world.clock.epoch() - begun > 5 * 60, what="five modelled minutes")
    failed = [event for event in platform.world.events("task.failed") if event["service"] == "hopeless"]
    assert len(failed) == 3, "there is nothing to go back to, and no further task"
    platform.remove("hopeless")
    platform.world.control("DELETE", "faults", fault)


def test_without_a_breaker_a_crashing_service_is_tried_for_ever(platform: Platform) -> None:
    fault = {"kind": "service-crash", "service": "stubborn", "region": KENYA}
    platform.world.control("POST", "faults", fault)
    platform.create("stubborn", platform.define())
    wait(lambda: platform.service("stubborn")["deployments"][0]["failedTasks"] > 4, what="many attempts")
    assert platform.service("stubborn")["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    platform.world.control("DELETE", "faults", fault)
    wait(lambda: platform.target_states() == ["healthy"], what="a healthy target without the fault")
    platform.remove("stubborn")
    wait(lambda: platform.target_states() == [], what="an empty target group")


def test_targets_count_only_while_a_rule_forwards_to_them(platform: Platform) -> None:
    elb = platform.site.client("elbv2")
    platform.create("forwarded", platform.define())
    wait(lambda: platform.target_states() == ["healthy"], what="a healthy target")
    (rule,) = [
        found["RuleArn"]
        for found in elb.describe_rules(ListenerArn=platform.site.listener)["Rules"]
        if found["Priority"] == "100"
    ]
    elb.delete_rule(RuleArn=rule)
    wait(lambda: platform.target_states() == ["unused"], what="an unused target")
    assert platform.world.fetch(platform.site.alb["DNSName"], "/api/health").status == 404
    platform.site.rule(100, forward(platform.group))
    wait(lambda: platform.target_states() == ["healthy"], what="a healthy target again")
    assert platform.world.fetch(platform.site.alb["DNSName"], "/api/health").status == 200
    platform.remove("forwarded")


def test_a_stopped_task_is_replaced(platform: Platform) -> None:
    ecs = platform.site.client("ecs")
    platform.create("mortal", platform.define())
    wait(lambda: platform.target_states() == ["healthy"], what="a healthy target")
    (first,) = ecs.list_tasks(cluster="main", serviceName="mortal")["taskArns"]
    ecs.stop_task(cluster="main", task=first, reason="to see what happens")
    wait(
        lambda: (
            ecs.list_tasks(cluster="main", serviceName="mortal")["taskArns"] not in ([], [first])
            and platform.target_states() == ["healthy"]
        ),
        what="its successor",
    )
    stopped = ecs.describe_tasks(cluster="main", tasks=[first])["tasks"][0]
    assert (stopped["lastStatus"], stopped["stoppedReason"]) == ("STOPPED", "to see what happens")
    platform.remove("mortal")


def test_a_cluster_with_services_stays(platform: Platform) -> None:
    platform.create("inhabitant", platform.define(), count=0)
    with pytest.raises(ClientError, match="ClusterContainsServices"):
        platform.site.client("ecs").delete_cluster(cluster="main")
    with pytest.raises(ClientError, match="not idempotent"):
        platform.create("inhabitant", platform.define(), count=1)
    platform.remove("inhabitant")


def test_an_answer_that_was_on_its_way_is_lost_with_its_region(platform: Platform) -> None:
    """A client must never take a row for committed because of an answer that no lost region could have sent."""
    platform.create("slow", platform.define())
    wait(lambda: platform.target_states() == ["healthy"], what="a healthy target")
    public = PublicClient(platform.world.url, platform.world.clock)
    answers: list[object] = []

    def post() -> None:
        try:
            answers.append(public.post("/api/events", {"seq": 999, "body": "late"}))
        except Unreachable as unreachable:
            answers.append(unreachable.region)

    try:
        with contextlib.suppress(InterfaceError), traffic_world.master(platform.endpoint["Port"]) as connection:
            connection.run("begin")
            connection.run("lock table app.events in access exclusive mode")
            client = threading.Thread(target=post)
            client.start()
            waiting = "select count(*) from pg_locks where not granted"
            wait(lambda: connection.run(waiting) != [[0]], what="the request to wait for the lock")
            platform.world.control("POST", "cut", {"region": KENYA})
            client.join(10)
    finally:
        platform.world.control("POST", "restore", {"region": KENYA})
    assert answers == [KENYA]
    platform.remove("slow")
