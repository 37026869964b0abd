"""`aws SERVICE OPERATION --options` by botocore's own models, for machines without the AWS CLI.

Only what those models say: no shorthand, no commands that the CLI adds of its own (`aws s3 cp`, `wait`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import jmespath
from botocore import xform_name
from botocore.model import ListShape, OperationModel, Shape
from botocore.validate import ParamValidator

SERVICES = {"s3api": "s3"}  # the one name that the CLI gave otherwise
GLOBAL = {"region": "", "query": "@", "output": "json"}


@dataclass(frozen=True)
class Call:
    """What a command line asks for. `chosen`: the options that each command has; `files`: parameters that name one."""

    service: str
    operation: OperationModel
    parameters: dict[str, Any]
    chosen: dict[str, str]
    files: frozenset[str]

    @property
    def method(self) -> str:
        return xform_name(self.operation.name)


def parse(arguments: Sequence[str]) -> Call:
    """Read a command line without its `aws`. Raises ValueError for what AWS's models do not know or lack."""
    given, command, *options = arguments
    service = SERVICES.get(given, given)
    model = botocore.session.get_session().get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    if command not in names:
        raise ValueError(f"aws {given} has no {command}")
    operation = model.operation_model(names[command])
    members = operation.input_shape.members if operation.input_shape else {}
    shapes = {xform_name(name, "-"): (name, shape) for name, shape in members.items()}
    parameters, chosen = {}, dict(GLOBAL)
    for option, values in _grouped(options):
        if option in shapes:
            name, shape = shapes[option]
            parameters[name] = _value(shape, values)
        elif option in chosen:
            (chosen[option],) = values
        else:
            raise ValueError(f"aws {given} {command} has no --{option}")
    report = ParamValidator().validate(parameters, operation.input_shape) if operation.input_shape else None
    if report is not None and report.has_errors():
        raise ValueError(f"aws {given} {command}: {report.generate_report()}")
    files = frozenset(name for name in parameters if members[name].type_name == "blob")
    return Call(service, operation, parameters, chosen, files)


def run(call: Call) -> Any:
    """Make the call where the environment points, all pages of it; what `--query` picks of the answer."""
    make: Any = boto3.client
    client = make(call.service, region_name=call.chosen["region"] or None)
    parameters = {
        name: Path(value).read_bytes() if name in call.files else value for name, value in call.parameters.items()
    }
    if client.can_paginate(call.method):
        answer = client.get_paginator(call.method).paginate(**parameters).build_full_result()
    else:
        answer = getattr(client, call.method)(**parameters)
        answer.pop("ResponseMetadata")
    return jmespath.search(call.chosen["query"], answer)


def shown(found: Any, output: str) -> str:
    """As the CLI prints it: JSON, or `text`, a line for each entry of the outer list with tabs between fields."""
    if output == "json":
        return json.dumps(found, indent=4, default=str) if found else ""
    rows = found if isinstance(found, list) else [found]
    return "\n".join("\t".join(map(str, row)) if isinstance(row, list) else str(row) for row in rows)


def _grouped(options: Sequence[str]) -> list[tuple[str, list[str]]]:
    groups: list[tuple[str, list[str]]] = []
    for word in options:
        if word.startswith("--"):
            groups.append((word.removeprefix("--"), []))
        elif groups:
            groups[-1][1].append(word)
        else:
            raise ValueError(f"{word} belongs to no option")
    return groups


def _value(shape: Shape, values: list[str]) -> Any:
    match shape.type_name:
        case "list" if isinstance(shape, ListShape) and shape.member.type_name == "structure":
            return json.loads(" ".join(values))
        case "list":
            return values
        case "boolean":
            return not values
        case "integer" | "long":
            return int(" ".join(values))
        case "string" | "timestamp" | "blob":  # a blob is named by its file
            return " ".join(values)
        case _:
            return json.loads(" ".join(values))


if __name__ == "__main__":
    asked = parse(sys.argv[1:])
    print(shown(run(asked), asked.chosen["output"]))
