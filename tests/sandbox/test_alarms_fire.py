"""The program's own alarms, each driven to ALARM by its cause, and the message that its audience got."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox import alarm_stage
from tests.sandbox.alarm_causes import CAUSES, SECONDS
from tests.sandbox.alarm_lab import Lab
from tests.sandbox.alarm_stage import Stage
from tests.sandbox.traffic_world import KENYA, SOUTH_AFRICA, wait

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with alarm_stage.running_stage() as found:
        yield found


@pytest.fixture(scope="module")
def labs(stage: Stage) -> Iterator[dict[str, Lab]]:
    """The alarms' regions by noun, once all of kenya and south-africa are put and nothing is wrong."""
    with stage.cycle.running():
        found = stage.put_alarms(stage.south_africa, SOUTH_AFRICA)
        for other in stage.others:
            found |= stage.put_added(other)
        found |= stage.put_alarms(stage.kenya, KENYA)
        for noun in found:
            _calm(stage, found, noun)
        yield found


def test_every_alarm_of_the_program_has_a_cause(stage: Stage) -> None:
    """kenya serving and south-africa standing by, with each source: an alarm that nobody drives is named here."""
    recorded = {
        alarm_stage.noun(alarm.inputs.get("name") or alarm.inputs["alarmName"])
        for stack in (stage.kenya, stage.south_africa, *stage.others)
        for kind in (alarm_stage.ALARM, alarm_stage.COMPOSITE)
        for alarm in stack.of(kind)
    }
    assert recorded == {noun for _, nouns in CAUSES.values() for noun in nouns}


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_alarms_and_its_audience_is_told(stage: Stage, labs: dict[str, Lab], name: str) -> None:
    cause, nouns = CAUSES[name]
    before = {noun: len(_calm(stage, labs, noun)) for noun in nouns}
    with cause(stage):
        for noun in nouns:
            _check(labs[noun], _new_mail(stage, labs, noun, before[noun]))


def _check(lab: Lab, mail: dict[str, Any]) -> None:
    """The message reached the topic of the alarm's own region and audience, and names what it is about."""
    message = mail["message"]
    alarm = lab.described(message["AlarmName"])
    assert mail["topic"] in alarm["AlarmActions"]
    assert mail["topic"].split(":")[3] == lab.region
    assert mail["subject"].startswith(f'ALARM: "{message["AlarmName"]}" in ')
    assert message["OldStateValue"] in ("OK", "INSUFFICIENT_DATA")
    if "AlarmRule" in message:
        assert message["TriggeringChildren"]
        return
    assert "docs/alarms.md#" in message["AlarmDescription"]
    told = message["Trigger"].get("Dimensions", [])
    assert {entry["name"]: entry["value"] for entry in told} == {
        entry["Name"]: entry["Value"] for entry in alarm.get("Dimensions", [])
    }


def _mails(labs: dict[str, Lab], noun: str) -> list[dict[str, Any]]:
    """The messages so far that an alarm of that noun began."""
    mails = labs[noun].mails(state="ALARM")
    return [mail for mail in mails if alarm_stage.noun(mail["message"]["AlarmName"]) == noun]


def _alarms(labs: dict[str, Lab], noun: str) -> list[dict[str, Any]]:
    """The alarms of that noun in its region, of one stack or both."""
    found = labs[noun].cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    every = [*found["MetricAlarms"], *found["CompositeAlarms"]]
    return [alarm for alarm in every if alarm_stage.noun(alarm["AlarmName"]) == noun]


def _calm(stage: Stage, labs: dict[str, Lab], noun: str) -> list[dict[str, Any]]:
    """Wait until no alarm of that noun stands; the messages that there were before."""

    def calm() -> bool:
        return all(alarm["StateValue"] != "ALARM" for alarm in _alarms(labs, noun))

    wait(calm, SECONDS, f"{noun} to be over", lambda: (_alarms(labs, noun), stage.problems()))
    return _mails(labs, noun)


def _new_mail(stage: Stage, labs: dict[str, Lab], noun: str, known: int) -> dict[str, Any]:
    def told() -> Any:
        return _alarms(labs, noun), stage.problems()

    return wait(lambda: _mails(labs, noun)[known:], SECONDS, f"a mail about {noun}", told)[0]
