"""What a rehearsal leaves behind: result.json, events.jsonl, report.html, and `latest`, which points to them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.clock import DURATIONS
from scripts.project import BUILD
from scripts.rehearsal import checks, report
from scripts.rehearsal.calls import Accounting
from scripts.rehearsal.evidence import Evidence
from scripts.rehearsal.sources import PROMISES
from scripts.rehearsal.timeline import Timeline
from scripts.rehearsal.writer import Look

REHEARSALS = BUILD / "rehearsals"
LATEST = "latest"
SCENARIO = "region-loss"
KEPT_LOGS = ("access.jsonl", "calls.jsonl", "cloud.log", "provider.log")
# The sandbox's own events that say something about the recovery; its inner life stays in its directory.
TOLD = (
    "alb.",
    "database.",
    "deployment.",
    "dns.",
    "error",
    "fault.",
    "health_check.",
    "nat.",
    "region.",
    "service.",
    "snapshot.",
    "target.",
    "task.",
)

Event = dict[str, Any]


def new_directory(scenario: str = SCENARIO, root: Path = REHEARSALS) -> Path:
    """An empty directory for one rehearsal, named by the time of day (UTC)."""
    made = root / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{scenario}"
    made.mkdir(parents=True)
    return made


def result(evidence: Evidence, timeline: Timeline, seed: int, error: str | None) -> dict[str, Any]:
    """The result as it is written. `error`: what ended the rehearsal before its time; it is then never ok."""
    judged = checks.evaluate(evidence)
    return {
        "scenario": SCENARIO,
        "ok": error is None and all(check.ok for check in judged),
        "error": error,
        "seed": seed,
        "fault": evidence.fault,
        "source": {"name": str(evidence.source), "dependence": PROMISES[evidence.source].dependence},
        "speed": evidence.speed,
        "lost_region": evidence.lost_region,
        "standby_region": evidence.standby_region,
        "loss_at": _moment(evidence.loss),
        **_calls(evidence.accounting),
        "rto_minutes": {
            "crisis_page": _rounded(timeline.minutes(evidence.crisis_page)),
            "critical": _rounded(timeline.minutes(evidence.critical)),
            "all": _rounded(timeline.minutes(evidence.all_running)),
        },
        "rpo_minutes": _rounded(evidence.rpo_minutes),
        "limits": {
            "crisis_page": evidence.crisis_limit,
            "critical": evidence.rto_limit,
            "rpo_minutes": evidence.rpo_limit,
        },
        "rows": {
            "committed_before": evidence.committed_before,
            "present_after": None if evidence.read_back is None else len(evidence.present),
        },
        "recordings": {"due": evidence.recordings_due, "missing": evidence.recordings_missing},
        "database": _database(evidence),
        "services": [asdict(service) for service in evidence.services],
        "dns": _dns(evidence, timeline),
        "promotion": {
            "code": evidence.up_code,
            "real_seconds": _rounded(evidence.up_seconds),
            "began_minutes": _rounded(timeline.minutes(evidence.promotion_start or None)),
            "ended_minutes": _rounded(timeline.minutes(evidence.promotion_end or None)),
        },
        "preview_after": evidence.preview_after,
        "drift_after": evidence.drift_after,
        "checks": [asdict(check) for check in judged],
        "modelled": {name: asdict(duration) for name, duration in DURATIONS.items()},
    }


def _calls(accounting: Accounting | None) -> dict[str, Any]:
    """The numbers that must be 0, None where nothing was counted, and who was called at all."""
    if accounting is None:
        return {
            "calls_to_lost_region_during_promotion": None,
            "global_control_plane_calls_during_promotion": None,
            "calls_during_promotion": {},
        }
    return {
        "calls_to_lost_region_during_promotion": len(accounting.lost_region),
        "global_control_plane_calls_during_promotion": len(accounting.global_control_plane),
        "pull_function_calls_before_restore": len(accounting.lost_region_by_pull),
        "calls_during_promotion": accounting.by_service,
    }


def _database(evidence: Evidence) -> dict[str, Any]:
    copy = evidence.copy
    return {
        "restored_from": evidence.restored_from,
        "data_of": _moment(copy.taken) if copy else None,
        "copies": [copy.identifier for copy in sorted(evidence.copies, key=lambda copy: copy.taken)],
    }


def _dns(evidence: Evidence, timeline: Timeline) -> dict[str, Any]:
    """The answers at the four moments; None for a moment that was not reached."""
    told: dict[str, Any] = {}
    for moment in ("before", "after_loss", "after_promotion", "after_return"):
        answer = evidence.dns.get(moment)
        told[moment] = answer and {
            "record": answer["record"],
            "region": answer["region"],
            "minutes": _rounded(timeline.minutes(answer["t"])),
        }
    return told


# -- events -------------------------------------------------------------------------------------------------------
def events(evidence: Evidence, timeline: Timeline, sandbox: Iterable[Mapping[str, Any]]) -> list[Event]:
    """Everything that happened, in order of time, each with its modelled minutes since the loss."""
    told = [dict(event) for event in sandbox if str(event["kind"]).startswith(TOLD)]
    every = [*timeline.as_events(), *seen(evidence.looks), *told]
    dated = sorted((event for event in every if event["t"] is not None), key=lambda event: float(event["t"]))
    return [
        {
            **event,
            "at_minutes": _rounded(timeline.minutes(event["t"])),
            "end_minutes": _rounded(timeline.minutes(event.get("end"))),
        }
        for event in dated
    ]


def seen(looks: Sequence[Look]) -> Iterator[Event]:
    """What people met under the public name, one event for each span of time in which it was the same."""
    current: Event | None = None
    for look in looks:
        if current is not None and (current["state"], current["region"]) == (look.state, look.region):
            current["end"] = look.t
            continue
        if current is not None:
            current["end"] = look.t
            yield current
        current = {"t": look.t, "end": look.t, "kind": "seen", "state": look.state, "region": look.region}
    if current is not None:
        yield current


# -- files --------------------------------------------------------------------------------------------------------
def write(directory: Path, document: Mapping[str, Any], happened: Sequence[Event]) -> None:
    """Write the three files, then let `latest` point to them."""
    (directory / "result.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    lines = (json.dumps(event, ensure_ascii=False, default=str) + "\n" for event in happened)
    (directory / "events.jsonl").write_text("".join(lines))
    (directory / "report.html").write_text(report.render(document, happened))
    point(directory)


def keep_logs(sandbox: Path, directory: Path) -> Path:
    """Copy the sandbox's logs next to the report; engine logs stay behind, because they hold secret values."""
    kept = directory / "sandbox"
    kept.mkdir()
    for name in KEPT_LOGS:
        if (sandbox / name).exists():
            shutil.copy2(sandbox / name, kept / name)
    return kept


def point(directory: Path) -> None:
    """Let `latest` point there, replaced in one step: at no time does it point to nothing."""
    link = directory.parent / LATEST
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.symlink_to(directory.name)
    fresh.replace(link)


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)


def _moment(epoch: float) -> str | None:
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="seconds") if epoch else None
