"""The services of one region on ECS Fargate: cluster, task definitions, critical and standard services."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import naming, task_definitions
from components.task_roles import TaskRoles, TaskRolesArgs
from components.workloads import Count, CriticalService, ServiceSpec

LOG_DAYS = 90


@dataclass(frozen=True, kw_only=True)
class ServicesArgs:
    """What the services need; `key_arn` encrypts logs, secrets and recordings of the region.

    `counts`: how many tasks of each service to run. `frozen`: those that write run none, and nothing waits for it.
    `critical_after`: what critical services wait for beyond what their arguments name (way out, rules, logins).
    """

    short_name: str
    tags: naming.Tags
    account_id: str
    region: str
    specs: Sequence[ServiceSpec]
    counts: Mapping[str, Count]
    frozen: bool
    subnet_ids: pulumi.Input[Sequence[str]]
    security_group_id: pulumi.Input[str]
    target_group_arns: Mapping[str, pulumi.Input[str]]
    audio_bucket_arn: pulumi.Input[str]
    audio_bucket_name: pulumi.Input[str]
    queue_arn: pulumi.Input[str]
    queue_url: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    registry_secret_arn: pulumi.Input[str]
    signing_key_secret_arn: pulumi.Input[str]
    database_secret_arns: Mapping[str, pulumi.Input[str]]
    cache_secret_arn: pulumi.Input[str]
    critical_after: Sequence[pulumi.Resource]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A service that is ready to run: everything that exists in peace time."""

    spec: ServiceSpec
    task_definition_arn: pulumi.Output[str]
    log_group_name: pulumi.Output[str]
    after: Sequence[pulumi.Resource]


