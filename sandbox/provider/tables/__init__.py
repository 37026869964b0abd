"""All resource types that the provider models, by Pulumi token. A type that isn't here is an error, never ignored."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from sandbox.provider.table import Resource

MODULES: Final = (
    "autoscaling",
    "certificates",
    "cloudwatch",
    "discovery",
    "ecs",
    "elasticache",
    "iam",
    "kms",
    "lambda_",
    "load_balancing",
    "logs",
    "network",
    "rds",
    "rds_backups",
    "rds_groups",
    "route53",
    "s3",
    "s3_reports",
    "scheduler",
    "secrets",
    "security_groups",
    "sns",
    "sqs",
)


def _collect() -> dict[str, Resource]:
    table: dict[str, Resource] = {}
    for name in MODULES:
        for resource in import_module(f"{__name__}.{name}").RESOURCES:
            if resource.token in table:
                raise ValueError(f"{resource.token} stands twice in the tables")
            table[resource.token] = resource
    return table


TABLE: Final[dict[str, Resource]] = _collect()
