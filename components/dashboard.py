"""One dashboard a stack: the way in, the services, the data, the protection. It is the same whatever the flag is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components import naming
from components.alarms import MINUTE
from components.metrics import COPY_CYCLE_RUNS, NEWEST_BACKUP_AGE, NEWEST_COPY_AGE, OWN_NAMESPACE, Reading, reading
from components.settings.database import StandbySource
from components.workloads import ServiceSpec

COLUMNS = 24
WIDTH, HEIGHT = 8, 6


@dataclass(frozen=True, kw_only=True)
class DashboardArgs:
    """Names of what is shown. `standby_source`: how the peer's data arrives, and is measured, here."""

    short_name: str
    region: str
    stack: str
    specs: Sequence[ServiceSpec]
    cluster_name: pulumi.Input[str]
    load_balancer: pulumi.Input[str]
    database_identifier: str
    queue_name: pulumi.Input[str]
    standby_source: StandbySource | None


class Dashboard(pulumi.ComponentResource):
    """Dashboards belong to the whole account, not to a region: nothing of this one depends on `standby`."""

    def __init__(self, name: str, args: DashboardArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:monitoring:Dashboard", name, {}, opts)
        names = pulumi.Output.all(cluster=args.cluster_name, load_balancer=args.load_balancer, queue=args.queue_name)
        aws.cloudwatch.Dashboard(
            name,
            dashboard_name=naming.physical(args.short_name, "platform", "dashboard"),
            dashboard_body=names.apply(lambda known: body(args, known)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def body(args: DashboardArgs, names: Mapping[str, str]) -> str:
    """The dashboard's source, three graphs a row. `names` has cluster, load_balancer, queue."""
    graphs = _graphs(args, names)
    placed = [
        {
            "type": "metric",
            "x": (number * WIDTH) % COLUMNS,
            "y": (number * WIDTH) // COLUMNS * HEIGHT,
            "width": WIDTH,
            "height": HEIGHT,
            "properties": {
                "title": title,
                "region": args.region,
                "view": "timeSeries",
                "stat": "Average",
                "period": MINUTE,
                "metrics": [_line(shown) for shown in readings],
            },
        }
        for number, (title, readings) in enumerate(graphs.items())
    ]
    return json.dumps({"widgets": placed}, sort_keys=True)


def _graphs(args: DashboardArgs, names: Mapping[str, str]) -> dict[str, list[Reading]]:
    balancer, database = names["load_balancer"], args.database_identifier
    entrance = {
        "Requests": [reading("AWS/ApplicationELB RequestCount", "Sum", LoadBalancer=balancer)],
        "Errors": [
            reading(f"AWS/ApplicationELB {metric}", "Sum", LoadBalancer=balancer)
            for metric in ("HTTPCode_Target_5XX_Count", "HTTPCode_ELB_502_Count", "HTTPCode_ELB_504_Count")
        ],
        "Seconds until the answer (one in twenty is slower)": [
            reading("AWS/ApplicationELB TargetResponseTime", "p95", LoadBalancer=balancer)
        ],
    }
    services = {
        title: [reading(metric, "Average", ClusterName=names["cluster"], ServiceName=spec.name) for spec in args.specs]
        for title, metric in (
            ("Running tasks", "ECS/ContainerInsights RunningTaskCount"),
            ("Processor of the services (%)", "AWS/ECS CPUUtilization"),
            ("Memory of the services (%)", "AWS/ECS MemoryUtilization"),
        )
    }
    data = {
        title: [reading(f"AWS/RDS {metric}", "Average", DBInstanceIdentifier=database)]
        for title, metric in (
            ("Free storage of the database (bytes)", "FreeStorageSpace"),
            ("Processor of the database (%)", "CPUUtilization"),
            ("Connections to the database", "DatabaseConnections"),
        )
    }
    waiting = {
        "Oldest message of the sync queue (seconds)": [
            reading("AWS/SQS ApproximateAgeOfOldestMessage", "Maximum", QueueName=names["queue"])
        ]
    }
    protection = {
        "Age of the newest usable copy (minutes)": [
            reading(f"{OWN_NAMESPACE} {NEWEST_COPY_AGE}", "Maximum", Stack=args.stack)
        ],
        "Runs of the snapshot cycle": [reading(f"{OWN_NAMESPACE} {COPY_CYCLE_RUNS}", "Sum", Stack=args.stack)],
    }
    backups = {
        "Age of what the replicated backups reach to (minutes)": [
            reading(f"{OWN_NAMESPACE} {NEWEST_BACKUP_AGE}", "Maximum", Stack=args.stack)
        ]
    }
    replicated = backups if args.standby_source == "replicated-backups" else {}
    return {**entrance, **services, **data, **waiting, **(protection if args.standby_source else {}), **replicated}


def _line(shown: Reading) -> list[Any]:
    """One line of a graph: namespace, metric, dimensions by name and value, then how it is drawn."""
    pairs = [part for name, value in shown.dimensions.items() for part in (name, value)]
    return [shown.metric.namespace, shown.metric.name, *pairs, {"stat": shown.statistic}]
