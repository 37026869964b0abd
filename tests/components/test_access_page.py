"""docs/access.md is what the program registers today, and says something of every grant."""

import pytest

from scripts.rehearsal import access
from tests.components.access_page import PURPOSES, REASONS, described, page, purpose
from tests.components.examples import KENYA, ROOT, SOUTH_AFRICA
from tests.components.program import Program

STACKS = (SOUTH_AFRICA, KENYA)


def test_the_page_is_written_from_the_program_as_it_is() -> None:
    assert (ROOT / "docs" / "access.md").read_text() == page(), "run `make docs`"


@pytest.mark.parametrize("stack", STACKS)
def test_no_role_depends_on_whether_the_stack_stands_by(stack: str) -> None:
    assert described(Program(stack, True).recorded()) == described(Program(stack, False).recorded())


def test_nothing_is_explained_that_is_not_there() -> None:
    roles = [role for stack in STACKS for role in described(Program(stack, stack == SOUTH_AFRICA).recorded())]
    assert {statement["Sid"] for role in roles for statement in role.statements} == set(REASONS)
    assert {purpose(role) for role in roles} == set(PURPOSES.values())
    documents = {role.name: {"": {"Statement": role.statements}} for role in roles}
    granted = list(access.parts(documents))
    for unseen in access.UNSEEN:
        assert any(unseen.covers(part) for part in granted), unseen


def test_no_statement_opens_more_than_its_service_can_narrow() -> None:
    """`*` as a resource only where IAM knows no narrower one (Service Authorization Reference)."""
    without_resources = {
        "cloudwatch:PutMetricData",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "rds:CrossRegionCommunication",
    }
    for stack in STACKS:
        for role in described(Program(stack, stack == SOUTH_AFRICA).recorded()):
            for statement in role.statements:
                assert not any("*" in action for action in statement["Action"]), (role.name, statement)
                if statement["Effect"] == "Allow" and "*" in statement["Resource"]:
                    assert set(statement["Action"]) <= without_resources, (role.name, statement)
