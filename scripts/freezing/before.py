"""How a stack stands before it is frozen or thawed: credentials, lock, state, and how many tasks its services run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from components.settings.stack import Settings
from components.workloads import writes
from scripts.promotion import findings, leftovers, preflight, running
from scripts.promotion.concurrently import ask
from scripts.promotion.findings import Finding
from scripts.promotion.preflight import SECONDS
from scripts.promotion.preflight import Before as Preflight
from scripts.promotion.site import Site


@dataclass
class Before:
    """`frozen`: what the last deployment left. `kept`: the counts that it keeps for a thaw. `live`: tasks that ECS is
    asked to run now, by service."""

    found: list[Finding] = field(default_factory=list)
    frozen: bool = False
    kept: dict[str, int] = field(default_factory=dict)
    live: dict[str, int] = field(default_factory=dict)
    resumed: bool = False


def look(site: Site) -> Before:
    """Ask everything at once. Nothing is changed."""
    before, shared = Before(), Preflight()
    checks: dict[str, Callable[[], list[Finding]]] = {
        "credentials": lambda: preflight.credentials(site, shared),
        "lock": lambda: preflight.lock(site, shared),
        "state": lambda: [_state(site, before)],
        "services": lambda: [_services(site, before)],
    }
    for subject, answer in ask(checks, SECONDS).items():
        before.found += answer if isinstance(answer, list) else [findings.failed(subject, answer, site.region)]
    before.resumed = before.resumed or bool(shared.dead_locks)
    return before


def counts(settings: Settings, before: Before) -> dict[str, int]:
    """How many tasks of each service a thaw of what is frozen now, or is going to be, starts.

    While a freeze or a thaw is under way the live counts are no longer what people needed; before it, nothing else is.
    A service that runs nothing begins with its configured count.
    """
    kept, live = {**before.kept, **settings.thaw_counts}, {name: n for name, n in before.live.items() if n}
    known = {**live, **kept} if settings.frozen or before.frozen else {**kept, **live}
    return {s.name: known[s.name] for s in settings.services if writes(s) and known.get(s.name)}


def _state(site: Site, before: Before) -> Finding:
    stack, document = site.stack.stack, site.checkpoint()
    outputs = leftovers.outputs(document)
    if not leftovers.took_over(document):
        said = f"{stack} has not taken over: it does not serve."
        return findings.refused("state", said, "`dr status` says which stack serves.")
    before.frozen = outputs.get("frozen") is True
    before.resumed = bool(leftovers.others_pending(document) or leftovers.find(document))
    if before.frozen:
        before.kept = {name: int(tasks) for name, tasks in (outputs.get("thawCounts") or {}).items()}
    said = "last deployed as serving" + (", frozen" if before.frozen else "")
    if before.resumed:
        return findings.warning("state", f"{said}; a deployment since then was interrupted")
    return findings.ok("state", said)


def _services(site: Site, before: Before) -> Finding:
    before.live = {entry["serviceName"]: int(entry["desiredCount"]) for entry in running.services(site)}
    told = ", ".join(f"{name} {tasks}" for name, tasks in before.live.items())
    return findings.ok("services", told or "there is none")
