"""The cache of a stack: how large it is and what a new one begins with."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.settings.base import Frozen


class CacheSettings(Frozen):
    """`nodes`: primary and replicas. `retention_days`: how long daily snapshots are kept.

    `restore` says what a *new* cache begins with; a running one is never replaced because of it. `snapshot`: a snapshot
    of the own region, by name. `rdb`: the key of an RDB file in the stack's own import bucket.
    """

    node_type: Annotated[str, Field(pattern=r"^cache\.[a-z0-9]+\.[a-z0-9]+$")]
    nodes: int = Field(default=2, ge=2, le=6)
    retention_days: int = Field(default=7, ge=1, le=35)
    restore: Literal["none", "snapshot", "rdb"] = "none"
    snapshot: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9.:-]*$", max_length=255)] | None = None
    rdb: Annotated[str, Field(pattern=r"^[A-Za-z0-9!_.*'()/-]+\.rdb$", max_length=1024)] | None = None

    @model_validator(mode="after")
    def _restore_has_its_source(self) -> Self:
        if self.restore != "none" and getattr(self, self.restore) is None:
            raise ValueError(f"restore: {self.restore} needs cache.{self.restore} (what to restore)")
        return self
