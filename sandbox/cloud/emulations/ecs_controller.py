"""The ECS service scheduler: tasks start, get checked, are replaced; deployments roll out, fail, roll back.

One loop over all services of the regions that are not cut. Not modelled: the growing pause that AWS inserts between
attempts of a service whose tasks keep failing (an attempt here costs its full start time, nothing more).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import Any

from moto.ecs.models import EC2ContainerServiceBackend, ecs_backends
from moto.elbv2.models import FakeTargetGroup, elbv2_backends

from sandbox.clock import minutes
from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations import (
    account_quotas,
    ecs_model,
    endpoints,
    registry,
    targets,
    task_application,
    task_start,
    zone_capacity,
)
from sandbox.cloud.emulations.ecs_model import Deployment, EcsService, EcsTask
from sandbox.cloud.emulations.endpoints import Handle, Request, Response
from sandbox.cloud.emulations.workload import Workload

STARTUP_PATIENCE_SECONDS = 120.0  # modelled; an application that never became ready gives up after this
CHECK_SECONDS = 10.0  # modelled; how often an application without container health check is looked at
BREAKER_MIN, BREAKER_MAX = 3, 200  # ECS developer guide, "deployment circuit breaker": failure threshold
BREAKER_SHARE = 0.5


class Controller:
    """Keeps each service's tasks as its deployments want them."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.lock = threading.RLock()

    def services(self) -> Iterator[tuple[str, EC2ContainerServiceBackend, EcsService]]:
        """All services, with region and backend."""
        for region, backend in list(ecs_backends[ACCOUNT].items()):
            for service in list(backend.services.values()):
                if isinstance(service, EcsService):
                    yield region, backend, service

    def tick(self) -> None:
        """Let every service of the living regions take its next steps."""
        for region, backend, service in self.services():
            if self._cloud.is_cut(region):
                continue
            with self.lock:
                self._reconcile(backend, service)
        for backend in list(ecs_backends[ACCOUNT].values()):
            for cluster in list(backend.clusters.values()):
                ecs_model.cluster_counts(cluster, backend)

    def lose(self, region: str) -> None:
        """A region is cut: its applications lose their connections; they and their tasks stay as they are."""
        for found, _, service in self.services():
            if found == region:
                for task in list(service.tasks):
                    if task.workload is not None:
                        task.workload.close()

    def stop_all(self) -> None:
        """End every application."""
        for _, _, service in self.services():
            for task in service.tasks:
                if task.workload is not None:
                    task.workload.end()

    def _reconcile(self, backend: EC2ContainerServiceBackend, service: EcsService) -> None:
        for task in list(service.tasks):
            self._advance(service, task)
        if service.status != "INACTIVE":
            self._scale(backend, service)
            self._settle(service)
        self._forget_old(backend, service)

    # -- one task ---------------------------------------------------------------------------------------------
    def _advance(self, service: EcsService, task: EcsTask) -> None:
        now = self._cloud.clock.epoch()
        if task.last_status == "STOPPED":
            return
        if task.desired_status == "STOPPED":
            if now >= task.due:
                self._finish(task)
        elif task.last_status == "PROVISIONING" and now >= task.due:
            task.set_status("PENDING")
            task.due += _half_start_seconds()
        elif task.last_status == "PENDING" and now >= task.due:
            self._start(service, task)
        elif task.last_status == "RUNNING":
            self._watch(service, task)

    def _start(self, service: EcsService, task: EcsTask) -> None:
        try:
            if zone_capacity.lacks(self._cloud, task.availability_zone):
                raise task_start.StartFailure(zone_capacity.NOTHING_LEFT)
            environments = task_start.prepare(task.place, task.definition)
        except task_start.StartFailure as failure:
            self._fail(service, task, str(failure), "TaskFailedToStart")
            return
        image_service = registry.name_of(task.containers[0]["image"]).rsplit("/", 1)[-1]
        if self._suffers("service-crash", service, image_service):
            task.containers[0]["exitCode"] = 1
            self._fail(service, task, "Essential container in task exited", "EssentialContainerExited")
            return

        task.workload = task_application.start(self._cloud, task, image_service, environments[0])
        task.set_status("RUNNING")
        task.started_at = self._cloud.clock.now()
        port = _port(task)
        handle = self._handler(service, image_service, task.workload)
        endpoint = endpoints.Endpoint(port, task.place.security_groups, task.place.subnet_id, handle)
        endpoints.listen(task.region_name, task.address, endpoint)
        for arn, container_port in service.target_group_arns:
            group = _target_group(task.region_name, arn)
            if group is not None:
                targets.add(group, task.address, container_port)
                service.tell(self._cloud.clock.now(), f"registered 1 targets in (target-group {arn})")
        self._watch(service, task)

    def _handler(self, service: EcsService, image_service: str, workload: Workload) -> Handle:
        """The application, unless a fault makes it fail or hang for people while its health check still passes."""

        def handle(request: Request) -> Response:
            if not request.path.rstrip("/").endswith("/health"):
                if self._suffers("service-error", service, image_service):
                    return Response(500, b"failed, as the rehearsal asked")
                if self._suffers("service-hang", service, image_service):
                    raise endpoints.NoAnswer
            return workload.handle(request)

        return handle

    def _suffers(self, kind: str, service: EcsService, image_service: str) -> bool:
        return any(
            fault.get("kind") == kind
            and fault.get("service") in (service.name, image_service)
            and fault.get("region") in (None, service.region_name)
            for fault in self._cloud.faults
        )

    def _watch(self, service: EcsService, task: EcsTask) -> None:
        """Run the application's own life, the container health check, and what ECS makes of the target's health."""
        now = self._cloud.clock.epoch()
        if now >= task.next_check:
            check = task.health_check
            task.next_check = now + float(check.get("interval") or 30 if check else CHECK_SECONDS)
            ready = task.application.check()
            if check is not None:
                self._count_check(task, check, ready)
            if not ready and not task.application.was_ready and self._age(task) > STARTUP_PATIENCE_SECONDS:
                task.containers[0].update(exitCode=1, reason=task.application.problem)
                reason = f"Essential container in task exited: {task.application.problem}"
                self._fail(service, task, reason, "EssentialContainerExited")
                return
        if task.health_status == "UNHEALTHY":
            problem = task.workload.problem if task.workload is not None else None
            service.tell(self._cloud.clock.now(), f"(task {task.id}) failed container health checks. {problem or ''}")
            self._fail(service, task, "Task failed container health checks", "ServiceSchedulerInitiated")
        elif self._age(task) >= float(service.health_check_grace_period_seconds or 0):
            self._heed_targets(service, task)
        if not task.was_healthy and self.is_healthy(service, task):
            task.was_healthy = True
            service.primary["failedTasks"] = 0
            self._cloud.emit("task.healthy", region=task.region_name, service=service.name, task=task.id)

    def _count_check(self, task: EcsTask, check: dict[str, Any], ready: bool) -> None:
        if ready:
            task.failed_checks = 0
            task.set_health("HEALTHY")
        elif self._age(task) >= float(check.get("startPeriod") or 0):
            task.failed_checks += 1
            if task.failed_checks >= int(check.get("retries") or 3):
                task.set_health("UNHEALTHY")

    def _heed_targets(self, service: EcsService, task: EcsTask) -> None:
        for arn, port in service.target_group_arns:
            state, _, description = targets.status_of(arn, task.address, port)
            if state != "unhealthy":
                continue
            problem = task.workload.problem if task.workload is not None else None
            service.tell(
                self._cloud.clock.now(),
                f"(port {port}) is unhealthy in (target-group {arn}) due to (reason {description})."
                + (f" The application says: {problem}" if problem else ""),
            )
            reason = f"Task failed ELB health checks in (target-group {arn})"
            self._fail(service, task, reason, "ServiceSchedulerInitiated")
            return

    def _age(self, task: EcsTask) -> float:
        """Modelled seconds since the task runs."""
        return (self._cloud.clock.now() - task.started_at).total_seconds() if task.started_at else 0.0

    def is_healthy(self, service: EcsService, task: EcsTask) -> bool:
        """Whether ECS counts the task as healthy: running, its targets healthy, its container check passed."""
        if task.last_status != "RUNNING" or task.desired_status != "RUNNING":
            return False
        if task.health_check is not None and task.health_status != "HEALTHY":
            return False
        states = (targets.status_of(arn, task.address, port)[0] for arn, port in service.target_group_arns)
        return all(state == "healthy" for state in states)

    # -- ends of tasks ----------------------------------------------------------------------------------------
    def _fail(self, service: EcsService, task: EcsTask, reason: str, code: str) -> None:
        now = self._cloud.clock.now()
        deployment = next((found for found in service.deployments if found["id"] == task.started_by), None)
        if deployment is not None:
            deployment["failedTasks"] += 1
            deployment["updatedAt"] = now
        if code == "TaskFailedToStart":
            service.tell(now, f"was unable to place a task. Reason: {reason.rstrip('.')}.")
        elif code == "EssentialContainerExited":
            service.tell(now, f"(task {task.id}) stopped. Reason: {reason.rstrip('.')}.")
        self._cloud.emit("task.failed", region=task.region_name, service=service.name, task=task.id, reason=reason)
        self.stop(service, task, reason, code)
        if deployment is service.primary:
            self._maybe_break(service)

    def stop(self, service: EcsService, task: EcsTask, reason: str, code: str) -> None:
        """Stop a task: out of its target groups first, gone when they have drained (at once if it crashed)."""
        if task.desired_status == "STOPPED":
            return
        now = self._cloud.clock.epoch()
        task.desired_status, task.stopped_reason, task.stop_code = "STOPPED", reason, code
        task.stopping_at = self._cloud.clock.now()
        task.due = now
        service.steady = False
        for arn, port in service.target_group_arns:
            group = _target_group(task.region_name, arn)
            if group is not None and targets.remove(self._cloud, group, task.address, port):
                task.due = max(task.due, now + targets.drain_seconds(group))
                service.tell(self._cloud.clock.now(), f"deregistered 1 targets in (target-group {arn})")
        if code in ("TaskFailedToStart", "EssentialContainerExited") or task.last_status != "RUNNING":
            task.due = now
        task.set_status("DEACTIVATING")
        if now >= task.due:
            self._finish(task)

    def _finish(self, task: EcsTask) -> None:
        task.set_status("STOPPED")
        task.stopped_at = self._cloud.clock.now()
        endpoints.close(task.region_name, task.address)
        if task.workload is not None:
            task.workload.end()
        task.release()

    def _forget_old(self, backend: EC2ContainerServiceBackend, service: EcsService) -> None:
        stopped = [task for task in service.tasks if task.last_status == "STOPPED"]
        for task in stopped[: -ecs_model.MAX_STOPPED]:
            service.tasks.remove(task)
            backend.tasks.get(service.cluster_name, {}).pop(task.task_arn, None)

    # -- one service ------------------------------------------------------------------------------------------
    def _scale(self, backend: EC2ContainerServiceBackend, service: EcsService) -> None:
        desired = service.desired_count if service.status == "ACTIVE" else 0
        primary = service.primary
        self._stop_surplus(service, service.alive(primary), desired)
        limits = service.deployment_configuration
        ceiling = math.floor(desired * limits["maximumPercent"] / 100)
        floor = math.ceil(desired * limits["minimumHealthyPercent"] / 100)
        missing = desired - len(service.alive(primary))
        if primary["rolloutState"] != "FAILED":
            for _ in range(min(missing, ceiling - len(service.alive()))):
                self._launch(backend, service)
        old = [task for task in service.alive() if task.started_by != primary["id"]]
        spare = sum(self.is_healthy(service, task) for task in service.alive()) - floor
        for task in old:
            healthy = self.is_healthy(service, task)
            if healthy and spare <= 0:
                continue
            spare -= healthy
            self._retire(service, task)

    def _stop_surplus(self, service: EcsService, tasks: list[EcsTask], desired: int) -> None:
        # Those that don't serve yet go first, then the youngest.
        order = sorted(tasks, key=lambda task: (self.is_healthy(service, task), -task.created_at.timestamp()))
        for task in order[: max(0, len(tasks) - desired)]:
            self._retire(service, task)

    def _retire(self, service: EcsService, task: EcsTask) -> None:
        service.tell(self._cloud.clock.now(), f"has stopped 1 running tasks: (task {task.id}).")
        reason = f"Scaling activity initiated by (deployment {service.primary['id']})"
        self.stop(service, task, reason, "ServiceSchedulerInitiated")

    def _launch(self, backend: EC2ContainerServiceBackend, service: EcsService) -> None:
        clock = self._cloud.clock
        definition = backend.describe_task_definition(str(service.primary["taskDefinition"]))
        if not account_quotas.has_room(service.region_name, int(definition.cpu or 0)):
            service.tell_once(clock.now(), f"was unable to place a task. Reason: {account_quotas.NO_ROOM}.")
            return
        task = EcsTask(service, definition, clock.now(), clock.epoch() + _half_start_seconds())
        service.tasks.append(task)
        backend.tasks.setdefault(service.cluster_name, {})[task.task_arn] = task  # type: ignore[assignment]
        service.steady = False
        service.tell(clock.now(), f"has started 1 tasks: (task {task.id}).")

    def _settle(self, service: EcsService) -> None:
        """Update counts, finish deployments and a deleted service."""
        now = self._cloud.clock.now()
        for deployment in list(service.deployments):
            own = [task for task in service.tasks if task.started_by == deployment["id"]]
            deployment["runningCount"] = sum(task.last_status == "RUNNING" for task in own)
            deployment["pendingCount"] = sum(task.last_status in ecs_model.STARTING for task in own)
            if deployment is not service.primary and not service.alive(deployment):
                service.deployments.remove(deployment)
        service.primary["desiredCount"] = service.desired_count
        service.running_count = sum(task.last_status == "RUNNING" for task in service.tasks)
        service.pending_count = sum(task.last_status in ecs_model.STARTING for task in service.tasks)
        if service.status == "DRAINING":
            if all(task.last_status == "STOPPED" for task in service.tasks):
                service.status = "INACTIVE"
            return
        healthy = sum(self.is_healthy(service, task) for task in service.alive(service.primary))
        if len(service.deployments) > 1 or healthy != service.desired_count or service.steady:
            return
        self._complete(service)
        service.steady = True
        service.tell(now, "has reached a steady state.")
        self._cloud.emit(
            "service.steady", region=service.region_name, service=service.name, running=service.running_count
        )

    def _complete(self, service: EcsService) -> None:
        primary, now = service.primary, self._cloud.clock.now()
        if primary["rolloutState"] != "IN_PROGRESS":
            return
        primary.update(
            rolloutState="COMPLETED", rolloutStateReason=f"ECS deployment {primary['id']} completed.", updatedAt=now
        )
        service.completed = primary
        service.tell(now, f"(deployment {primary['id']}) deployment completed.")

    # -- circuit breaker --------------------------------------------------------------------------------------
    def _maybe_break(self, service: EcsService) -> None:
        primary = service.primary
        threshold = min(max(BREAKER_MIN, math.ceil(service.desired_count * BREAKER_SHARE)), BREAKER_MAX)
        if not service.breaker.get("enable") or primary["rolloutState"] != "IN_PROGRESS":
            return
        if primary["failedTasks"] < threshold:
            return
        now = self._cloud.clock.now()
        primary.update(
            rolloutState="FAILED",
            rolloutStateReason="ECS deployment circuit breaker: tasks failed to start.",
            updatedAt=now,
        )
        service.tell(now, f"(deployment {primary['id']}) deployment failed: tasks failed to start.")
        self._cloud.emit("deployment.failed", region=service.region_name, service=service.name)
        target = service.completed
        if service.breaker.get("rollback") and target is not None and target["id"] != primary["id"]:
            self._roll_back(service, target)

    def _roll_back(self, service: EcsService, target: Deployment) -> None:
        now = self._cloud.clock.now()
        service.task_definition = target["taskDefinition"]
        service.network_configuration = target["networkConfiguration"]
        service.service_connect = target["serviceConnectConfiguration"]
        reason = f"ECS deployment circuit breaker: rolling back to deploymentId {target['id']}."
        service.new_deployment(now, reason)
        service.completed = None  # a rollback that fails too has nothing to go back to
        service.tell(now, f"rolling back to (deployment {target['id']}).")


def _half_start_seconds() -> float:
    """Modelled seconds of PROVISIONING, and then of PENDING."""
    return minutes("ecs.task_start") * 60 / 2


def _port(task: EcsTask) -> int:
    first: dict[str, Any] = task.definition.container_definitions[0]
    mappings = first.get("portMappings") or []
    return int(mappings[0]["containerPort"]) if mappings else 0


def _target_group(region: str, arn: str) -> FakeTargetGroup | None:
    return elbv2_backends[ACCOUNT][region].target_groups.get(arn)
