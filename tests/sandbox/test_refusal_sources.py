"""Where a refusal says that a rule or a code is written, it is."""

from __future__ import annotations

from typing import Final

import pytest

from tests.components.examples import ROOT
from tests.sandbox.refusal_row import Kind, Refusal
from tests.sandbox.refusal_sources import CODES, constrained, documented, listed, page
from tests.sandbox.refusals import REFUSALS

# Of the rows, what is neither in botocore's reference nor was found elsewhere; nothing may be added unseen.
UNVERIFIED_RULES: Final = 20
UNVERIFIED_CODES: Final = {
    ("cloudwatch", "ValidationError"),
    ("iam", "ValidationError"),
    ("kms", "NotAuthorizedException"),
    ("kms", "ValidationException"),
    ("rds", "MissingParameter"),
}


@pytest.mark.parametrize("refusal", REFUSALS, ids=[f"{row.service}: {row.title}" for row in REFUSALS])
def test_the_source_says_so(refusal: Refusal) -> None:
    source = refusal.source
    match source.kind:
        case Kind.MODEL:
            assert constrained(refusal.service, source.place)
        case Kind.REFERENCE:
            assert source.words in documented(refusal.service, source.place)
        case Kind.LISTED:
            assert listed(refusal)
        case _:
            assert source.words


def test_what_is_not_verified_is_known() -> None:
    rules = [refusal for refusal in REFUSALS if refusal.source.kind is Kind.UNVERIFIED]
    unlisted = {(refusal.service, refusal.code) for refusal in REFUSALS if not listed(refusal)}
    assert len(rules) == UNVERIFIED_RULES
    assert unlisted - CODES.keys() == UNVERIFIED_CODES
    assert CODES.keys() <= unlisted


def test_the_page_is_what_the_rows_say() -> None:
    command = ".venv/bin/python -m tests.sandbox.refusal_sources > docs/refusals.md"
    assert (ROOT / "docs" / "refusals.md").read_text(encoding="utf-8") == page(), f"run {command}"
