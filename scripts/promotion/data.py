"""Which data a promotion of the standby would serve, and how much of what people wrote is lost with them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from components.database_plans import EMPTY
from components.facts import Facts, Instance
from components.origins import choose_origin
from components.settings.stack import Settings
from scripts.rehearsal.sources import Source

WORDS = {Source.COPIES: "copy", Source.BACKUPS: "replicated backups", Source.REPLICA: "replica"}
SHORT = timedelta(minutes=2)  # up to here a loss is told in seconds


@dataclass(frozen=True)
class Data:
    """`name` is AWS's. `at`: until when they reach. `lost`: from there to the primary's last sign of life.

    None: not known.
    """

    source: Source
    name: str
    at: datetime | None
    lost: timedelta | None

    @property
    def what(self) -> str:
        return f"{WORDS[self.source]} {self.name}"

    def age(self, now: datetime) -> timedelta | None:
        """What would be lost with the primary now. A replica follows also since the primary last gave a sign."""
        if self.source is Source.REPLICA:
            return self.lost
        return None if self.at is None else now - self.at

    def told(self) -> str:
        """What people get, and what they lose."""
        if self.source is Source.REPLICA:
            said, unknown = f"{self.what} is promoted in place", "how far it was behind when the primary last answered"
        else:
            at = f"{self.at:%Y-%m-%d %H:%M} UTC" if self.at else "a time that AWS does not tell"
            said, unknown = f"restored as it was at {at} ({self.what})", "when the primary last answered"
        if self.lost is None:
            return f"{said}; {unknown} is unknown, so is the loss"
        return f"{said}; about {duration(self.lost)} until the primary's last sign of life are lost"

    def as_json(self) -> dict[str, Any]:
        return {"source": str(self.source), "name": self.name, "at": self.at}


def of(settings: Settings, facts: Facts) -> Data | None:
    """What the generation that will serve is made of; None where it stands alone already, or begins empty.

    Raises pulumi.RunError where there is nothing that can be used.
    """
    generation = settings.serving_generation
    if generation is None:
        return None
    identifier = settings.database_identifier(generation)
    existing = next((instance for instance in facts.instances if instance.identifier == identifier), None)
    if existing is not None:
        return _following(existing, facts) if existing.replica_of else None
    if generation.origin == EMPTY:
        return None
    origin = choose_origin(settings, generation, facts)
    lost = None if facts.sign_of_life is None else max(timedelta(0), facts.sign_of_life - origin.at)
    if origin.backups is None:
        return Data(Source.COPIES, origin.name, origin.at, lost)
    return Data(Source.BACKUPS, origin.backups, origin.at, lost)


def _following(replica: Instance, facts: Facts) -> Data:
    behind, sign = facts.replica_lag, facts.sign_of_life
    return Data(Source.REPLICA, replica.identifier, sign - behind if sign and behind is not None else None, behind)


def duration(time: timedelta) -> str:
    """In seconds where it is short, else in minutes."""
    seconds = time.total_seconds()
    return f"{seconds:.0f} seconds" if time < SHORT else f"{seconds / 60:.0f} minutes"
