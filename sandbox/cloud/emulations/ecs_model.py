"""The objects that the ECS API shows: services with their deployments, and tasks.

Attribute names are those that moto's serializer looks for (the API's names in snake case). Times are modelled.
"""

from __future__ import annotations

import ipaddress
import uuid
from datetime import datetime
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ecs.models import Cluster, EC2ContainerServiceBackend, Service, TaskDefinition
from moto.moto_api._internal import mock_random

from sandbox.cloud.context import ACCOUNT
from sandbox.cloud.emulations.task_start import Place
from sandbox.cloud.emulations.workload import Workload

Deployment = dict[str, Any]  # in the API's shape
STARTING = ("PROVISIONING", "PENDING")
MAX_EVENTS = 100  # as in AWS
MAX_STOPPED = 50  # stopped tasks that DescribeTasks still knows
_RESERVED_ADDRESSES = 4  # the first ones of a subnet belong to AWS

# Request members of CreateService/UpdateService that moto drops: API name -> attribute.
KEPT = {
    "deploymentConfiguration": "deployment_configuration",
    "healthCheckGracePeriodSeconds": "health_check_grace_period_seconds",
    "enableExecuteCommand": "enable_execute_command",
    "enableECSManagedTags": "enable_ecs_managed_tags",
    "capacityProviderStrategy": "capacity_provider_strategy",
    "availabilityZoneRebalancing": "availability_zone_rebalancing",
    "placementConstraints": "placement_constraints",
    "placementStrategy": "placement_strategy",
    "serviceConnectConfiguration": "service_connect",
}


