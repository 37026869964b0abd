"""How a test makes the cloud differ from what the engine remembers, input by input.

A second actor changes the resource in place, through a connection and a state of its own. What cannot be changed in
place is told by a second resource, which stands where the first was. What no second resource can have here is told from
the other side: the record differs from the cloud, which is the same difference.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import grpc

from sandbox.provider.table import Field, Resource
from sandbox.provider.tables import TABLE
from tests.sandbox.drift_spares import Spares
from tests.sandbox.provider_client import Client, Made
from tests.sandbox.provider_lab import Lab, Trial

Change = dict[str, Any]  # values by path ("healthCheck.path"); None takes the input away


@dataclass(frozen=True)
class Case:
    """One resource and what is changed of it. Inputs that no case names get a value derived from their type."""

    base: Change = field(default_factory=dict)  # what it has besides the inputs of its type's trial
    alone: Change = field(default_factory=dict)  # each by itself
    together: tuple[Change, ...] = ()  # what AWS allows only at once, or what is costly to make
    recorded: Change = field(default_factory=dict)  # each by itself, in the record instead of the cloud
    last: Change = field(default_factory=dict)  # one after the other, because AWS takes none of them back


@dataclass(frozen=True)
class Stage:
    """What a table of cases can draw on."""

    lab: Lab
    spare: Spares
    trial: Trial
    build: Callable[[Lab], Trial]

    @property
    def given(self) -> dict[str, Any]:
        """The trial's inputs."""
        return self.trial.inputs

    @cached_property
    def again(self) -> dict[str, Any]:
        """The inputs of a second trial, with prerequisites of its own."""
        return self.build(self.lab).inputs


Cases = Callable[[Stage], list[Case]]


class Drifts(dict[str, Cases]):
    """Cases by type; a function that describes those of a type is decorated with it."""

    def of(self, *tokens: str) -> Callable[[Cases], Cases]:
        """Register the decorated function."""

        def register(build: Cases) -> Cases:
            for token in tokens:
                assert token not in self, f"{token} is described twice"
                self[token] = build
            return build

        return register


# -- paths ------------------------------------------------------------------------------------------------------------
def leaves(entry: Resource) -> list[str]:
    """Every input of a type and every member of a nested one."""
    return [*_leaves(entry.inputs), *(["tags"] if entry.tags else [])]


def _leaves(fields: tuple[Field, ...], prefix: str = "") -> Iterator[str]:
    for part in fields:
        path = prefix + part.name
        yield from _leaves(part.block, f"{path}.") if part.block else [path]


def found(value: Any, path: list[str]) -> list[Any]:
    """All values at a path."""
    if isinstance(value, list):
        return [item for element in value for item in found(element, path)] if path else [value]
    if not path:
        return [value]
    return found(value[path[0]], path[1:]) if isinstance(value, Mapping) and path[0] in value else []


