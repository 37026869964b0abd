"""The gate counts honestly, and what moves people stands behind it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from components import healthy_targets
from components.healthy_targets import Finding, HealthyTargetsProvider, Unhealthy, Watch, wait_until_healthy, watches_of
from tests.components.wiring import Stack

RULE = "aws:lb/listenerRule:ListenerRule"
MARKER = "aws:s3/bucketObjectv2:BucketObjectv2"
GATE = "pulumi-python:dynamic/takeover:HealthyTargets"
STANDBY = Stack(standby=True)
SERVING = Stack(standby=False)

INTENDED = "arn:aws:ecs:af-south-1:1:task-definition/api:7"
PREVIOUS = "arn:aws:ecs:af-south-1:1:task-definition/api:6"
WATCH = Watch(
    name="api-gateway", cluster="c", service="api-gateway", task_definition=INTENDED, target_group="tg", enough=1
)


def task(address: str, definition: str = INTENDED, status: str = "RUNNING") -> dict[str, Any]:
    details = [{"name": "privateIPv4Address", "value": address}, {"name": "subnetId", "value": "s"}]
    return {
        "taskArn": address,
        "taskDefinitionArn": definition,
        "lastStatus": status,
        "attachments": [{"details": details}],
    }


def stopped(arn: str, reason: str, code: str = "TaskFailedToStart") -> dict[str, Any]:
    task_definition = {"taskDefinitionArn": INTENDED, "lastStatus": "STOPPED"}
    return {**task_definition, "taskArn": arn, "stopCode": code, "stoppedReason": reason}


class Ecs:
    """ECS with the given tasks; `current` is the definition that the service runs now."""

    def __init__(self, tasks: Sequence[dict[str, Any]], current: str = INTENDED) -> None:
        self.tasks = list(tasks)
        self._current = current

    def get_paginator(self, operation: str) -> "Ecs":
        assert operation == "list_tasks"
        return self

    def paginate(self, desiredStatus: str, **_: Any) -> list[dict[str, Any]]:  # noqa: N803 - AWS's name
        wanted = [desiredStatus == ("STOPPED" if task["lastStatus"] == "STOPPED" else "RUNNING") for task in self.tasks]
        return [{"taskArns": [str(index)]} for index, fits in enumerate(wanted) if fits]

    def describe_tasks(self, cluster: str, tasks: list[str]) -> dict[str, Any]:
        assert cluster == "c"
        return {"tasks": [self.tasks[int(index)] for index in tasks]}

    def describe_services(self, **_: Any) -> dict[str, Any]:
        events = [{"message": "newest"}, {"message": "older"}]
        return {"services": [{"taskDefinition": self._current, "events": events}]}


class Elb:
    """A target group with the given state per address."""

    def __init__(self, states: dict[str, str]) -> None:
        self._states = states

    def describe_target_health(self, **_: Any) -> dict[str, Any]:
        return {
            "TargetHealthDescriptions": [
                {"Target": {"Id": address, "Port": 8080}, "TargetHealth": {"State": state}}
                for address, state in self._states.items()
            ]
        }


def look(monkeypatch: pytest.MonkeyPatch, ecs: Ecs, elb: Elb, watch: Watch = WATCH) -> Finding:
    clients = {"ecs": ecs, "elbv2": elb}
    monkeypatch.setattr(boto3, "client", lambda service, **_: clients[service])
    return healthy_targets.AwsObserver("af-south-1").look(watch)


def test_running_healthy_and_intended_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = look(monkeypatch, Ecs([task("10.0.0.1"), task("10.0.0.2")]), Elb({"10.0.0.1": "healthy"}))
    assert (finding.healthy, finding.running, finding.ready) == (1, 2, True)


def test_nothing_of_nothing_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = look(monkeypatch, Ecs([]), Elb({}), replace(WATCH, enough=0))
    assert not finding.ready


def test_the_previous_definition_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = look(monkeypatch, Ecs([task("10.0.0.1", PREVIOUS)], PREVIOUS), Elb({"10.0.0.1": "healthy"}))
    assert not finding.ready
    assert finding.rolled_back
    assert "api:6 instead of api:7" in str(finding)
    assert "newest event: newest" in str(finding)


@pytest.mark.parametrize("state", ["initial", "draining", "unused", "unhealthy", "unavailable"])
def test_only_healthy_targets_count(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    assert not look(monkeypatch, Ecs([task("10.0.0.1")]), Elb({"10.0.0.1": state})).ready


def test_a_healthy_target_that_is_no_task_of_ours_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not look(monkeypatch, Ecs([task("10.0.0.1")]), Elb({"10.9.9.9": "healthy"})).ready


def test_a_stopping_task_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = task("10.0.0.1", status="DEPROVISIONING")
    assert not look(monkeypatch, Ecs([stopping]), Elb({"10.0.0.1": "healthy"})).ready


NO_IMAGE = "CannotPullContainerError: failed to resolve ref ghcr.io/x/y@sha256:0: not found"


def test_why_tasks_stop_is_told_and_what_stopped_before_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    ecs = Ecs([stopped("old", "an earlier reason")])
    monkeypatch.setattr(boto3, "client", lambda service, **_: {"ecs": ecs, "elbv2": Elb({})}[service])
    observer = healthy_targets.AwsObserver("af-south-1")
    assert "an earlier reason" not in str(observer.look(WATCH))
    ecs.tasks += [stopped(str(number), NO_IMAGE) for number in range(3)]
    finding = observer.look(WATCH)
    assert f"3 task(s) stopped since, the last one: {NO_IMAGE}" in str(finding)
    assert finding.hopeless


@pytest.mark.parametrize(
    ("reason", "hopeless"),
    [
        (NO_IMAGE, True),
        ("ResourceInitializationError: … ResourceNotFoundException: Secrets Manager can't find the secret", True),
        ("ResourceInitializationError: … AccessDeniedException: Access to KMS is not allowed", True),
        ("ResourceInitializationError: … did not contain json key host", True),
        ("CannotPullContainerError: … dial tcp: i/o timeout", False),
        ("Capacity is unavailable at this time.", False),
        ("Essential container in task exited", False),
    ],
)
def test_only_what_waiting_does_not_mend_is_hopeless(
    monkeypatch: pytest.MonkeyPatch, reason: str, hopeless: bool
) -> None:
    ecs = Ecs([])
    monkeypatch.setattr(boto3, "client", lambda service, **_: {"ecs": ecs, "elbv2": Elb({})}[service])
    observer = healthy_targets.AwsObserver("af-south-1")
    observer.look(WATCH)
    ecs.tasks += [stopped("1", reason), stopped("2", reason)]
    assert not observer.look(WATCH).hopeless, "two are chance"
    ecs.tasks += [stopped("3", reason)]
    assert observer.look(WATCH).hopeless is hopeless
    ecs.tasks += [task("10.0.0.1")]
    assert not observer.look(WATCH).hopeless, "one did start"


class Script:
    """An observer that plays what each look at each service finds."""

    def __init__(
        self, rounds: Sequence[int | Exception], rolled_back: Sequence[int] = (), stopped: Sequence[str] = ()
    ) -> None:
        self._rounds = list(rounds)
        self._rolled_back = rolled_back
        self._stopped = tuple(stopped)
        self.looks = 0

    def look(self, watch: Watch) -> Finding:
        step = self._rounds[min(self.looks, len(self._rounds) - 1)]
        self.looks += 1
        if isinstance(step, Exception):
            raise step
        detail, rolled_back = "newest event: pulling image", self.looks in self._rolled_back
        return Finding(watch.name, watch.enough, step, step, detail, rolled_back, self._stopped)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def wait(observer: Script, watches: Sequence[Watch] = (WATCH,), limit: float = 60) -> list[Finding]:
    clock = Time()
    return wait_until_healthy(watches, observer, limit, clock, clock.sleep)


def test_waits_until_healthy() -> None:
    observer = Script([0, 0, 1])
    assert wait(observer)[0].healthy == 1
    assert observer.looks == 3


def test_outlives_a_fault_of_the_api() -> None:
    observer = Script([EndpointConnectionError(endpoint_url="https://ecs"), 1])
    assert wait(observer)[0].ready


def answer(status: int, code: str) -> ClientError:
    error = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(error, "DescribeTasks")  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", [answer(503, "ServiceUnavailable"), answer(400, "ThrottlingException")])
def test_outlives_an_answer_that_asks_for_patience(fault: ClientError) -> None:
    assert wait(Script([fault, 1]))[0].ready


def test_a_refusal_ends_the_waiting() -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        wait(Script([answer(400, "AccessDeniedException"), 1]))


def test_gives_up_and_says_what_is_missing() -> None:
    with pytest.raises(Unhealthy) as failure:
        wait(Script([0]))
    assert "after 1 minutes" in str(failure.value)
    assert "api-gateway: 0 healthy target(s)" in str(failure.value)
    assert "newest event: pulling image" in str(failure.value)


def test_tasks_that_can_never_start_end_the_waiting_early() -> None:
    observer = Script([0], stopped=[NO_IMAGE] * 3)
    with pytest.raises(Unhealthy, match=r"(?s)cannot start.*CannotPullContainerError.*not found"):
        wait(observer, limit=3600)
    assert observer.looks == 1


def test_a_rollback_ends_the_waiting_early() -> None:
    observer = Script([0], rolled_back=range(1, 100))
    with pytest.raises(Unhealthy, match="rolled a critical service back"):
        wait(observer, limit=3600)
    assert observer.looks == healthy_targets.ROUNDS_TO_BELIEVE_A_ROLLBACK


def test_an_old_answer_of_ecs_is_no_rollback() -> None:
    assert wait(Script([0, 0, 0, 1], rolled_back=(1, 2)))[0].ready


def test_every_service_counts() -> None:
    with pytest.raises(Unhealthy, match="needs two: 1 healthy"):
        wait(Script([1]), [WATCH, replace(WATCH, name="needs two", enough=2)])


def test_no_service_at_all_is_no_takeover() -> None:
    with pytest.raises(Unhealthy, match="no critical service"):
        wait(Script([1]), [])


def test_only_watched_values_make_the_gate_wait_again() -> None:
    provider = HealthyTargetsProvider()
    old = {"region": "r", "cluster": "c", "services": [{"name": "a"}], "timeoutMinutes": 20, "__provider": "x"}
    assert not provider.diff("id", old, {**old, "timeoutMinutes": 30, "__provider": "y"}).changes
    assert provider.diff("id", old, {**old, "services": [{"name": "b"}]}).changes


def test_no_gate_while_standby_and_one_while_serving() -> None:
    assert not STANDBY.recorded().of(GATE)
    gate = SERVING.recorded().one(GATE, "takeover-healthy-targets")
    assert {"services-crisis-detection", "services-api-gateway"} <= gate.dependencies
    watches = watches_of(gate.inputs)
    assert [(watch.name, watch.enough) for watch in watches] == [("crisis-detection", 1), ("api-gateway", 1)]
    assert watches[0].task_definition == "arn:aws:services-crisis-detection"
    assert watches[0].target_group == "arn:aws:load-balancer-crisis-detection"


def test_standby_shows_the_crisis_page_and_says_no() -> None:
    recording = STANDBY.recorded()
    crisis = recording.one(RULE, "takeover-crisis").inputs
    assert (crisis["priority"], crisis["conditions"][0]["pathPattern"]["values"]) == (10, ["/*"])
    assert crisis["actions"][0]["fixedResponse"]["statusCode"] == "503"
    witness = recording.one(RULE, "takeover-witness").inputs
    assert (witness["priority"], witness["conditions"][0]["pathPattern"]["values"]) == (
        1,
        ["/.well-known/dr/taken-over"],
    )
    assert witness["actions"][0]["fixedResponse"]["messageBody"] == "taken-over: no"
    assert recording.one(MARKER, "takeover-marker").inputs["content"] == "taken-over: no"


def test_everything_that_moves_people_waits_for_the_gate() -> None:
    recording = SERVING.recorded()
    crisis = recording.one(RULE, "takeover-crisis")
    assert crisis.inputs["conditions"][0]["pathPattern"]["values"] == ["/.well-known/dr/crisis-page-preview"]
    for typ, name in ((RULE, "takeover-crisis"), (RULE, "takeover-witness"), (MARKER, "takeover-marker")):
        assert "takeover-healthy-targets" in recording.one(typ, name).dependencies
    for typ, name in ((RULE, "takeover-witness"), (MARKER, "takeover-marker")):
        assert "takeover-crisis" in recording.one(typ, name).dependencies
    assert (
        recording.one(RULE, "takeover-witness").inputs["actions"][0]["fixedResponse"]["messageBody"]
        == "taken-over: yes"
    )
    assert recording.one(MARKER, "takeover-marker").inputs["content"] == "taken-over: yes"


def test_what_the_critical_services_do_not_need_does_not_hold_up_the_takeover() -> None:
    waits = SERVING.recorded().waits_for("takeover-witness")
    assert "services-sync" not in waits
    assert not {"storage-page-index", "dns-secondary"} & waits


def test_the_flip_updates_rules_and_replaces_or_deletes_none() -> None:
    before = {item.key for item in STANDBY.recorded()}
    after = {item.key for item in SERVING.recorded()}
    assert before <= after
    added = {name for _, name in after - before}
    assert all(
        "nat" in name or name.endswith("-default") or name in {"login", "takeover-healthy-targets"}
        for name in added
        if not name.startswith("autoscaling")
    )
