"""The public name: failover records and the health checks that move it. Nothing here knows `standby`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from components import naming
from components.witness import MARKER_KEY, TAKEN_OVER, WITNESS_PATH
from components.workloads import HEALTH_PATH

# The health body of every service contains exactly this. A plain HTTPS check also counts redirects as healthy.
HEALTHY = '"status": "ok"'
# Ten seconds is Route 53's fast interval; three failures in a row: about half a minute to notice.
INTERVAL_SECONDS = 10
FAILURES = 3


@dataclass(frozen=True, kw_only=True)
class DnsArgs:
    """What the public name needs.

    `peer_witness_ids`: health checks that say that the peer has not taken over; only the primary reads them.
    """

    short_name: str
    tags: naming.Tags
    domain: str
    zone_id: pulumi.Input[str]
    role: Literal["primary", "secondary"]
    alb_dns_name: pulumi.Input[str]
    alb_zone_id: pulumi.Input[str]
    page_bucket_host: pulumi.Input[str]
    peer_witness_ids: Sequence[pulumi.Input[str]]


class Dns(pulumi.ComponentResource):
    """One half of the failover pair, with its health checks.

    The primary's record is healthy while the primary answers AND no witness says that the peer took over. The
    secondary creates the two witnesses of itself. Moving the name is then data plane only: Route 53's health checkers
    see the witnesses change, nobody edits a record.

    `check_ids`: all of its health checks, by what they ask.
    """

    witness_check_ids: pulumi.Output[list[str]]
    check_ids: dict[str, pulumi.Output[str]]
    answer_check_id: pulumi.Output[str] | None
    failover_check_id: pulumi.Output[str] | None

    def __init__(self, name: str, args: DnsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:dns:Dns", name, {}, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.check_ids = {}
        self.answer_check_id = None
        self.failover_check_id = None
        witnesses: list[pulumi.Output[str]] = []
        if args.role == "primary":
            self.answer_check_id = self._string_match("answers", args.alb_dns_name, HEALTH_PATH, HEALTHY, False)
            self.failover_check_id = self._all_healthy([self.answer_check_id, *args.peer_witness_ids])
            self._record("PRIMARY", self.failover_check_id)
        else:
            witnesses = self._witnesses()
            # Without a check: Route 53 answers the primary when both are unhealthy, so the last resort stays healthy.
            self._record("SECONDARY", None)
        self.witness_check_ids = pulumi.Output.all(*witnesses).apply(lambda ids: [str(value) for value in ids])
        self.register_outputs({"witness_check_ids": self.witness_check_ids})

    def _witnesses(self) -> list[pulumi.Output[str]]:
        """Two inverted checks: each fails once its witness says that this stack took over, either is enough.

        A witness that cannot be reached says nothing, and nothing counts as "not taken over": a dead standby cannot
        pull people away from a working primary.
        """
        return [
            self._string_match("witness-alb", self._args.alb_dns_name, WITNESS_PATH, TAKEN_OVER, True),
            self._string_match("witness-page", self._args.page_bucket_host, f"/{MARKER_KEY}", TAKEN_OVER, True),
        ]

    def _string_match(
        self, noun: str, host: pulumi.Input[str], path: str, expected: str, inverted: bool
    ) -> pulumi.Output[str]:
        check = aws.route53.HealthCheck(
            f"{self._name}-{noun}",
            type="HTTPS_STR_MATCH",
            fqdn=host,
            port=443,
            resource_path=path,
            search_string=expected,
            request_interval=INTERVAL_SECONDS,
            failure_threshold=FAILURES,
            invert_healthcheck=inverted,
            # S3 and the load balancer choose the certificate by the name sent in the handshake.
            enable_sni=True,
            tags=self._tags(noun),
            opts=self._child,
        )
        self.check_ids[noun] = check.id
        return check.id

    def _all_healthy(self, children: Sequence[pulumi.Input[str]]) -> pulumi.Output[str]:
        check = aws.route53.HealthCheck(
            f"{self._name}-serves",
            type="CALCULATED",
            child_healthchecks=list(children),
            child_health_threshold=len(children),
            tags=self._tags("serves"),
            opts=self._child,
        )
        self.check_ids["serves"] = check.id
        return check.id

    def _record(self, failover: str, check: pulumi.Output[str] | None) -> None:
        # evaluate_target_health stays false on both. Route 53 calls a load balancer unhealthy as soon as one of its
        # target groups has no healthy target, also when it has no target at all: true would make the standby
        # unhealthy by design, and on the primary one idle service would move the name with no takeover. See
        # docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-failover-alias.html,
        # "Evaluate target health". With false, the record's own health check alone decides.
        alias = aws.route53.RecordAliasArgs(
            name=self._args.alb_dns_name, zone_id=self._args.alb_zone_id, evaluate_target_health=False
        )
        aws.route53.Record(
            f"{self._name}-{failover.lower()}",
            zone_id=self._args.zone_id,
            name=self._args.domain,
            type="A",
            aliases=[alias],
            set_identifier=self._args.short_name,
            failover_routing_policies=[aws.route53.RecordFailoverRoutingPolicyArgs(type=failover)],
            health_check_id=check,
            opts=self._child,
        )

    def _tags(self, noun: str) -> dict[str, str]:
        """Tags plus the name that the Route 53 console shows."""
        return {**self._args.tags, "Name": naming.physical(self._args.short_name, noun)}
