"""The gate before a takeover: a resource that exists once the critical services really answer.

ECS calls a service steady with no task at all (0 of 0) and after a rollback to the previous revision, so this counts
at the load balancer: healthy targets that belong to running tasks of the intended task definition.

The engine runs this module in a process of its own, which imports it by name: it imports no component and no SDK of
the cloud provider, and holds no value of the program.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import boto3
import pulumi
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

POLL_SECONDS = 1.0
# ECS may answer with the state before the last update for a moment; a rollback stays.
ROUNDS_TO_BELIEVE_A_ROLLBACK = 20
# One or two failed starts are chance; ECS goes on trying for ever.
FAILURES_TO_BELIEVE = 3
# Why a task cannot start that waiting does not mend ("Amazon ECS stopped task error messages", ECS developer guide): no
# such image or no right to it, no such secret or no value in it, a key or a policy that forbids it.
LASTING = re.compile(
    r"CannotPullContainer.*(not found|manifest unknown|pull access denied|unauthorized)"
    r"|ResourceNotFoundException|InvalidRequestException|AccessDenied|did not contain json key",
    re.DOTALL,
)
# DescribeTasks takes 100 tasks a call.
TASKS_PER_CALL = 100
WATCHED = ("region", "cluster", "services", "frozen")


@dataclass(frozen=True)
class Watch:
    """One critical service: where its tasks and targets are, and how many healthy ones are enough."""

    name: str
    cluster: str
    service: str
    task_definition: str
    target_group: str
    enough: int


@dataclass(frozen=True)
class Finding:
    """What one look at one service showed."""

    name: str
    enough: int
    healthy: int
    running: int
    detail: str
    rolled_back: bool = False
    stopped: tuple[str, ...] = ()  # why tasks of this deployment stopped since the first look, the last one last

    @property
    def ready(self) -> bool:
        """Enough healthy targets; none is never enough."""
        return self.healthy >= max(1, self.enough)

    @property
    def hopeless(self) -> bool:
        """No task starts, for reasons that stay until somebody mends them."""
        lasting = [reason for reason in self.stopped if LASTING.search(reason)]
        return not self.running and len(lasting) >= FAILURES_TO_BELIEVE

    def __str__(self) -> str:
        ended = f"; {len(self.stopped)} task(s) stopped since, the last one: {self.stopped[-1]}" if self.stopped else ""
        return (
            f"{self.name}: {self.healthy} healthy target(s) of the intended task definition, {self.enough} needed, "
            f"{self.running} task(s) running; {self.detail}{ended}"
        )


class Observer(Protocol):
    """Looks at one service. Raises BotoCoreError when AWS cannot be reached."""

    def look(self, watch: Watch) -> Finding: ...


class Unhealthy(Exception):
    """The critical services did not become healthy in time. The text says what is missing, service by service."""


class AwsObserver:
    """Looks through the ECS and ELB APIs of the stack's own region."""

    def __init__(self, region: str) -> None:
        config = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "max_attempts": 5})
        self._ecs = boto3.client("ecs", region_name=region, config=config)
        self._elb = boto3.client("elbv2", region_name=region, config=config)
        self._stopped_before: dict[str, set[str]] = {}  # by service: ECS lists them for an hour

    def look(self, watch: Watch) -> Finding:
        """Count the healthy targets that are tasks of the intended definition."""
        tasks = [task for task in self._tasks(watch, "RUNNING") if task.get("lastStatus") == "RUNNING"]
        health = self._elb.describe_target_health(TargetGroupArn=watch.target_group)["TargetHealthDescriptions"]
        states = {entry["Target"]["Id"]: entry["TargetHealth"] for entry in health}
        healthy = healthy_addresses(states)
        service = self._service(watch)
        return Finding(
            name=watch.name,
            enough=watch.enough,
            healthy=sum(1 for task in tasks if addresses(task) & healthy),
            running=len(tasks),
            detail=describe(watch, service, states),
            rolled_back=service.get("taskDefinition", watch.task_definition) != watch.task_definition,
            stopped=self._stopped(watch),
        )

    def _stopped(self, watch: Watch) -> tuple[str, ...]:
        """Why tasks stopped since the first look, in the order in which they did."""
        found = {task["taskArn"]: task for task in self._tasks(watch, "STOPPED") if task.get("lastStatus") == "STOPPED"}
        before = self._stopped_before.setdefault(watch.service, set(found))
        new = [task for arn, task in found.items() if arn not in before]
        return tuple(task.get("stoppedReason", "") for task in sorted(new, key=lambda task: str(task.get("stoppedAt"))))

    def _tasks(self, watch: Watch, desired: Literal["RUNNING", "STOPPED"]) -> Iterator[Mapping[str, Any]]:
        """The service's tasks of the intended definition."""
        pages = self._ecs.get_paginator("list_tasks").paginate(
            cluster=watch.cluster, serviceName=watch.service, desiredStatus=desired
        )
        arns = [arn for page in pages for arn in page["taskArns"]]
        for start in range(0, len(arns), TASKS_PER_CALL):
            answer = self._ecs.describe_tasks(cluster=watch.cluster, tasks=arns[start : start + TASKS_PER_CALL])
            for task in answer["tasks"]:
                if task.get("taskDefinitionArn") == watch.task_definition:
                    yield dict(task)

    def _service(self, watch: Watch) -> Mapping[str, Any]:
        """The service as ECS describes it; empty when ECS does not know it."""
        found = self._ecs.describe_services(cluster=watch.cluster, services=[watch.service])["services"]
        return dict(found[0]) if found else {}


