"""Draws the components of both stacks from what the program registers; `make docs` writes it to docs/diagram.md.

An arrow points from what is needed to what needs it. Arrows that follow from others are left out.
"""

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter

from tests.components.examples import KENYA, SOUTH_AFRICA
from tests.components.program import PEER_OUTPUTS, Program
from tests.components.recording import Recorded, Recording

Key = tuple[str, str]
STACK_TYPE = "pulumi:pulumi:Stack"
COMPONENT = "platform:"

HEAD = """# Both stacks, drawn from the program

Made by `make docs` from what the program registers, and checked by the tests. An arrow points from what is needed to
what needs it; arrows that follow from others are left out. Thick: has parts that exist only after a promotion. Dashed:
kenya is configured with what south-africa made. The number is how many resources a component has while standing by, and
while serving where that differs.
"""


@dataclass(frozen=True)
class Part:
    """A top-level component of a stack with its number of resources while standing by and while serving."""

    name: str
    standing_by: int
    serving: int

    @property
    def label(self) -> str:
        counts = str(self.serving) if self.serving == self.standing_by else f"{self.standing_by} → {self.serving}"
        return f"{self.name}<br>{counts}"


def page() -> str:
    """The whole of docs/diagram.md."""
    south_africa, kenya = _recordings(SOUTH_AFRICA), _recordings(KENYA)
    lines = ["flowchart TB"]
    for stack, (standby, serving) in ((SOUTH_AFRICA, south_africa), (KENYA, kenya)):
        lines += _subgraph(stack, standby, serving)
    lines += [f"  {_node(SOUTH_AFRICA, a)} -.-> {_node(KENYA, b)}" for a, b in _between(south_africa[0], kenya[1])]
    lines += ["  classDef promoted stroke-width:4px"]
    return HEAD + "\n```mermaid\n" + "\n".join(lines) + "\n```\n"


def _recordings(stack: str) -> tuple[Recording, Recording]:
    return Program(stack, True).recorded(), Program(stack, False).recorded()


def _subgraph(stack: str, standby: Recording, serving: Recording) -> list[str]:
    parts = {
        name: Part(name, _sizes(standby).get(name, 0), _sizes(serving).get(name, 0))
        for name in _in_order({*_sizes(serving), *_sizes(standby)}, _edges(serving))
    }
    nodes = [f'    {_node(stack, name)}["{part.label}"]{_style(part)}' for name, part in parts.items()]
    edges = [f"    {_node(stack, a)} --> {_node(stack, b)}" for a, b in reduced(_edges(serving))]
    return [f'  subgraph {stack.replace("-", "_")}["{stack}"]', *nodes, *edges, "  end"]


def _style(part: Part) -> str:
    return ":::promoted" if part.serving != part.standing_by else ""


def _node(stack: str, name: str) -> str:
    return f"{stack}_{name}".replace("-", "_")


def _owners(recording: Recording) -> dict[Key, str]:
    """The top-level component of every resource, by the resource's key."""
    by_key = {resource.key: resource for resource in recording}

    def top(resource: Recorded) -> str:
        while resource.parent[0] != STACK_TYPE:
            resource = by_key[resource.parent]
        return resource.name

    return {resource.key: top(resource) for resource in recording}


def _sizes(recording: Recording) -> dict[str, int]:
    owners = _owners(recording)
    own = [resource for resource in recording if not resource.typ.startswith(COMPONENT)]
    names = dict.fromkeys(owners[resource.key] for resource in recording)
    return {name: sum(owners[resource.key] == name for resource in own) for name in names}


def _edges(recording: Recording) -> set[tuple[str, str]]:
    owners = _owners(recording)
    pairs = {(owners[key], owners[r.key]) for r in recording for key in r.dependency_keys if key in owners}
    return {(needed, needing) for needed, needing in pairs if needed != needing}


def _in_order(names: set[str], edges: Iterable[tuple[str, str]]) -> list[str]:
    """What is needed first, by name among equals: the engine registers in another order each time."""
    sorter = TopologicalSorter({name: set[str]() for name in names})
    for needed, needing in edges:
        sorter.add(needing, needed)
    sorter.prepare()
    ordered: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        ordered += ready
        sorter.done(*ready)
    return ordered


def reduced(edges: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The edges that do not follow from others, sorted. Components of one cycle keep their edges."""
    wanted = set(edges)
    after: dict[str, set[str]] = {}
    for needed, needing in wanted:
        after.setdefault(needed, set()).add(needing)
    return sorted((a, b) for a, b in wanted if not any(_reaches(after, c, b, {a}) for c in after[a] if c != b))


def _reaches(after: Mapping[str, set[str]], start: str, end: str, seen: set[str]) -> bool:
    if start == end:
        return True
    seen.add(start)
    return any(_reaches(after, step, end, seen) for step in after.get(start, ()) if step not in seen)


def _between(south_africa: Recording, kenya: Recording) -> list[tuple[str, str]]:
    """Which component of south-africa exports what which component of kenya is configured with."""
    exporters, needing = _exporters(south_africa), _owners(kenya)
    found = set()
    for (output, value), resource in itertools.product(PEER_OUTPUTS.items(), kenya):
        texts = value if isinstance(value, list) else [value]
        # The last part of an ARN: a replica's ARN has another region.
        names = [str(text).rpartition(":")[2] for text in texts if isinstance(text, str)]
        inputs = json.dumps(resource.inputs, default=str)
        if output in exporters and any(name in inputs for name in names):
            found.add((exporters[output], needing[resource.key]))
    return sorted(found)


def _exporters(recording: Recording) -> dict[str, str]:
    """The component whose resource an output of the stack comes from; made-up ids and ARNs hold the resource's name."""
    owners = _owners(recording)
    found: dict[str, str] = {}
    for output, value in recording.exports.items():
        text = json.dumps(value)
        names = [r for r in recording if f'"{r.name}-id"' in text or f'"arn:aws:{r.name}"' in text]
        for resource in names[:1]:
            found[output] = owners[resource.key]
    return found


if __name__ == "__main__":
    print(page(), end="")
