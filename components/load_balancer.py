"""The public entrance of one region: load balancer, certificate, listeners, permanent forwarding rules."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import access_logs, naming
from components.certificate import RegionalCertificate, RegionalCertificateArgs
from components.workloads import HEALTH_PATH, ServiceSpec

# TLS 1.3 with 1.2 for older phones; nothing below.
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
# Rules 1 to 99 belong to the takeover (1), a freeze (5) and the crisis page (10): see takeover.py.
FIRST_FORWARDING_PRIORITY = 100


@dataclass(frozen=True, kw_only=True)
class LoadBalancerArgs:
    """What the entrance needs.

    `health_service` names the service that answers the public health path. `owns_validation_record`: this stack owns
    what both regions share, the certificate's validation record among it (`validation_ttl` seconds).
    `access_log_bucket`: its name, known once the bucket admits load balancers, or AWS refuses to log there.
    """

    short_name: str
    tags: naming.Tags
    domain: str
    zone_id: pulumi.Input[str]
    owns_validation_record: bool
    validation_ttl: int
    vpc_id: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[str]]
    security_group_id: pulumi.Input[str]
    access_log_bucket: pulumi.Input[str]
    services: Sequence[ServiceSpec]
    health_service: str


class LoadBalancer(pulumi.ComponentResource):
    """Application load balancer whose forwarding rules exist all the time, also while nothing runs.

    A target group that no rule names is never health-checked, so the rules cannot wait for the promotion. What changes
    then are the rules above them, in takeover.py.
    """

    arn: pulumi.Output[str]
    arn_suffix: pulumi.Output[str]
    certificate_arn: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    zone_id: pulumi.Output[str]
    listener_arn: pulumi.Output[str]

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:network:LoadBalancer", name, {}, opts)
        self._name = name
        self._args = args
        self._tags = dict(args.tags)
        self._child = pulumi.ResourceOptions(parent=self)
        balancer = aws.lb.LoadBalancer(
            name,
            name=naming.physical(args.short_name, "alb"),
            load_balancer_type="application",
            internal=False,
            subnets=args.subnet_ids,
            security_groups=[args.security_group_id],
            drop_invalid_header_fields=True,
            access_logs=aws.lb.LoadBalancerAccessLogsArgs(
                bucket=args.access_log_bucket, prefix=access_logs.LOAD_BALANCER_PREFIX, enabled=True
            ),
            enable_deletion_protection=True,
            tags=self._tags,
            opts=self._child,
        )
        self.arn = balancer.arn
        self.arn_suffix = balancer.arn_suffix
        self.dns_name = balancer.dns_name
        self.zone_id = balancer.zone_id
        self.listener_arn = self._https().arn
        self._redirect()
        self.target_group_arns: dict[str, pulumi.Output[str]] = {}
        self.target_group_suffixes: dict[str, pulumi.Output[str]] = {}
        self.forwarding: list[pulumi.Resource] = []
        self._forward_all()
        self.register_outputs(
            {"arn": self.arn, "dns_name": self.dns_name, "zone_id": self.zone_id, "listener_arn": self.listener_arn}
        )

    def _https(self) -> aws.lb.Listener:
        certificate = RegionalCertificate(
            f"{self._name}-certificate",
            RegionalCertificateArgs(
                tags=self._args.tags,
                domain=self._args.domain,
                zone_id=self._args.zone_id,
                owns_validation_record=self._args.owns_validation_record,
                ttl=self._args.validation_ttl,
            ),
            self._child,
        )
        self.certificate_arn = certificate.arn
        not_found = aws.lb.ListenerDefaultActionFixedResponseArgs(
            content_type="text/plain", message_body="Not found", status_code="404"
        )
        return aws.lb.Listener(
            f"{self._name}-https",
            load_balancer_arn=self.arn,
            port=443,
            protocol="HTTPS",
            ssl_policy=TLS_POLICY,
            certificate_arn=certificate.arn,
            default_actions=[aws.lb.ListenerDefaultActionArgs(type="fixed-response", fixed_response=not_found)],
            tags=self._tags,
            opts=self._child,
        )

    def _redirect(self) -> None:
        redirect = aws.lb.ListenerDefaultActionRedirectArgs(port="443", protocol="HTTPS", status_code="HTTP_301")
        aws.lb.Listener(
            f"{self._name}-http",
            load_balancer_arn=self.arn,
            port=80,
            protocol="HTTP",
            default_actions=[aws.lb.ListenerDefaultActionArgs(type="redirect", redirect=redirect)],
            tags=self._tags,
            opts=self._child,
        )

    def _forward_all(self) -> None:
        public = [spec for spec in self._args.services if spec.path is not None]
        for spec in public:
            group = self._target_group(spec)
            self.target_group_arns[spec.name] = group.arn
            self.target_group_suffixes[spec.name] = group.arn_suffix
        self._forward("health", HEALTH_PATH, self._args.health_service, FIRST_FORWARDING_PRIORITY)
        for position, spec in enumerate(public, start=FIRST_FORWARDING_PRIORITY + 1):
            self._forward(spec.name, str(spec.path), spec.name, position)

    def _target_group(self, spec: ServiceSpec) -> aws.lb.TargetGroup:
        # AWS's defaults (30 s, five times) would add minutes to every failover.
        check = aws.lb.TargetGroupHealthCheckArgs(
            enabled=True,
            protocol="HTTP",
            path=HEALTH_PATH,
            port="traffic-port",
            matcher="200",
            interval=10,
            timeout=5,
            healthy_threshold=2,
            unhealthy_threshold=3,
        )
        return aws.lb.TargetGroup(
            f"{self._name}-{spec.name}",
            name=naming.target_group(self._args.short_name, spec.name),
            vpc_id=self._args.vpc_id,
            target_type="ip",
            protocol="HTTP",
            port=spec.port,
            deregistration_delay=30,
            health_check=check,
            tags=self._tags,
            opts=self._child,
        )

    def _forward(self, name: str, path: str, service: str, priority: int) -> None:
        """Send a path to a service. Raises KeyError for a service without a path, which has no target group."""
        pattern = aws.lb.ListenerRuleConditionPathPatternArgs(values=[path])
        self.forwarding.append(
            aws.lb.ListenerRule(
                f"{self._name}-{name}",
                listener_arn=self.listener_arn,
                priority=priority,
                conditions=[aws.lb.ListenerRuleConditionArgs(path_pattern=pattern)],
                actions=[
                    aws.lb.ListenerRuleActionArgs(type="forward", target_group_arn=self.target_group_arns[service])
                ],
                tags=self._tags,
                opts=self._child,
            )
        )