def addresses(task: Mapping[str, Any]) -> set[str]:
    """Private IPv4 addresses of a task's network interfaces."""
    return {
        detail["value"]
        for attachment in task.get("attachments", [])
        for detail in attachment.get("details", [])
        if detail.get("name") == "privateIPv4Address"
    }


def healthy_addresses(states: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Targets in state healthy; draining, initial and unused ones answer nobody."""
    return {address for address, health in states.items() if health.get("State") == "healthy"}


def describe(watch: Watch, service: Mapping[str, Any], states: Mapping[str, Mapping[str, Any]]) -> str:
    """One line for the message: rollback, target states with their reasons, newest service event."""
    if not service:
        return "ECS does not know the service"
    parts = []
    current = service.get("taskDefinition")
    if current != watch.task_definition:
        parts.append(f"ECS runs {_revision(current)} instead of {_revision(watch.task_definition)} (rolled back)")
    targets = sorted(f"{state.get('State')} {state.get('Reason', '')}".strip() for state in states.values())
    parts.append(f"targets: {', '.join(targets) or 'none'}")
    events = service.get("events") or []
    parts.append(f"newest event: {events[0]['message'] if events else 'none'}")
    return "; ".join(parts)


def _revision(arn: str | None) -> str:
    return (arn or "nothing").rsplit("/", 1)[-1]


def wait_until_healthy(
    watches: Sequence[Watch],
    observer: Observer,
    limit_seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Finding]:
    """Look until every service has enough healthy targets in the same round.

    Raises Unhealthy at the limit, or at once when ECS went back to another task definition (that one never becomes the
    intended one) or when tasks cannot start for a lasting reason: whoever mends it need not wait for the limit first.
    A connection that fails counts as a round without an answer: the gate outlives a fault of the API.
    """
    if not watches:
        raise Unhealthy("no critical service is configured: nothing could ever answer, so nothing takes over")
    deadline = clock() + limit_seconds
    rolled_back_rounds = 0
    while True:
        findings, fault = _round(watches, observer)
        if not fault and all(finding.ready for finding in findings):
            return findings
        missing = [fault] if fault else [str(finding) for finding in findings if not finding.ready]
        if any(finding.hopeless for finding in findings):
            raise _no_takeover("tasks of a critical service cannot start, and waiting does not mend why", missing)
        rolled_back = any(finding.rolled_back for finding in findings if not finding.ready)
        rolled_back_rounds = rolled_back_rounds + 1 if rolled_back else 0
        if rolled_back_rounds >= ROUNDS_TO_BELIEVE_A_ROLLBACK:
            raise _no_takeover("ECS rolled a critical service back", missing)
        if clock() >= deadline:
            raise _no_takeover(
                f"critical services are not healthy at the load balancer after {limit_seconds / 60:g} minutes", missing
            )
        sleep(POLL_SECONDS)


def _round(watches: Sequence[Watch], observer: Observer) -> tuple[list[Finding], str]:
    """One look at every service, and what went wrong when AWS could not be asked."""
    try:
        return [observer.look(watch) for watch in watches], ""
    except BotoCoreError as error:
        return [], f"AWS did not answer: {error}"
    except ClientError as error:
        if not _passing(error):
            raise
        return [], f"AWS did not answer: {error}"


def _passing(error: ClientError) -> bool:
    """A fault on AWS's side or too many calls, as opposed to a refusal, which waiting does not mend."""
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return status >= 500 or "Throttl" in error.response.get("Error", {}).get("Code", "")


def _no_takeover(reason: str, missing: Sequence[str]) -> Unhealthy:
    return Unhealthy(f"no takeover: {reason}\n" + "\n".join(f"  {line}" for line in missing))


def watches_of(props: Mapping[str, Any]) -> list[Watch]:
    """The watched services from the resource's properties (numbers arrive as floats)."""
    return [
        Watch(
            name=entry["name"],
            cluster=props["cluster"],
            service=entry["service"],
            task_definition=entry["taskDefinition"],
            target_group=entry["targetGroup"],
            enough=int(entry["enough"]),
        )
        for entry in props["services"]
    ]


class HealthyTargetsProvider(ResourceProvider):
    """Waits on create and when a watched value changes, a thaw among them; frozen, it lets pass at once, so that the
    state knows before the page goes on. Reading and deleting do nothing: a takeover is latched."""

    # Nothing in this class is secret; unencrypted, a changed class does not rewrite the stack's secrets.
    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Wait, then exist. While it fails nothing that depends on it is touched: the crisis page stays."""
        return CreateResult(id_=f"{props['cluster']}/healthy-targets", outs=self._wait(props))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Only watched values count: a new limit or new code of this class is no reason to wait again."""
        return DiffResult(changes=any(_olds.get(key) != _news.get(key) for key in WATCHED))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """A deployment while serving: wait for the new revision. What has been taken over stays taken over."""
        return UpdateResult(outs=self._wait(_news))

    def _wait(self, props: dict[str, Any]) -> dict[str, Any]:
        if not props["frozen"]:
            self._wait_until_healthy(props)
        return {key: value for key, value in props.items() if key != "__provider"}

    def _wait_until_healthy(self, props: dict[str, Any]) -> None:
        wait_until_healthy(
            watches_of(props), AwsObserver(props["region"]), limit_seconds=float(props["timeoutMinutes"]) * 60
        )


class HealthyTargets(Resource, module="takeover", name="HealthyTargets"):
    """The gate as a resource: what depends on it happens after the critical services answer."""

    def __init__(self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(HealthyTargetsProvider(), name, dict(props), opts)
