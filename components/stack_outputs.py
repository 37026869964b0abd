"""The last outputs of a stack, read before any resource is registered.

The engine offers this as a function as well as by the resource `StackReference`. The function is used here because its
failure can be caught and explained (a StackReference to a stack that does not exist ends the program with the engine's
own words), because it reads all outputs at once, and because it leaves nothing in the state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi


@dataclass(frozen=True)
class Outputs:
    """Outputs of the last deployment that got as far as registering them; empty before the first."""

    stack: str
    values: Mapping[str, Any]

    def __bool__(self) -> bool:
        return bool(self.values)

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        return None if value is None else str(value)

    def number(self, name: str) -> int | None:
        """The engine hands numbers over as floats."""
        value = self.values.get(name)
        return None if value is None else int(value)

    def flag(self, name: str) -> bool | None:
        value = self.values.get(name)
        return None if value is None else bool(value)

    def require(self, name: str) -> Any:
        """An output that must be there. Raises pulumi.RunError saying which stack to deploy."""
        if self.values.get(name) is None:
            raise pulumi.RunError(
                f"Stack {self.stack} has no output {name!r}. Deploy it first: `pulumi up -s {self.stack}`."
            )
        return self.values[name]


async def read_own(project: str, stack: str) -> Outputs:
    """Own last outputs: of the deployment before this one. Raises pulumi.RunError where the state cannot be read."""
    try:
        return Outputs(stack, await _read(project, stack))
    except Exception as error:  # noqa: BLE001 (the SDK reports a failed invoke as a plain Exception)
        raise pulumi.RunError(
            f"The last outputs of stack {stack} cannot be read, nothing was changed: {error}. "
            "Check the credentials of this terminal and that the state's bucket answers, then run again."
        ) from None


async def read_peer(project: str, stack: str) -> Outputs:
    """The peer's outputs. Raises pulumi.RunError where the peer was never deployed or its state cannot be read."""
    try:
        values = await _read(project, stack)
    except Exception as error:  # noqa: BLE001 (the SDK reports a failed invoke as a plain Exception)
        raise pulumi.RunError(
            f"The outputs of the peer stack {stack} cannot be read, nothing was changed: {error}. "
            f"This stack is built on what {stack} exports: deploy that first with `pulumi up -s {stack}`."
        ) from None
    if not values:
        raise pulumi.RunError(
            f"The peer stack {stack} has no outputs yet, nothing was changed. "
            f"This stack is built on what {stack} exports: deploy that first with `pulumi up -s {stack}`."
        )
    return Outputs(stack, values)


async def _read(project: str, stack: str) -> Mapping[str, Any]:
    result = await pulumi.runtime.invoke_async(
        "pulumi:pulumi:readStackOutputs", {"name": f"organization/{project}/{stack}"}
    )
    outputs = (result or {}).get("outputs") or {}
    return dict(outputs)
