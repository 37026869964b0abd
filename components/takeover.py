"""The moment a stack begins to serve: gate, crisis page off, and the two witnesses that move the public name.

And what people meet while it is frozen: the crisis page, and to health checks the load balancer's own answer, so that
the public name stays where it is.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components import naming
from components.healthy_targets import HealthyTargets
from components.witness import MARKER_KEY, NOT_TAKEN_OVER, TAKEN_OVER, WITNESS_PATH
from components.workloads import (
    CRISIS_PREVIEW_PATH,
    FROZEN_PREVIEW_PATH,
    HEALTH_PATH,
    CriticalService,
    enough_targets,
)

EVERYTHING = "/*"
WITNESS_PRIORITY = 1
FROZEN_PRIORITY = 5
CRISIS_PRIORITY = 10
# How long the gate waits for healthy targets before the deployment fails.
GATE_MINUTES = 20


@dataclass(frozen=True, kw_only=True)
class GateArgs:
    """What the gate counts: nothing while frozen, and it lets pass. `after`: the critical services."""

    cluster_name: pulumi.Input[str]
    critical: Sequence[CriticalService]
    after: Sequence[pulumi.Resource]


@dataclass(frozen=True, kw_only=True)
class TakeoverArgs:
    """What the takeover needs. `gate` is None where nothing has to answer: while standing by."""

    short_name: str
    tags: naming.Tags
    region: str
    standby: bool
    frozen: bool
    listener_arn: pulumi.Input[str]
    page_bucket_name: pulumi.Input[str]
    crisis_html: str
    gate: GateArgs | None


class Takeover(pulumi.ComponentResource):
    """Crisis rule, takeover rule and marker object exist always; what they say changes once, behind the gate.

    They are updated and never replaced or deleted on the flip, because an update deletes last: a rule that had to be
    deleted would cover the services until the very end. A freeze changes the page and leaves both witnesses.

    `page`: the crisis rule, what writes goes only after it while frozen.
    """

    crisis_rule_arn: pulumi.Output[str]
    takeover_rule_arn: pulumi.Output[str]

    def __init__(self, name: str, args: TakeoverArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:takeover:Takeover", name, {}, opts)
        self._name = name
        self._args = args
        gate: list[pulumi.Resource] = [] if args.gate is None else [self._gate(args.gate)]
        # Health checks are answered by somebody at each moment, or the public name would move: by the load balancer
        # before the page covers the services, and until it no longer does.
        if args.frozen:
            crisis = self._crisis_rule([*gate, self._frozen_rule([])])
        else:
            crisis = self._crisis_rule(gate)
            self._frozen_rule([crisis])
        # The witnesses move people here, so they speak after the crisis page is out of the way.
        rule = self._takeover_rule([*gate, crisis])
        marker = self._marker([*gate, crisis])
        self.done: list[pulumi.Resource] = [rule, marker]
        self.page: list[pulumi.Resource] = [crisis]
        self.crisis_rule_arn = crisis.arn
        self.takeover_rule_arn = rule.arn
        self.register_outputs({"crisis_rule_arn": self.crisis_rule_arn, "takeover_rule_arn": self.takeover_rule_arn})

    def _gate(self, gate: GateArgs) -> HealthyTargets:
        return HealthyTargets(
            f"{self._name}-healthy-targets",
            gate_properties(self._args.region, gate, self._args.frozen),
            # Counting before the services are updated would accept the previous deployment's tasks.
            pulumi.ResourceOptions(parent=self, depends_on=list(gate.after)),
        )

    def _frozen_rule(self, after: Sequence[pulumi.Resource]) -> aws.lb.ListenerRule:
        path = HEALTH_PATH if self._args.frozen else FROZEN_PREVIEW_PATH
        response = aws.lb.ListenerRuleActionFixedResponseArgs(
            content_type="application/json", message_body=frozen_health(self._args.region), status_code="200"
        )
        return self._rule("frozen", FROZEN_PRIORITY, path, response, after)

    def _crisis_rule(self, after: Sequence[pulumi.Resource]) -> aws.lb.ListenerRule:
        path = EVERYTHING if self._args.standby or self._args.frozen else CRISIS_PREVIEW_PATH
        response = aws.lb.ListenerRuleActionFixedResponseArgs(
            content_type="text/html", message_body=self._args.crisis_html, status_code="503"
        )
        # Behind the gate: off too early, people in distress would get an error page instead of phone numbers.
        return self._rule("crisis", CRISIS_PRIORITY, path, response, after)

    def _takeover_rule(self, after: Sequence[pulumi.Resource]) -> aws.lb.ListenerRule:
        response = aws.lb.ListenerRuleActionFixedResponseArgs(
            content_type="text/plain", message_body=witness(self._args.standby), status_code="200"
        )
        # Behind the gate: said too early, the public name moves to services that do not answer.
        return self._rule("witness", WITNESS_PRIORITY, WITNESS_PATH, response, after)

    def _rule(
        self,
        noun: str,
        priority: int,
        path: str,
        response: aws.lb.ListenerRuleActionFixedResponseArgs,
        after: Sequence[pulumi.Resource],
    ) -> aws.lb.ListenerRule:
        pattern = aws.lb.ListenerRuleConditionPathPatternArgs(values=[path])
        return aws.lb.ListenerRule(
            f"{self._name}-{noun}",
            listener_arn=self._args.listener_arn,
            priority=priority,
            conditions=[aws.lb.ListenerRuleConditionArgs(path_pattern=pattern)],
            actions=[aws.lb.ListenerRuleActionArgs(type="fixed-response", fixed_response=response)],
            tags=dict(self._args.tags),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )

    def _marker(self, after: Sequence[pulumi.Resource]) -> aws.s3.BucketObjectv2:
        return aws.s3.BucketObjectv2(
            f"{self._name}-marker",
            bucket=self._args.page_bucket_name,
            key=MARKER_KEY,
            content=witness(self._args.standby),
            content_type="text/plain",
            cache_control="no-store",
            # Behind the gate, as the rule: each witness alone is enough to move the public name.
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )


def witness(standby: bool) -> str:
    """What both witnesses say."""
    return NOT_TAKEN_OVER if standby else TAKEN_OVER


def frozen_health(region: str) -> str:
    """What the load balancer answers to health checks while nothing behind it runs; dns.py looks for its beginning."""
    return json.dumps({"status": "ok", "region": region, "frozen": True})


def gate_properties(region: str, args: GateArgs, frozen: bool) -> Mapping[str, Any]:
    """Inputs of the gate. Raises ValueError for a critical service that is configured to run nothing."""
    return {
        "region": region,
        "cluster": args.cluster_name,
        "timeoutMinutes": GATE_MINUTES,
        "frozen": frozen,
        "services": [
            {
                "name": service.name,
                "service": service.service_name,
                "taskDefinition": service.task_definition_arn,
                "targetGroup": service.target_group_arn,
                "enough": enough_targets(service.desired_count),
            }
            for service in args.critical
        ],
    }
