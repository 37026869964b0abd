"""`dr database list`: the databases of a stack's file beside what RDS says of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from components import naming
from components.settings.database import GenerationSettings
from components.settings.stack import Settings
from scripts import console, project
from scripts.freeze import choose
from scripts.promotion import findings
from scripts.promotion.concurrently import ask
from scripts.promotion.preflight import SECONDS
from scripts.promotion.site import Site
from scripts.snapshots.model import named_after

NONE = "-"
HEADINGS = ("generation", "database", "by the file", "by its tag", "status", "GiB", "created", "backups reach")


def run(stack: str | None, as_json: bool) -> None:
    """Print them. Raises DrError where RDS did not answer: a list must be whole."""
    site = choose(project.load(project.here()), stack)
    entries = look(site)
    if as_json:
        console.plain(json.dumps({"stack": site.stack.stack, "databases": entries}, indent=2, default=str))
    else:
        console.columns([HEADINGS, *(_row(entry) for entry in entries)])


def look(site: Site) -> list[dict[str, Any]]:
    """Those of the file in its order, then those that it does not declare."""
    questions: dict[str, Callable[[], Any]] = {
        "databases": lambda: _listed(site, "describe_db_instances", "DBInstances"),
        "automated backups": lambda: _listed(
            site, "describe_db_instance_automated_backups", "DBInstanceAutomatedBackups"
        ),
    }
    answers: dict[str, Any] = dict(ask(questions, SECONDS))
    findings.raise_refusals(
        [
            findings.failed(question, answer, site.region)
            for question, answer in answers.items()
            if isinstance(answer, Exception)
        ]
    )
    settings, base = site.settings, site.stack.database
    described = {
        str(found["DBInstanceIdentifier"]): found
        for found in answers["databases"]
        if named_after(found["DBInstanceIdentifier"], base)
    }
    windows = [entry for entry in answers["automated backups"] if entry.get("Region") == site.region]
    declared: dict[str, tuple[str | None, str]] = {
        settings.database_identifier(generation): (generation.name, _meant(settings, generation))
        for generation in settings.database.generations
    }
    others = {identifier: (None, "not declared") for identifier in described if identifier not in declared}
    return [
        _entry(name, identifier, meant, described.get(identifier), windows)
        for identifier, (name, meant) in {**declared, **others}.items()
    ]


def _listed(site: Site, operation: str, member: str) -> list[dict[str, Any]]:
    pages = site.client("rds").get_paginator(operation).paginate()
    return [entry for page in pages for entry in page[member]]


def _meant(settings: Settings, generation: GenerationSettings) -> str:
    restoring = settings.database.restoring
    if generation.released:
        return "released"
    if generation.name == settings.database.serving:
        return "serving"
    return "being restored" if restoring is not None and restoring.generation == generation.name else "retained"


def _entry(
    name: str | None,
    identifier: str,
    meant: str,
    found: Mapping[str, Any] | None,
    windows: list[dict[str, Any]],
) -> dict[str, Any]:
    tags = {tag["Key"]: tag["Value"] for tag in (found or {}).get("TagList", ())}
    reach = [
        (entry["RestoreWindow"]["EarliestTime"], entry["RestoreWindow"]["LatestTime"])
        for entry in windows
        if entry["DBInstanceArn"].rpartition(":")[2] == identifier and entry.get("RestoreWindow", {}).get("LatestTime")
    ]
    return {
        "generation": name,
        "database": identifier,
        "meant": meant,
        "role": tags.get(naming.ROLE_TAG),
        "status": None if found is None else found["DBInstanceStatus"],
        "protected": None if found is None else found.get("DeletionProtection", False),
        "gib": None if found is None else found["AllocatedStorage"],
        "created": None if found is None else found.get("InstanceCreateTime"),
        "backups_from": min((begin for begin, _ in reach), default=None),
        "backups_to": max((end for _, end in reach), default=None),
    }


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    status = str(entry["status"] or "none")
    window = f"{_minute(entry['backups_from'])} to {_minute(entry['backups_to'])}" if entry["backups_to"] else NONE
    return (
        entry["generation"] or NONE,
        entry["database"],
        entry["meant"],
        entry["role"] or NONE,
        status if entry["protected"] in (None, True) else f"{status}, unprotected",
        str(entry["gib"] or NONE),
        _minute(entry["created"]) if entry["created"] else NONE,
        window,
    )


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
