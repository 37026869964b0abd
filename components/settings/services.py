"""The services of the platform and their released versions, the same in both stacks."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from components.settings.base import Flag, Form, Frozen, Slug, Unit
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
    """One service on ECS."""

    name: Slug = Field(
        description="Its name; with `mhp-<short name>-` before it at most 32 characters (a target group's name)"
    )
    priority: Literal["critical", "standard"] = Field(
        description="Whether it comes up before the takeover (`critical`) or after it (`standard`)"
    )
    image: Annotated[str, Field(pattern=r"^ghcr\.io/[a-z0-9._/-]+$"), Form("`ghcr.io/…` without tag")] = Field(
        description="Where its image is"
    )
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"), Form("an image tag")] = Field(
        description="The release, for people"
    )
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$"), Form("`sha256:` and 64 hexadecimal digits")] = (
        Field(description="The release, exactly: what ECS pulls")
    )
    cpu: Annotated[int, Form(", ".join(map(str, FARGATE_MEMORY))), Unit("CPU units")] = Field(
        description="Processor of a task, one of these; 1024 are a virtual CPU"
    )
    memory: Annotated[int, Form("MiB, what Fargate offers for that `cpu`")] = Field(description="Memory of a task")
    port: int = Field(ge=1, le=65535, description="Where the container listens")
    desired_count: Annotated[int, Unit("tasks")] = Field(
        ge=1, le=1000, description="With how many a stack begins to serve; later autoscaling decides"
    )
    min_count: Annotated[int, Unit("tasks")] = Field(
        ge=1,
        le=1000,
        description="Autoscaling's fewest, not above `desiredCount`; for a critical service at least half of that",
    )
    max_count: Annotated[int, Unit("tasks")] = Field(
        ge=1, le=1000, description="Autoscaling's most, not below `desiredCount`"
    )
    standby_count: Annotated[int, Unit("tasks")] = Field(
        default=0,
        ge=0,
        le=1000,
        description="How many run while standing by; 0 for a service that needs the database, unless `standbySource` "
        "is `read-replica`",
    )
    path: (
        Annotated[
            str,
            Field(pattern=r"^/[A-Za-z0-9_.$/~'@:+&*?-]*$", max_length=128),
            Form("a path pattern of the load balancer, such as `/api/*`"),
        ]
        | None
    ) = Field(default=None, description="What the load balancer forwards to it; needed by critical services")
    needs_database: Flag = Field(description="Gives it a role and a login")
    needs_cache: Flag = Field(default=False, description="Tells it where the cache is; it must work without one")
    owns_schema: Flag = Field(
        default=False,
        description="It migrates the schema: `true` for at most one service, critical and with the database",
    )
    queue: Literal["send", "receive", "none"] = Field(default="none", description="What it does with the sync queue")
    audio: Literal["none", "read", "write"] = Field(
        default="none", description="What it may do with recordings; `write` reads, too, and nobody deletes"
    )
    scratch: Flag = Field(
        default=False,
        description="Gives its read-only container a volume at `/tmp`, which its image must declare (`VOLUME /tmp`)",
    )

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
