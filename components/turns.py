"""Which way each database was last meant to go, locked or open: a new token whenever that changes.

Locking and setting roles may fail, or be killed, after the database has done it: then the state still says what was
before, and going back would find nothing to change. So both are called again whenever the token is another one, and a
token is made before them, by a call that does nothing else. It exists whether a database is locked or open, so that
no change waits for a delete, which the engine does only when all else has succeeded.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

EVENT = json.dumps({"task": "turn"})


@dataclass(frozen=True, kw_only=True)
class TurnsArgs:
    """`locked`: whether nobody may write, for every declared generation."""

    locked: Mapping[str, bool]
    function_name: pulumi.Input[str]
    function_ready: Sequence[pulumi.Resource]


class Turns(pulumi.ComponentResource):
    """`tokens` by generation: a trigger of every call that locks or opens its database."""

    tokens: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: TurnsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:database:Turns", name, {}, opts)
        self.tokens = {
            generation: aws.lambda_.Invocation(
                f"{name}-{generation}",
                function_name=args.function_name,
                input=EVENT,
                triggers={"locked": str(locked).lower()},
                opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.function_ready)),
            ).result
            for generation, locked in args.locked.items()
        }
        self.register_outputs({})