class Services(pulumi.ComponentResource):
    """Cluster, namespace, logs, roles, task definitions of every service, and the critical services themselves."""

    cluster_name: pulumi.Output[str]
    cluster_arn: pulumi.Output[str]

    def __init__(self, name: str, args: ServicesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:services:Services", name, {}, opts)
        self.name = name
        self.args = args
        self._tags = dict(args.tags)
        self._child = pulumi.ResourceOptions(parent=self)
        cluster_name = naming.physical(args.short_name, "cluster")
        self._cluster = aws.ecs.Cluster(
            name,
            name=cluster_name,
            settings=[aws.ecs.ClusterSettingArgs(name="containerInsights", value="enabled")],
            tags=self._tags,
            opts=self._child,
        )
        self.cluster_name = self._cluster.name
        self.cluster_arn = self._cluster.arn
        # An HTTP namespace: one that answers DNS would write Route 53 records with each task that starts.
        self._namespace = aws.servicediscovery.HttpNamespace(
            name,
            name=naming.physical(args.short_name, "services"),
            description="Service Connect names of the platform",
            tags=self._tags,
            opts=self._child,
        )
        self.namespace_arn = self._namespace.arn
        self.prepared = [self._prepare(spec) for spec in args.specs]
        self.deployed: dict[str, aws.ecs.Service] = {}
        self.critical = [self._deploy_critical(ready) for ready in self.prepared if ready.spec.critical]
        self.register_outputs({"cluster_name": self.cluster_name, "cluster_arn": self.cluster_arn})

    @property
    def critical_resources(self) -> list[pulumi.Resource]:
        """The critical services, to wait for."""
        return list(self.deployed.values())

    def _prepare(self, spec: ServiceSpec) -> Prepared:
        logs = aws.cloudwatch.LogGroup(
            f"{self.name}-{spec.name}",
            name=naming.checked(f"/{naming.PLATFORM}/{self.args.short_name}/{spec.name}", "log-group"),
            retention_in_days=LOG_DAYS,
            kms_key_id=self.args.key_arn,
            tags=self._tags,
            opts=self._child,
        )
        secrets = self._secrets(spec)
        roles = TaskRoles(
            f"{self.name}-{spec.name}",
            TaskRolesArgs(
                short_name=self.args.short_name,
                tags=self.args.tags,
                account_id=self.args.account_id,
                region=self.args.region,
                service=spec.name,
                audio=spec.audio,
                secret_arns=list(secrets.values()),
                cache_secret_arn=self.args.cache_secret_arn if spec.needs_cache else None,
                log_group_arn=logs.arn,
                audio_bucket_arn=self.args.audio_bucket_arn,
                queue=spec.queue,
                queue_arn=self.args.queue_arn,
                key_arn=self.args.key_arn,
            ),
            self._child,
        )
        definition = self._definition(spec, roles, logs, secrets)
        return Prepared(
            spec=spec,
            task_definition_arn=definition.arn,
            log_group_name=logs.name,
            after=roles.policies,
        )

    def _secrets(self, spec: ServiceSpec) -> dict[str, pulumi.Input[str]]:
        secrets = {
            "registry_secret": self.args.registry_secret_arn,
            "signing_secret": self.args.signing_key_secret_arn,
        }
        if spec.needs_database:
            secrets["database_secret"] = self.args.database_secret_arns[spec.name]
        return secrets

    def _definition(
        self,
        spec: ServiceSpec,
        roles: TaskRoles,
        logs: aws.cloudwatch.LogGroup,
        secrets: Mapping[str, pulumi.Input[str]],
    ) -> aws.ecs.TaskDefinition:
        peers, region = callable_from(spec, self.args.specs), self.args.region
        places = {"audio_bucket": self.args.audio_bucket_name}
        if spec.queue != "none":
            places["queue_url"] = self.args.queue_url
        if spec.needs_cache:
            places["cache_secret"] = self.args.cache_secret_arn
        containers = pulumi.Output.all(**secrets, **places, log_group=logs.name).apply(
            lambda facts: task_definitions.container_definitions(spec, peers, region, facts)
        )
        return aws.ecs.TaskDefinition(
            f"{self.name}-{spec.name}",
            family=naming.physical(self.args.short_name, spec.name),
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(spec.cpu),
            memory=str(spec.memory),
            execution_role_arn=roles.execution_role_arn,
            task_role_arn=roles.task_role_arn,
            runtime_platform=aws.ecs.TaskDefinitionRuntimePlatformArgs(
                operating_system_family="LINUX", cpu_architecture="X86_64"
            ),
            container_definitions=containers,
            volumes=[aws.ecs.TaskDefinitionVolumeArgs(name=task_definitions.SCRATCH)] if spec.scratch else None,
            # The circuit breaker goes back to the previous revision: deregistered, it could start no task.
            skip_destroy=True,
            tags=self._tags,
            opts=self._child,
        )

    def _deploy_critical(self, ready: Prepared) -> CriticalService:
        service = deploy(
            self,
            ready,
            self,
            # Started before these exist, a task fails on image, secret, login or target group, and the circuit
            # breaker ends the deployment in the middle of the disaster. A task knows the Service Connect names that
            # existed at its service's last deployment, and a flip from no tasks to some is none: see `callable_from`.
            after=[*ready.after, *self.args.critical_after, *self.critical_resources],
            wait=False,
        )
        self.deployed[ready.spec.name] = service
        return CriticalService(
            name=ready.spec.name,
            service_name=service.name,
            task_definition_arn=ready.task_definition_arn,
            target_group_arn=self.args.target_group_arns[ready.spec.name],
            desired_count=ready.spec.desired_count,
        )


@dataclass(frozen=True, kw_only=True)
class StandardServicesArgs:
    """`services`: what was prepared; `after`: the takeover's resources while serving, nothing while standby."""

    services: Services
    after: Sequence[pulumi.Resource]


class StandardServices(pulumi.ComponentResource):
    """Services that people in distress can do without for an hour: they come up after the takeover."""

    def __init__(self, name: str, args: StandardServicesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:services:StandardServices", name, {}, opts)
        self.deployed = {
            ready.spec.name: deploy(
                args.services,
                ready,
                self,
                # A standard service that never gets healthy must find crisis detection already serving. Not one waits
                # for another: that would pass the fault on.
                after=[*ready.after, *args.services.critical_resources, *args.after],
                wait=True,
            )
            for ready in args.services.prepared
            if not ready.spec.critical
        }
        self.register_outputs({})


def callable_from(spec: ServiceSpec, specs: Sequence[ServiceSpec]) -> list[ServiceSpec]:
    """The services that one may call: the critical ones that were made before it.

    A Service Connect name reaches only tasks of deployments that came after it ("Amazon ECS Service Connect
    components", ECS developer guide), so services are made in this order and are told no other names.
    """
    critical = [other for other in specs if other.critical]
    return critical[: critical.index(spec)] if spec.critical else critical


def deploy(
    services: Services, ready: Prepared, parent: pulumi.Resource, after: Sequence[pulumi.Resource], wait: bool
) -> aws.ecs.Service:
    """One ECS service. `wait`: the deployment waits until ECS calls it steady.

    Critical services don't wait there: ECS also calls a service steady with no task at all and after a rollback, so
    the takeover counts healthy targets itself.
    """
    args, spec = services.args, ready.spec
    count = args.counts[spec.name]
    balanced = spec.name in args.target_group_arns
    return aws.ecs.Service(
        f"{services.name}-{spec.name}",
        name=spec.name,
        cluster=services.cluster_arn,
        task_definition=ready.task_definition_arn,
        desired_count=count.tasks,
        launch_type="FARGATE",
        platform_version="LATEST",
        network_configuration=aws.ecs.ServiceNetworkConfigurationArgs(
            subnets=args.subnet_ids, security_groups=[args.security_group_id], assign_public_ip=False
        ),
        load_balancers=[_target(args, spec)] if balanced else None,
        health_check_grace_period_seconds=60 if balanced else None,
        service_connect_configuration=_service_connect(services, ready),
        deployment_circuit_breaker=aws.ecs.ServiceDeploymentCircuitBreakerArgs(enable=True, rollback=True),
        deployment_minimum_healthy_percent=100,
        deployment_maximum_percent=200,
        enable_ecs_managed_tags=True,
        propagate_tags="SERVICE",
        # What still runs a moment longer loses its sessions when the roles are locked: stopping writes comes first.
        wait_for_steady_state=wait and not args.frozen,
        tags=dict(args.tags),
        opts=pulumi.ResourceOptions(
            parent=parent,
            depends_on=list(after),
            # What autoscaling chose is right whatever the state remembers: set again, that would take tasks away at
            # peak load. Only then: always ignored, the flip could not raise the count from zero (see live_counts.py).
            ignore_changes=["desiredCount"] if count.autoscaled else None,
        ),
    )


def _target(args: ServicesArgs, spec: ServiceSpec) -> aws.ecs.ServiceLoadBalancerArgs:
    return aws.ecs.ServiceLoadBalancerArgs(
        target_group_arn=args.target_group_arns[spec.name], container_name=spec.name, container_port=spec.port
    )


def _service_connect(services: Services, ready: Prepared) -> aws.ecs.ServiceServiceConnectConfigurationArgs:
    spec = ready.spec
    logs = ready.log_group_name.apply(
        lambda group: task_definitions.log_configuration(group, services.args.region, "service-connect")["options"]
    )
    alias = aws.ecs.ServiceServiceConnectConfigurationServiceClientAliasArgs(port=spec.port, dns_name=spec.name)
    return aws.ecs.ServiceServiceConnectConfigurationArgs(
        enabled=True,
        namespace=services.namespace_arn,
        services=[
            aws.ecs.ServiceServiceConnectConfigurationServiceArgs(
                port_name=spec.name, discovery_name=spec.name, client_alias=[alias]
            )
        ],
        log_configuration=aws.ecs.ServiceServiceConnectConfigurationLogConfigurationArgs(
            log_driver="awslogs", options=logs
        ),
    )
