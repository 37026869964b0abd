"""A read replica whose promotion was interrupted: in AWS it stands alone, or soon will, and the state says it follows.

The provider calls PromoteReadReplica, waits, then sets the rest (Terraform AWS provider, internal/service/rds/
instance.go). An engine that ends on the way records nothing of it, and a second call would be refused: the instance is
no replica any more. So the state is told what is there, of this one resource, and the next deployment sets the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from scripts import console
from scripts.promotion import adoption
from scripts.promotion.leftovers import Document, Leftover, of_type
from scripts.promotion.site import Site

FOLLOWS = "replicateSourceDb"
LOOK_EVERY = 2.0  # real seconds
# Longer than RDS takes for a promotion and what follows it (the provider itself gives an update 80 minutes).
PATIENCE_MINUTES = 80.0


def following(document: Document) -> list[Leftover]:
    """The databases that follow another one, as far as the state knows."""
    return [found for found in of_type(document, adoption.DATABASE) if found.outputs.get(FOLLOWS)]


def promoted(site: Site, document: Document) -> list[Leftover]:
    """Those of them that stand alone in AWS."""
    return [found for found in following(document) if _stands_alone(site, found)]


def _stands_alone(site: Site, follower: Leftover) -> bool:
    instance = site.instance(follower.inputs["identifier"])
    return instance is not None and not instance.get("ReadReplicaSourceDBInstanceIdentifier")


def settle(site: Site, document: Document, wait: Callable[[float], None]) -> bool:
    """Wait until RDS has done with every follower; whether there was anything to wait for. Changes nothing.

    One that will not become usable is not waited for: the program's guards say what to do instead.
    """
    waited = [_settle(site, follower, wait) for follower in following(document)]
    return any(waited)


def _settle(site: Site, follower: Leftover, wait: Callable[[float], None]) -> bool:
    deadline = time.monotonic() + PATIENCE_MINUTES * 60
    waited = False
    while (found := adoption.find(site, follower)) is not None and not (found.ready or found.lost):
        if time.monotonic() > deadline:
            break
        if not waited:
            console.step(f"Waiting until {found.name} is available (now {found.status})", "minutes; changes nothing")
        waited = True
        wait(LOOK_EVERY)
    return waited
