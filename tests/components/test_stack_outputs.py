"""Last outputs are read by the engine's function, and a peer without any is explained."""

import asyncio
from typing import Any

import pulumi
import pytest

from components.stack_outputs import Outputs, read_own, read_peer

PROJECT = "mental-health-platform"


class Engine:
    """Answers the one function that reads outputs."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.asked: list[tuple[str, Any]] = []

    async def __call__(self, token: str, props: Any) -> Any:
        self.asked.append((token, props))
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Any:
    def answering(answer: Any) -> Engine:
        made = Engine(answer)
        monkeypatch.setattr(pulumi.runtime, "invoke_async", made)
        return made

    return answering


def test_own_outputs_are_asked_for_by_full_name(engine: Any) -> None:
    asked = engine({"outputs": {"epoch": 2.0, "standby": False, "region": "af-south-1"}})
    own = asyncio.run(read_own(PROJECT, "south-africa"))
    stack = {"name": "organization/mental-health-platform/south-africa"}
    assert asked.asked == [("pulumi:pulumi:readStackOutputs", stack)]
    assert (own.number("epoch"), own.flag("standby"), own.text("region")) == (2, False, "af-south-1")
    assert own.stack == "south-africa"
    assert own


@pytest.mark.parametrize("answer", [None, {}, {"outputs": None}, {"outputs": {}}])
def test_before_the_first_deployment_there_is_nothing(engine: Any, answer: Any) -> None:
    engine(answer)
    own = asyncio.run(read_own(PROJECT, "south-africa"))
    assert not own
    assert (own.number("epoch"), own.flag("standby"), own.text("region")) == (None, None, None)


def test_a_false_flag_is_not_an_absent_one() -> None:
    assert Outputs("kenya", {"standby": False}).flag("standby") is False
    assert Outputs("kenya", {"epoch": 0.0}).number("epoch") == 0


def test_a_peer_is_read(engine: Any) -> None:
    engine({"outputs": {"epoch": 1.0}})
    assert asyncio.run(read_peer(PROJECT, "south-africa")).number("epoch") == 1


def test_a_peer_that_cannot_be_read_is_explained(engine: Any) -> None:
    engine(Exception("unknown stack"))
    with pytest.raises(pulumi.RunError, match="peer stack south-africa cannot be read, nothing was changed") as failure:
        asyncio.run(read_peer(PROJECT, "south-africa"))
    assert "unknown stack" in str(failure.value)
    assert "pulumi up -s south-africa" in str(failure.value)


def test_a_peer_that_was_never_deployed_is_explained(engine: Any) -> None:
    engine({"outputs": {}})
    with pytest.raises(pulumi.RunError, match="has no outputs yet, nothing was changed"):
        asyncio.run(read_peer(PROJECT, "south-africa"))


def test_a_missing_output_names_the_stack_to_deploy() -> None:
    peer = Outputs("south-africa", {"bucket": "b", "empty": None})
    assert peer.require("bucket") == "b"
    for name in ("key", "empty"):
        with pytest.raises(pulumi.RunError, match=f"south-africa has no output '{name}'.*pulumi up -s south-africa"):
            peer.require(name)
