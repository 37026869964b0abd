"""A region with database and queue in which `sync` runs under the names and policies that the program gives."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from components import naming, task_roles
from tests.sandbox import roles
from tests.sandbox.traffic_platform import EXECUTION_ROLE, Platform, running_platform
from tests.sandbox.traffic_world import KENYA, master, wait

SHORT = "kenya"
CLUSTER = naming.physical(SHORT, "cluster")
QUEUE, LETTERS = (naming.physical(SHORT, noun, "queue") for noun in ("sync", "sync-dead-letters"))
HIDDEN_SECONDS, MOST_DELIVERIES = 60, 3
ROLE = "sync-task"


@dataclass
class Stage:
    """The platform with its queue. `arns`: of the queues and their key."""

    platform: Platform
    sqs: Any
    url: str
    letters: str
    arns: dict[str, str]

    def send(self, *bodies: Any, letters: bool = False) -> None:
        """Text as it is, everything else as JSON."""
        texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
        for start in range(0, len(texts), 10):
            entries = [{"Id": str(n), "MessageBody": text} for n, text in enumerate(texts[start : start + 10])]
            self.sqs.send_message_batch(QueueUrl=self.letters if letters else self.url, Entries=entries)

    def empty(self, *urls: str) -> None:
        """Purged; SQS allows a purge once a minute of modelled time."""
        again = retry_if_exception_type(self.sqs.exceptions.PurgeQueueInProgress)
        for url in urls:
            for attempt in Retrying(retry=again, stop=stop_after_delay(30), wait=wait_fixed(0.2), reraise=True):
                with attempt:
                    self.sqs.purge_queue(QueueUrl=url)

    def counts(self, url: str) -> tuple[int, int]:
        """Visible and hidden messages."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def rows(self) -> list[list[Any]]:
        with master(self.platform.endpoint["Port"]) as connection:
            found: list[list[Any]] = connection.run("select seq, body, key from app.events order by seq")
            return found

    def sessions(self) -> int:
        """Open connections of the sync service."""
        with master(self.platform.endpoint["Port"]) as connection:
            ((found,),) = connection.run("select count(*) from pg_stat_activity where application_name = 'sync'")
            return int(found)

    def scale(self, tasks: int) -> None:
        ecs = self.platform.site.client("ecs")
        ecs.update_service(cluster=CLUSTER, service="sync", desiredCount=tasks)

        def steady() -> bool:
            found = ecs.describe_services(cluster=CLUSTER, services=["sync"])["services"][0]
            return int(found["runningCount"]) == tasks and not found["pendingCount"]

        wait(steady, 30, f"{tasks} tasks of sync")

    @property
    def grants(self) -> str:
        return task_roles.queue_policy(self.arns, "receive", KENYA)

    def allow(self, document: str) -> None:
        iam = self.platform.world.client("iam", "us-east-1")
        iam.put_role_policy(RoleName=ROLE, PolicyName="sync-queue", PolicyDocument=document)


@contextlib.contextmanager
def running_stage(speed: float) -> Iterator[Stage]:
    """The schema is there, and sync runs no task yet."""
    with running_platform(speed) as platform:
        site, iam = platform.site, platform.world.client("iam", "us-east-1")
        platform.create("migrator", platform.define())
        wait(lambda: platform.target_states() == ["healthy"], 30, "the migrator", lambda: platform.events("migrator"))
        stage = _queues(platform)
        role = roles.make(iam, ROLE, "ecs-tasks.amazonaws.com", allowed=None)
        stage.allow(stage.grants)
        site.client("ecs").create_cluster(clusterName=CLUSTER)
        environment = [{"name": "SYNC_QUEUE", "value": stage.url}]
        definition = site.client("ecs").register_task_definition(
            family="sync",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            executionRoleArn=EXECUTION_ROLE,
            taskRoleArn=role,
            cpu="256",
            memory="512",
            containerDefinitions=[platform.container("sync", environment=environment)],
        )["taskDefinition"]["taskDefinitionArn"]
        site.client("ecs").create_service(
            cluster=CLUSTER,
            serviceName="sync",
            taskDefinition=definition,
            desiredCount=0,
            launchType="FARGATE",
            networkConfiguration=platform.network(),
        )
        yield stage


def _queues(platform: Platform) -> Stage:
    sqs = platform.site.client("sqs")
    key = platform.site.client("kms").create_key()["KeyMetadata"]["Arn"]

    def make(name: str, **more: Any) -> tuple[str, str]:
        attributes = {"KmsMasterKeyId": key, "MessageRetentionPeriod": "1209600", **more}
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        return url, arn

    letters, letters_arn = make(LETTERS)
    redrive = json.dumps({"deadLetterTargetArn": letters_arn, "maxReceiveCount": MOST_DELIVERIES})
    times = {"VisibilityTimeout": str(HIDDEN_SECONDS), "ReceiveMessageWaitTimeSeconds": "20"}
    url, arn = make(QUEUE, RedrivePolicy=redrive, **times)
    return Stage(platform, sqs, url, letters, {"queue": arn, "letters": letters_arn, "key": key})
