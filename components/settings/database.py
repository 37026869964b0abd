"""The databases of a stack, generation by generation, and how a standby gets their data."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.settings.base import Frozen, Slug

_SLUG = r"^[a-z](?:[a-z0-9]|-(?!-))*(?<!-)$"


class GenerationSettings(Frozen):
    """One database. `origin` is `empty`, `newest` (the newest usable copy) or the identifier of a snapshot."""

    name: Slug
    origin: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9:-]*$", max_length=255)]
    identifier: Annotated[str, Field(pattern=_SLUG, max_length=63)] | None = None


class DatabaseSettings(Frozen):
    """`allocated_storage` in GiB; `rpo_minutes` is the age of a copy from which a promotion warns.

    `standby_source` is set where this stack pulls copies of its peer's database.
    """

    instance_class: Annotated[str, Field(pattern=r"^db\.[a-z0-9]+\.[a-z0-9]+$")]
    allocated_storage: int = Field(ge=20, le=65536)
    engine_version: Annotated[str, Field(pattern=r"^1[3-9]\.\d+$")]
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]
    standby_source: Literal["snapshot-copies"] | None = None
    serving: str
    generations: tuple[GenerationSettings, ...] = Field(min_length=1)
    rpo_minutes: int = Field(default=60, ge=1)

    @model_validator(mode="after")
    def _generations_distinct(self) -> Self:
        names = [generation.name for generation in self.generations]
        if len(set(names)) != len(names):
            raise ValueError(f"generations need distinct names, these are {', '.join(names)}")
        return self
