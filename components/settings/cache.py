"""The cache of a stack: how large it is and what a new one begins with."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.settings.base import Form, Frozen, Unit


class CacheSettings(Frozen):
    """One replication group."""

    node_type: Annotated[
        str,
        Field(pattern=r"^cache\.[a-z0-9]+\.[a-z0-9]+$"),
        Form("`cache.<family>.<size>`, such as `cache.t4g.medium`"),
    ] = Field(description="Size of a node")
    nodes: Annotated[int, Unit("nodes")] = Field(default=2, ge=2, le=6, description="The primary and its replicas")
    retention_days: Annotated[int, Unit("days")] = Field(
        default=7, ge=1, le=35, description="How long daily snapshots are kept"
    )
    restore: Literal["none", "snapshot", "rdb"] = Field(
        default="none",
        description="What a *new* cache begins with (`none`: empty); a running one is never replaced because of it",
    )
    snapshot: (
        Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9.:-]*$", max_length=255), Form("a snapshot's name")] | None
    ) = Field(default=None, description="A snapshot of the own region; needed for `restore: snapshot`")
    rdb: (
        Annotated[
            str, Field(pattern=r"^[A-Za-z0-9!_.*'()/-]+\.rdb$", max_length=1024), Form("an object's key, ending `.rdb`")
        ]
        | None
    ) = Field(
        default=None,
        description="A file in the stack's bucket `<platform>-<short name>-cache-imports`; needed for `restore: rdb`",
    )

    @model_validator(mode="after")
    def _restore_has_its_source(self) -> Self:
        if self.restore != "none" and getattr(self, self.restore) is None:
            raise ValueError(f"restore: {self.restore} needs cache.{self.restore} (what to restore)")
        return self
