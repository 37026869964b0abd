"""Which stack a replay is for, where nobody said it: the one that serves, by the states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from scripts.errors import CredentialsError, RefusedError
from scripts.project import Project, StackFacts
from scripts.promotion import findings, leftovers
from scripts.promotion.site import Site

NAME_IT = "Say which: -s STACK"


def choose(facts: Project, stack: str | None, environment: Mapping[str, str]) -> StackFacts:
    """The stack that was named, else the one that was deployed as serving."""
    known = {found.stack: found for found in facts.stacks}
    if stack is not None:
        if stack not in known:
            raise RefusedError(f"There is no stack {stack}; stacks: {', '.join(known)}. Nothing was changed.")
        return known[stack]
    states = {name: _outputs(Site(facts, found, environment)) for name, found in known.items()}
    serving = [name for name, outputs in states.items() if outputs.get("standby") is False]
    # After a promotion the state of the region that was lost still says that it serves: the newer takeover is right.
    newest = max((_epoch(states[name]) for name in serving), default=0)
    chosen = [name for name in serving if _epoch(states[name]) == newest]
    if len(chosen) != 1:
        raise RefusedError(f"Deployed as serving: {', '.join(chosen) or 'none'}. Nothing was changed.", NAME_IT)
    return known[chosen[0]]


def _epoch(outputs: Mapping[str, Any]) -> int:
    return int(outputs.get("epoch", 0))


def _outputs(site: Site) -> Mapping[str, Any]:
    try:
        return leftovers.outputs(site.checkpoint())
    except (ClientError, BotoCoreError) as error:
        found = findings.failed("state", error, site.region)
        if found.refusal is CredentialsError:
            findings.raise_refusals([found])
        raise RefusedError(f"Which stack serves cannot be read from its state: {error}", NAME_IT) from None
