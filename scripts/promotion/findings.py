"""What a preflight finds: each finding is fine, worth knowing, or a reason not to begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from scripts.errors import CredentialsError, DrError, RefusedError
from scripts.promotion.concurrently import NoAnswer
from scripts.promotion.failures import EXPIRED, NEW_CREDENTIALS

# Which refusal decides the exit code where there are several: what has to be mended first.
ORDER = (CredentialsError,)


@dataclass(frozen=True)
class Finding:
    """`refusal` is the kind of failure that it is where it forbids to begin; `hint` says what to do."""

    subject: str
    text: str
    hint: str = ""
    refusal: type[DrError] | None = None
    warning: bool = False

    @property
    def level(self) -> str:
        return "refused" if self.refusal else "warning" if self.warning else "ok"

    def as_json(self) -> dict[str, Any]:
        return {"level": self.level, "subject": self.subject, "text": self.text, "hint": self.hint or None}


def ok(subject: str, text: str) -> Finding:
    return Finding(subject, text)


def warning(subject: str, text: str, hint: str = "") -> Finding:
    return Finding(subject, text, hint, warning=True)


def refused(subject: str, text: str, hint: str = "", kind: type[DrError] = RefusedError) -> Finding:
    return Finding(subject, text, hint, kind)


def failed(subject: str, error: Exception, region: str) -> Finding:
    """A question that could not be answered. Not knowing forbids to begin; it is not the same as knowing the worst."""
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        said = f"AWS refused {error.operation_name} in {region}: {code}: {error.response['Error'].get('Message', '')}"
        if code in EXPIRED:
            return refused(subject, said, NEW_CREDENTIALS, CredentialsError)
        return refused(subject, said, "These credentials lack a permission, or what is asked for does not exist.")
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return refused(subject, str(error), NEW_CREDENTIALS, CredentialsError)
    if isinstance(error, BotoCoreError | NoAnswer):
        said = f"{region} did not answer: {error}"
        return refused(subject, said, "Check this machine's way to the internet, then run this again.")
    if isinstance(error, DrError):
        return refused(subject, error.message, error.hint or "", type(error))
    raise error


def unknown(subject: str, error: Exception, region: str) -> Finding:
    """A question that a promotion does not depend on, and that could not be answered: worth knowing, no more."""
    found = failed(subject, error, region)
    return warning(subject, f"not checked: {found.text}")


def raise_refusals(found: Sequence[Finding]) -> None:
    """Raise one error that names every refusal; its kind is that of the one which has to be mended first."""
    against = [finding for finding in found if finding.refusal is not None]
    if not against:
        return
    first = next((f for kind in ORDER for f in against if f.refusal is kind), against[0])
    others = len(against) - 1
    more = f" ({others} more above)" if others else ""
    said = f"{first.subject}: {first.text.rstrip('.')}. Nothing was changed{more}."
    raise (first.refusal or RefusedError)(said, first.hint or None)
