"""The provider's errors. Their text is what the engine shows for a resource, without a traceback."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError


class ProviderError(Exception):
    """Something the provider refuses or that went wrong with a resource; the message is for the user."""


class UnknownType(ProviderError):
    """A resource type that no table models."""


class Cancelled(ProviderError):
    """The engine asked to stop while the provider was waiting."""


def code(error: ClientError) -> str:
    """The AWS error code."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def text(error: Exception) -> str:
    """One line for the user: AWS's code and message where AWS answered."""
    if isinstance(error, ClientError):
        message = error.response.get("Error", {}).get("Message", "")
        return f"{error.operation_name}: {code(error)}: {message}"
    if isinstance(error, BotoCoreError | ProviderError):
        return str(error)
    return f"{type(error).__name__}: {error}"
