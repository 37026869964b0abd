"""ECS: services with real tasks behind moto's API, and what CreateService and UpdateService refuse."""

from __future__ import annotations

from typing import Any, cast

from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores
from moto.ecs.exceptions import ECSException, InvalidParameterException
from moto.ecs.models import EC2ContainerServiceBackend, TaskDefinition
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.elbv2.models import elbv2_backends

from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations import targets
from sandbox.cloud.emulations.ecs_controller import Controller
from sandbox.cloud.emulations.ecs_model import KEPT, EcsService
from sandbox.cloud.emulations.patching import refuse, replace

# A change of one of these starts a new deployment (ECS API reference, UpdateService); the others act at once.
_DEPLOYED = ("task_definition", "network_configuration", "load_balancers", "platform_version", "service_registries")
_DEPLOYED_KEPT = ("serviceConnectConfiguration", "capacityProviderStrategy")
_SETTABLE = ("load_balancers", "platform_version", "service_registries", "propagate_tags", "network_configuration")
_HANDLED = {"cluster", "service", "desired_count", "task_definition", "force_new_deployment", *_SETTABLE}


class ClusterContainsServices(ECSException):
    """A cluster with services in it cannot be deleted."""

    code = "ClusterContainsServicesException"


def install(cloud: Cloud) -> None:
    """Give moto's ECS a scheduler."""
    controller = Controller(cloud)
    cloud.fault_kinds |= {"service-crash", "service-error", "service-hang"}
    _patch_definitions()
    _patch_services(cloud, controller)
    _patch_tasks(controller)
    cloud.on_cut(controller.lose)
    cloud.on_stop(controller.stop_all)
    cloud.every(targets.tick_minutes(cloud), controller.tick, "ecs scheduler")


# -- task definitions ---------------------------------------------------------------------------------------------
def _patch_definitions() -> None:
    register = EC2ContainerServiceBackend.register_task_definition

    def register_task_definition(
        self: EC2ContainerServiceBackend, family: str, container_definitions: list[dict[str, Any]], **given: Any
    ) -> TaskDefinition:
        volumes = {volume["name"] for volume in given.get("volumes") or []}
        for container in container_definitions:
            for mount in container.get("mountPoints") or []:
                if mount["sourceVolume"] not in volumes:
                    raise ECSException("ClientException", f"Unknown volume '{mount['sourceVolume']}'.")
        return register(self, family, container_definitions, **given)

    replace(EC2ContainerServiceBackend, register_task_definition=register_task_definition)


# -- services -----------------------------------------------------------------------------------------------------
def _patch_services(cloud: Cloud, controller: Controller) -> None:
    list_services, delete_cluster = EC2ContainerServiceBackend.list_services, EC2ContainerServiceBackend.delete_cluster

    def create_service(response: EC2ContainerServiceResponse) -> ActionResult:
        with controller.lock:
            return ActionResult({"service": _create(cloud, response.ecs_backend, response._get_params())})

    def update_service(self: EC2ContainerServiceBackend, service_properties: dict[str, Any]) -> EcsService:
        with controller.lock:
            return _update(cloud, self, service_properties)

    def delete_service(self: EC2ContainerServiceBackend, cluster_name: str, service_name: str, force: bool) -> Any:
        with controller.lock:
            return _delete(self, cluster_name, service_name, force)

    def list_active(self: EC2ContainerServiceBackend, *args: Any, **kwargs: Any) -> list[str]:
        gone = {service.arn for service in self.services.values() if service.status == "INACTIVE"}
        return [arn for arn in list_services(self, *args, **kwargs) if arn not in gone]

    def delete_empty_cluster(self: EC2ContainerServiceBackend, cluster_str: str) -> Any:
        cluster = self._get_cluster(cluster_str)
        if any(found.cluster_name == cluster.name and found.status != "INACTIVE" for found in self.services.values()):
            raise ClusterContainsServices("The Cluster cannot be deleted while Services are active.")
        return delete_cluster(self, cluster_str)

    replace(EC2ContainerServiceResponse, create_service=create_service)
    replace(
        EC2ContainerServiceBackend,
        update_service=update_service,
        delete_service=delete_service,
        list_services=list_active,
        delete_cluster=delete_empty_cluster,
    )


def _create(cloud: Cloud, backend: EC2ContainerServiceBackend, params: dict[str, Any]) -> EcsService:
    cluster = backend._get_cluster(params.get("cluster", "default"))
    name = params["serviceName"]
    key = f"{cluster.name}:{name}"
    existing = backend.services.get(key)
    if existing is not None and existing.status == "DRAINING":
        raise InvalidParameterException("Unable to Start a service that is still Draining.")
    if existing is not None and existing.status == "ACTIVE":
        raise InvalidParameterException("Creation of service was not idempotent.")
    definition = backend.describe_task_definition(params["taskDefinition"])
    _check(backend, definition, params)
    service = EcsService(  # type: ignore[abstract]  # moto does the same with its own
        cloud.clock.now(),
        {name: params.get(name) for name in KEPT},
        cluster=cluster,
        service_name=name,
        desired_count=int(params.get("desiredCount") or 0),
        backend=backend,
        task_definition=definition,
        load_balancers=params.get("loadBalancers"),
        scheduling_strategy=params.get("schedulingStrategy"),
        tags=params.get("tags"),
        deployment_controller=params.get("deploymentController"),
        launch_type=params.get("launchType") or "EC2",
        service_registries=params.get("serviceRegistries"),
        platform_version=params.get("platformVersion"),
        network_configuration=params.get("networkConfiguration"),
        propagate_tags=params.get("propagateTags") or "NONE",
        role_arn=params.get("role"),
    )
    backend.services[key] = service
    return service


