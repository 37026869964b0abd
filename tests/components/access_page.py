"""Writes down every role of both stacks from what the program registers; `make docs` writes it to docs/access.md."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from scripts.rehearsal.access import UNSEEN
from tests.components.examples import KENYA, SOUTH_AFRICA
from tests.components.program import Program
from tests.components.recording import Recording

ROLE, POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"

HEAD = """# Who may do what on AWS

Made by `make docs` from the policies that the program registers, and checked by the tests. These are all roles of both
stacks; nobody else of the platform has permissions, and none depends on whether a stack stands by. `‹name›` is the
resource of that name in the program. Not here: the state bucket's replication role, which `dr bootstrap` makes and the
same comparison covers, and what people and pipelines that deploy are allowed.

The sandbox decides on every call of these roles by these policies and refuses what they do not allow. A rehearsal fails
if a role was refused anything (`access-allowed`), or if an action or a resource of a statement was never needed
(`access-used`), except for what the [last table](#not-seen-in-a-rehearsal) lists. `tests/sandbox/test_access*.py`
make the calls of applications, snapshot cycle, ECS and S3 with these policies, and take each action away once to see it
missed.
"""

# Who takes a role on and what for, by the end of its name.
PURPOSES: Mapping[str, str] = {
    "*-execution": "ECS, to start the service's tasks",
    "*-task": "the service itself, while it runs",
    "*-runs": "the function, and Lambda on its behalf",
    "*-starts": "EventBridge Scheduler, at each tick",
    "*-flow-logs": "the VPC's flow log",
    "*-rds-monitoring": "RDS, for enhanced monitoring",
    "*-audio-replication": "S3, to copy recordings into the peer region",
}
# Why a statement is there, by its Sid, which means the same in every role.
REASONS: Mapping[str, str] = {
    "AttachNetwork": "Lambda makes and removes the function's network interfaces",
    "CopyKey": "RDS looks whether the copy's key can be used",
    "CopyKeyGrants": "RDS encrypts the copy under a grant that its caller makes",
    "CopySnapshot": "read a snapshot there, write its copy here",
    "DeadLetters": "what failed or could not be delivered is kept for 14 days",
    "DecryptHere": "read recordings under this region's key",
    "DecryptLogins": "the logins are encrypted with the stack's key",
    "DecryptSecrets": "the secrets are encrypted with the stack's key",
    "EncryptThere": "write recordings under the peer's key",
    "Figures": "write the machine's figures",
    "Find": "find the log group",
    "FindBackups": "how far the backups reach that RDS replicates, if it does",
    "FindSnapshots": "which snapshots and copies exist",
    "FindSource": "which database serves",
    "Group": "all databases of an account write to one log group, which RDS makes",
    "Invoke": "call the function",
    "LookAtNetwork": "Lambda looks for the function's network interfaces; EC2 knows no narrower resource",
    "Metrics": "the age of the newest copy and backup; CloudWatch knows no narrower resource than the namespace",
    "NotTheCode": "the function's own code gets nothing of its network permissions",
    "PruneOwn": "delete old snapshots and copies, only those that the cycle made",
    "ReachSource": "a copy crosses regions; IAM knows no narrower resource",
    "ReadLogins": "the logins that become roles in the database",
    "ReadRules": "what is to be replicated",
    "ReadSecrets": "exactly the secrets that are named",
    "ReadVersions": "read each new version with its tags",
    "Recordings": "what the setting `audio` says; nobody deletes",
    "RecordingsKey": "recordings are encrypted with the stack's key",
    "SignOfLife": "when the primary last answered",
    "SourceKey": "RDS looks whether the snapshot's key can be used",
    "SourceKeyGrants": "RDS decrypts the snapshot under a grant that its caller makes",
    "SyncQueue": "what the setting `queue` says",
    "SyncQueueKey": "messages are encrypted with the stack's key",
    "TagSnapshots": "a snapshot says who made it and of which database",
    "TakeSnapshot": "a snapshot each 15 minutes",
    "Write": "write what the flow log saw",
    "WriteLog": "its own log, which exists already",
    "WriteReplicas": "write versions, tags and delete markers into the peer's bucket",
}
_MADE_UP = re.compile(r"arn:aws:(?P<name>[a-z0-9-]+)(?=$|[/:*])(?!:[a-z0-9-]*:)")


@dataclass(frozen=True)
class Described:
    """A role with what it is trusted by and its statements."""

    name: str
    trusted: Mapping[str, Any]
    statements: list[Mapping[str, Any]]


def page() -> str:
    """The whole of docs/access.md."""
    lines = [HEAD]
    for stack, standby in ((SOUTH_AFRICA, True), (KENYA, False)):
        lines.append(f"## {stack}\n")
        for role in described(Program(stack, standby).recorded()):
            lines += _section(role)
    lines += ["## Not seen in a rehearsal\n", "| roles | statement | what | why |", "| --- | --- | --- | --- |"]
    for unseen in UNSEEN:
        what = "<br>".join(map(_code, unseen.texts))
        lines.append(f"| {_code(unseen.role)} | {_code(unseen.statement)} | {what} | {unseen.reason} |")
    return "\n".join(lines) + "\n"


def described(recording: Recording) -> list[Described]:
    """All roles of a stack, by name."""
    documents: dict[str, list[Mapping[str, Any]]] = {}
    for policy in sorted(recording.of(POLICY), key=lambda policy: policy.name):
        documents.setdefault(policy.inputs["role"], []).extend(json.loads(policy.inputs["policy"])["Statement"])
    found = []
    for role in recording.of(ROLE):
        (trusted,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
        found.append(Described(role.inputs["name"], trusted, documents.get(role.inputs["name"], [])))
    return sorted(found, key=lambda role: role.name)


def purpose(role: Described) -> str:
    """Who takes a role on."""
    (found,) = [text for pattern, text in PURPOSES.items() if fnmatchcase(role.name, pattern)]
    return found


def _section(role: Described) -> Iterator[str]:
    conditions = _conditions(role.trusted.get("Condition", {}))
    on_behalf = f", where {conditions}" if conditions else ""
    yield f"### {role.name}\n"
    yield f"For {purpose(role)}. Trusts {_code(role.trusted['Principal']['Service'])}{on_behalf}.\n"
    if not role.statements:
        yield "No permission at all.\n"
        return
    yield "| statement | actions | resources | why |"
    yield "| --- | --- | --- | --- |"
    for statement in role.statements:
        actions = "<br>".join(map(_code, statement["Action"]))
        denied = "never: " if statement["Effect"] == "Deny" else ""
        where = "<br>".join(_code(_named(resource)) for resource in statement["Resource"])
        conditions = _conditions(statement.get("Condition", {}))
        where += f"<br>where {conditions}" if conditions else ""
        yield f"| {statement['Sid']} | {denied}{actions} | {where} | {REASONS[statement['Sid']]} |"
    yield ""


def _conditions(condition: Mapping[str, Mapping[str, Any]]) -> str:
    told = []
    for operator, keys in condition.items():
        for key, values in keys.items():
            listed = values if isinstance(values, list) else [values]
            accepted = " or ".join(_code(_named(str(value))) for value in listed)
            told.append(f"{_code(key)} {'is like' if operator.endswith('Like') else 'is'} {accepted}")
    return ", ".join(told)


def _named(text: str) -> str:
    """Made-up ARNs of resources as the names that they are made of."""
    return _MADE_UP.sub(lambda found: f"‹{found['name']}›", text)


def _code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    print(page(), end="")
