"""What an interrupted deployment left in the state, and the state without it. Pure functions on `pulumi stack export`.

Killed in the middle of a create, the engine leaves a pending operation: the resource as it was asked for, without an
id. A later `up` would create it again. Interrupted by Ctrl-C or by an error after AWS had accepted the create, it
leaves the resource with its errors, and with inputs where AWS's answers should be.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from components.witness import TAKEN_OVER
from scripts.pulumi_cli import split_urn

Document = dict[str, Any]
MARKER = "aws:s3/bucketObjectv2:BucketObjectv2"
CREATING, UPDATING = "creating", "updating"
# AWS never tells it, so the state must not claim to know it: an adopted database still has the password of its copy.
UNREADABLE = ("password",)


@dataclass(frozen=True)
class Leftover:
    """A resource that an interrupted deployment may have left otherwise than the state says. `id` is None where the
    engine never learned it."""

    urn: str
    kind: str
    name: str
    inputs: Mapping[str, Any]
    id: str | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)


def find(document: Document) -> list[Leftover]:
    """All of them, pending ones first, in the order of the state."""
    pending = [operation["resource"] for operation in _operations(document) if operation["type"] == CREATING]
    half_made = [resource for resource in _resources(document) if resource.get("initErrors")]
    return [_leftover(resource) for resource in (*pending, *half_made)]


def of_type(document: Document, kind: str) -> list[Leftover]:
    """Every resource of a type that the state records, as it was before what is pending."""
    return [_leftover(resource) for resource in _resources(document) if resource.get("type") == kind]


def protected(document: Document, kind: str, name: str) -> str | None:
    """The URN of a resource that the state protects; None where it records none of that name, or does not."""
    found = (resource for resource in _resources(document) if resource.get("type") == kind and resource.get("protect"))
    return next((str(resource["urn"]) for resource in found if _leftover(resource).name == name), None)


def others_pending(document: Document) -> list[str]:
    """What was being updated, read or deleted: the engine does that again by itself."""
    return [
        f"{operation['type']} {_leftover(operation['resource']).name}"
        for operation in _operations(document)
        if operation["type"] != CREATING
    ]


def half_updated(document: Document, kinds: tuple[str, ...]) -> list[Leftover]:
    """What of these types was being updated: AWS may have done it or not, and the state says what was before."""
    pending = [operation["resource"] for operation in _operations(document) if operation["type"] == UPDATING]
    return [found for found in map(_leftover, pending) if found.kind in kinds]


def repaired(document: Document, adopted: Mapping[str, str], dropped: set[str]) -> Document:
    """The state in which `adopted` (URN -> id) are resources and `dropped` URNs are no longer pending.

    What was pending and is not a create goes too: the resource itself is still in the state as it was before, so that
    the next deployment compares and does it again.
    """
    result = deepcopy(document)
    deployment = result["deployment"]
    left = []
    for operation in _operations(result):
        urn = operation["resource"]["urn"]
        if operation["type"] == CREATING and urn in adopted:
            deployment.setdefault("resources", []).append(_adopted(operation["resource"], adopted[urn]))
        elif operation["type"] == CREATING and urn not in dropped:
            left.append(operation)
    for position, resource in enumerate(_resources(result)):
        if resource.get("initErrors") and resource["urn"] in adopted:
            deployment["resources"][position] = _adopted(resource, adopted[resource["urn"]])
    deployment["pending_operations"] = left
    return result


def outputs(document: Document) -> Mapping[str, Any]:
    """The stack's last outputs."""
    found: Mapping[str, Any] = _stack(document).get("outputs") or {}
    return found


def took_over(document: Document) -> bool:
    """Whether people were sent here: the marker is written behind the gate, outputs of a failed deployment are not."""
    return any(item.inputs.get("content") == TAKEN_OVER for item in of_type(document, MARKER))


def began(document: Document) -> str | None:
    """When the stack was deployed for the first time, an ISO time; None where the state does not say."""
    return _stack(document).get("created")


def _stack(document: Document) -> Document:
    return next((found for found in _resources(document) if found["type"] == "pulumi:pulumi:Stack"), {})


def _adopted(resource: Mapping[str, Any], id: str) -> Document:
    """As the provider would have recorded it: what was asked for, until a refresh says what is there."""
    inputs = {name: value for name, value in resource.get("inputs", {}).items() if name not in UNREADABLE}
    kept = {name: value for name, value in resource.items() if name not in ("initErrors", "taint")}
    return {**kept, "custom": True, "id": id, "inputs": inputs, "outputs": {**inputs, "id": id}}


def _leftover(resource: Mapping[str, Any]) -> Leftover:
    kind, name = split_urn(resource["urn"])
    inputs, outputs = resource.get("inputs", {}), resource.get("outputs", {})
    return Leftover(resource["urn"], kind, name, inputs, resource.get("id"), outputs)


def _operations(document: Document) -> list[Document]:
    return list((document.get("deployment") or {}).get("pending_operations") or [])


def _resources(document: Document) -> list[Document]:
    return list((document.get("deployment") or {}).get("resources") or [])
