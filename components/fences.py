"""Databases that nobody may write to: the roles locked, every session ended, and tried whether it holds.

Fenced are the generations that are declared and do not serve, and all of them while the stack is frozen. A fence is a
call of functions/database_roles; taking it away does nothing. What opens a database again is logins.py, when it sets
the roles of the one that serves.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True, kw_only=True)
class FencesArgs:
    """`databases`: those to fence, by generation; `turns` change when one was to be open since.

    `secrets` (ids, which are ARNs) of every service with a login.

    `after`: that these have values; and who must have stopped writing, so that fewer are cut off in the middle of what
    they do; or, where a database no longer serves, the takeover: one that cannot be fenced must not hold up crisis
    detection.
    """

    databases: Mapping[str, aws.rds.Instance]
    turns: Mapping[str, pulumi.Input[str]]
    secrets: Mapping[str, pulumi.Input[str]]
    master_secret: pulumi.Input[str]
    function_name: pulumi.Input[str]
    function_ready: Sequence[pulumi.Resource]
    after: Sequence[pulumi.Resource]


class Fences(pulumi.ComponentResource):
    """One call for each database."""

    def __init__(self, name: str, args: FencesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:database:Fences", name, {}, opts)
        for generation, database in args.databases.items():
            aws.lambda_.Invocation(
                f"{name}-{generation}",
                function_name=args.function_name,
                input=pulumi.Output.all(
                    host=database.address,
                    port=database.port,
                    master=args.master_secret,
                    services=[secret for _, secret in sorted(args.secrets.items())],
                ).apply(lock_event),
                # What was locked stays so until its roles are set, which another turn comes before.
                triggers={"database": database.resource_id, "turn": args.turns[generation]},
                opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.function_ready, *args.after]),
            )
        self.register_outputs({})


def lock_event(given: Mapping[str, Any]) -> str:
    """What functions/database_roles is called with: names of secrets, never their values."""
    return json.dumps({"task": "lock", **given, "port": int(given["port"])}, sort_keys=True)
