"""A Lambda function on a schedule, with a role for each of them and a log that ends."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components import naming, policies

RUNTIME = "python3.13"
LOG_DAYS = 90
# The shortest that the scheduler and Lambda accept.
EVENT_SECONDS = 60
# The longest that SQS keeps a message: whoever comes back from a holiday still finds what failed.
DEAD_LETTER_SECONDS = 14 * 24 * 3600
# What Lambda itself needs to attach a function to a network ("Giving Lambda functions access to resources in an
# Amazon VPC", Lambda developer guide). Interfaces come and go, so they cannot be named; looking knows no resource.
ATTACH_ACTIONS = (
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
)
LOOK_ACTIONS = ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets")


@dataclass(frozen=True, kw_only=True)
class FunctionNetwork:
    """Where a function runs that has to reach something inside the network."""

    subnet_ids: pulumi.Input[Sequence[str]]
    security_group_id: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class ScheduledFunctionArgs:
    """`noun` completes the name; `event` is what each tick hands over.

    `ticks_after`: what a tick needs beyond the function; the first one comes as soon as the schedule exists
    ("Schedule types", EventBridge Scheduler user guide). `key_arn` encrypts the log; `statements` are the role's
    permissions beyond its log and network; `network` is None for a function that calls AWS only.
    """

    short_name: str
    tags: naming.Tags
    account_id: str
    region: str
    noun: str
    description: str
    code: pulumi.Archive
    environment: Mapping[str, pulumi.Input[str]]
    key_arn: pulumi.Input[str]
    statements: pulumi.Input[Sequence[Mapping[str, Any]]]
    network: FunctionNetwork | None
    timeout_seconds: int
    memory_mib: int
    every_minutes: int
    event: Mapping[str, Any]
    enabled: bool
    ticks_after: Sequence[pulumi.Resource]


class ScheduledFunction(pulumi.ComponentResource):
    """The function, and the schedule whose `state` is all that a promotion may change here.

    Ticks that cannot be delivered and calls that fail end in a queue of dead letters. `ready`: what must exist before
    the function can do its work.
    """

    function_name: pulumi.Output[str]
    dead_letters_name: pulumi.Output[str]

    def __init__(self, name: str, args: ScheduledFunctionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:functions:ScheduledFunction", name, {}, opts)
        self._name = name
        self._args = args
        self._function = naming.physical(args.short_name, args.noun, "function")
        self._child = pulumi.ResourceOptions(parent=self)
        logs = aws.cloudwatch.LogGroup(
            name,
            name=naming.function_log_group(self._function),
            retention_in_days=LOG_DAYS,
            kms_key_id=args.key_arn,
            tags=dict(args.tags),
            opts=self._child,
        )
        letters = self._dead_letters()
        self.dead_letters_name = letters.name
        role = self._role("runs", policies.trust("lambda.amazonaws.com"))
        permissions = aws.iam.RolePolicy(
            f"{name}-runs",
            name="work",
            role=role.name,
            policy=pulumi.Output.all(logs.arn, letters.arn, args.statements).apply(
                lambda given: self._permissions(*given)
            ),
            opts=self._child,
        )
        function = self._deploy(role, logs, permissions)
        self.function_name = function.name
        self.ready: list[pulumi.Resource] = [function, permissions]
        self.schedule = self._schedule(function, letters, self._call_once(function, letters, permissions))
        self.register_outputs({"function_name": self.function_name, "schedule": self.schedule.name})

    def _role(self, purpose: str, trust: str) -> aws.iam.Role:
        return aws.iam.Role(
            f"{self._name}-{purpose}",
            name=naming.physical(self._args.short_name, f"{self._args.noun}-{purpose}", "role"),
            assume_role_policy=trust,
            tags=dict(self._args.tags),
            opts=self._child,
        )

    def _dead_letters(self) -> aws.sqs.Queue:
        return aws.sqs.Queue(
            f"{self._name}-dead-letters",
            name=naming.physical(self._args.short_name, f"{self._args.noun}-dead-letters", "queue"),
            message_retention_seconds=DEAD_LETTER_SECONDS,
            # Encrypted by SQS itself: with our key the scheduler and Lambda would need it, for a time and an error.
            sqs_managed_sse_enabled=True,
            tags=dict(self._args.tags),
            opts=self._child,
        )

    def _permissions(self, log_arn: str, letters_arn: str, statements: Sequence[Mapping[str, Any]]) -> str:
        own = [
            policies.allow("WriteLog", ["logs:CreateLogStream", "logs:PutLogEvents"], [f"{log_arn}:*"]),
            policies.allow("DeadLetters", ["sqs:SendMessage"], [letters_arn]),
        ]
        if self._args.network is not None:
            place = f"{self._args.region}:{self._args.account_id}"
            own += [
                policies.allow("AttachNetwork", ATTACH_ACTIONS, [f"arn:aws:ec2:{place}:*/*"]),
                policies.allow("LookAtNetwork", LOOK_ACTIONS, ["*"]),
                only_lambda_itself(f"arn:aws:lambda:{place}:function:{self._function}"),
            ]
        return policies.document(*own, *statements)

    def _deploy(
        self, role: aws.iam.Role, logs: aws.cloudwatch.LogGroup, permissions: pulumi.Resource
    ) -> aws.lambda_.Function:
        return aws.lambda_.Function(
            self._name,
            name=self._function,
            description=self._args.description,
            runtime=RUNTIME,
            architectures=["x86_64"],
            handler="handler.handler",
            code=self._args.code,
            role=role.arn,
            timeout=self._args.timeout_seconds,
            memory_size=self._args.memory_mib,
            environment=self._environment(),
            logging_config=aws.lambda_.FunctionLoggingConfigArgs(log_format="Text", log_group=logs.name),
            vpc_config=self._placed(),
            tags=dict(self._args.tags),
            # Lambda refuses a function in a network whose role may not attach it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permissions]),
        )

    def _environment(self) -> aws.lambda_.FunctionEnvironmentArgs | None:
        variables = dict(self._args.environment)
        return aws.lambda_.FunctionEnvironmentArgs(variables=variables) if variables else None

    def _placed(self) -> aws.lambda_.FunctionVpcConfigArgs | None:
        network = self._args.network
        if network is None:
            return None
        return aws.lambda_.FunctionVpcConfigArgs(
            subnet_ids=network.subnet_ids, security_group_ids=[network.security_group_id]
        )

    def _call_once(
        self, function: aws.lambda_.Function, letters: aws.sqs.Queue, permissions: pulumi.Resource
    ) -> aws.lambda_.FunctionEventInvokeConfig:
        """The scheduler hands a tick over and is done: it is Lambda that would call a failed function twice more, with
        the old time and, minutes later, beside the next ticks or after the schedule was turned off ("Invoke a Lambda
        function on a schedule" and "Configuring error handling for asynchronous invocations", Lambda developer guide).
        """
        return aws.lambda_.FunctionEventInvokeConfig(
            f"{self._name}-once",
            function_name=function.name,
            maximum_event_age_in_seconds=EVENT_SECONDS,
            maximum_retry_attempts=0,
            destination_config=aws.lambda_.FunctionEventInvokeConfigDestinationConfigArgs(
                on_failure=aws.lambda_.FunctionEventInvokeConfigDestinationConfigOnFailureArgs(destination=letters.arn)
            ),
            # Lambda refuses a destination that the function's role may not reach.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permissions]),
        )

    def _schedule(
        self, function: aws.lambda_.Function, letters: aws.sqs.Queue, once: pulumi.Resource
    ) -> aws.scheduler.Schedule:
        args = self._args
        group = f"arn:aws:scheduler:{args.region}:{args.account_id}:schedule-group/default"
        # Only on behalf of this account's schedules ("Confused deputy prevention", EventBridge Scheduler user guide).
        conditions = {"StringEquals": {"aws:SourceAccount": args.account_id, "aws:SourceArn": group}}
        role = self._role("starts", policies.trust("scheduler.amazonaws.com", conditions))
        permission = aws.iam.RolePolicy(
            f"{self._name}-starts",
            name="invoke",
            role=role.name,
            policy=pulumi.Output.all(function.arn, letters.arn).apply(
                lambda arns: policies.document(
                    policies.allow("Invoke", ["lambda:InvokeFunction"], arns[:1]),
                    policies.allow("DeadLetters", ["sqs:SendMessage"], arns[1:]),
                )
            ),
            opts=self._child,
        )
        return aws.scheduler.Schedule(
            self._name,
            name=naming.physical(args.short_name, args.noun, "schedule"),
            description=args.description,
            schedule_expression=f"rate({args.every_minutes} minutes)",
            state="ENABLED" if args.enabled else "DISABLED",
            flexible_time_window=aws.scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF"),
            target=aws.scheduler.ScheduleTargetArgs(
                arn=function.arn,
                role_arn=role.arn,
                input=json.dumps(args.event),
                # The next tick does what a failed one left: a retry would only run beside it.
                retry_policy=aws.scheduler.ScheduleTargetRetryPolicyArgs(
                    maximum_event_age_in_seconds=EVENT_SECONDS, maximum_retry_attempts=0
                ),
                dead_letter_config=aws.scheduler.ScheduleTargetDeadLetterConfigArgs(arn=letters.arn),
            ),
            # A tick before the role may invoke is lost, and nothing tells.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permission, once, *args.ticks_after]),
        )


def only_lambda_itself(function_arn: str) -> dict[str, Any]:
    """Deny the function's own code what its role allows for the network: only the Lambda service needs it.

    Source: the same page as ATTACH_ACTIONS, which recommends this condition.
    """
    return {
        "Sid": "NotTheCode",
        "Effect": "Deny",
        "Action": [*ATTACH_ACTIONS, *LOOK_ACTIONS],
        "Resource": ["*"],
        "Condition": {"ArnEquals": {"lambda:SourceFunctionArn": [function_arn]}},
    }
