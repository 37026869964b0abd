"""The timeline: phases from engine events, the terminal with and without a TTY."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from sandbox.clock import Clock
from scripts.rehearsal.timeline import Display, Timeline, phase_of, render, told
from tests.scripts import made_up
from tests.scripts.made_up import CRITICAL, LOSS, SPEED, URN, at


@pytest.mark.parametrize(
    ("kind", "name", "phase"),
    [
        ("aws:rds/instance:Instance", "database-first", "restore"),
        ("aws:lambda/invocation:Invocation", "critical-logins", "roles"),
        ("aws:lambda/invocation:Invocation", "standard-logins", "all"),
        ("aws:ecs/service:Service", "services-crisis-detection", "critical"),
        ("aws:ecs/service:Service", "services-sync", "all"),
        ("pulumi-python:dynamic/takeover:HealthyTargets", "takeover-healthy-targets", "critical"),
        ("aws:lb/listenerRule:ListenerRule", "takeover-crisis", "takeover"),
        ("aws:s3/bucketObjectv2:BucketObjectv2", "takeover-marker", "takeover"),
        ("aws:ec2/natGateway:NatGateway", "network-nat-a", "all"),
    ],
)
def test_each_operation_belongs_to_a_phase(kind: str, name: str, phase: str) -> None:
    assert phase_of(kind, name, CRITICAL) == phase


def test_phases_span_their_operations() -> None:
    timeline = made_up.timeline()
    reached = {name: timeline.minutes(phase.end) for name, phase in timeline.phases.items()}
    assert reached == pytest.approx(
        {
            "loss": 0.0,
            "crisis-page": 1.4,
            "engine": 2.6,
            "restore": 22.5,
            "roles": 22.95,
            "critical": 25.3,  # when the public name answers, not when the service was updated
            "takeover": 24.97,
            "all": 29.6,
        }
    )
    assert timeline.minutes(timeline.phases["restore"].start) == pytest.approx(2.9)
    assert not timeline.running()


def test_a_failed_operation_ends_no_phase() -> None:
    timeline = made_up.timeline(failing="database-first")
    assert timeline.phases["restore"].end is None
    assert [span.name for span in timeline.spans if span.failed] == ["database-first"]


def test_components_and_unchanged_resources_are_no_operations() -> None:
    timeline = Timeline(Clock(SPEED, LOSS), CRITICAL)
    for urn, operation in (
        (f"{URN}aws:s3/bucket:Bucket::audio", "same"),
        (f"{URN}aws:secretsmanager/secretVersion:SecretVersion::login", "replace"),  # its two parts are
        ("urn:pulumi:s::p::platform:network:Network::network", "create"),
        ("urn:pulumi:s::p::pulumi:pulumi:Stack::s", "create"),
    ):
        timeline.engine_event(at(1), {"resourcePreEvent": {"metadata": {"urn": urn, "op": operation}}})
    assert timeline.spans == []


def test_what_a_preview_plans_has_not_happened() -> None:
    timeline = Timeline(Clock(SPEED, LOSS), CRITICAL)
    metadata = {"urn": f"{URN}aws:rds/instance:Instance::database-first", "op": "create"}
    timeline.engine_event(at(1), {"resourcePreEvent": {"metadata": metadata, "planning": True}})
    timeline.engine_event(at(1), {"resOutputsEvent": {"metadata": metadata, "planning": True}})
    assert timeline.spans == []
    timeline.engine_event(at(3), {"resourcePreEvent": {"metadata": metadata}})
    assert [span.start for span in timeline.spans] == [at(3)]


def test_before_the_loss_there_are_no_minutes() -> None:
    assert Timeline(Clock(SPEED, LOSS), CRITICAL).minutes(LOSS) is None
    assert told(None) == "–"


def test_the_table_shows_what_is_reached_and_what_is_being_worked_on() -> None:
    timeline = made_up.timeline()
    metadata = {"urn": f"{URN}aws:ecs/service:Service::services-late", "op": "update"}
    timeline.engine_event(at(30), {"resourcePreEvent": {"metadata": metadata}})
    out = io.StringIO()
    Console(file=out, width=120).print(render(timeline, at(31)))
    text = out.getvalue()
    assert "31.0 modelled minutes since the loss" in text
    assert "database restored from the newest copy" in text
    assert "22.5 min" in text
    assert "update services-late" in text


def test_without_a_terminal_each_change_is_one_plain_line() -> None:
    out = io.StringIO()
    with Display(made_up.timeline(), Console(file=out, force_terminal=False, width=120)).showing():
        pass
    lines = out.getvalue().splitlines()
    assert any("22.5 min" in line and "reached" in line and "database restored" in line for line in lines)
    assert sum("takeover said by both witnesses" in line for line in lines) == 2  # begins, reached
    assert any("pulumi up ended with code 0" in line for line in lines)
    assert "\x1b" not in out.getvalue()


def test_on_a_terminal_the_table_is_drawn_in_place() -> None:
    out = io.StringIO()
    with Display(made_up.timeline(), Console(file=out, force_terminal=True, width=120)).showing():
        pass
    assert "\x1b[" in out.getvalue()
    assert "everything runs" in out.getvalue()
