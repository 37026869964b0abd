"""What `dr promote` finds of images and quotas before it begins, and the replica that it waits for."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components import naming
from components.facts import Instance
from scripts.errors import LockedError, RefusedError
from scripts.promotion import adoption, preflight, public
from tests.scripts.made_up_site import DATABASE, STACK, MadeUp, copy, denied, facts, lock, pending, state
from tests.scripts.test_promote import looked, promotion, ready


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    return ready(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("call", "answer", "words"),
    [
        ("secretsmanager.get_secret_value", {"SecretString": "x"}, r"images: .* no registry credential: it is no JSON"),
        ("service-quotas.get_service_quota", {"Quota": {"Value": 1.0}}, r"quotas: .*fargate L-3032A538"),
    ],
)
def test_what_aws_says_of_them_forbids_a_promotion(site: MadeUp, call: str, answer: dict[str, Any], words: str) -> None:
    site.answers[call] = answer
    with pytest.raises(RefusedError, match=words):
        promotion(site).apply()
    assert not any(command[0] in ("up", "preview") for command in site.cli.commands)


@pytest.mark.parametrize("answer", [public.Answer(404, ""), public.Answer(403, "")])
def test_an_image_that_cannot_be_pulled_forbids_it(
    site: MadeUp, monkeypatch: pytest.MonkeyPatch, answer: public.Answer
) -> None:
    monkeypatch.setattr(public, "request", lambda *_: answer)
    with pytest.raises(RefusedError, match=r"images: \S+: ghcr\.io/\S+ cannot be pulled"):
        promotion(site).apply()


def test_a_promotion_depends_on_nobody_who_only_advises(site: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither silence nor a missing permission forbids it, and nothing waits longer than its limit."""
    monkeypatch.setattr(preflight, "SECONDS_FOR_ADVICE", 0.3)
    site.answers["secretsmanager.get_secret_value"] = denied("AccessDeniedException", "GetSecretValue")
    site.answers["service-quotas.get_service_quota"] = lambda **_: time.sleep(5)
    began = time.monotonic()
    told = looked(site)
    assert (told["images"], told["quotas"]) == (["warning"], ["warning"])
    assert time.monotonic() - began < 3
    promotion(site).apply()


def test_a_replica_that_is_being_promoted_is_waited_for_and_looked_at_again(
    site: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an interruption left: the state says that it follows, and RDS is busy with it."""
    busy = Instance(DATABASE, "modifying", "17.6", 100, "first", naming.REPLICA_ROLE, "arn:source", "arn:source")
    urn = pending()["resource"]["urn"]
    inputs = {"identifier": DATABASE, "replicateSourceDb": "arn:source"}
    replica = {"urn": urn, "type": adoption.DATABASE, "id": "db-1", "inputs": inputs, "outputs": inputs}
    site.document, site.known = state(resources=(replica,)), facts(copy(), instances=(busy,))
    described = {"DBInstanceIdentifier": DATABASE, "DbiResourceId": "db-1", "TagList": []}
    site.database = {**described, "DBInstanceStatus": "modifying"}

    def wait(_: float) -> None:
        site.database = {**described, "DBInstanceStatus": "available"}
        site.known = facts(copy(), instances=(replace(busy, status="available", replica_of=None),))

    monkeypatch.setattr(time, "sleep", wait)
    promotion(site).apply()
    assert ("refresh", "--stack", STACK, "--target", urn, "--yes", "--skip-preview") in site.cli.commands
    assert site.cli.commands[-1] == ("up", "--stack", STACK, "--yes")


def test_it_is_not_waited_for_while_something_else_forbids_to_begin(site: MadeUp) -> None:
    site.held, site.database = [lock(host="laptop")], {"DBInstanceStatus": "modifying"}
    with pytest.raises(LockedError):
        promotion(site).apply()
