"""The services of the platform and their released versions, the same in both stacks."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from components.settings.base import Flag, Frozen, Slug
from components.workloads import enough_targets

FARGATE_MEMORY: Final[dict[int, tuple[int, ...]]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4097, 1024)),
    1024: tuple(range(2048, 8193, 1024)),
    2048: tuple(range(4096, 16385, 1024)),
    4096: tuple(range(8192, 30721, 1024)),
}
"""Memory (MiB) that Fargate offers for each number of CPU units (Amazon ECS developer guide, task size)."""


class ServiceSettings(Frozen):
    """One service on ECS. `cpu` in CPU units, `memory` in MiB; `path` is the pattern the load balancer forwards.

    `min_count` and `max_count` bound what autoscaling may choose while serving; `desired_count` is where it begins.
    `owns_schema`: this service migrates the database schema, so its role acts as the schema's owner. `audio`: what it
    does with recordings; `queue`: with the sync queue. `scratch`: it needs a place for temporary files, its image being
    read-only.
    `needs_cache`: it is told where the cache is, and must work without one.
    """

    name: Slug
    priority: Literal["critical", "standard"]
    image: Annotated[str, Field(pattern=r"^ghcr\.io/[a-z0-9._/-]+$")]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    cpu: int
    memory: int
    port: int = Field(ge=1, le=65535)
    desired_count: int = Field(ge=1, le=1000)
    min_count: int = Field(ge=1, le=1000)
    max_count: int = Field(ge=1, le=1000)
    standby_count: int = Field(default=0, ge=0, le=1000)
    path: Annotated[str, Field(pattern=r"^/[A-Za-z0-9_.$/~'@:+&*?-]*$", max_length=128)] | None = None
    needs_database: Flag
    needs_cache: Flag = False
    owns_schema: Flag = False
    queue: Literal["send", "receive", "none"] = "none"
    audio: Literal["none", "read", "write"] = "none"
    scratch: Flag = False

    @property
    def critical(self) -> bool:
        return self.priority == "critical"

    @property
    def image_reference(self) -> str:
        """The one place that says where images come from. With a digest ECS pulls exactly that content."""
        return f"{self.image}:{self.version}@{self.digest}"

    @model_validator(mode="after")
    def _size_exists(self) -> Self:
        if self.cpu not in FARGATE_MEMORY:
            raise ValueError(f"cpu {self.cpu} is none of {', '.join(map(str, FARGATE_MEMORY))}")
        if self.memory not in FARGATE_MEMORY[self.cpu]:
            allowed = ", ".join(map(str, FARGATE_MEMORY[self.cpu]))
            raise ValueError(f"memory {self.memory} is not offered for cpu {self.cpu}, which takes {allowed}")
        return self

    @model_validator(mode="after")
    def _counts_in_order(self) -> Self:
        low, first, high = self.min_count, self.desired_count, self.max_count
        if not low <= first <= high:
            raise ValueError(
                f"minCount {low}, desiredCount {first}, maxCount {high}: none may be less than the one before"
            )
        if self.critical and low < enough_targets(first):
            raise ValueError(
                f"minCount {low}: a critical service needs at least half of its desiredCount, {enough_targets(first)}, "
                "because a takeover counts that many healthy targets"
            )
        return self
