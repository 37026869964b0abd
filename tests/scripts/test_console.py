"""What is printed is what was meant: no library puts signs of its own into it."""

import pytest

from scripts import console
from scripts.errors import RefusedError

ARN = "arn:aws:secretsmanager:af-south-1:123456789012:secret:mental-health-platform/sa/registry"


@pytest.mark.parametrize("say", [console.plain, console.note, console.warn, console.done, console.step])
def test_the_arn_of_a_secret_stays_one(say: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(say)
    say(ARN)
    printed = capsys.readouterr()
    assert ARN in printed.out + printed.err


def test_so_does_one_in_a_failure_and_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    console.failure(RefusedError(ARN, ARN))
    console.table("secrets", ["arn"], [[ARN]])
    assert capsys.readouterr().err.replace("\n", "").count(":secret:") == 3
