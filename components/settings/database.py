"""The databases of a stack, generation by generation, and how a standby gets their data."""

from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from components.settings.base import Frozen, Slug
from components.settings.windows import check_apart, daily_window, weekly_window

_SLUG = r"^[a-z](?:[a-z0-9]|-(?!-))*(?<!-)$"

StandbySource = Literal["snapshot-copies", "replicated-backups", "read-replica"]

EXPECTED_LOSS_MINUTES: Final[dict[StandbySource, int]] = {
    "snapshot-copies": 60,
    "replicated-backups": 30,
    "read-replica": 10,
}
"""From which loss on a promotion says that something was wrong with its source. A copy is made every 15 minutes and
takes its time; RDS uploads transaction logs every 5 minutes and copies them; a replica follows within seconds, but
reports up to 5 minutes while nobody writes ("Monitoring read replication", RDS user guide)."""


class GenerationSettings(Frozen):
    """One database. `origin` is `empty`, `newest` (the newest usable data) or the identifier of a snapshot."""

    name: Slug
    origin: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9:-]*$", max_length=255)]
    identifier: Annotated[str, Field(pattern=_SLUG, max_length=63)] | None = None


class DatabaseSettings(Frozen):
    """`allocated_storage` in GiB; `rpo_minutes` is the loss from which a promotion warns, whatever its source.

    `standby_source` is set where this stack gets the data of its peer's database, and `standby_source_arn` names that
    database where the source has to know it. Windows are in UTC.
    """

    instance_class: Annotated[str, Field(pattern=r"^db\.[a-z0-9]+\.[a-z0-9]+$")]
    allocated_storage: int = Field(ge=20, le=65536)
    engine_version: Annotated[str, Field(pattern=r"^1[4-9]\.\d+$")]
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]
    backup_retention_days: int = Field(default=7, ge=1, le=35)
    backup_window: Annotated[str, BeforeValidator(daily_window)] = "03:00-03:30"
    maintenance_window: Annotated[str, BeforeValidator(weekly_window)] = "sun:04:30-sun:05:30"
    standby_source: StandbySource | None = None
    standby_source_arn: Annotated[str, Field(pattern=r"^arn:aws:rds:[a-z0-9-]+:\d{12}:db:[a-z0-9-]+$")] | None = None
    serving: str
    generations: tuple[GenerationSettings, ...] = Field(min_length=1)
    rpo_minutes: int = Field(default=60, ge=1)

    @property
    def tolerated_loss_minutes(self) -> int:
        """What a promotion may lose without a warning."""
        expected = EXPECTED_LOSS_MINUTES[self.standby_source] if self.standby_source else self.rpo_minutes
        return min(self.rpo_minutes, expected)

    @model_validator(mode="after")
    def _generations_distinct(self) -> Self:
        names = [generation.name for generation in self.generations]
        if len(set(names)) != len(names):
            raise ValueError(f"generations need distinct names, these are {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _windows_apart(self) -> Self:
        check_apart(self.backup_window, self.maintenance_window)
        return self

    @model_validator(mode="after")
    def _source_named(self) -> Self:
        by_arn = self.standby_source in ("replicated-backups", "read-replica")
        if by_arn and self.standby_source_arn is None:
            raise ValueError(
                f"standbySource {self.standby_source} needs standbySourceArn, the output databaseArn of the peer "
                "stack; until the peer has a database, set snapshot-copies"
            )
        if self.standby_source_arn is not None and not by_arn:
            raise ValueError("standbySourceArn is for standbySource replicated-backups or read-replica; leave it out")
        return self
