"""What the SDK tells about a resource type: names of inputs and outputs as the engine spells them, what is required."""

from __future__ import annotations

import importlib
import inspect
import sys
import threading
from dataclasses import dataclass
from typing import Any

from pulumi import _types

from sandbox.provider.errors import UnknownType

# importlib's locks are per module; the SDK's lazy modules import each other, so one thread at a time.
_lock = threading.Lock()
_models: dict[str, Model] = {}


@dataclass(frozen=True)
class Model:
    """One resource type of pulumi_aws."""

    token: str
    inputs: frozenset[str]
    required: frozenset[str]
    outputs: frozenset[str]
    arguments: type  # the SDK's <Type>Args class


def model(token: str) -> Model:
    """The model of `token`, loaded from pulumi_aws at first use. Raises UnknownType if the SDK has no such class."""
    with _lock:
        if token not in _models:
            _models[token] = _load(token)
        return _models[token]


def _load(token: str) -> Model:
    resource, arguments = _classes(token)
    names = _types.input_type_py_to_pulumi_names(arguments)
    parameters = inspect.signature(arguments).parameters.values()
    required = {names[p.name] for p in parameters if p.default is inspect.Parameter.empty and p.name in names}
    outputs = _types.resource_py_to_pulumi_names(resource)
    return Model(
        token,
        frozenset(names.values()),
        frozenset(required),
        frozenset(outputs.get(name, name) for name in _types.resource_types(resource)) | frozenset(names.values()),
        arguments,
    )


def _classes(token: str) -> tuple[type[Any], type[Any]]:
    package, _, rest = token.partition(":")
    module, _, name = rest.partition(":")
    folder = module.split("/")[0]
    if package == "aws" and name:
        try:
            sdk = importlib.import_module(f"pulumi_aws.{folder}_" if folder == "lambda" else f"pulumi_aws.{folder}")
            resource = getattr(sdk, name)
            # The SDK says InitArgs where a nested type has the other name already (BucketVersioning).
            own = sys.modules[resource.__module__]
            return resource, getattr(own, f"{name}InitArgs", None) or getattr(own, f"{name}Args")
        except (ImportError, AttributeError):
            pass  # reported below, for both kinds alike
    raise UnknownType(f"{token} is no resource type of pulumi_aws")
