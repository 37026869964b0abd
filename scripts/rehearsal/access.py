"""Least privilege, compared with what happened: which calls a role was refused, and which of its grants nobody used.

A grant is used when the sandbox decided on a call by it. Compared are, of each statement of each role, its actions and
its resources, one by one. Pure functions over what the sandbox tells under /_sandbox/access.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

Documents = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Policy documents by the name of the policy, by the name of the role."""


@dataclass(frozen=True)
class Part:
    """An action or a resource of one statement that allows something."""

    role: str
    policy: str
    statement: str
    text: str

    def __str__(self) -> str:
        return f"{self.role} {self.statement}: {self.text}"


@dataclass(frozen=True)
class Unseen:
    """Actions and resources that a rehearsal need not show in use, and why; all by patterns.

    Each action by its name, so that another one in the same statement is still found to be too many. What a rehearsal
    shows all the same is no fault.
    """

    role: str
    statement: str
    texts: tuple[str, ...]
    reason: str

    def covers(self, part: Part) -> bool:
        """Whether it explains why nothing needed this."""
        named = fnmatchcase(part.role, self.role) and fnmatchcase(part.statement, self.statement)
        return named and any(fnmatchcase(part.text, pattern) for pattern in self.texts)


# Each resource as narrow as the program grants it: a wider one is not explained by these. `[*]` is a star itself.
_RECORDINGS = "arn:aws:s3:::*-audio-storage/audio/[*]"
_QUEUE = "arn:aws:sqs:*:*:*-sync"
_LETTERS = "arn:aws:sqs:*:*:*-dead-letters"
_KEY = "arn:aws:kms:*:*:key/????????-????-????-????-????????????"
_CACHE = "arn:aws:secretsmanager:*:*:secret:*/cache-??????"
_SNAPSHOTS = "arn:aws:rds:*:*:snapshot:*-rds[*]"
_APPLICATION = "the sandbox's application stores no recordings; the test of the access control makes the calls"
_NO_MESSAGES = "nobody sends messages; the tests of the access control and of the consumer do"
_NO_SYNC = "a rehearsal may let sync fail, and nobody sends messages; the test of the consumer shows the whole"
UNSEEN: tuple[Unseen, ...] = (
    Unseen("*-task", "Recordings", ("s3:GetObject", "s3:PutObject", _RECORDINGS), _APPLICATION),
    Unseen("*-task", "RecordingsKey", ("kms:Decrypt", "kms:GenerateDataKey", _KEY), _APPLICATION),
    Unseen("*-api-gateway-task", "SyncQueue", ("sqs:SendMessage", _QUEUE), _NO_MESSAGES),
    Unseen("*-api-gateway-task", "SyncQueueKey", ("kms:Decrypt", "kms:GenerateDataKey", _KEY), _NO_MESSAGES),
    Unseen("*-sync-task", "SyncQueue", ("sqs:ReceiveMessage", "sqs:DeleteMessage", _QUEUE), _NO_SYNC),
    Unseen("*-sync-task", "SyncQueueKey", ("kms:Decrypt", _KEY), _NO_SYNC),
    Unseen(
        "*-sync-task",
        "*Secrets",
        ("secretsmanager:GetSecretValue", "kms:Decrypt", _CACHE, _KEY),
        "only a service that people reach is asked how it finds its cache",
    ),
    Unseen("*-runs", "DeadLetters", ("sqs:SendMessage", _LETTERS), "only a failed call of the function goes there"),
    Unseen("*-starts", "DeadLetters", ("sqs:SendMessage", _LETTERS), "only a tick that cannot be delivered goes there"),
    Unseen(
        "*-snapshot-cycle-runs",
        "PruneOwn",
        ("rds:DeleteDBSnapshot", _SNAPSHOTS),
        "the first snapshot to prune is hours old",
    ),
    Unseen(
        "*-snapshot-cycle-runs",
        "CopySnapshot",
        ("arn:aws:rds:*:snapshot:rds:*",),
        "an automated snapshot is copied where a backup window falls into the rehearsal",
    ),
    Unseen("*-audio-replication", "WriteReplicas", ("s3:ReplicateDelete",), "no recording is deleted in a rehearsal"),
)


def parts(documents: Documents) -> Iterator[Part]:
    """Every action and every resource that some statement allows."""
    for role, policies in documents.items():
        for policy, document in policies.items():
            for number, statement in enumerate(_listed(document["Statement"]), start=1):
                if statement["Effect"] != "Allow":
                    continue
                name = str(statement.get("Sid") or number)
                for text in (*_listed(statement["Action"]), *_listed(statement["Resource"])):
                    yield Part(role, policy, name, text)


def unused(documents: Documents, uses: Sequence[Mapping[str, str]]) -> list[Part]:
    """The parts that no call needed and UNSEEN does not explain, in order."""
    used = {
        Part(use["role"], use["policy"], use["statement"], use[element])
        for use in uses
        for element in ("action", "resource")
    }
    left = (part for part in parts(documents) if part not in used)
    return [part for part in left if not any(unseen.covers(part) for unseen in UNSEEN)]


def refused(refusals: Sequence[Mapping[str, str]]) -> list[str]:
    """What roles asked for and did not get, one line each."""
    return [f"{entry['role']} {entry['action']} on {entry['resource']}: {entry['why']}" for entry in refusals]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
