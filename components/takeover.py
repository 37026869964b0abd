"""The moment a stack begins to serve: gate, crisis page off, and the two witnesses that move the public name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components import naming
from components.healthy_targets import HealthyTargets
from components.witness import MARKER_KEY, NOT_TAKEN_OVER, TAKEN_OVER, WITNESS_PATH
from components.workloads import CRISIS_PREVIEW_PATH, CriticalService, enough_targets

EVERYTHING = "/*"
WITNESS_PRIORITY = 1
CRISIS_PRIORITY = 10
# How long the gate waits for healthy targets before the deployment fails.
GATE_MINUTES = 20


@dataclass(frozen=True, kw_only=True)
class TakeoverArgs:
    """What the takeover needs. `after`: the critical services."""

    short_name: str
    tags: naming.Tags
    region: str
    standby: bool
    listener_arn: pulumi.Input[str]
    page_bucket_name: pulumi.Input[str]
    cluster_name: pulumi.Input[str]
    critical: Sequence[CriticalService]
    crisis_html: str
    after: Sequence[pulumi.Resource]


class Takeover(pulumi.ComponentResource):
    """Crisis rule, takeover rule and marker object exist always; what they say changes once, behind the gate.

    They are updated and never replaced or deleted on the flip, because an update deletes last: a rule that had to be
    deleted would cover the services until the very end.
    """

    crisis_rule_arn: pulumi.Output[str]
    takeover_rule_arn: pulumi.Output[str]

    def __init__(self, name: str, args: TakeoverArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:takeover:Takeover", name, {}, opts)
        self._name = name
        self._args = args
        gate: list[pulumi.Resource] = [] if args.standby else [self._gate()]
        crisis = self._crisis_rule(gate)
        # The witnesses move people here, so they speak after the crisis page is out of the way.
        rule = self._takeover_rule([*gate, crisis])
        marker = self._marker([*gate, crisis])
        self.done: list[pulumi.Resource] = [rule, marker]
        self.crisis_rule_arn = crisis.arn
        self.takeover_rule_arn = rule.arn
        self.register_outputs({"crisis_rule_arn": self.crisis_rule_arn, "takeover_rule_arn": self.takeover_rule_arn})

    def _gate(self) -> HealthyTargets:
        return HealthyTargets(
            f"{self._name}-healthy-targets",
            gate_properties(self._args),
            # Counting before the services are updated would accept the previous deployment's tasks.
            pulumi.ResourceOptions(parent=self, depends_on=list(self._args.after)),
        )

    def _crisis_rule(self, after: Sequence[pulumi.Resource]) -> aws.lb.ListenerRule:
        path = EVERYTHING if self._args.standby else CRISIS_PREVIEW_PATH
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


def gate_properties(args: TakeoverArgs) -> Mapping[str, Any]:
    """Inputs of the gate. Raises ValueError for a critical service that is configured to run nothing."""
    return {
        "region": args.region,
        "cluster": args.cluster_name,
        "timeoutMinutes": GATE_MINUTES,
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
