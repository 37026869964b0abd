"""The whole program as it stands in `__main__.py`, run against mocks: real configuration, made-up facts."""

import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import Any
from unittest.mock import patch

import pulumi

from components import configuration, facts, live_counts, stack_outputs
from components.configuration import SecureSettings
from components.facts import Facts
from components.settings.stack import Settings
from components.stack_outputs import Outputs
from tests.components.examples import (
    BACKUPS,
    FACTS,
    INSTANCE,
    LAST_SIGN,
    PROJECT,
    REPLICA,
    ROOT,
    SOUTH_AFRICA,
    Path_,
    engine_values,
    from_source,
    settings,
    sources,
)
from tests.components.recording import Recording, record

LOGINS = {
    "api-gateway": "pw-api",
    "audio-processing": "pw-audio",
    "crisis-detection": "pw-crisis",
    "notifications": "pw-notifications",
    "sync": "pw-sync",
}
PASSWORDS = ("pw-master", *LOGINS.values(), "pw-token-of-the-cache", "pw-registry", "pw-signing")
SECURE = {
    "databaseMasterPassword": "pw-master",
    "databasePasswords": json.dumps(LOGINS),
    "cacheAuthToken": "pw-token-of-the-cache",
    "registryCredential": json.dumps({"username": "robot", "password": "pw-registry"}),
    "signingKey": "pw-signing",
}
# How many tasks each service of a stack runs that is frozen now.
LIVE = 3
RESTORED = replace(INSTANCE, identifier=f"{PROJECT}-kenya-rds-restored", generation="restored")
# What kenya reads of south-africa.
PEER_OUTPUTS: Mapping[str, Any] = {
    "epoch": 1.0,
    "audioBucketArn": "arn:aws:s3:::mental-health-platform-sa-audio-storage",
    "dataKeyArn": "arn:aws:kms:af-south-1:123456789012:key/own",
    "signingKeyArn": "arn:aws:secretsmanager:af-south-1:123456789012:secret:mental-health-platform/shared/signing-key",
    "witnessCheckIds": ["witness-1", "witness-2"],
}


@dataclass(frozen=True)
class Program:
    """A stack in one state. `source`: how the standby gets its data, where not as its file says. `frozen`: it served,
    and is frozen now. `retained`: it has a second generation, which serves in the place of the first."""

    stack: str
    standby: bool
    source: str | None = None
    frozen: bool = False
    retained: bool = False

    def recorded(self) -> Recording:
        return _recorded(self)

    def settings(self) -> Settings:
        source = from_source(self.source) if self.source else {}
        later: dict[Path_, Any] = {}
        if self.retained:
            generations = [{"name": "first", "origin": "empty"}, {"name": "restored", "origin": "newest"}]
            later = {("database", "generations"): generations, ("database", "serving"): "restored"}
        return settings(self.stack, {("standby",): self.standby, ("frozen",): self.frozen, **source, **later})

    async def run(self) -> None:
        """What `pulumi.run` is handed by the program, with the world outside of it replaced."""
        own = self.settings()
        known = self._facts()
        if self.frozen:
            known = replace(known, taken_over_at=LAST_SIGN)
        with (
            patch.object(configuration, "load", lambda: (own, self._secure())),
            patch.object(facts.Reader, "read", lambda _reader: known),
            patch.object(live_counts, "read", self._live),
            patch.object(stack_outputs, "read_own", self._own_outputs),
            patch.object(stack_outputs, "read_peer", self._peer_outputs),
        ):
            await _main()()

    def _live(self, own: Settings) -> dict[str, int]:
        return {service.name: LIVE for service in own.services} if self.frozen else {}

    def _facts(self) -> Facts:
        if self.retained:
            return replace(FACTS, instances=(replace(INSTANCE, identifier=f"{PROJECT}-kenya-rds"), RESTORED), copies=())
        if self.stack != SOUTH_AFRICA:
            return replace(FACTS, copies=())
        match self.source:
            case "read-replica" if not self.standby:
                return replace(FACTS, instances=(REPLICA,), replica_lag=timedelta(seconds=4))
            case "replicated-backups":
                return replace(FACTS, backups=(BACKUPS,))
            case _:
                return FACTS

    def _secure(self) -> SecureSettings:
        given = {**engine_values(self.stack), **{f"{PROJECT}:{key}": value for key, value in SECURE.items()}}
        return configuration.read_secure(PROJECT, given, sources(self.stack))

    async def _own_outputs(self, _project: str, stack: str) -> Outputs:
        assert stack == self.stack, "the state of another stack is read"
        return Outputs(stack, {"standby": False, "epoch": 1.0} if self.frozen else {})

    async def _peer_outputs(self, _project: str, stack: str) -> Outputs:
        assert self.stack != SOUTH_AFRICA, "the stack that must be promotable alone reads its peer"
        return Outputs(stack, PEER_OUTPUTS)


def _main() -> Callable[[], Any]:
    """The program's main function: `pulumi.run` of the file is handed it and runs nothing here."""
    handed: list[Callable[[], Any]] = []
    spec = importlib.util.spec_from_file_location("platform_program", ROOT / "__main__.py")
    assert spec
    assert spec.loader
    with patch.object(pulumi, "run", handed.append):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    (main,) = handed
    return main


@cache
def _recorded(program: Program) -> Recording:
    return record(program.run, program.stack)