def _update(cloud: Cloud, backend: EC2ContainerServiceBackend, properties: dict[str, Any]) -> EcsService:
    service = _find(backend, properties.get("cluster") or "default", properties["service"])
    if service.status != "ACTIVE":
        raise ECSException("ServiceNotActiveException", "Service was not ACTIVE.")
    kept = {name: properties.pop(_snake(name), None) for name in KEPT}
    unknown = {name for name, value in properties.items() if value is not None} - _HANDLED
    if unknown:
        raise NotImplementedError(f"UpdateService with {sorted(unknown)}")
    definition = backend.describe_task_definition(properties.get("task_definition") or str(service.task_definition))
    camel = {"loadBalancers": properties.get("load_balancers"), **kept}
    _check(backend, definition, camel)
    changes = {name: properties[name] for name in _SETTABLE if properties.get(name) is not None}
    changes["task_definition"] = definition.arn
    deploys = bool(properties.get("force_new_deployment"))
    deploys |= any(name in changes and getattr(service, name) != changes[name] for name in _DEPLOYED)
    deploys |= any(kept[name] is not None and getattr(service, KEPT[name]) != kept[name] for name in _DEPLOYED_KEPT)
    for name, value in changes.items():
        setattr(service, name, value)
    service.apply(kept)
    if properties.get("desired_count") is not None:
        wanted = int(properties["desired_count"])
        service.steady = service.steady and wanted == service.desired_count
        service.desired_count = service.primary["desiredCount"] = wanted
    if deploys:
        service.new_deployment(cloud.clock.now())
    return service


def _snake(name: str) -> str:
    """How moto writes a request member: enableECSManagedTags -> enable_ecs_managed_tags."""
    return camelcase_to_underscores(name)


def _find(backend: EC2ContainerServiceBackend, cluster: str, name: str) -> EcsService:
    """The service of that name or ARN; ServiceNotFoundException without one."""
    return cast(EcsService, backend._get_service(cluster, name.split("/")[-1]))


def _delete(backend: EC2ContainerServiceBackend, cluster_name: str, service_name: str, force: bool) -> Any:
    service = _find(backend, cluster_name, service_name)
    if service.desired_count > 0 and not force:
        raise InvalidParameterException("The service cannot be stopped while it is scaled above 0.")
    service.desired_count = 0
    service.status = "DRAINING"
    return service


# -- refusals -----------------------------------------------------------------------------------------------------
def _check(backend: EC2ContainerServiceBackend, definition: TaskDefinition, params: dict[str, Any]) -> None:
    """Refuse load balancers and Service Connect settings that don't fit the task definition."""
    containers: list[dict[str, Any]] = definition.container_definitions
    ports = {
        (container["name"], mapping["containerPort"]): mapping.get("name")
        for container in containers
        for mapping in container.get("portMappings") or []
    }
    for entry in params.get("loadBalancers") or []:
        _check_target_group(backend.region_name, entry["targetGroupArn"])
        if (entry["containerName"], int(entry["containerPort"])) not in {(name, int(port)) for name, port in ports}:
            raise InvalidParameterException(
                f"The container {entry['containerName']} did not have a container port "
                f"{entry['containerPort']} defined."
            )
    connect = params.get("serviceConnectConfiguration") or {}
    for offered in connect.get("services") or []:
        if offered["portName"] not in ports.values():
            raise InvalidParameterException(
                f"The portName({offered['portName']}) does not match any of the portMapping names in the task "
                "definition."
            )


def _check_target_group(region: str, arn: str) -> None:
    backend = elbv2_backends[ACCOUNT][region]
    group = backend.target_groups.get(arn)
    if group is None:
        raise InvalidParameterException(f"Unable to assume role and validate the specified targetGroupArn {arn}.")
    if group.target_type != "ip":
        raise InvalidParameterException(
            f"The provided target group {arn} has target type {group.target_type}, which is incompatible with the "
            "awsvpc network mode specified in the task definition."
        )
    if arn not in targets.forwarders(backend):
        raise InvalidParameterException(
            f"The target group with targetGroupArn {arn} does not have an associated load balancer."
        )


# -- tasks --------------------------------------------------------------------------------------------------------
def _patch_tasks(controller: Controller) -> None:
    list_tasks, stop_task = EC2ContainerServiceBackend.list_tasks, EC2ContainerServiceBackend.stop_task

    def list_some(self: EC2ContainerServiceBackend, *args: Any, **kwargs: Any) -> list[Any]:
        names = ("cluster_str", "container_instance", "family", "started_by", "service_name", "desiredStatus")
        asked = dict(zip(names, args, strict=False)) | kwargs
        service = (asked.pop("service_name", None) or "").split("/")[-1]
        asked["desiredStatus"] = asked.get("desiredStatus") or "RUNNING"  # AWS's default
        found = list_tasks(self, **asked)
        return [task for task in found if not service or task.group == f"service:{service}"]

    def stop_one(self: EC2ContainerServiceBackend, cluster_str: str, task_str: str, reason: str) -> Any:
        with controller.lock:
            for _, backend, service in controller.services():
                for task in service.tasks if backend is self else ():
                    if task.task_arn.endswith(task_str.split("/")[-1]):
                        controller.stop(service, task, reason or "Task stopped by user", "UserInitiated")
                        return task
        return stop_task(self, cluster_str, task_str, reason)

    replace(EC2ContainerServiceBackend, list_tasks=list_some, stop_task=stop_one)
    refuse(EC2ContainerServiceBackend, "run_task", "start_task", "create_task_set")
