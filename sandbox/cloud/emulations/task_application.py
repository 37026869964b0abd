"""Starting the small application in a task: what it may reach, and in whose name it calls AWS."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations import access, database_route, task_start
from sandbox.cloud.emulations.ecs_model import EcsTask
from sandbox.cloud.emulations.queue_worker import QueueWorker
from sandbox.cloud.emulations.workload import Contradiction, Unavailable, Workload

CONSUMER = "sync"  # the image that works off the queue
IDLE_MINUTES = 0.1  # modelled
# A receiver waits up to 20 modelled seconds for an answer; a lost region's must not be asked twice.
_PATIENT = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)

_making = threading.Lock()  # making a client is not thread-safe in boto3, using one is


def start(cloud: Cloud, task: EcsTask, image: str, environment: Mapping[str, str]) -> Workload:
    """The application of an image in a task that is in place. Its consumer, if it has one, runs already."""

    def route(host: str, port: int) -> str | None:
        return database_route.obstacle(cloud, task.place, host, port)

    def read_secret(arn: str) -> str | None:
        try:
            return task_start.secret_text(task.place, task_start.role_of(task.definition, "task"), arn)
        except task_start.StartFailure:  # no value yet, or no way there: the application goes on without
            return None

    workload = Workload(image, task.region_name, environment, route, read_secret)
    if image == CONSUMER and "SYNC_QUEUE" in environment:
        worker = workload.worker = _worker(cloud, task, workload, environment["SYNC_QUEUE"])

        def work() -> None:
            try:
                worker.run()
            finally:
                workload.close()  # it may have connected again after the task was stopped

        name = f"sync {task.id}"
        threading.Thread(target=cloud.guarded, args=(work, name), name=name, daemon=True).start()
    return workload


def _worker(cloud: Cloud, task: EcsTask, workload: Workload, url: str) -> QueueWorker:
    def ready() -> bool:
        """Nothing of a lost region works; a task needs a way to SQS, and its database."""
        lost = cloud.is_cut(task.region_name)
        return not lost and task.place.reaches_service("sqs") and workload.check()

    def client() -> Any:
        role = task_start.role_of(task.definition, "task").rpartition("/")[2]
        session = boto3.Session(f"{access.TASK}{role}", "fake", region_name=task.region_name)
        with _making:
            return session.client("sqs", endpoint_url=f"http://127.0.0.1:{cloud.port}", config=_PATIENT)

    return QueueWorker(
        url,
        client,
        ready,
        workload.write,
        refusals=Contradiction,
        troubles=Unavailable,
        idle=cloud.clock.seconds(IDLE_MINUTES),
    )
