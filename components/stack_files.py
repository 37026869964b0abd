"""The configuration files as they lie in the checkout: which one says what, and whether the two stacks' fit together.

The engine hands the program values without their origin; a message about a wrong one needs the file and the key.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from components import yaml_files
from components.settings.stack import Settings

DEFAULTS: Final = "defaults"
PROJECT_FILE: Final = "Pulumi.yaml"
HIDDEN: Final = "[secret]"


@dataclass(frozen=True)
class Problem:
    file: str
    key: str
    value: str
    allowed: str

    def __str__(self) -> str:
        return f"  {self.file}: {self.key} = {self.value}: {self.allowed}"


@dataclass(frozen=True)
class Sources:
    """Which file says what. `peer_keys` is None where the peer's file is not there or cannot be read."""

    stack_file: str
    stack_keys: Mapping[str, Any]
    project_keys: Mapping[str, Any]
    peer_keys: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, directory: Path, project: str, stack: str) -> "Sources":
        """Read the files of a stack. Raises yaml_files.FileFault for its own file or the project's."""
        own, shared = (_keys(directory / name, project) for name in (file_name(stack), PROJECT_FILE))
        return cls(file_name(stack), own, shared, _peer_keys(directory, project, own))

    def locate(self, path: tuple[str | int, ...], full_key: str) -> tuple[str, str]:
        """The file and the key in it for a field; where no file has it, the stack's file is the place to add it."""
        if _has(self.stack_keys, path):
            return self.stack_file, full_key
        if _has(self.project_keys, path):
            return PROJECT_FILE, full_key
        if _has(self.project_keys, (DEFAULTS, *path)):
            namespace, _, rest = full_key.partition(":")
            return PROJECT_FILE, f"{namespace}:{DEFAULTS}.{rest}"
        return self.stack_file, full_key

    def secret(self, path: tuple[str | int, ...]) -> bool:
        """Whether the stack's file holds the field, what it is part of, or a part of it encrypted."""
        value: Any = self.stack_keys
        for position, step in enumerate(path):
            if _encrypted(value):
                return True
            if not _has(self.stack_keys, path[: position + 1]):
                return False
            value = value[step]
        return _holds_encrypted(value)


def file_name(stack: str) -> str:
    """The configuration file of a stack."""
    return f"Pulumi.{stack}.yaml"


def plain_secrets(sources: Sources, project: str, secure_keys: Iterable[str]) -> list[Problem]:
    """The secret values that a file holds readable: everybody with the repository has them, so they are burnt."""
    allowed = (
        "a secret in plain text; take a new one and set it with `pulumi config set --secret` (which reads it from "
        "standard input)"
    )
    files = ((sources.stack_file, sources.stack_keys), (PROJECT_FILE, sources.project_keys))
    return [
        Problem(file, f"{project}:{key}", HIDDEN, allowed)
        for file, keys in files
        for key in secure_keys
        if key in keys and not _wholly_encrypted(keys[key])
    ]


def bare_times(sources: Sources, project: str) -> list[Problem]:
    """The times that a file does not quote: YAML reads them itself, one without a zone as UTC and without a word."""
    files = ((sources.stack_file, sources.stack_keys), (PROJECT_FILE, sources.project_keys))
    return [
        Problem(file, f"{project}:{key}", str(time), 'a time belongs in quotes, with its zone: "2026-03-02T09:14:30Z"')
        for file, keys in files
        for key, value in keys.items()
        for time in _times(value)
    ]


