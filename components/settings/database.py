"""The databases of a stack, generation by generation, and how a standby gets their data."""

import re
from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from components.settings.base import Flag, Form, Frozen, Slug, Unit
from components.settings.windows import check_apart, daily_window, weekly_window

_SNAPSHOT = r"[A-Za-z][A-Za-z0-9:-]*"
_TIME = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2})"
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
    """One database."""

    name: Slug = Field(description="How `database.serving` names it")
    origin: Annotated[
        str,
        Field(pattern=rf"^(?:{_SNAPSHOT}|{_TIME})$", max_length=255),
        Form(
            "`empty`, `newest` (usable copy or replicated backup), a snapshot's identifier or a time in quotes, to the "
            'second and with its zone, such as `"2026-03-02T09:14:30+03:00"`'
        ),
    ] = Field(description="What it is made of, once; a time: what `of` was then")
    of: Slug | None = Field(
        default=None,
        description="Which earlier generation's automated backups a time is of, also after its deletion; with a time "
        "only, which needs it",
    )
    identifier: (
        Annotated[str, Field(pattern=_SLUG, max_length=63), Form("lower-case letters, digits, single hyphens")] | None
    ) = Field(
        default=None,
        description="The database's own name, if not `<platform>-<short name>-rds` (first) or that with the "
        "generation's name (later ones)",
    )
    released: Flag = Field(
        default=False,
        description="`true`: given up, or about to be. It stays listed, so that the others keep their names and `of` "
        "keeps its meaning; its database goes in two deployments. `dr database release` sets it, behind a final "
        "snapshot",
    )

    @property
    def moment(self) -> datetime | None:
        """The time that `origin` is, None where it is none."""
        return datetime.fromisoformat(self.origin) if re.fullmatch(_TIME, self.origin) else None

    @field_validator("origin")
    @classmethod
    def _a_time_that_exists(cls, origin: str) -> str:
        if re.fullmatch(_TIME, origin):
            try:
                datetime.fromisoformat(origin)
            except ValueError as error:
                raise ValueError(f"no such time: {error}") from None
        return origin


class RestoringSettings(Frozen):
    """A restore that is under way: what `dr restore database` continues. The program itself makes nothing of it."""

    generation: Slug = Field(
        description="The generation that a restore which is under way brings in; `dr restore database` writes "
        "`restoring` and removes it at its end"
    )
    damage_from: (
        Annotated[
            str,
            Field(pattern=rf"^{_TIME}$"),
            Form('a time in quotes, to the second and with its zone, such as `"2026-03-02T09:14:30+03:00"`'),
        ]
        | None
    ) = Field(
        default=None,
        description="What is later than this is damaged: such snapshots and copies are marked unusable at the end",
    )


class DatabaseSettings(Frozen):
    """The databases of a stack: what they have in common, and each of them."""

    instance_class: Annotated[
        str, Field(pattern=r"^db\.[a-z0-9]+\.[a-z0-9]+$"), Form("`db.<family>.<size>`, such as `db.m6g.large`")
    ] = Field(description="Size of an instance")
    allocated_storage: Annotated[int, Unit("GiB")] = Field(
        ge=20, le=65536, description="Storage; a restore never shrinks what the copy has"
    )
    engine_version: Annotated[
        str, Field(pattern=r"^1[4-9]\.\d+$"), Form("PostgreSQL 14 to 19 with its minor version, such as `17.6`")
    ] = Field(description="Version of an empty database only: a restore keeps the copy's")
    name: Annotated[
        str,
        Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=63),
        Form("lower-case letters, digits, underscores, a letter first"),
    ] = Field(description="Name of the database inside of PostgreSQL")
    backup_retention_days: Annotated[int, Unit("days")] = Field(
        default=7, ge=1, le=35, description="How long the database's own backups and replicated ones are kept"
    )
    backup_window: Annotated[str, BeforeValidator(daily_window), Form("`hh:mm-hh:mm` in UTC, at least 30 minutes")] = (
        Field(default="03:00-03:30", description="When RDS makes its daily backup, apart from the maintenance window")
    )
    maintenance_window: Annotated[
        str,
        BeforeValidator(weekly_window),
        Form("`ddd:hh:mm-ddd:hh:mm` in UTC, lower case, 30 minutes to 24 hours"),
    ] = Field(default="sun:04:30-sun:05:30", description="When RDS may work on the instance")
    standby_source: StandbySource | None = Field(
        default=None,
        description="How this stack gets its peer's data; copies are made with each of them; absent where nothing is "
        "pulled",
    )
    standby_source_arn: (
        Annotated[
            str,
            Field(pattern=r"^arn:aws:rds:[a-z0-9-]+:\d{12}:db:[a-z0-9-]+$"),
            Form("the ARN of an RDS instance"),
        ]
        | None
    ) = Field(
        default=None,
        description="The peer's output `databaseArn`; for `replicated-backups` and `read-replica` only, which need it",
    )
    serving: Annotated[str, Form("the name of a generation")] = Field(description="Which generation serves")
    generations: tuple[GenerationSettings, ...] = Field(
        min_length=1, description="The databases by distinct names, in the order they were made"
    )
    restoring: RestoringSettings | None = None
    rpo_minutes: Annotated[int, Unit("minutes")] = Field(
        default=60,
        ge=1,
        description="A promotion that loses more warns; `replicated-backups` warns already from 30 minutes, "
        "`read-replica` from 10. Copies and backups alarm at three quarters of it",
    )

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
    def _restoring_one_of_them(self) -> Self:
        names = [generation.name for generation in self.generations]
        if self.restoring is not None and self.restoring.generation not in names:
            raise ValueError(
                f"restoring: {self.restoring.generation} names no generation; allowed: {', '.join(names)}, or absent"
            )
        return self

    @model_validator(mode="after")
    def _released_ones_serve_nobody(self) -> Self:
        used = {self.serving: "serving"}
        if self.restoring is not None:
            used[self.restoring.generation] = "restoring.generation"
        for generation in self.generations:
            if generation.released and generation.name in used:
                raise ValueError(
                    f"generations: {generation.name} is released: true, but {used[generation.name]} names it; leave "
                    "released out, or let another generation serve"
                )
        return self

    @model_validator(mode="after")
    def _times_of_earlier_ones(self) -> Self:
        earlier: list[str] = []
        for generation in self.generations:
            if generation.moment is None and generation.of is not None:
                raise ValueError(
                    f"generations: {generation.name} has of {generation.of}, which is for a time as origin; leave it "
                    f"out with origin {generation.origin}"
                )
            if generation.moment is not None and generation.of not in earlier:
                raise ValueError(
                    f"generations: {generation.name} has a time as its origin and needs of, the name of an earlier "
                    f"generation; allowed: {', '.join(earlier) or 'none, it is the first'}"
                )
            earlier.append(generation.name)
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