def put(inputs: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """Inputs with a change."""
    result = copy.deepcopy(dict(inputs))
    for path, value in change.items():
        _put(result, path.split("."), value)
    return result


def _put(target: Any, path: list[str], value: Any) -> None:
    if isinstance(target, list):
        # A list stands for its element that has such a member, or for its first.
        _put(next((item for item in target if path[0] in item), target[0]), path, value)
    elif len(path) > 1:
        _put(target.setdefault(path[0], {}), path[1:], value)
    elif value is None:
        target.pop(path[0], None)
    else:
        target[path[0]] = value


def changed_leaves(token: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> set[str]:
    """The paths at which two inputs differ."""
    return {path for path in leaves(TABLE[token]) if found(one, path.split(".")) != found(two, path.split("."))}


# -- values -----------------------------------------------------------------------------------------------------------
def derived(path: str, value: Any, default: Any, trial: Trial) -> Any:
    """Another value of the same type; None where only AWS's rules could tell."""
    if isinstance(value, bool) or (value is None and isinstance(default, bool)):
        return not (default if value is None else value)
    if trial.changed.get(path) is not None:
        return trial.changed[path]
    if isinstance(value, int):
        return value + 1
    if path == "tags":
        return {**(value or {}), "By": "hand"}
    if path.lower().endswith("description"):
        return "changed"
    if isinstance(value, str) and value.startswith("{") and "Statement" in value:
        document = json.loads(value)
        document["Statement"][0]["Sid"] = "Changed"
        return json.dumps(document)
    return None


def defaults(fields: tuple[Field, ...], prefix: str = "") -> dict[str, Any]:
    """What absent inputs mean, by path."""
    result: dict[str, Any] = {}
    for part in fields:
        result[prefix + part.name] = part.default
        result.update(defaults(part.block, f"{prefix}{part.name}."))
    return result


# -- what is tried ----------------------------------------------------------------------------------------------------
@dataclass
class Outcome:
    """What became of the changes of one type."""

    tried: set[str] = field(default_factory=set)  # paths
    problems: list[str] = field(default_factory=list)


class Drifting:
    """One type's resource under the hands of somebody else."""

    def __init__(self, lab: Lab, second: Client, token: str, silent: set[str]) -> None:
        self.lab, self.second, self.token, self.silent = lab, second, token, silent
        self.entry = TABLE[token]
        self.outcome = Outcome()

    def run(self, stage: Stage, cases: list[Case]) -> Outcome:
        """Every change of every case."""
        named = {path for case in cases for part in _parts(case) for path in part}
        for number, case in enumerate(cases):
            inputs = put(stage.given, case.base)
            if number and self.entry.physical_name:
                inputs = put(inputs, self._another_name(inputs))
            made = self.lab.client.create(self.token, inputs)
            values = dict(case.alone) if number else {**self._derived(stage.trial, inputs, named), **case.alone}
            self._try(made, case, [{path: value} for path, value in values.items()])
        return self.outcome

    def _derived(self, trial: Trial, inputs: Mapping[str, Any], named: set[str]) -> Change:
        means, result = defaults(self.entry.inputs), {}
        for path in leaves(self.entry):
            if path in named or any(path.startswith(f"{whole}.") for whole in named):
                continue
            holders = found(inputs, path.split(".")[:-1])
            holder = [item for value in holders for item in (value if isinstance(value, list) else [value])]
            if path == self.entry.physical_name:
                value = inputs[path]
            elif any(isinstance(item, Mapping) for item in holder):
                present = found(inputs, path.split("."))
                value = derived(path, present[0] if present else None, means.get(path), trial)
            else:
                value = None
            if value is not None:
                result[path] = value
        return result

    def _another_name(self, inputs: Mapping[str, Any]) -> Change:
        name = self.entry.physical_name
        return {name: f"{inputs[name]}-{self.lab.name('x').rpartition('-')[2]}"}

    def _try(self, made: Made, case: Case, alone: list[Change]) -> None:
        present = made  # as the second actor knows it
        for change in (*alone, *case.together):
            if self._replaces(change):
                self._attempt(change, self._elsewhere, made)
            else:
                present = self._attempt(change, self._in_place, made, present) or present
        present = self._attempt({}, self._in_place, made, present) or present
        for path, value in case.recorded.items():
            self._attempt({path: value}, self._in_record, made)
        for number in range(1, len(case.last) + 1):
            change = dict(list(case.last.items())[:number])
            present = self._attempt(change, self._in_place, made, present) or present

    def _replaces(self, change: Change) -> bool:
        names = {path.split(".")[0] for path in change}
        return any(field.replace for field in self.entry.inputs if field.name in names)

    def _attempt(self, change: Change, act: Callable[..., Made], *more: Any) -> Made | None:
        """Note what goes wrong, so that one run names every input."""
        try:
            return act(change, *more)
        except (grpc.RpcError, AssertionError) as error:
            text = error.details() if isinstance(error, grpc.Call) else str(error)
            self.outcome.problems.append(f"{self.token}: {', '.join(change) or 'taken back'}: {text}")
            return None

    # Each makes the cloud and the record differ by a change and asks for a report of it.

    def _in_place(self, change: Change, made: Made, present: Made) -> Made:
        wanted = put(made.inputs, change)
        refused = self.second.check(self.token, wanted)
        assert refused == [], refused
        updated = self.second.update(present, wanted)
        self._attempt(change, self._told, made, wanted, made)
        return updated

    def _elsewhere(self, change: Change, made: Made) -> Made:
        wanted = put(made.inputs, change)
        name = self.entry.physical_name
        if name:
            wanted = put(wanted, self._another_name(made.inputs))
        other = self.second.create(self.token, wanted)
        # What the program knows of the resource, without the outputs that lead to the first one.
        self._told(change, Made(self.token, other.id, made.inputs, dict(made.inputs)), wanted, made)
        return other

    def _in_record(self, change: Change, made: Made) -> Made:
        wanted = put(made.inputs, change)
        record = Made(self.token, made.id, wanted, put(made.state, change))
        self._told(change, record, made.inputs, record)
        return record

    def _told(self, _: Change, asked: Made, cloud: Mapping[str, Any], program: Made) -> Made:
        """Refresh as the engine does: read with what is known, then ask what the program would have to change."""
        refreshed = self.lab.client.read(asked)
        assert refreshed is not None, "the resource is gone"
        answer = self.lab.client.diff(refreshed[0], program.inputs)
        paths = changed_leaves(self.token, program.inputs, cloud)
        expected = {path.split(".")[0] for path in paths - self.silent}
        told = set(answer.diffs)
        assert told == expected, f"changed: {sorted(expected)}, reported: {sorted(told)}"
        assert set(answer.detailedDiff) == told
        self.outcome.tried |= paths
        return asked


def _parts(case: Case) -> Iterator[Change]:
    yield from (case.alone, *case.together, case.recorded, case.last)
