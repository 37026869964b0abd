"""Everything configured of one stack, as one object."""

import re
from fnmatch import fnmatchcase
from typing import Annotated, Self

from pydantic import Field, model_validator

from components import naming
from components.settings.alerts import AlertSettings
from components.settings.base import Flag, Form, Frozen, Region, Slug
from components.settings.cache import CacheSettings
from components.settings.crisis import CrisisSettings
from components.settings.database import DatabaseSettings, GenerationSettings
from components.settings.network import DnsSettings, NetworkSettings, PeerSettings
from components.settings.services import ServiceSettings
from components.witness import WITNESS_PATH
from components.workloads import CRISIS_PREVIEW_PATH, FROZEN_PREVIEW_PATH, HEALTH_PATH


class Settings(Frozen):
    """Everything configured of one stack, except secrets."""

    project: str = Field(description="The program's name, from the engine")
    stack: Slug = Field(description="The stack's name, from the engine")
    region: Region = Field(description="Where the stack is, another region than its peer's")
    short_name: Slug = Field(description="Its name within AWS's names, whose limits bind earlier than this one's")
    account_id: Annotated[str, Field(pattern=r"^\d{12}$"), Form("12 digits")] = Field(
        description="The AWS account; credentials of another one are refused"
    )
    peer: PeerSettings
    standby: Flag = Field(description="`true`: pilot light, `false`: serving. From `false` back to `true` is refused")
    frozen: Flag = Field(
        default=False,
        description="`true`: nobody writes. People see the crisis page, what writes runs no task, and the database's "
        "roles are locked. `dr freeze` and `dr thaw` set it",
    )
    thaw_counts: Annotated[dict[str, Annotated[int, Field(ge=0)]], Form("tasks by service")] = Field(
        default={},
        description="How many tasks each service ran when it was frozen: what a thaw starts. `dr freeze` writes it, "
        "`dr thaw` removes it",
    )
    protects: Annotated[Slug, Form("the name in `peer.stack`")] | None = Field(
        default=None,
        description="The stack that this one sends its data and copies to, whether it serves or stands by",
    )
    owns_shared: Flag = Field(
        default=False,
        description="`true` in exactly one stack: it owns the shared secrets and the certificate's validation record",
    )
    zone_id: Annotated[str, Field(pattern=r"^Z[A-Z0-9]{1,31}$"), Form("a hosted zone's id")] = Field(
        description="The hosted zone, written by `dr bootstrap`"
    )
    network: NetworkSettings
    dns: DnsSettings
    database: DatabaseSettings
    cache: CacheSettings
    services: tuple[ServiceSettings, ...] = Field(
        min_length=1,
        description="The services by distinct names, at least one of them critical; one can call the critical ones "
        "before it",
    )
    crisis: CrisisSettings
    alerts: AlertSettings

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
    def serving_identifier(self) -> str:
        """Name of the database that serves, also while there is none. Raises ValueError for a pointer to nothing."""
        if self.serving_generation is None:
            raise ValueError(no_such_generation(self))
        return self.database_identifier(self.serving_generation)

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
    def _only_what_serves_is_frozen(self) -> Self:
        if self.frozen and self.standby:
            raise ValueError("frozen: true is for a stack that serves; while standby: true nobody writes")
        unknown = sorted(self.thaw_counts.keys() - {service.name for service in self.services})
        if unknown:
            known = ", ".join(service.name for service in self.services)
            raise ValueError(f"thawCounts: {', '.join(unknown)} is no service; allowed: {known}")
        return self

    @model_validator(mode="after")
    def _source_is_the_peers(self) -> Self:
        arn, base = self.database.standby_source_arn, naming.physical(self.peer.short_name, "rds")
        begin = f"arn:aws:rds:{self.peer.region}:{self.account_id}:db:{base}"
        if arn is not None and arn != begin and not arn.startswith(f"{begin}-"):
            raise ValueError(
                f"database.standbySourceArn: {arn} is no database of {self.peer.stack}; allowed: {begin}, also with "
                "the name of a later generation behind it"
            )
        return self

    @model_validator(mode="after")
    def _standby_has_a_database(self) -> Self:
        if not self.standby or self.database.standby_source == "read-replica":
            return self
        waiting = [service.name for service in self.services if service.needs_database and service.standby_count]
        if waiting:
            raise ValueError(
                f"services: standbyCount of {', '.join(waiting)} must be 0 while standing by, because they need the "
                "database and only standbySource read-replica gives a standby one"
            )
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
    def _every_path_is_reached(self) -> Self:
        """The load balancer takes the first rule that matches, in the order of the services."""
        earlier = dict.fromkeys(
            (HEALTH_PATH, WITNESS_PATH, CRISIS_PREVIEW_PATH, FROZEN_PREVIEW_PATH), "the platform itself"
        )
        for service in self.services:
            if service.path is None:
                continue
            for path, owner in earlier.items():
                if fnmatchcase(service.path, path):
                    raise ValueError(
                        f"services: {service.name} has the path {service.path}, but {owner} answers {path} before it; "
                        "give it another path, or put the narrower one first"
                    )
            earlier[service.path] = service.name
        return self

    @model_validator(mode="after")
    def _names_accepted_by_aws(self) -> Self:
        for noun in ("alb", "rds", "audio-storage", "access-logs", "page", "cluster", "redis", "cache-imports"):
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
