"""What the tasks need to know of the project's configuration, read from the YAML files without running Pulumi."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import yaml_files
from scripts.errors import RefusedError

CHECKOUT = Path(__file__).resolve().parent.parent
NAMESPACE = "mental-health-platform"
BUILD = CHECKOUT / "build"  # ignored by git


@dataclass(frozen=True)
class ServiceFacts:
    """One service as configured; `image` without tag and digest."""

    name: str
    critical: bool
    image: str
    digest: str


@dataclass(frozen=True)
class StackFacts:
    """One stack file together with what it inherits from the project file."""

    stack: str
    short: str
    region: str
    account: str
    domain: str
    zone: str
    dns_role: str
    zone_id: str | None
    services: tuple[ServiceFacts, ...]
    crisis_text: str
    phone_numbers: tuple[str, ...]
    file: Path

    def physical(self, noun: str) -> str:
        """A physical name as the program gives it."""
        return f"{NAMESPACE}-{self.short}-{noun}"

    @property
    def database(self) -> str:
        return self.physical("rds")


@dataclass(frozen=True)
class Project:
    """Both stacks: the protected one and the one that protects it."""

    directory: Path
    primary: StackFacts
    standby: StackFacts

    @property
    def stacks(self) -> tuple[StackFacts, StackFacts]:
        """In the order of their first deployment: the standby needs nothing of the primary."""
        return self.standby, self.primary

    @property
    def state_bucket(self) -> str:
        return f"{NAMESPACE}-state-{self.standby.account}"

    @property
    def replica_bucket(self) -> str:
        return f"{self.state_bucket}-replica"

    @property
    def state_key_alias(self) -> str:
        return f"alias/{NAMESPACE}-state"

    @property
    def secrets_provider(self) -> str:
        return f"awskms://{self.state_key_alias}?region={self.standby.region}"

    @property
    def public_name(self) -> str:
        return self.standby.domain


def here() -> Path:
    """The working copy that a command is meant for: where it was typed, if that is one, else this checkout."""
    return Path.cwd() if (Path.cwd() / "Pulumi.yaml").exists() else CHECKOUT


def load(directory: Path = CHECKOUT) -> Project:
    """Read both stacks. Raises RefusedError with file and key when something is missing."""
    shared = _values(directory / "Pulumi.yaml")
    stacks = [_stack(path, shared) for path in sorted(directory.glob("Pulumi.*.yaml"))]
    primaries = [stack for stack in stacks if stack.dns_role == "primary"]
    secondaries = [stack for stack in stacks if stack.dns_role == "secondary"]
    if len(primaries) != 1 or len(secondaries) != 1:
        names = ", ".join(f"{stack.stack}: {stack.dns_role}" for stack in stacks) or "none"
        raise RefusedError(
            f"{directory}: exactly one stack must have dns.role primary and one secondary, found {names}."
        )
    return Project(directory, primaries[0], secondaries[0])


def _document(path: Path) -> dict[str, Any]:
    try:
        return yaml_files.read(path)
    except yaml_files.FileFault as fault:
        raise RefusedError(str(fault)) from None


def _values(path: Path) -> dict[str, Any]:
    """The file's configuration without namespace; project-level entries may be wrapped in `value` or `default`."""
    found: dict[str, Any] = {}
    for key, entry in (_document(path).get("config") or {}).items():
        value = entry
        if isinstance(entry, dict):
            value = entry.get("value", entry.get("default", entry))
        found[str(key).removeprefix(f"{NAMESPACE}:")] = value
    return found


def _stack(path: Path, shared: dict[str, Any]) -> StackFacts:
    values = {**shared, **_values(path)}
    for key, fields in (shared.get("defaults") or {}).items():  # objects completed field by field
        values[key] = {**fields, **(values.get(key) or {})}

    def need(key: str) -> Any:
        value: Any = values
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            raise RefusedError(f"{path.name}: {key} is missing.")
        return value

    return StackFacts(
        stack=path.name.removeprefix("Pulumi.").removesuffix(".yaml"),
        short=str(need("shortName")),
        region=str(need("aws:region")),
        account=str(need("accountId")),
        domain=str(need("dns.domain")),
        zone=str(need("dns.zone")),
        dns_role=str(need("dns.role")),
        zone_id=values.get("zoneId"),
        services=tuple(_service(entry, f"{path.name}: services[{n}]") for n, entry in enumerate(need("services"))),
        crisis_text=str(need("crisis.text")),
        phone_numbers=tuple(str(line["number"]) for line in need("crisis.phoneLines")),
        file=path,
    )


def _service(entry: dict[str, Any], place: str) -> ServiceFacts:
    missing = [key for key in ("name", "priority", "image", "digest") if key not in entry]
    if missing:
        raise RefusedError(f"{place}: {', '.join(missing)} is missing.")
    return ServiceFacts(
        name=str(entry["name"]),
        critical=entry["priority"] == "critical",
        image=str(entry["image"]),
        digest=str(entry["digest"]),
    )