def contradictions(settings: Settings, sources: Sources) -> list[Problem]:
    """Where the two stacks' files do not fit together. Each stack would deploy; only a disaster would show it.

    Without the peer's file nothing is said: losing it must not stop a promotion.
    """
    if sources.peer_keys is None:
        return []
    peer, found = sources.peer_keys, []
    theirs = file_name(settings.peer.stack)

    def differ(key: str, value: Any, expected: Any) -> None:
        if expected is not None and value != expected:
            full_key = f"{settings.project}:{key}"
            found.append(Problem(sources.stack_file, full_key, str(value), f"{theirs} says {expected}"))

    differ("peer.region", settings.peer.region, _at(peer, "region"))
    differ("peer.shortName", settings.peer.short_name, _at(peer, "shortName"))
    named = _at(peer, "peer", "stack")
    if named not in (None, settings.stack):
        allowed = f"{theirs} names {named} as its peer, not {settings.stack}"
        found.append(Problem(sources.stack_file, f"{settings.project}:peer.stack", settings.peer.stack, allowed))
    return [*found, *_shared_with_peer(settings, sources, peer, theirs)]


def _shared_with_peer(settings: Settings, sources: Sources, peer: Mapping[str, Any], theirs: str) -> list[Problem]:
    """What one of the two stacks has and the other must not have."""
    found: list[Problem] = []

    def clash(key: str, value: Any, allowed: str) -> None:
        found.append(Problem(sources.stack_file, f"{settings.project}:{key}", str(value), allowed))

    cidr, other = settings.network.cidr, _at(peer, "network", "cidr")
    if other is not None and _overlap(cidr, str(other)):
        clash("network.cidr", cidr, f"overlaps {other} of {theirs}: the two networks could never be joined")
    role = settings.dns.role
    if _at(peer, "dns", "role") == role:
        clash("dns.role", role, f"{theirs} is {role} too; one stack is primary, the other secondary")
    owns = settings.owns_shared
    # `pulumi config set` writes a flag as text.
    if (_at(peer, "ownsShared") in (True, "true")) is owns:
        who = "both stacks own" if owns else "no stack owns"
        clash("ownsShared", str(owns).lower(), f"{who} what they share; true in one of the two files")
    return found


def _overlap(cidr: str, other: str) -> bool:
    try:
        return ipaddress.ip_network(cidr).overlaps(ipaddress.ip_network(other))
    except (ValueError, TypeError):
        return False  # the peer's own deployment refuses what is no range


def _peer_keys(directory: Path, project: str, own: Mapping[str, Any]) -> dict[str, Any] | None:
    stack = _at(own, "peer", "stack")
    if not isinstance(stack, str):
        return None
    try:
        return _keys(directory / file_name(stack), project)
    except yaml_files.FileFault:
        return None


def _keys(file: Path, project: str) -> dict[str, Any]:
    """Configuration of a YAML file by name without our namespace; Pulumi.yaml's `{value: …}` is unwrapped."""
    found: dict[str, Any] = {}
    for key, value in (yaml_files.read(file).get("config") or {}).items():
        name = "region" if key == "aws:region" else str(key).removeprefix(f"{project}:")
        found[name] = value["value"] if isinstance(value, dict) and set(value) == {"value"} else value
    return found


def _has(keys: Any, path: tuple[str | int, ...]) -> bool:
    for step in path:
        known = range(len(keys)) if isinstance(keys, list) else keys if isinstance(keys, dict) else ()
        if step not in known:
            return False
        keys = keys[step]
    return True


def _at(keys: Any, *path: str) -> Any:
    """The value at a path, None where there is none."""
    for step in path:
        if not _has(keys, (step,)):
            return None
        keys = keys[step]
    return keys


def _encrypted(value: Any) -> bool:
    """Whether the engine wrote a value encrypted: `{secure: <ciphertext>}`."""
    return isinstance(value, dict) and set(value) == {"secure"}


def _holds_encrypted(value: Any) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return _encrypted(value) or any(_holds_encrypted(part) for part in parts)


def _times(value: Any) -> Iterator[date]:
    if isinstance(value, date):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _times(part)


def _wholly_encrypted(value: Any) -> bool:
    if isinstance(value, dict) and value and not _encrypted(value):
        return all(_wholly_encrypted(part) for part in value.values())
    return _encrypted(value)
