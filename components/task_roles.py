"""What each service may do on AWS, and what starting its task needs: one pair of roles a service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components import naming, policies
from components.workloads import QueueUse

AUDIO_PREFIX = "audio/*"
# (SQS, KMS) actions of a service on the sync queue, without the address lookup: each is told the queue's URL. Source:
# "Configuring KMS permissions for Amazon SQS" (SQS developer guide): a sender also decrypts, to verify its data key.
QUEUE_ACTIONS: Mapping[QueueUse, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "send": (("sqs:SendMessage",), ("kms:GenerateDataKey", "kms:Decrypt")),
    "receive": (("sqs:ReceiveMessage", "sqs:DeleteMessage"), ("kms:Decrypt",)),
}
# By the setting `audio`. None lets a service delete: what people entrust to the platform ends by the lifecycle alone.
AUDIO_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "read": ("s3:GetObject",),
    "write": ("s3:GetObject", "s3:PutObject"),
}


@dataclass(frozen=True, kw_only=True)
class TaskRolesArgs:
    """One service's roles. `secret_arns`: exactly the secrets that its task definition names.

    `audio`: a key of AUDIO_ACTIONS. `cache_secret_arn`: the one that the running service reads itself, None for a
    service without a cache.
    """

    short_name: str
    tags: naming.Tags
    account_id: str
    region: str
    service: str
    audio: str
    secret_arns: Sequence[pulumi.Input[str]]
    cache_secret_arn: pulumi.Input[str] | None
    log_group_arn: pulumi.Input[str]
    audio_bucket_arn: pulumi.Input[str]
    queue: QueueUse
    queue_arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]


class TaskRoles(pulumi.ComponentResource):
    """Execution role (pull, secrets, logs at task start) and task role (the running service itself).

    IAM is written in us-east-1: nothing here changes when the stack is promoted.
    """

    execution_role_arn: pulumi.Output[str]
    task_role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: TaskRolesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:services:TaskRoles", name, {}, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        execution = self._role("execution")
        task = self._role("task")
        self.policies: list[pulumi.Resource] = [self._execution_policy(execution)]
        # A service that uses neither has no permission on AWS at all.
        if actions := AUDIO_ACTIONS[args.audio]:
            self.policies.append(self._task_policy(task, actions))
        if args.queue != "none":
            self.policies.append(self._queue_policy(task, args.queue))
        if args.cache_secret_arn is not None:
            self.policies.append(self._cache_policy(task, args.cache_secret_arn))
        self.execution_role_arn = execution.arn
        self.task_role_arn = task.arn
        self.register_outputs({"execution_role_arn": self.execution_role_arn, "task_role_arn": self.task_role_arn})

    def _role(self, kind: str) -> aws.iam.Role:
        tasks = f"arn:aws:ecs:{self._args.region}:{self._args.account_id}:*"
        return aws.iam.Role(
            f"{self._name}-{kind}",
            name=naming.physical(self._args.short_name, f"{self._args.service}-{kind}", "role"),
            # Only on behalf of this account's own tasks (the confused deputy problem, ECS developer guide).
            assume_role_policy=policies.trust(
                "ecs-tasks.amazonaws.com",
                {
                    "ArnLike": {"aws:SourceArn": tasks},
                    "StringEquals": {"aws:SourceAccount": self._args.account_id},
                },
            ),
            tags=dict(self._args.tags),
            opts=self._child,
        )

    def _execution_policy(self, role: aws.iam.Role) -> aws.iam.RolePolicy:
        region = self._args.region
        policy = pulumi.Output.all(
            secrets=list(self._args.secret_arns), key=self._args.key_arn, logs=self._args.log_group_arn
        ).apply(lambda arns: execution_policy(arns, region))
        return aws.iam.RolePolicy(
            f"{self._name}-execution", name="start-task", role=role.name, policy=policy, opts=self._child
        )

    def _task_policy(self, role: aws.iam.Role, actions: Sequence[str]) -> aws.iam.RolePolicy:
        region = self._args.region
        policy = pulumi.Output.all(bucket=self._args.audio_bucket_arn, key=self._args.key_arn).apply(
            lambda arns: audio_policy(arns, actions, region)
        )
        return aws.iam.RolePolicy(
            f"{self._name}-task", name="recordings", role=role.name, policy=policy, opts=self._child
        )

    def _queue_policy(self, role: aws.iam.Role, use: QueueUse) -> aws.iam.RolePolicy:
        region = self._args.region
        policy = pulumi.Output.all(queue=self._args.queue_arn, key=self._args.key_arn).apply(
            lambda arns: queue_policy(arns, use, region)
        )
        return aws.iam.RolePolicy(
            f"{self._name}-queue", name="sync-queue", role=role.name, policy=policy, opts=self._child
        )

    def _cache_policy(self, role: aws.iam.Role, secret: pulumi.Input[str]) -> aws.iam.RolePolicy:
        region = self._args.region
        policy = pulumi.Output.all(secrets=[secret], key=self._args.key_arn).apply(
            lambda arns: policies.document(*read_secrets(arns, region))
        )
        return aws.iam.RolePolicy(
            f"{self._name}-cache", name="find-cache", role=role.name, policy=policy, opts=self._child
        )


def execution_policy(arns: Mapping[str, Any], region: str) -> str:
    """Read the named secrets and write the service's own log. `arns` has secrets (a list), key, logs."""
    return policies.document(
        *read_secrets(arns, region),
        policies.allow("WriteLog", ["logs:CreateLogStream", "logs:PutLogEvents"], [f"{arns['logs']}:*"]),
    )


def read_secrets(arns: Mapping[str, Any], region: str) -> list[dict[str, Any]]:
    """Read the named secrets, with the key that encrypts them. `arns` has secrets (a list), key."""
    return [
        policies.allow("ReadSecrets", ["secretsmanager:GetSecretValue"], sorted(set(arns["secrets"]))),
        policies.allow(
            "DecryptSecrets",
            ["kms:Decrypt"],
            [arns["key"]],
            {"StringEquals": {"kms:ViaService": f"secretsmanager.{region}.amazonaws.com"}},
        ),
    ]


def audio_policy(arns: Mapping[str, str], actions: Sequence[str], region: str) -> str:
    """Work with recordings through S3 only, with the key that encrypts them. `arns` has bucket, key."""
    key_actions = ["kms:Decrypt"]
    if "s3:PutObject" in actions:
        key_actions.append("kms:GenerateDataKey")
    return policies.document(
        policies.allow("Recordings", actions, [f"{arns['bucket']}/{AUDIO_PREFIX}"]),
        policies.allow(
            "RecordingsKey",
            key_actions,
            [arns["key"]],
            {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}},
        ),
    )


def queue_policy(arns: Mapping[str, str], use: QueueUse, region: str) -> str:
    """Send to or receive from the queue, with the key that encrypts its messages. `arns` has queue, key."""
    queue_actions, key_actions = QUEUE_ACTIONS[use]
    return policies.document(
        policies.allow("SyncQueue", queue_actions, [arns["queue"]]),
        policies.allow(
            "SyncQueueKey",
            key_actions,
            [arns["key"]],
            {"StringEquals": {"kms:ViaService": f"sqs.{region}.amazonaws.com"}},
        ),
    )
