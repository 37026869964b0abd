"""What a stack is: its configuration as frozen, validated objects.

Read once, by `load()` in `components/configuration.py`; everything else in the program takes these objects. Field names
here are snake_case, in the YAML files camelCase. An unknown field is an error, so that a typo cannot silently leave a
safety setting at its default.
"""

import ipaddress
import re
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from components import crisis_page, naming

FARGATE_MEMORY: Final[dict[int, tuple[int, ...]]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4097, 1024)),
    1024: tuple(range(2048, 8193, 1024)),
    2048: tuple(range(4096, 16385, 1024)),
    4096: tuple(range(8192, 30721, 1024)),
}
"""Memory (MiB) that Fargate offers for each number of CPU units (Amazon ECS developer guide, task size)."""

_SLUG = r"^[a-z](?:[a-z0-9]|-(?!-))*(?<!-)$"
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]
Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]


def _flag(value: object) -> bool:
    """Only the two words. A library that also takes `no` or `0` for false would promote a stack by a slip."""
    match value:
        case True | "true":
            return True
        case False | "false":
            return False
        case _:
            raise ValueError("allowed: true, false")


Flag = Annotated[bool, BeforeValidator(_flag)]
DomainName = Annotated[str, Field(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$", max_length=253)]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, regex_engine="python-re")


class PeerSettings(Frozen):
    """The other stack."""

    stack: Slug
    short_name: Slug
    region: Region


class NetworkSettings(Frozen):
    cidr: str

    @field_validator("cidr")
    @classmethod
    def _usable(cls, value: str) -> str:
        network = ipaddress.ip_network(value)
        if network.version != 4 or not network.is_private or not 16 <= network.prefixlen <= 20:
            raise ValueError("a private IPv4 range between /16 and /20, such as 10.20.0.0/16")
        return value


class DnsSettings(Frozen):
    """`ttl` in seconds, at most the plan's five minutes."""

    domain: DomainName
    zone: DomainName
    role: Literal["primary", "secondary"]
    ttl: int = Field(default=300, ge=10, le=300)

    @model_validator(mode="after")
    def _domain_in_zone(self) -> Self:
        if self.domain != self.zone and not self.domain.endswith(f".{self.zone}"):
            raise ValueError(f"domain {self.domain} must be {self.zone} or end with .{self.zone}")
        return self


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


class ServiceSettings(Frozen):
    """One service on ECS. `cpu` in CPU units, `memory` in MiB; `path` is the pattern the load balancer forwards.

    `owns_schema`: this service migrates the database schema, so its role acts as the schema's owner.
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
    standby_count: int = Field(default=0, ge=0, le=1000)
    path: Annotated[str, Field(pattern=r"^/[A-Za-z0-9_.$/~'@:+&*?-]*$", max_length=128)] | None = None
    needs_database: Flag
    owns_schema: Flag = False

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
    def _standby_has_a_database(self) -> Self:
        if self.needs_database and self.standby_count:
            raise ValueError(
                f"standbyCount {self.standby_count}: a service that needs the database must have 0 while standing by, "
                "because the standby has no database"
            )
        return self


class PhoneLine(Frozen):
    label: Annotated[str, Field(min_length=1, max_length=80)]
    number: Annotated[str, Field(pattern=r"^\+?[0-9][0-9 ()-]*$", max_length=30)]


class CrisisSettings(Frozen):
    """What people see who arrive while no service can answer."""

    phone_lines: tuple[PhoneLine, ...] = Field(min_length=1)
    text: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _fits_a_fixed_response(self) -> Self:
        crisis_page.short_page(self.phone_lines, self.text)
        return self


class Settings(Frozen):
    """Everything configured of one stack, except secrets.

    `protects` names the peer where this stack sends its data there (replication, copies); it is independent of
    `standby`. `owns_shared` is true in the one stack that owns what both share: shared secrets and the certificate's
    validation record. `zone_id` is written by `dr bootstrap`.
    """

    project: str
    stack: Slug
    region: Region
    short_name: Slug
    account_id: Annotated[str, Field(pattern=r"^\d{12}$")]
    peer: PeerSettings
    standby: Flag
    protects: Slug | None = None
    owns_shared: Flag = False
    zone_id: Annotated[str, Field(pattern=r"^Z[A-Z0-9]{1,31}$")]
    network: NetworkSettings
    dns: DnsSettings
    database: DatabaseSettings
    services: tuple[ServiceSettings, ...] = Field(min_length=1)
    crisis: CrisisSettings

    @property
    def reads_peer(self) -> bool:
        """Whether a deployment needs the peer's outputs. Never true for a stack that must be promotable alone."""
        return self.protects is not None or not self.owns_shared or self.dns.role == "primary"

    @property
    def runs_something(self) -> bool:
        """Whether any task runs, so that the network needs a way out."""
        return not self.standby or any(service.standby_count for service in self.services)

    @property
    def serving_generation(self) -> GenerationSettings | None:
        return next((g for g in self.database.generations if g.name == self.database.serving), None)

    @property
    def health_service(self) -> str:
        """The service that answers for the public name: the first critical one."""
        return next(service.name for service in self.services if service.critical)

    @property
    def database_services(self) -> list[str]:
        """The services that have a login at the database."""
        return [service.name for service in self.services if service.needs_database]

    @property
    def critical_logins(self) -> list[str]:
        """Those of them that come up before the takeover."""
        return [service.name for service in self.services if service.needs_database and service.critical]

    @property
    def standard_logins(self) -> list[str]:
        """Those of them that come up after it."""
        return [service.name for service in self.services if service.needs_database and not service.critical]

    @property
    def schema_owner(self) -> str | None:
        """The service that migrates the database's schema."""
        return next((service.name for service in self.services if service.owns_schema), None)

    def database_identifier(self, generation: GenerationSettings) -> str:
        first = generation == self.database.generations[0]
        return naming.database(self.short_name, generation.name, first, generation.identifier)

    @model_validator(mode="after")
    def _two_different_stacks(self) -> Self:
        if self.peer.stack == self.stack or self.peer.short_name == self.short_name:
            raise ValueError(f"peer.stack and peer.shortName must name another stack than {self.stack}")
        if self.peer.region == self.region:
            raise ValueError(f"peer.region must differ from aws:region ({self.region}): one region is no protection")
        if self.protects not in (None, self.peer.stack):
            raise ValueError(f"protects: {self.protects}; allowed: {self.peer.stack} (the peer) or absent")
        return self

    @model_validator(mode="after")
    def _services_consistent(self) -> Self:
        names = [service.name for service in self.services]
        if len(set(names)) != len(names):
            raise ValueError(f"services need distinct names, these are {', '.join(names)}")
        pathless = [service.name for service in self.services if service.critical and not service.path]
        if pathless:
            raise ValueError(
                f"services: {', '.join(pathless)} is critical and needs a path: "
                "a takeover counts its healthy targets at the load balancer"
            )
        if not any(service.critical for service in self.services):
            raise ValueError("services: at least one must be critical, it answers for the public name")
        owners = [service.name for service in self.services if service.owns_schema]
        if len(owners) > 1 or any(name not in self.critical_logins for name in owners):
            raise ValueError(
                "services: ownsSchema is for one critical service that needs the database (the others wait for its "
                f"schema); set: {', '.join(owners)}"
            )
        return self

    @model_validator(mode="after")
    def _names_accepted_by_aws(self) -> Self:
        for noun in ("alb", "rds", "audio-storage", "page", "cluster"):
            naming.physical(self.short_name, noun)
        for service in self.services:
            naming.target_group(self.short_name, service.name)
            naming.physical(self.short_name, f"{service.name}-execution", "role")
            naming.database_role(service.name)
        identifiers = [self.database_identifier(generation) for generation in self.database.generations]
        if len(set(identifiers)) != len(identifiers):
            raise ValueError(f"database.generations need distinct identifiers, these are {', '.join(identifiers)}")
        for identifier in identifiers:
            if not re.match(f"{naming.PLATFORM}-", identifier):
                raise ValueError(f"database identifier {identifier} must start with {naming.PLATFORM}-")
        return self


def no_such_generation(settings: Settings) -> str | None:
    """Why `database.serving` points to nothing, or None where it is right."""
    if settings.serving_generation is not None:
        return None
    known = ", ".join(generation.name for generation in settings.database.generations)
    return f"database.serving: {settings.database.serving} names no generation; allowed: {known}"