class EcsService(Service):
    """moto's service with what moto drops, and with real tasks."""

    def __init__(self, now: datetime, extra: dict[str, Any], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.created_at = now
        self.network_configuration = arguments.get("network_configuration") or {}
        self.deployment_configuration: dict[str, Any] = {}
        self.health_check_grace_period_seconds: int | None = None
        self.enable_execute_command = False
        self.enable_ecs_managed_tags = False
        self.capacity_provider_strategy: list[Any] | None = None
        self.availability_zone_rebalancing = "DISABLED"
        self.placement_constraints: list[Any] = []
        self.placement_strategy: list[Any] = []
        self.service_connect: dict[str, Any] | None = None
        self.apply(extra)
        self.tasks: list[EcsTask] = []
        self.running_count = 0
        self.pending_count = 0
        self.steady = False
        self.turn = 0  # for spreading tasks over subnets
        self.completed: Deployment | None = None  # what the circuit breaker rolls back to
        self.deployments: list[Deployment] = []
        self.new_deployment(now)

    def apply(self, extra: dict[str, Any]) -> None:
        """Take over members of a request that moto drops; absent ones stay as they are.

        So do those of the deployment's configuration: a circuit breaker goes away with an empty one, not with none
        (Terraform AWS provider, internal/service/ecs/service.go).
        """
        before = self.deployment_configuration
        for api_name, attribute in KEPT.items():
            if extra.get(api_name) is not None:
                setattr(self, attribute, extra[api_name])
        defaults: dict[str, Any] = {
            "maximumPercent": 200,
            "minimumHealthyPercent": 100,
            "strategy": "ROLLING",
            "deploymentCircuitBreaker": {"enable": False, "rollback": False},
        }
        self.deployment_configuration = defaults | before | self.deployment_configuration

    def new_deployment(self, now: datetime, reason: str | None = None) -> Deployment:
        """Put a PRIMARY deployment of the current settings before the others."""
        for older in self.deployments:
            older["status"] = "ACTIVE"
        identifier = f"ecs-svc/{mock_random.randint(10**18, 10**19 - 1)}"
        deployment: Deployment = {
            "id": identifier,
            "status": "PRIMARY",
            "taskDefinition": self.task_definition,
            "desiredCount": self.desired_count,
            "pendingCount": 0,
            "runningCount": 0,
            "failedTasks": 0,
            "createdAt": now,
            "updatedAt": now,
            "launchType": self.launch_type,
            "capacityProviderStrategy": self.capacity_provider_strategy,
            "platformVersion": self.platform_version or "LATEST",
            "platformFamily": "Linux",
            "networkConfiguration": self.network_configuration,
            "serviceConnectConfiguration": self.service_connect,
            "rolloutState": "IN_PROGRESS",
            "rolloutStateReason": reason or f"ECS deployment {identifier} in progress.",
        }
        self.deployments.insert(0, deployment)
        self.steady = False
        return deployment

    @property
    def primary(self) -> Deployment:
        """The deployment that the service is moving to."""
        return self.deployments[0]

    @property
    def breaker(self) -> dict[str, bool]:
        """The circuit breaker's settings: enable, rollback."""
        found: dict[str, bool] = self.deployment_configuration["deploymentCircuitBreaker"]
        return found

    @property
    def target_group_arns(self) -> list[tuple[str, int]]:
        """(target group ARN, container port) of each attached target group."""
        return [(entry["targetGroupArn"], int(entry["containerPort"])) for entry in self.load_balancers]

    def alive(self, deployment: Deployment | None = None) -> list[EcsTask]:
        """Tasks that shall run, of one deployment or of all."""
        return [
            task
            for task in self.tasks
            if task.desired_status == "RUNNING" and (deployment is None or task.started_by == deployment["id"])
        ]

    def tell(self, now: datetime, message: str) -> None:
        """Add a service event, newest first."""
        event = {"id": str(uuid.uuid4()), "createdAt": now, "message": f"(service {self.name}) {message}"}
        self.events.insert(0, event)
        del self.events[MAX_EVENTS:]

    def tell_once(self, now: datetime, message: str) -> None:
        """The same, unless it is the newest event already."""
        if not self.events or not str(self.events[0]["message"]).endswith(message):
            self.tell(now, message)


class EcsTask:
    """One Fargate task of a service."""

    def __init__(self, service: EcsService, definition: TaskDefinition, now: datetime, due: float) -> None:
        self.id = uuid.uuid4().hex
        self.region_name = service.region_name
        self.service_name = service.name
        self.definition = definition
        self.cluster_arn = service.cluster_arn
        self.task_arn = f"arn:aws:ecs:{service.region_name}:{ACCOUNT}:task/{service.cluster_name}/{self.id}"
        self.task_definition_arn = definition.arn
        self.group = f"service:{service.name}"
        self.started_by = str(service.primary["id"])
        self.container_instance_arn: str | None = None
        self.launch_type = service.launch_type
        self.platform_version = "1.4.0"
        self.platform_family = "Linux"
        self.cpu, self.memory = definition.cpu, definition.memory
        self.desired_status = "RUNNING"
        self.last_status = "PROVISIONING"
        self.connectivity = "CONNECTED"
        self.created_at = now
        self.started_at: datetime | None = None
        self.stopping_at: datetime | None = None
        self.stopped_at: datetime | None = None
        self.stopped_reason: str | None = None
        self.stop_code: str | None = None
        self.overrides: dict[str, Any] = {"containerOverrides": []}
        self.tags = service.tags if service.propagate_tags == "SERVICE" else []
        self.due = due  # modelled epoch of the next step
        self.next_check = 0.0
        self.failed_checks = 0
        self.was_healthy = False
        self.workload: Workload | None = None
        self.place, self.address, self._eni = _attach(service)
        self.availability_zone = self._eni.subnet.availability_zone
        self.attachments = [self._attachment()]
        self.containers = [self._container(found) for found in definition.container_definitions]

    def advance(self) -> None:
        """moto calls this on each describe; these tasks move by the clock."""

    def _attachment(self) -> dict[str, Any]:
        details = {
            "subnetId": self.place.subnet_id,
            "networkInterfaceId": self._eni.id,
            "macAddress": self._eni.mac_address,
            "privateDnsName": f"ip-{self.address.replace('.', '-')}.{self.region_name}.compute.internal",
            "privateIPv4Address": self.address,
        }
        pairs = [{"name": name, "value": value} for name, value in details.items()]
        return {"id": str(uuid.uuid4()), "type": "ElasticNetworkInterface", "status": "ATTACHED", "details": pairs}

    def _container(self, definition: dict[str, Any]) -> dict[str, Any]:
        return {
            "containerArn": f"{self.task_arn.replace(':task/', ':container/')}/{uuid.uuid4()}",
            "taskArn": self.task_arn,
            "name": definition["name"],
            "image": definition["image"],
            "imageDigest": definition["image"].partition("@")[2] or None,
            "lastStatus": "PENDING",
            "healthStatus": "UNKNOWN",
            "networkInterfaces": [{"attachmentId": self.attachments[0]["id"], "privateIpv4Address": self.address}],
            "cpu": str(definition.get("cpu") or 0),
        }

    @property
    def health_check(self) -> dict[str, Any] | None:
        """The container health check of the first container, if it has one."""
        first: dict[str, Any] = self.definition.container_definitions[0]
        return first.get("healthCheck")

    @property
    def health_status(self) -> str:
        """The task's health: that of its (first) container; UNKNOWN without a container health check."""
        return str(self.containers[0]["healthStatus"])

    @property
    def application(self) -> Workload:
        """What runs in it; only a task that was started has one."""
        if self.workload is None:
            raise RuntimeError(f"task {self.id} has not been started")
        return self.workload

    def set_health(self, status: str) -> None:
        """Record what the container health check found."""
        self.containers[0]["healthStatus"] = status

    def set_status(self, status: str) -> None:
        """Move the task, and its containers with it."""
        self.last_status = status
        shown = status if status in ("RUNNING", "STOPPED") else "PENDING"
        for container in self.containers:
            container["lastStatus"] = shown

    def release(self) -> None:
        """Give the network interface back."""
        ec2_backends[ACCOUNT][self.region_name].enis.pop(self._eni.id, None)
        self.attachments[0]["status"] = "DELETED"


def _attach(service: EcsService) -> tuple[Place, str, Any]:
    """Where the next task runs, its private address and its network interface; subnets take turns."""
    vpc: dict[str, Any] = service.network_configuration["awsvpcConfiguration"]
    subnet_id = vpc["subnets"][service.turn % len(vpc["subnets"])]
    service.turn += 1
    ec2 = ec2_backends[ACCOUNT][service.region_name]
    subnet = ec2.get_subnet(subnet_id)
    groups = tuple(vpc.get("securityGroups") or ())
    address = _free_address(ec2, subnet.cidr_block)
    eni = ec2.create_network_interface(subnet, address, group_ids=list(groups), description="ECS task")
    eni.status = "in-use"
    place = Place(service.region_name, subnet_id, groups, vpc.get("assignPublicIp") == "ENABLED")
    return place, address, eni


def _free_address(ec2: Any, cidr: str) -> str:
    used = {eni.private_ip_address for eni in ec2.enis.values()}
    for number, host in enumerate(ipaddress.ip_network(cidr).hosts()):
        if number >= _RESERVED_ADDRESSES and str(host) not in used:
            return str(host)
    raise RuntimeError(f"no address is free in {cidr}")


def cluster_counts(cluster: Cluster, backend: EC2ContainerServiceBackend) -> None:
    """Bring the numbers that DescribeClusters shows up to date."""
    services = [found for found in backend.services.values() if found.cluster_name == cluster.name]
    cluster.active_services_count = sum(found.status == "ACTIVE" for found in services)
    cluster.running_tasks_count = sum(found.running_count for found in services)
    cluster.pending_tasks_count = sum(found.pending_count for found in services)
