"""The container registry outside AWS (ghcr.io): which digests exist under which image name, and who may pull them.

Seeded through the control API: POST /_sandbox/registry {image, digest}, DELETE likewise, GET lists; POST
/_sandbox/registry-credential {username, password} makes that the only one that is taken (until then, any is).
`image` is the name with or without a tag; pulling by digest ignores the tag, as registries do. Programs reach it as
they do on the internet, through registry_api.py.
"""

from __future__ import annotations

from typing import Any

from sandbox.cloud.context import BadRequest, Cloud

_digests: dict[str, set[str]] = {}
_accepted: list[tuple[str, str]] = []  # one (username, password) once one is set


def install(cloud: Cloud) -> None:
    """Offer the registry under the control API."""
    _digests.clear()
    _accepted.clear()
    cloud.route("POST", "registry", _push)
    cloud.route("DELETE", "registry", _remove)
    cloud.route("GET", "registry", lambda _: {name: sorted(found) for name, found in _digests.items()})
    cloud.route("POST", "registry-credential", _accept)


def name_of(reference: str) -> str:
    """An image reference without digest and tag: ghcr.io/x/y:1@sha256:… -> ghcr.io/x/y."""
    name = reference.split("@", 1)[0]
    head, _, last = name.rpartition("/")
    return f"{head}/{last.split(':', 1)[0]}" if head else last.split(":", 1)[0]


def _arguments(data: dict[str, Any]) -> tuple[str, str]:
    image, digest = data.get("image"), data.get("digest")
    if not isinstance(image, str) or not isinstance(digest, str) or not digest.startswith("sha256:"):
        raise BadRequest("image (a name) and digest (sha256:…) are needed")
    return name_of(image), digest


def _push(data: dict[str, Any]) -> None:
    name, digest = _arguments(data)
    _digests.setdefault(name, set()).add(digest)


def _remove(data: dict[str, Any]) -> None:
    name, digest = _arguments(data)
    if digest not in _digests.get(name, set()):
        raise BadRequest(f"{name}@{digest} is not in the registry")
    _digests[name].discard(digest)


def _accept(data: dict[str, Any]) -> None:
    if not data.get("username") or not data.get("password"):
        raise BadRequest("username and password are needed")
    _accepted[:] = [(str(data["username"]), str(data["password"]))]


def has(reference: str) -> bool:
    """Whether an image reference with a digest resolves. One without a digest never does: we pull by digest only."""
    _, _, digest = reference.partition("@")
    return digest in _digests.get(name_of(reference), set())


def admits(username: str, password: str) -> bool:
    """Whether this credential may pull."""
    return bool(username and password) and (not _accepted or (username, password) in _accepted)
